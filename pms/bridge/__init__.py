"""The door of gateways that only know lists: `pms:cmd:*` into records and wake-ups."""
