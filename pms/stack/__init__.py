"""The whole system on one machine: embedded servers, the table of processes, their supervisor."""
