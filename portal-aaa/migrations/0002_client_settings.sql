-- What a RADIUS client may be told and how much it may ask: a third Message-Authenticator policy (a CHECK cannot be
-- changed, so the table is made anew), the port of Disconnect-Requests, a rate limit.

CREATE TABLE client_new (
    kind                  TEXT NOT NULL CHECK (kind IN ('nas', 'gateway')),
    name                  TEXT NOT NULL,
    network               TEXT NOT NULL,
    prefix                INTEGER NOT NULL CHECK (prefix BETWEEN 0 AND 128),
    secret_sealed         BLOB NOT NULL,
    message_authenticator TEXT NOT NULL CHECK (message_authenticator IN ('require', 'audit', 'off')),
    coa_port              INTEGER CHECK (coa_port BETWEEN 1 AND 65535),
    max_rate              INTEGER CHECK (max_rate BETWEEN 1 AND 4294967295),
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

INSERT INTO client_new (kind, name, network, prefix, secret_sealed, message_authenticator)
SELECT kind, name, network, prefix, secret_sealed, message_authenticator FROM client;
DROP TABLE client;
ALTER TABLE client_new RENAME TO client;

CREATE TRIGGER client_added AFTER INSERT ON client BEGIN UPDATE generation SET value = value + 1; END;
CREATE TRIGGER client_changed AFTER UPDATE ON client BEGIN UPDATE generation SET value = value + 1; END;
CREATE TRIGGER client_removed AFTER DELETE ON client BEGIN UPDATE generation SET value = value + 1; END;
