-- Calls that were given a key. Keys and payloads are digests.
CREATE TABLE idempotency (
    tenant       text COLLATE "C" NOT NULL,
    call         bytea NOT NULL,
    payload      bytea NOT NULL,
    -- Whom and which caption the call is about: what is kept of it is erased with them.
    user_id      text COLLATE "C",
    caption_id   uuid NOT NULL,
    -- What the call creates has this id, however often it is begun.
    id           uuid NOT NULL,
    holder       uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- The answer, once there is one.
    status       integer,
    headers      jsonb,
    body         bytea,
    PRIMARY KEY (tenant, call)
);

CREATE INDEX idempotency_over ON idempotency (expires_at);
CREATE INDEX idempotency_of_user ON idempotency (tenant, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX idempotency_of_caption ON idempotency (tenant, caption_id);
