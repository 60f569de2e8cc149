ALTER TABLE captions ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0);
ALTER TABLE captions ADD COLUMN selected INTEGER;
ALTER TABLE captions ADD COLUMN cached_under TEXT;
-- What captions are looked for by.
ALTER TABLE captions ADD COLUMN language TEXT GENERATED ALWAYS AS (caption ->> '$.language') VIRTUAL;
ALTER TABLE captions ADD COLUMN provider TEXT GENERATED ALWAYS AS (caption ->> '$.provider') VIRTUAL;
ALTER TABLE captions ADD COLUMN platform TEXT GENERATED ALWAYS AS (caption ->> '$.platform') VIRTUAL;
ALTER TABLE captions ADD COLUMN score REAL GENERATED ALWAYS AS (caption ->> '$.variants[0].quality.score') VIRTUAL;
-- Description and variants in small letters.
ALTER TABLE captions ADD COLUMN searched TEXT;

-- Of captions from before this step only the letters A to Z are made small.
UPDATE captions SET searched = lower(description || char(10) || coalesce(
    (SELECT group_concat(value ->> '$.text', char(10)) FROM json_each(caption, '$.variants')), ''));

-- The columns behind the id narrow a search down without a look at the rows themselves.
DROP INDEX captions_of_user;
CREATE INDEX captions_of_user ON captions (tenant, user_id, id DESC, language, provider, platform, score)
    WHERE user_id IS NOT NULL;
CREATE INDEX captions_in_order ON captions (tenant, id DESC, language, provider, platform, score);

-- What must not come back. `subject` is a digest that tells nobody whose captions they were.
CREATE TABLE erasures (
    tenant  TEXT NOT NULL,
    subject BLOB NOT NULL,
    -- Captions that were asked for before are gone.
    before  INTEGER NOT NULL,
    PRIMARY KEY (tenant, subject)
) STRICT;
