-- A failed item that no further try can mend. Of those from before nobody knows.
ALTER TABLE batch_items ADD COLUMN is_final INTEGER NOT NULL DEFAULT 0;

CREATE INDEX batches_open_of_tenant ON batches (tenant) WHERE finished_at IS NULL;

-- For finding out whether a family of keys has an active one.
CREATE INDEX api_keys_of_family ON api_keys (family);
