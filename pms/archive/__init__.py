"""The archive: every journal entry in files of its own, on disk before PostgreSQL has it."""
