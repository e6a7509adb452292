"""What a node never forgets: one SQLite file, one thread that writes it, and a twin in memory for the simulator.

Read `schema.sql` first, then `store` (the writing thread), `restore` (what a start finds) and `read` (pages)."""
