-- Whose limits the items count against, as JSON, where they are not those of the tenant.
ALTER TABLE batches ADD COLUMN payer TEXT;
