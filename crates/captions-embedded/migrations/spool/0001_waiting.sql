-- Captions that wait for the store, in the order in which they came. Times are microseconds since 1970, JSON is text.
CREATE TABLE waiting (
    place    INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant   TEXT NOT NULL,
    id       BLOB NOT NULL,
    user_id  TEXT,
    record   TEXT NOT NULL,
    feedback TEXT,
    -- Goes up with each change, so that nobody removes what was not delivered.
    edition  INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    -- 1: refused for good, not tried again until the next start.
    aside    INTEGER NOT NULL DEFAULT 0 CHECK (aside IN (0, 1)),
    since    INTEGER NOT NULL,
    UNIQUE (tenant, id)
) STRICT;

CREATE INDEX waiting_in_order ON waiting (aside, place);
CREATE INDEX waiting_of_user ON waiting (tenant, user_id, id DESC) WHERE user_id IS NOT NULL;

-- What is in the table, so that its bounds cost no counting.
CREATE TABLE filled (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    rows  INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO filled VALUES (1, 0, 0);

CREATE TRIGGER waiting_comes AFTER INSERT ON waiting BEGIN
    UPDATE filled SET rows = rows + 1,
        bytes = bytes + octet_length(NEW.record) + coalesce(octet_length(NEW.feedback), 0);
END;

CREATE TRIGGER waiting_goes AFTER DELETE ON waiting BEGIN
    UPDATE filled SET rows = rows - 1,
        bytes = bytes - octet_length(OLD.record) - coalesce(octet_length(OLD.feedback), 0);
END;

CREATE TRIGGER waiting_changes AFTER UPDATE OF feedback ON waiting BEGIN
    UPDATE filled SET
        bytes = bytes + coalesce(octet_length(NEW.feedback), 0) - coalesce(octet_length(OLD.feedback), 0);
END;
