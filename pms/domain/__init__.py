"""The trading logic: pure, with no clock, no I/O and no randomness inside."""
