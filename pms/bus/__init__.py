"""Redis as the system uses it: records, the send right, the journal, events. Each script draws its keys."""
