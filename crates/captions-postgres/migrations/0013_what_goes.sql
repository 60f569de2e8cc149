-- For letting go of usage that is older than it is kept.
CREATE INDEX usage_sums_in_order ON usage_sums (hour);

-- As before, and it tells how many sums of usage name nobody any more.
DROP FUNCTION captions_forget(text, uuid, text, timestamptz, interval);

CREATE FUNCTION captions_forget(
    of_tenant text, one uuid, whose text, until timestamptz, keep interval,
    OUT erased bigint, OUT answers bigint, OUT items bigint, OUT usage bigint
) LANGUAGE plpgsql AS $$
DECLARE
    erased_subject bytea := coalesce(captions_subject('caption', of_tenant, one::text),
                                     captions_subject('user', of_tenant, whose));
BEGIN
    usage := 0;
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
        GET DIAGNOSTICS usage = ROW_COUNT;
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

-- Until when a draft may still become a batch; then it takes no room any more. The default is for replicas of the version before.
ALTER TABLE batches ADD COLUMN draft_until timestamptz DEFAULT now() + interval '1 hour';

-- As before, without the drafts whose time is over.
CREATE OR REPLACE FUNCTION open_batch_items(owner text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('captions open batch items ' || owner, 0));
    RETURN (SELECT COALESCE(SUM(total - succeeded - failed - cancelled), 0) FROM batches
        WHERE tenant = owner AND finished_at IS NULL AND (state <> 'draft' OR draft_until > now()));
END
$$;
