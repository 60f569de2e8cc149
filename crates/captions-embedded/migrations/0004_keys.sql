-- One row for each secret. Of the secret itself nothing is kept but the digest.
CREATE TABLE api_keys (
    id           BLOB NOT NULL PRIMARY KEY,
    family       BLOB NOT NULL,
    tenant       TEXT NOT NULL,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    limits       TEXT NOT NULL,
    digest       BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    last_four    TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT;

-- The keys of a tenant, newest first.
CREATE INDEX api_keys_of_tenant ON api_keys (tenant, id DESC);
