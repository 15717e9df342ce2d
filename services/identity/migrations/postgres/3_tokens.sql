-- Private keys lie here sealed; the public half is what everybody may see.
CREATE TABLE signing_keys (
    tenant_id text NOT NULL,
    id text NOT NULL,
    jwk json NOT NULL,
    sealed bytea NOT NULL,
    seal_key text NOT NULL,
    created_at timestamptz NOT NULL,
    signs_from timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT nsl_protect('signing_keys');

CREATE TABLE sessions (
    tenant_id text NOT NULL,
    id text NOT NULL,
    user_id text NOT NULL,
    works_in text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    amr json NOT NULL,
    second_factor_at timestamptz,
    client text,
    jkt text,
    scope text,
    origin bytea,
    seal_key text,
    ended_at timestamptz,
    ended_for text,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_sessions_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX idx_sessions_client ON sessions (client) WHERE client IS NOT NULL AND ended_at IS NULL;
CREATE INDEX idx_sessions_expires_at ON sessions (expires_at);
SELECT nsl_protect('sessions');

-- A refresh token itself is stored nowhere: only its SHA-256, in lower-case hex. `salt` is what a lost reply is
-- made again with, by one who shows the token and the idempotency key that it was spent with.
CREATE TABLE refresh_tokens (
    tenant_id text NOT NULL,
    digest text NOT NULL,
    session text NOT NULL,
    made_at timestamptz NOT NULL,
    spent_at timestamptz,
    next text,
    salt bytea,
    PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX idx_refresh_tokens_session ON refresh_tokens (session);
CREATE INDEX idx_refresh_tokens_spent_at ON refresh_tokens (spent_at) WHERE spent_at IS NOT NULL;
SELECT nsl_protect('refresh_tokens');

CREATE TABLE revocations (
    tenant_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what text NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX idx_revocations_what ON revocations (what);
CREATE INDEX idx_revocations_until ON revocations (until);
SELECT nsl_protect('revocations');
