-- Accounts that pay for others, and what they pay for.
CREATE TABLE relay_sponsors (
    tenant_id TEXT NOT NULL,
    account TEXT NOT NULL,
    policy TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, account)
) STRICT, WITHOUT ROWID;

-- What a sponsor spent or reserved on a day, in 10^-8 GAS: for one payee, or for all under the empty name.
CREATE TABLE relay_sponsor_days (
    tenant_id TEXT NOT NULL,
    account TEXT NOT NULL,
    day INTEGER NOT NULL,
    payee TEXT NOT NULL,
    spent INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, account, day, payee)
) STRICT, WITHOUT ROWID;

-- Reservations that are counted there and may still change. One without an end belongs to a request under way, and
-- goes with it; one that ended unused is taken back before the next is made.
CREATE TABLE relay_sponsor_holds (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    account TEXT NOT NULL,
    day INTEGER NOT NULL,
    payee TEXT NOT NULL,
    amount INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_relay_sponsor_holds_end ON relay_sponsor_holds (tenant_id, account, expires_at)
    WHERE expires_at IS NOT NULL;

-- Transactions that wait for the signature of their user. One is used once, as the request of the same id.
CREATE TABLE relay_sponsored (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    account TEXT NOT NULL,
    payee TEXT NOT NULL,
    intent TEXT NOT NULL,
    unsigned BLOB NOT NULL,
    -- The script of a payee of several keys.
    verification BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_relay_sponsored_end ON relay_sponsored (expires_at);
