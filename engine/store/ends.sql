-- When a hop's message is typed no more, by our wall clock; 0: never.

ALTER TABLE hops ADD COLUMN ends_ms INTEGER NOT NULL DEFAULT 0;
