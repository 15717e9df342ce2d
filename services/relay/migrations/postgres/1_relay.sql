-- What was asked for, once for each request, and what became of it.
CREATE TABLE relay_requests (
    tenant_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    intent json NOT NULL,
    -- accepted, simulated, signed, sent, seen, final, failed, replaced, expired
    state text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    hash text COLLATE "C",
    height bigint,
    -- Amounts are decimal strings of the smallest unit. `fee` is what the chain took, `max_fee` the most it may be.
    fee text COLLATE "C",
    max_fee text COLLATE "C",
    expires_at timestamptz,
    cancelled_at timestamptz,
    -- What is counted for it in relay_spent, and on which day.
    reserved text COLLATE "C",
    reserved_day bigint,
    -- What its test run failed by.
    trouble text COLLATE "C",
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_relay_requests_open ON relay_requests (chain, account, id) WHERE settled_at IS NULL;
CREATE INDEX idx_relay_requests_taken_back ON relay_requests (chain, account)
    WHERE settled_at IS NULL AND cancelled_at IS NOT NULL;
CREATE INDEX idx_relay_requests_over ON relay_requests (chain, account, expires_at)
    WHERE settled_at IS NULL AND expires_at IS NOT NULL;

-- Each state that a request passed, in order.
CREATE TABLE relay_steps (
    tenant_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    hash text COLLATE "C",
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, request_id, number)
);

-- Signed transactions of Neo X, stored before they are first sent. `place` is the nonce.
CREATE TABLE relay_tries (
    tenant_id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    request_id text COLLATE "C",
    given_up text COLLATE "C",
    price text COLLATE "C" NOT NULL,
    raw bytea NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (chain, account, place, number)
);

-- Signed transactions of Neo N3, stored before they are first sent. Those of one parcel carry the same requests and
-- exclude each other; a void one carries nothing and only keeps the others out.
CREATE TABLE relay_parcels (
    tenant_id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    parcel bigint NOT NULL,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    requests json NOT NULL,
    is_void boolean NOT NULL,
    -- the last block that may have it
    valid_until bigint NOT NULL,
    network_fee bigint NOT NULL,
    raw bytea NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (chain, account, parcel, number)
);

-- One for each account that sends. Whoever holds it signs for it; the fence grows with each holder, and a write
-- under an older one is refused.
CREATE TABLE relay_lanes (
    tenant_id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    next bigint NOT NULL,
    -- The last block up to which all was read, and its hash where it is known.
    looked bigint NOT NULL,
    looked_hash bytea,
    holder text COLLATE "C" NOT NULL,
    fence bigint NOT NULL,
    held_until timestamptz NOT NULL,
    PRIMARY KEY (chain, account)
);
SELECT nsl_protect('relay_requests');
SELECT nsl_protect('relay_steps');
SELECT nsl_protect('relay_tries');
SELECT nsl_protect('relay_parcels');
SELECT nsl_protect('relay_lanes');

-- Accounts whose keys are kept here: sealed under a data key of the tenant that no person's erasure reaches.
CREATE TABLE relay_accounts (
    tenant_id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    label text NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (chain, account)
);
SELECT nsl_protect('relay_accounts');

-- What a tenant may spend on fees of a chain; nothing here for no bound.
CREATE TABLE relay_budgets (
    tenant_id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    per_transaction text COLLATE "C",
    per_day text COLLATE "C",
    updated_by text COLLATE "C" NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, chain)
);

-- What a tenant's requests took on a day (counted from 1970, UTC), and the most that those under way may still take.
CREATE TABLE relay_spent (
    tenant_id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    amount text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, chain, day)
);
SELECT nsl_protect('relay_budgets');
SELECT nsl_protect('relay_spent');
