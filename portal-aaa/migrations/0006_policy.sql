-- WLAN policies that differ from the configuration's, by scope. `document` is a JSON object of the settings that differ.
-- `policy_version` counts every change of a policy and of who is in which group, so that the version of what a device gets
-- never goes back, whatever scope it comes from.

CREATE TABLE policy (
    scope      TEXT NOT NULL CHECK (scope IN ('default', 'group', 'device')),
    name       TEXT NOT NULL,
    document   TEXT NOT NULL,
    version    INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (scope, name),
    CHECK ((scope = 'default') = (name = ''))
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_version (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO policy_version (only, value) VALUES (1, 0);

-- What the nodes hold in memory has changed.
CREATE TRIGGER policy_version_changed AFTER UPDATE ON policy_version
BEGIN UPDATE generation SET value = value + 1; END;
