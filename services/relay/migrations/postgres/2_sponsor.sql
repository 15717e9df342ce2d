-- Accounts that pay for others, and what they pay for.
CREATE TABLE relay_sponsors (
    tenant_id text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    policy json NOT NULL,
    updated_by text COLLATE "C" NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account)
);
SELECT nsl_protect('relay_sponsors');

-- What a sponsor spent or reserved on a day, in 10^-8 GAS: for one payee, or for all under the empty name.
CREATE TABLE relay_sponsor_days (
    tenant_id text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    payee text COLLATE "C" NOT NULL,
    spent bigint NOT NULL,
    PRIMARY KEY (tenant_id, account, day, payee)
) WITH (fillfactor = 70);
SELECT nsl_protect('relay_sponsor_days');

-- Reservations that are counted there and may still change. One without an end belongs to a request under way, and
-- goes with it; one that ended unused is taken back before the next is made.
CREATE TABLE relay_sponsor_holds (
    tenant_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    payee text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_relay_sponsor_holds_end ON relay_sponsor_holds (tenant_id, account, expires_at)
    WHERE expires_at IS NOT NULL;
SELECT nsl_protect('relay_sponsor_holds');

-- Transactions that wait for the signature of their user. One is used once, as the request of the same id.
CREATE TABLE relay_sponsored (
    tenant_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    payee text COLLATE "C" NOT NULL,
    intent json NOT NULL,
    unsigned bytea NOT NULL,
    -- The script of a payee of several keys.
    verification bytea,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_relay_sponsored_end ON relay_sponsored (expires_at);
SELECT nsl_protect('relay_sponsored');
