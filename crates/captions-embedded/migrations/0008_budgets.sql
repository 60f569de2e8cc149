-- What an account has spent and reserved in a period, in millionths. The row stays as a record of the period.
CREATE TABLE spending (
    tenant    TEXT NOT NULL,
    account   TEXT NOT NULL,
    period    INTEGER NOT NULL,
    committed INTEGER NOT NULL CHECK (committed >= 0),
    PRIMARY KEY (tenant, account, period)
) STRICT;

-- What is part of it and not settled yet. Nothing is part of it any more once it expired and was given back.
-- Such a row waits a day for whoever settles late.
CREATE TABLE reservations (
    id         BLOB NOT NULL PRIMARY KEY,
    tenant     TEXT NOT NULL,
    account    TEXT NOT NULL,
    period     INTEGER NOT NULL,
    amount     INTEGER NOT NULL CHECK (amount >= 0),
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX reservations_of_account ON reservations (tenant, account, period);
