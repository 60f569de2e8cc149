ALTER TABLE captions
    ADD COLUMN version      bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD COLUMN selected     smallint,
    ADD COLUMN cached_under text COLLATE "C",
    -- What captions are looked for by.
    ADD COLUMN language     text COLLATE "C" GENERATED ALWAYS AS (caption ->> 'language') STORED,
    ADD COLUMN provider     text COLLATE "C" GENERATED ALWAYS AS (caption ->> 'provider') STORED,
    ADD COLUMN platform     text COLLATE "C" GENERATED ALWAYS AS (caption ->> 'platform') STORED,
    ADD COLUMN score        double precision
        GENERATED ALWAYS AS ((caption #>> '{variants,0,quality,score}')::double precision) STORED,
    -- Description and variants in small letters.
    ADD COLUMN searched     text;

UPDATE captions SET searched = lower(description || E'\n' || coalesce(
    (SELECT string_agg(variant ->> 'text', E'\n') FROM jsonb_array_elements(caption -> 'variants') AS variant), ''));

-- The columns behind the id narrow a search down without a look at the rows themselves.
DROP INDEX captions_of_user;
CREATE INDEX captions_of_user ON captions (tenant, user_id, id DESC, language, provider, platform, score)
    WHERE user_id IS NOT NULL;
CREATE INDEX captions_in_order ON captions (tenant, id DESC, language, provider, platform, score);

-- What must not come back. `subject` is a digest that tells nobody whose captions they were.
CREATE TABLE erasures (
    tenant  text COLLATE "C" NOT NULL,
    subject bytea NOT NULL,
    -- Captions that were asked for before are gone.
    before  timestamptz NOT NULL,
    PRIMARY KEY (tenant, subject)
);

CREATE FUNCTION captions_subject(kind text, tenant text, id text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT
AS $$ SELECT sha256(convert_to(kind || E'\x1f' || tenant || E'\x1f' || id, 'UTF8')) $$;

-- Two numbers of a subject, for its lock.
CREATE FUNCTION captions_lock(subject bytea) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT
AS $$ SELECT hashtextextended(encode(subject, 'hex'), 20261130) $$;

-- Each statement in it sees what was committed before the statement, so after the locks the erasures are known.
CREATE FUNCTION captions_keep_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    one bytea := captions_subject('caption', NEW.tenant, NEW.id::text);
    whose bytea := captions_subject('user', NEW.tenant, NEW.user_id);
BEGIN
    PERFORM pg_advisory_xact_lock_shared(captions_lock(one));
    IF whose IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(captions_lock(whose));
    END IF;
    IF EXISTS (SELECT FROM erasures
               WHERE tenant = NEW.tenant AND subject IN (one, whose) AND before > NEW.created_at) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER captions_keep_erased BEFORE INSERT ON captions FOR EACH ROW EXECUTE FUNCTION captions_keep_erased();

-- Waits for captions that are being written, and erases them with the rest. Without a time none of it ever comes back.
CREATE FUNCTION captions_erase(of_tenant text, one uuid, whose text, until timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    erased_subject bytea := coalesce(captions_subject('caption', of_tenant, one::text),
                                     captions_subject('user', of_tenant, whose));
    erased bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(captions_lock(erased_subject));
    INSERT INTO erasures VALUES (of_tenant, erased_subject, coalesce(until, 'infinity'))
        ON CONFLICT (tenant, subject) DO UPDATE SET before = greatest(erasures.before, excluded.before);
    IF one IS NULL THEN
        DELETE FROM captions WHERE tenant = of_tenant AND user_id = whose;
    ELSE
        DELETE FROM captions WHERE tenant = of_tenant AND id = one;
    END IF;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;
