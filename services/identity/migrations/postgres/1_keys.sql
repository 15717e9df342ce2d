CREATE TABLE tenants (
    tenant_id text NOT NULL PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL
);
SELECT nsl_protect('tenants');

-- A key itself is stored nowhere: only its SHA-256, in lower-case hex.
CREATE TABLE api_keys (
    tenant_id text NOT NULL,
    id text NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    digest text NOT NULL,
    scopes json NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX idx_api_keys_digest ON api_keys (digest);
SELECT nsl_protect('api_keys');
