-- What was asked for, once for each request, and what became of it.
CREATE TABLE relay_requests (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    chain TEXT NOT NULL,
    account TEXT NOT NULL,
    subject TEXT NOT NULL,
    intent TEXT NOT NULL,
    -- accepted, simulated, signed, sent, seen, final, failed, replaced, expired
    state TEXT NOT NULL,
    reason TEXT,
    hash TEXT,
    height INTEGER,
    -- Amounts are decimal strings of the smallest unit. `fee` is what the chain took, `max_fee` the most it may be.
    fee TEXT,
    max_fee TEXT,
    expires_at INTEGER,
    cancelled_at INTEGER,
    -- What is counted for it in relay_spent, and on which day.
    reserved TEXT,
    reserved_day INTEGER,
    -- What its test run failed by.
    trouble TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    settled_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_relay_requests_open ON relay_requests (chain, account, id) WHERE settled_at IS NULL;
CREATE INDEX idx_relay_requests_taken_back ON relay_requests (chain, account)
    WHERE settled_at IS NULL AND cancelled_at IS NOT NULL;
CREATE INDEX idx_relay_requests_over ON relay_requests (chain, account, expires_at)
    WHERE settled_at IS NULL AND expires_at IS NOT NULL;

-- Each state that a request passed, in order.
CREATE TABLE relay_steps (
    tenant_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    hash TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, request_id, number)
) STRICT, WITHOUT ROWID;

-- Signed transactions of Neo X, stored before they are first sent. `place` is the nonce.
CREATE TABLE relay_tries (
    tenant_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    account TEXT NOT NULL,
    place INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    request_id TEXT,
    given_up TEXT,
    price TEXT NOT NULL,
    raw BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (chain, account, place, number)
) STRICT;

-- Signed transactions of Neo N3, stored before they are first sent. Those of one parcel carry the same requests and
-- exclude each other; a void one carries nothing and only keeps the others out.
CREATE TABLE relay_parcels (
    tenant_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    account TEXT NOT NULL,
    parcel INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    requests TEXT NOT NULL,
    is_void INTEGER NOT NULL,
    -- the last block that may have it
    valid_until INTEGER NOT NULL,
    network_fee INTEGER NOT NULL,
    raw BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (chain, account, parcel, number)
) STRICT;

-- One for each account that sends. Whoever holds it signs for it; the fence grows with each holder, and a write
-- under an older one is refused.
CREATE TABLE relay_lanes (
    tenant_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    account TEXT NOT NULL,
    next INTEGER NOT NULL,
    -- The last block up to which all was read, and its hash where it is known.
    looked INTEGER NOT NULL,
    looked_hash BLOB,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    held_until INTEGER NOT NULL,
    PRIMARY KEY (chain, account)
) STRICT, WITHOUT ROWID;

-- Accounts whose keys are kept here: sealed under a data key of the tenant that no person's erasure reaches.
CREATE TABLE relay_accounts (
    tenant_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    account TEXT NOT NULL,
    label TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (chain, account)
) STRICT, WITHOUT ROWID;

-- What a tenant may spend on fees of a chain; nothing here for no bound.
CREATE TABLE relay_budgets (
    tenant_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    per_transaction TEXT,
    per_day TEXT,
    updated_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, chain)
) STRICT, WITHOUT ROWID;

-- What a tenant's requests took on a day (counted from 1970, UTC), and the most that those under way may still take.
CREATE TABLE relay_spent (
    tenant_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    day INTEGER NOT NULL,
    amount TEXT NOT NULL,
    PRIMARY KEY (tenant_id, chain, day)
) STRICT, WITHOUT ROWID;
