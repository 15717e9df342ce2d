-- A password is stored nowhere: only what Argon2id makes of it.
CREATE TABLE passwords (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    phc text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
SELECT nsl_protect('passwords');

-- What an authenticator app was set up with, sealed under the key of its owner. It counts once it is 'active';
-- last_step is the time step of the last code that was taken.
CREATE TABLE totps (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    state text NOT NULL,
    sealed bytea NOT NULL,
    seal_key text NOT NULL,
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, state)
);
SELECT nsl_protect('totps');

-- SHA-256 in lower-case hex, here and below. A used code is gone.
CREATE TABLE recovery_codes (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    digest text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, digest)
);
SELECT nsl_protect('recovery_codes');

-- Sign-ins whose first factor was right and whose second one is awaited.
CREATE TABLE mfa_tokens (
    tenant_id text NOT NULL,
    digest text NOT NULL,
    user_id text NOT NULL,
    for_tenant text,
    amr json NOT NULL,
    tries bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX idx_mfa_tokens_expires ON mfa_tokens (expires_at);
SELECT nsl_protect('mfa_tokens');

CREATE TABLE reset_tokens (
    tenant_id text NOT NULL,
    digest text NOT NULL,
    user_id text NOT NULL,
    issued_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX idx_reset_tokens_user ON reset_tokens (tenant_id, user_id);
SELECT nsl_protect('reset_tokens');

-- Wrong tries. Account and network are keyed hashes (see signin_peppers); an empty network stands for all networks
-- that the account never signed in from.
CREATE TABLE signin_attempts (
    tenant_id text NOT NULL,
    account text NOT NULL,
    network text NOT NULL,
    failures bigint NOT NULL,
    blocked_until timestamptz,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account, network)
);
CREATE INDEX idx_signin_attempts_expires ON signin_attempts (expires_at);
SELECT nsl_protect('signin_attempts');

-- Where accounts signed in from, as keyed hashes.
CREATE TABLE signin_networks (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    network text NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, network)
);
SELECT nsl_protect('signin_networks');

-- The key of those hashes, sealed: one row.
CREATE TABLE signin_peppers (
    tenant_id text NOT NULL,
    id text NOT NULL,
    sealed bytea NOT NULL,
    seal_key text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT nsl_protect('signin_peppers');
