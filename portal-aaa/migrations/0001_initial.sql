-- Clients, credentials, gateway sessions and accounting.
-- No identifier stands here in clear: handles are keyed hashes, `sealed` columns are AES-SIV; addresses are
-- text as people write them, times are seconds since 1970. A migration is never changed once released.

-- RADIUS clients: access points and controllers (nas), packet gateways (gateway).
CREATE TABLE client (
    kind                  TEXT NOT NULL CHECK (kind IN ('nas', 'gateway')),
    name                  TEXT NOT NULL,
    network               TEXT NOT NULL,
    prefix                INTEGER NOT NULL CHECK (prefix BETWEEN 0 AND 128),
    secret_sealed         BLOB NOT NULL,
    message_authenticator TEXT NOT NULL CHECK (message_authenticator IN ('require', 'audit')),
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE credential (
    username        TEXT PRIMARY KEY NOT NULL,
    password_sealed BLOB NOT NULL,
    subscriber      BLOB NOT NULL CHECK (length(subscriber) = 32),
    imsi_sealed     BLOB,
    imei_sealed     BLOB,
    mac             TEXT,
    source          TEXT,
    issued_at       INTEGER NOT NULL,
    expires_at      INTEGER,
    one_time        INTEGER NOT NULL CHECK (one_time IN (0, 1)),
    revoked_at      INTEGER,
    policy_version  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX credential_subscriber ON credential (subscriber);
CREATE INDEX credential_revoked ON credential (username) WHERE revoked_at IS NOT NULL;

-- Which session used up a one-time credential.
CREATE TABLE credential_use (
    username TEXT PRIMARY KEY NOT NULL,
    session  TEXT NOT NULL,
    used_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Live sessions of the packet gateways, one row an address; what the table in memory is filled from.
CREATE TABLE gateway_session (
    gateway    TEXT NOT NULL,
    session_id TEXT NOT NULL,
    address    TEXT NOT NULL,
    prefix     INTEGER NOT NULL CHECK (prefix BETWEEN 0 AND 128),
    subscriber BLOB NOT NULL CHECK (length(subscriber) = 32),
    equipment  BLOB CHECK (length(equipment) = 32),
    seen_at    INTEGER NOT NULL,
    PRIMARY KEY (gateway, session_id, address, prefix)
) STRICT, WITHOUT ROWID;

CREATE INDEX gateway_session_address ON gateway_session (gateway, address, prefix);

-- Usage as reported, for billing. `dedup` makes a repeated report recognisable.
CREATE TABLE accounting (
    id               INTEGER PRIMARY KEY,
    dedup            BLOB NOT NULL UNIQUE CHECK (length(dedup) = 32),
    client           TEXT NOT NULL,
    status           INTEGER NOT NULL,
    session_id       TEXT NOT NULL,
    multi_session_id TEXT,
    username         TEXT,
    mac              TEXT,
    called_station   TEXT,
    input_octets     INTEGER NOT NULL,
    output_octets    INTEGER NOT NULL,
    session_secs     INTEGER NOT NULL,
    terminate_cause  INTEGER,
    event_at         INTEGER NOT NULL,
    received_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX accounting_username ON accounting (username, event_at);
CREATE INDEX accounting_session ON accounting (client, session_id);

-- Grows with each change of what the nodes hold in memory, so that they know when to read it again.
CREATE TABLE generation (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO generation (only, value) VALUES (1, 1);

CREATE TRIGGER client_added AFTER INSERT ON client BEGIN UPDATE generation SET value = value + 1; END;
CREATE TRIGGER client_changed AFTER UPDATE ON client BEGIN UPDATE generation SET value = value + 1; END;
CREATE TRIGGER client_removed AFTER DELETE ON client BEGIN UPDATE generation SET value = value + 1; END;
CREATE TRIGGER credential_revoked AFTER UPDATE OF revoked_at ON credential
BEGIN UPDATE generation SET value = value + 1; END;
