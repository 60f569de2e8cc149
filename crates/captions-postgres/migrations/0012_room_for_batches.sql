-- A failed item that no further try can mend. Of those from before nobody knows.
ALTER TABLE batch_items ADD COLUMN is_final boolean NOT NULL DEFAULT false;

CREATE INDEX batches_open_of_tenant ON batches (tenant) WHERE finished_at IS NULL;

-- Items of a tenant without an outcome, drafts included. Until its transaction ends nobody else counts those of this tenant:
-- whoever puts more there in the same transaction is alone. The counting comes after the lock, with a look of its own at
-- what others have put there meanwhile.
CREATE FUNCTION open_batch_items(owner text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('captions open batch items ' || owner, 0));
    RETURN (SELECT COALESCE(SUM(total - succeeded - failed - cancelled), 0) FROM batches
        WHERE tenant = owner AND finished_at IS NULL);
END
$$;

-- For finding out whether a family of keys has an active one.
CREATE INDEX api_keys_of_family ON api_keys (family);
