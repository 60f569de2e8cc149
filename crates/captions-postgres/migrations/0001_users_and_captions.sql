-- Ids are compared byte by byte: whatever the language of the database, "ann" and "Ann" are two users.
CREATE TABLE users (
    tenant       text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    display_name text,
    preferences  jsonb NOT NULL,
    version      bigint NOT NULL CHECK (version > 0),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- No reference to users: captions may be written for users of whom nothing is known.
CREATE TABLE captions (
    tenant      text COLLATE "C" NOT NULL,
    id          uuid NOT NULL,
    request_id  text NOT NULL,
    user_id     text COLLATE "C",
    campaign    text COLLATE "C",
    description text NOT NULL,
    caption     jsonb NOT NULL,
    source      text NOT NULL,
    attempts    bigint NOT NULL,
    degraded    jsonb NOT NULL,
    feedback    jsonb,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- The history of a user, newest first: ids are of version 7 and sort by time.
CREATE INDEX captions_of_user ON captions (tenant, user_id, id DESC) WHERE user_id IS NOT NULL;
