-- Subscribers that the operator lists: who may have credentials, and which MSISDN belongs to which IMSI. Both are keyed
-- hashes to be found and sealed to be shown; neither stands here in clear.

CREATE TABLE subscriber (
    imsi          BLOB PRIMARY KEY NOT NULL CHECK (length(imsi) = 32),
    imsi_sealed   BLOB NOT NULL,
    msisdn        BLOB UNIQUE CHECK (length(msisdn) = 32),
    msisdn_sealed BLOB,
    state         TEXT NOT NULL CHECK (state IN ('allow', 'deny', 'suspended')),
    member_of     TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    CHECK ((msisdn IS NULL) = (msisdn_sealed IS NULL))
) STRICT, WITHOUT ROWID;
