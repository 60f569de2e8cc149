-- What callers have used, added up by the hour (whole ones since 1970 began, UTC). Empty texts stand for nobody and none.
-- Amounts of money are in millionths.
CREATE TABLE usage_sums (
    tenant         text COLLATE "C" NOT NULL,
    hour           bigint NOT NULL,
    user_id        text COLLATE "C" NOT NULL,
    key_family     text COLLATE "C" NOT NULL,
    provider       text COLLATE "C" NOT NULL,
    model          text COLLATE "C" NOT NULL,
    requests       bigint NOT NULL,
    captions       bigint NOT NULL,
    calls          bigint NOT NULL,
    unpriced_calls bigint NOT NULL,
    input_tokens   bigint NOT NULL,
    output_tokens  bigint NOT NULL,
    guessed_tokens bigint NOT NULL,
    cost           bigint NOT NULL,
    cache_hits     bigint NOT NULL,
    saved_tokens   bigint NOT NULL,
    saved_cost     bigint NOT NULL,
    PRIMARY KEY (tenant, hour, user_id, key_family, provider, model)
);

-- For erasing a user.
CREATE INDEX usage_sums_of_user ON usage_sums (tenant, user_id) WHERE user_id <> '';

-- What was added before, for as long as it may come again.
CREATE TABLE usage_batches (
    id       uuid PRIMARY KEY,
    added_at timestamptz NOT NULL
);

CREATE INDEX usage_batches_in_order ON usage_batches (added_at);

-- The lock that whoever adds shares, and whoever erases a user has alone: what is added in between knows the erasure, or is
-- there when it takes the user out.
CREATE FUNCTION captions_usage_lock() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT 20261130001::bigint $$;

-- Rows are locked in the order of the primary key, here and below.
CREATE FUNCTION captions_add_usage(batch uuid, added jsonb, keep interval) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(captions_usage_lock());
    INSERT INTO usage_batches VALUES (batch, clock_timestamp()) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO usage_sums AS old
        SELECT row.tenant, row.hour,
            CASE WHEN row."user" IS NULL OR EXISTS (
                SELECT FROM erasures WHERE erasures.tenant = row.tenant
                AND erasures.subject = captions_subject('user', row.tenant, row."user")
                AND erasures.before > timestamptz 'epoch' + row.since * interval '1 microsecond'
            ) THEN '' ELSE row."user" END,
            coalesce(row.key, ''), coalesce(row.provider, ''), coalesce(row.model, ''),
            sum(row.requests), sum(row.captions), sum(row.calls), sum(row.unpriced_calls), sum(row.input_tokens),
            sum(row.output_tokens), sum(row.guessed_tokens), sum(row.cost), sum(row.cache_hits), sum(row.saved_tokens),
            sum(row.saved_cost)
        FROM jsonb_to_recordset(added) AS row(tenant text, hour bigint, "user" text, key text, provider text, model text,
            since bigint, requests bigint, captions bigint, calls bigint, unpriced_calls bigint, input_tokens bigint,
            output_tokens bigint, guessed_tokens bigint, cost bigint, cache_hits bigint, saved_tokens bigint,
            saved_cost bigint)
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (tenant, hour, user_id, key_family, provider, model) DO UPDATE SET
            requests = old.requests + excluded.requests, captions = old.captions + excluded.captions,
            calls = old.calls + excluded.calls, unpriced_calls = old.unpriced_calls + excluded.unpriced_calls,
            input_tokens = old.input_tokens + excluded.input_tokens,
            output_tokens = old.output_tokens + excluded.output_tokens,
            guessed_tokens = old.guessed_tokens + excluded.guessed_tokens, cost = old.cost + excluded.cost,
            cache_hits = old.cache_hits + excluded.cache_hits, saved_tokens = old.saved_tokens + excluded.saved_tokens,
            saved_cost = old.saved_cost + excluded.saved_cost;
    DELETE FROM usage_batches WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM usage_batches WHERE added_at < clock_timestamp() - keep
        ORDER BY added_at LIMIT 100 FOR UPDATE SKIP LOCKED));
