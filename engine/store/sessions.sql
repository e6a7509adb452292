-- The last hop: what became of a message that names a session, and how far each session has read.
--
-- `hops` is in the order of arrival. A known message changes nothing, or it could be typed a second time.

CREATE TABLE hops (
    id       INTEGER PRIMARY KEY,
    msg_id   TEXT NOT NULL,
    src      TEXT NOT NULL,
    session  TEXT NOT NULL,
    state    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    came_ms  INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    typed_ms INTEGER NOT NULL              -- 0: never typed
) STRICT;

CREATE UNIQUE INDEX hops_message ON hops (msg_id, src);
CREATE INDEX hops_session ON hops (session, id);
CREATE INDEX hops_typed ON hops (session, typed_ms) WHERE typed_ms > 0;

CREATE INDEX inbox_thread ON inbox (thread, row) WHERE thread <> '';

-- `row` is of the inbox. It only rises, and no row is given again at or below it.
CREATE TABLE cursors (
    session TEXT PRIMARY KEY,
    row     INTEGER NOT NULL
) STRICT;
