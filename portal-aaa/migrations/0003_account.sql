-- Accounts that an operator makes by hand, for monitoring probes and legacy devices. Lists are text, one entry a line;
-- an empty one restricts nothing. Names are compared octet by octet.

CREATE TABLE account (
    name            TEXT PRIMARY KEY NOT NULL,
    password_sealed BLOB NOT NULL,
    mac             TEXT,
    methods         TEXT NOT NULL,
    ssids           TEXT NOT NULL,
    nas             TEXT NOT NULL,
    vlan            INTEGER CHECK (vlan BETWEEN 1 AND 4094),
    max_sessions    INTEGER CHECK (max_sessions BETWEEN 0 AND 4294967295),
    disabled        INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER account_added AFTER INSERT ON account BEGIN UPDATE generation SET value = value + 1; END;
CREATE TRIGGER account_changed AFTER UPDATE ON account BEGIN UPDATE generation SET value = value + 1; END;
CREATE TRIGGER account_removed AFTER DELETE ON account BEGIN UPDATE generation SET value = value + 1; END;
