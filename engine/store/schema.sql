-- What a node never forgets.
--
-- `outbox.row` and `inbox.row` come from one sequence, so that both directions have one order: newest first is the
-- Messages screen. Bodies stand apart because a rung changes often and a body never does: a kilobyte beside each row
-- would be written again with every receipt, and read again by every page of the log. Ids are ULIDs, ordered by time,
-- so that their index grows at its end.

CREATE TABLE outbox (
    row        INTEGER PRIMARY KEY,
    msg_id     TEXT NOT NULL,
    src        TEXT NOT NULL,
    dst        TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,          -- 0: no number yet
    kind       TEXT NOT NULL,
    urgency    INTEGER NOT NULL,
    thread     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    ttl_s      INTEGER NOT NULL,
    hop        INTEGER NOT NULL,
    rung       TEXT NOT NULL,             -- `accepted` is the one that waits
    rung_ms    INTEGER NOT NULL,
    channel    TEXT NOT NULL,             -- the one that proved the rung; empty: none
    reason     TEXT NOT NULL,
    via        TEXT NOT NULL,             -- the only one the sender allows; empty: as the kind has it
    widened    INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX outbox_id ON outbox (msg_id);
-- Unique, because a number given twice would be a message dropped as a repetition: better a loud error here.
CREATE UNIQUE INDEX outbox_number ON outbox (dst, epoch, seq) WHERE seq > 0;
CREATE INDEX outbox_waiting ON outbox (dst, seq, urgency DESC) WHERE rung = 'accepted';
CREATE INDEX outbox_failed ON outbox (rung) WHERE rung IN ('expired', 'refused', 'dead');

CREATE TABLE inbox (
    row        INTEGER PRIMARY KEY,
    msg_id     TEXT NOT NULL,
    src        TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    urgency    INTEGER NOT NULL,
    thread     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    channel    TEXT NOT NULL,
    tag        BLOB NOT NULL
) STRICT;

-- With the sender, so that nobody can have another's message ignored by using its id first.
CREATE UNIQUE INDEX inbox_id ON inbox (msg_id, src);

CREATE TABLE bodies (
    row  INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE deliveries (
    id      INTEGER PRIMARY KEY,
    row     INTEGER NOT NULL,             -- of the outbox
    channel TEXT NOT NULL,
    outcome TEXT NOT NULL,
    ms      REAL NOT NULL,
    at_ms   INTEGER NOT NULL,
    note    TEXT NOT NULL
) STRICT;

CREATE INDEX deliveries_row ON deliveries (row);

CREATE TABLE streams (
    src       TEXT NOT NULL,
    epoch     INTEGER NOT NULL,
    watermark INTEGER NOT NULL,
    above     BLOB NOT NULL,
    PRIMARY KEY (src, epoch)
) STRICT;

CREATE TABLE floors (
    src   TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE peers (
    id   TEXT PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE roster (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    data    BLOB NOT NULL
) STRICT;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE ledger (
    seq   INTEGER PRIMARY KEY,
    entry BLOB NOT NULL,
    hash  BLOB NOT NULL
) STRICT;
