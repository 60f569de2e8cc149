-- What else was asked for when the caption was written, so that more can be written like it.
ALTER TABLE captions ADD COLUMN wishes jsonb;

-- When it was marked: what is older than anything that could bring erased captions back is cleared away.
ALTER TABLE erasures ADD COLUMN marked_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX erasures_in_order ON erasures (marked_at);

-- All that goes with an erasure, in one step. The mark comes first: whatever begins from then on knows it. Waits for captions
-- that are being written, and erases them with the rest. Without a time none of it ever comes back. Marks that are older
-- than `keep` go by and by, so that the table does not grow without end.
CREATE FUNCTION captions_forget(
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
    ELSE
        DELETE FROM idempotency WHERE tenant = of_tenant AND caption_id = one;
        GET DIAGNOSTICS answers = ROW_COUNT;
        UPDATE batch_items SET request = '', outcome = NULL
            WHERE caption = one AND tenant = of_tenant AND due_at IS NULL AND (request <> '' OR outcome IS NOT NULL);
        GET DIAGNOSTICS items = ROW_COUNT;
        DELETE FROM captions WHERE tenant = of_tenant AND id = one;
    END IF;
    GET DIAGNOSTICS erased = ROW_COUNT;
    DELETE FROM erasures WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM erasures WHERE marked_at < clock_timestamp() - keep
        ORDER BY marked_at LIMIT 100 FOR UPDATE SKIP LOCKED));
END $$;
