-- One row for each secret. Of the secret itself nothing is kept but the digest.
CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    family       uuid NOT NULL,
    tenant       text COLLATE "C" NOT NULL,
    name         text NOT NULL,
    scopes       jsonb NOT NULL,
    limits       jsonb NOT NULL,
    digest       bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    last_four    text NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- The keys of a tenant, newest first.
CREATE INDEX api_keys_of_tenant ON api_keys (tenant, id DESC);
