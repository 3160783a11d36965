-- The life of a credential at its device, so that an old one dies only after the new one has worked. `device` is the
-- permanent address of the WLAN card that asked, `serial` counts what that card was given for this subscriber; 0 for what
-- was made by hand, which supersedes nothing and is not superseded.
-- `superseded_at`: a newer one was given, this one is still good. What the device says of it: installed, worked, failed
-- and why, and which policy it obeys.

ALTER TABLE credential ADD COLUMN device TEXT;
ALTER TABLE credential ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;
ALTER TABLE credential ADD COLUMN superseded_at INTEGER;
ALTER TABLE credential ADD COLUMN revoked_why TEXT CHECK (revoked_why IN ('operator', 'superseded'));
ALTER TABLE credential ADD COLUMN installed_at INTEGER;
ALTER TABLE credential ADD COLUMN worked_at INTEGER;
ALTER TABLE credential ADD COLUMN failed_at INTEGER;
ALTER TABLE credential ADD COLUMN failure TEXT;
ALTER TABLE credential ADD COLUMN runs_policy INTEGER;

UPDATE credential SET device = mac, serial = 1;
CREATE INDEX credential_device ON credential (subscriber, device) WHERE revoked_at IS NULL;

-- What was taken back, in the order in which it was, so that the nodes read only what is new to them.
CREATE TABLE revocation (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    username   TEXT NOT NULL UNIQUE,
    superseded INTEGER NOT NULL CHECK (superseded IN (0, 1)),
    expires_at INTEGER
) STRICT;

DROP TRIGGER credential_revoked;
DROP INDEX credential_revoked;
UPDATE credential SET revoked_why = 'operator' WHERE revoked_at IS NOT NULL;
INSERT INTO revocation (username, superseded, expires_at)
SELECT username, 0, expires_at FROM credential WHERE revoked_at IS NOT NULL;

-- One that was superseded is routine and ends no session: only what an operator takes back moves the generation.
CREATE TRIGGER credential_revoked AFTER UPDATE OF revoked_at, revoked_why ON credential
WHEN NEW.revoked_at IS NOT NULL AND (OLD.revoked_at IS NULL OR OLD.revoked_why IS NOT NEW.revoked_why)
BEGIN
    INSERT OR REPLACE INTO revocation (username, superseded, expires_at)
    VALUES (NEW.username, NEW.revoked_why IS 'superseded', NEW.expires_at);
    UPDATE generation SET value = value + 1 WHERE NEW.revoked_why IS NOT 'superseded';
END;
