-- Requests that nobody waits for. The counts stand in the batch, so that nobody has to count its items.
-- Times are microseconds since 1970.
CREATE TABLE batches (
    id           BLOB NOT NULL PRIMARY KEY,
    tenant       TEXT NOT NULL,
    state        TEXT NOT NULL,
    total        INTEGER NOT NULL,
    succeeded    INTEGER NOT NULL DEFAULT 0,
    failed       INTEGER NOT NULL DEFAULT 0,
    cancelled    INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    expires_at   INTEGER NOT NULL,
    -- Whom to tell of its end, as JSON.
    notify       TEXT,
    notify_at    INTEGER,
    notify_tries INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX batches_of_tenant ON batches (tenant, id DESC);
CREATE INDEX batches_open ON batches (created_at) WHERE finished_at IS NULL;
CREATE INDEX batches_over ON batches (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX batches_to_tell ON batches (notify_at) WHERE notify_at IS NOT NULL;

CREATE TABLE batch_items (
    batch     BLOB NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    idx       INTEGER NOT NULL,
    custom_id TEXT NOT NULL,
    caption   BLOB NOT NULL,
    tenant    TEXT NOT NULL,
    user_id   TEXT,
    request   TEXT NOT NULL,
    state     TEXT NOT NULL DEFAULT 'open',
    -- From when on it may be leased; of a leased one, when the lease ends; NULL once it has its outcome.
    due_at    INTEGER,
    lease     BLOB,
    tries     INTEGER NOT NULL DEFAULT 0,
    reclaimed INTEGER NOT NULL DEFAULT 0,
    outcome   TEXT,
    PRIMARY KEY (batch, idx)
) STRICT;

-- What is due next within a batch. Items with an outcome are not in it.
CREATE INDEX batch_items_due ON batch_items (batch, due_at, idx) WHERE due_at IS NOT NULL;
-- For erasing a user.
CREATE INDEX batch_items_of_user ON batch_items (tenant, user_id) WHERE user_id IS NOT NULL;
