-- What else was asked for when the caption was written, as JSON, so that more can be written like it.
ALTER TABLE captions ADD COLUMN wishes TEXT;

-- When it was marked: what is older than anything that could bring erased captions back is cleared away. What a process of
-- the version before marks stays for good.
ALTER TABLE erasures ADD COLUMN marked_at INTEGER NOT NULL DEFAULT 9223372036854775807;
UPDATE erasures SET marked_at = unixepoch() * 1000000;
CREATE INDEX erasures_in_order ON erasures (marked_at);
