"""Redis, simulated: the commands and scripts that we use, on virtual time, with its failures."""
