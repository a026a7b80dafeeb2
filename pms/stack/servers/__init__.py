"""Real Redis and PostgreSQL, run from binaries that we install ourselves, never from `PATH`."""
