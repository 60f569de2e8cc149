-- Requests that nobody waits for. The counts stand in the batch, so that nobody has to count its items.
CREATE TABLE batches (
    id           uuid PRIMARY KEY,
    tenant       text COLLATE "C" NOT NULL,
    -- 'draft' until all of its items are there: nobody sees it before.
    state        text NOT NULL,
    total        integer NOT NULL,
    succeeded    integer NOT NULL DEFAULT 0,
    failed       integer NOT NULL DEFAULT 0,
    cancelled    integer NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    finished_at  timestamptz,
    expires_at   timestamptz NOT NULL,
    -- Whom to tell of its end, as JSON.
    notify       text,
    notify_at    timestamptz,
    notify_tries integer NOT NULL DEFAULT 0
);

CREATE INDEX batches_of_tenant ON batches (tenant, id DESC);
CREATE INDEX batches_open ON batches (created_at) WHERE finished_at IS NULL;
CREATE INDEX batches_over ON batches (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX batches_to_tell ON batches (notify_at) WHERE notify_at IS NOT NULL;

CREATE TABLE batch_items (
    batch     uuid NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    idx       integer NOT NULL,
    custom_id text NOT NULL,
    caption   uuid NOT NULL,
    tenant    text COLLATE "C" NOT NULL,
    user_id   text COLLATE "C",
    request   text NOT NULL,
    state     text NOT NULL DEFAULT 'open',
    -- From when on it may be leased; of a leased one, when the lease ends; NULL once it has its outcome.
    due_at    timestamptz,
    lease     uuid,
    tries     integer NOT NULL DEFAULT 0,
    reclaimed boolean NOT NULL DEFAULT false,
    outcome   text,
    PRIMARY KEY (batch, idx)
);

-- What is due next within a batch. Items with an outcome are not in it.
CREATE INDEX batch_items_due ON batch_items (batch, due_at, idx) WHERE due_at IS NOT NULL;
-- For erasing a user.
CREATE INDEX batch_items_of_user ON batch_items (tenant, user_id) WHERE user_id IS NOT NULL;
