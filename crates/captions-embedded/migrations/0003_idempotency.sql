-- Calls that were given a key. Keys and payloads are digests; times are microseconds since 1970, headers are JSON.
CREATE TABLE idempotency (
    tenant       TEXT NOT NULL,
    call         BLOB NOT NULL,
    payload      BLOB NOT NULL,
    -- Whom and which caption the call is about: what is kept of it is erased with them.
    user_id      TEXT,
    caption_id   BLOB NOT NULL,
    -- What the call creates has this id, however often it is begun.
    id           BLOB NOT NULL,
    holder       BLOB NOT NULL,
    leased_until INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    -- The answer, once there is one.
    status       INTEGER,
    headers      TEXT,
    body         BLOB,
    PRIMARY KEY (tenant, call)
) STRICT;

CREATE INDEX idempotency_over ON idempotency (expires_at);
CREATE INDEX idempotency_of_user ON idempotency (tenant, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX idempotency_of_caption ON idempotency (tenant, caption_id);
