-- Times are microseconds since 1970, JSON is text.
CREATE TABLE users (
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    display_name TEXT,
    preferences  TEXT NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

-- No reference to users: captions may be written for users of whom nothing is known.
-- The 16 bytes of an id sort by time, as its version 7 does.
CREATE TABLE captions (
    tenant      TEXT NOT NULL,
    id          BLOB NOT NULL,
    request_id  TEXT NOT NULL,
    user_id     TEXT,
    campaign    TEXT,
    description TEXT NOT NULL,
    caption     TEXT NOT NULL,
    source      TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    degraded    TEXT NOT NULL,
    feedback    TEXT,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

-- The history of a user, newest first.
CREATE INDEX captions_of_user ON captions (tenant, user_id, id DESC) WHERE user_id IS NOT NULL;
