-- Sessions of access points and packet gateways, folded from their reports in the same transaction: what exports,
-- totals and the table of live sessions are made of. `subscriber` is the first octets of a keyed hash; no identifier
-- stands here. Times are by the client's clock, but for `heard_at`, which is by ours.

CREATE TABLE session (
    id               INTEGER PRIMARY KEY,
    kind             TEXT NOT NULL CHECK (kind IN ('nas', 'gateway')),
    client           TEXT NOT NULL,
    session_id       TEXT NOT NULL,
    multi_session_id TEXT,
    class            BLOB CHECK (length(class) = 16),
    username         TEXT,
    subscriber       BLOB CHECK (length(subscriber) = 6),
    stamp            INTEGER NOT NULL,
    mac              TEXT,
    calling_station  TEXT,
    called_station   TEXT,
    ssid             TEXT,
    place            TEXT,
    nas_identifier   TEXT,
    nas_address      TEXT,
    address          TEXT,
    input_octets     INTEGER NOT NULL,
    output_octets    INTEGER NOT NULL,
    session_secs     INTEGER NOT NULL,
    started_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    heard_at         INTEGER NOT NULL,
    ended_at         INTEGER,
    started          INTEGER NOT NULL CHECK (started IN (0, 1)),
    interims         INTEGER NOT NULL CHECK (interims IN (0, 1)),
    terminate_cause  INTEGER,
    closed_by        TEXT CHECK (closed_by IN ('stop', 'nas-on', 'nas-off', 'newer-session', 'silence')),
    corrected        INTEGER NOT NULL CHECK (corrected IN (0, 1)),
    CHECK ((ended_at IS NULL) = (closed_by IS NULL))
) STRICT;

CREATE UNIQUE INDEX session_open ON session (kind, client, session_id) WHERE ended_at IS NULL;
CREATE INDEX session_of ON session (kind, client, session_id, started_at);
CREATE INDEX session_station ON session (client, mac) WHERE ended_at IS NULL AND mac IS NOT NULL;
CREATE INDEX session_heard ON session (heard_at) WHERE ended_at IS NULL;
-- When a session counts for billing: at its end, or while it lasts at its last report.
CREATE INDEX session_at ON session (kind, coalesce(ended_at, updated_at));
CREATE INDEX session_subscriber ON session (subscriber, kind, coalesce(ended_at, updated_at))
WHERE subscriber IS NOT NULL;