END $$;

-- As before, and the user's usage goes to where nobody is named.
CREATE OR REPLACE FUNCTION captions_forget(
    of_tenant text, one uuid, whose text, until timestamptz, keep interval,
    OUT erased bigint, OUT answers bigint, OUT items bigint
) LANGUAGE plpgsql AS $$
DECLARE
    erased_subject bytea := coalesce(captions_subject('caption', of_tenant, one::text),
                                     captions_subject('user', of_tenant, whose));
BEGIN
    PERFORM pg_advisory_xact_lock(captions_lock(erased_subject));
    INSERT INTO erasures AS old VALUES (of_tenant, erased_subject, coalesce(until, 'infinity'), clock_timestamp())
        ON CONFLICT (tenant, subject) DO UPDATE
        SET before = greatest(old.before, excluded.before), marked_at = excluded.marked_at;
    IF one IS NULL THEN
        -- What is kept of calls about the captions, which must still be there, and about their user.
        DELETE FROM idempotency WHERE tenant = of_tenant
            AND (user_id = whose OR caption_id IN (SELECT id FROM captions WHERE tenant = of_tenant AND user_id = whose));
        GET DIAGNOSTICS answers = ROW_COUNT;
        -- An item that is not over fails then, and what is being written of it is not kept.
        UPDATE batch_items SET request = '', outcome = NULL, lease = NULL,
            due_at = CASE WHEN lease IS NULL THEN due_at ELSE now() END
            WHERE tenant = of_tenant AND user_id = whose
            AND (request <> '' OR outcome IS NOT NULL OR lease IS NOT NULL);
        GET DIAGNOSTICS items = ROW_COUNT;
        DELETE FROM captions WHERE tenant = of_tenant AND user_id = whose;
        GET DIAGNOSTICS erased = ROW_COUNT;
        -- Last, because whoever adds usage waits from here on.
        PERFORM pg_advisory_xact_lock(captions_usage_lock());
        WITH gone AS (
            DELETE FROM usage_sums WHERE tenant = of_tenant AND user_id = whose AND user_id <> '' RETURNING *
        )
        INSERT INTO usage_sums AS old
            SELECT gone.tenant, gone.hour, '', gone.key_family, gone.provider, gone.model, gone.requests, gone.captions,
                gone.calls, gone.unpriced_calls, gone.input_tokens, gone.output_tokens, gone.guessed_tokens, gone.cost,
                gone.cache_hits, gone.saved_tokens, gone.saved_cost
            FROM gone ORDER BY 1, 2, 3, 4, 5, 6
            ON CONFLICT (tenant, hour, user_id, key_family, provider, model) DO UPDATE SET
                requests = old.requests + excluded.requests, captions = old.captions + excluded.captions,
                calls = old.calls + excluded.calls, unpriced_calls = old.unpriced_calls + excluded.unpriced_calls,
                input_tokens = old.input_tokens + excluded.input_tokens,
                output_tokens = old.output_tokens + excluded.output_tokens,
                guessed_tokens = old.guessed_tokens + excluded.guessed_tokens, cost = old.cost + excluded.cost,
                cache_hits = old.cache_hits + excluded.cache_hits, saved_tokens = old.saved_tokens + excluded.saved_tokens,
                saved_cost = old.saved_cost + excluded.saved_cost;
    ELSE
        DELETE FROM idempotency WHERE tenant = of_tenant AND caption_id = one;
        GET DIAGNOSTICS answers = ROW_COUNT;
        UPDATE batch_items SET request = '', outcome = NULL
            WHERE caption = one AND tenant = of_tenant AND due_at IS NULL AND (request <> '' OR outcome IS NOT NULL);
        GET DIAGNOSTICS items = ROW_COUNT;
        DELETE FROM captions WHERE tenant = of_tenant AND id = one;
        GET DIAGNOSTICS erased = ROW_COUNT;
    END IF;
    DELETE FROM erasures WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM erasures WHERE marked_at < clock_timestamp() - keep
        ORDER BY marked_at LIMIT 100 FOR UPDATE SKIP LOCKED));
END $$;
