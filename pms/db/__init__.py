"""The ledger: the journal's rows in PostgreSQL, folded exactly once, and what reads them."""
