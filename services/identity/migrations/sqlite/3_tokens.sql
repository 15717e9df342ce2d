-- Private keys lie here sealed; the public half is what everybody may see.
CREATE TABLE signing_keys (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    jwk TEXT NOT NULL,
    sealed BLOB NOT NULL,
    seal_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    works_in TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    amr TEXT NOT NULL,
    second_factor_at INTEGER,
    client TEXT,
    jkt TEXT,
    scope TEXT,
    origin BLOB,
    seal_key TEXT,
    ended_at INTEGER,
    ended_for TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_sessions_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX idx_sessions_client ON sessions (client) WHERE client IS NOT NULL AND ended_at IS NULL;
CREATE INDEX idx_sessions_expires_at ON sessions (expires_at);

-- A refresh token itself is stored nowhere: only its SHA-256, in lower-case hex. `salt` is what a lost reply is
-- made again with, by one who shows the token and the idempotency key that it was spent with.
CREATE TABLE refresh_tokens (
    tenant_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    session TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    spent_at INTEGER,
    next TEXT,
    salt BLOB,
    PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_refresh_tokens_session ON refresh_tokens (session);
CREATE INDEX idx_refresh_tokens_spent_at ON refresh_tokens (spent_at) WHERE spent_at IS NOT NULL;

-- The numbers are never given twice, also not those of rows that are gone.
CREATE TABLE revocations (
    tenant_id TEXT NOT NULL,
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    what TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX idx_revocations_what ON revocations (what);
CREATE INDEX idx_revocations_until ON revocations (until);
