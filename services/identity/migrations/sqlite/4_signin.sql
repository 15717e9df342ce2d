-- A password is stored nowhere: only what Argon2id makes of it.
CREATE TABLE passwords (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    phc TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;

-- What an authenticator app was set up with, sealed under the key of its owner. It counts once it is 'active';
-- last_step is the time step of the last code that was taken.
CREATE TABLE totps (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    state TEXT NOT NULL,
    sealed BLOB NOT NULL,
    seal_key TEXT NOT NULL,
    last_step INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, state)
) STRICT, WITHOUT ROWID;

-- SHA-256 in lower-case hex, here and below. A used code is gone.
CREATE TABLE recovery_codes (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, digest)
) STRICT, WITHOUT ROWID;

-- Sign-ins whose first factor was right and whose second one is awaited.
CREATE TABLE mfa_tokens (
    tenant_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    user_id TEXT NOT NULL,
    for_tenant TEXT,
    amr TEXT NOT NULL,
    tries INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_mfa_tokens_expires ON mfa_tokens (expires_at);

CREATE TABLE reset_tokens (
    tenant_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    user_id TEXT NOT NULL,
    issued_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_reset_tokens_user ON reset_tokens (tenant_id, user_id);

-- Wrong tries. Account and network are keyed hashes (see signin_peppers); an empty network stands for all networks
-- that the account never signed in from.
CREATE TABLE signin_attempts (
    tenant_id TEXT NOT NULL,
    account TEXT NOT NULL,
    network TEXT NOT NULL,
    failures INTEGER NOT NULL,
    blocked_until INTEGER,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, account, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_signin_attempts_expires ON signin_attempts (expires_at);

-- Where accounts signed in from, as keyed hashes.
CREATE TABLE signin_networks (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    network TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, network)
) STRICT, WITHOUT ROWID;

-- The key of those hashes, sealed: one row.
CREATE TABLE signin_peppers (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    seal_key TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
