-- What callers have used, added up by the hour (whole ones since 1970 began, UTC). Empty texts stand for nobody and none.
-- Amounts of money are in millionths.
CREATE TABLE usage_sums (
    tenant         TEXT NOT NULL,
    hour           INTEGER NOT NULL,
    user_id        TEXT NOT NULL,
    key_family     TEXT NOT NULL,
    provider       TEXT NOT NULL,
    model          TEXT NOT NULL,
    requests       INTEGER NOT NULL,
    captions       INTEGER NOT NULL,
    calls          INTEGER NOT NULL,
    unpriced_calls INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    guessed_tokens INTEGER NOT NULL,
    cost           INTEGER NOT NULL,
    cache_hits     INTEGER NOT NULL,
    saved_tokens   INTEGER NOT NULL,
    saved_cost     INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour, user_id, key_family, provider, model)
) STRICT;

-- For erasing a user.
CREATE INDEX usage_sums_of_user ON usage_sums (tenant, user_id) WHERE user_id <> '';

-- What was added before, for as long as it may come again; times are microseconds since 1970.
CREATE TABLE usage_batches (
    id       BLOB NOT NULL PRIMARY KEY,
    added_at INTEGER NOT NULL
) STRICT;

CREATE INDEX usage_batches_in_order ON usage_batches (added_at);
