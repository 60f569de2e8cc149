-- What an account has spent and reserved in a period, in millionths. The row stays as a record of the period.
CREATE TABLE spending (
    tenant    text COLLATE "C" NOT NULL,
    account   text COLLATE "C" NOT NULL,
    period    timestamptz NOT NULL,
    committed bigint NOT NULL CHECK (committed >= 0),
    PRIMARY KEY (tenant, account, period)
);

-- What is part of it and not settled yet. Nothing is part of it any more once it expired and was given back.
-- Such a row waits a day for whoever settles late.
CREATE TABLE reservations (
    id         uuid PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL,
    account    text COLLATE "C" NOT NULL,
    period     timestamptz NOT NULL,
    amount     bigint NOT NULL CHECK (amount >= 0),
    expires_at timestamptz NOT NULL
);

CREATE INDEX reservations_of_account ON reservations (tenant, account, period);
