-- A client's secret is stored nowhere: only its SHA-256, in lower-case hex.
CREATE TABLE oauth_clients (
    tenant_id text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    scopes json NOT NULL,
    grants json NOT NULL,
    digest text,
    old_digest text,
    old_until timestamptz,
    networks json NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    suspended_at timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX idx_oauth_clients_id ON oauth_clients (id);
SELECT nsl_protect('oauth_clients');

-- Both codes are kept as SHA-256 alone.
CREATE TABLE device_codes (
    tenant_id text NOT NULL,
    digest text NOT NULL,
    user_code text NOT NULL,
    client text NOT NULL,
    client_name text NOT NULL,
    client_tenant text,
    scope text,
    state text NOT NULL,
    user_id text,
    works_in text,
    interval_s bigint NOT NULL,
    polled_at timestamptz,
    origin bytea,
    seal_key text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, digest)
);
CREATE UNIQUE INDEX idx_device_codes_user_code ON device_codes (user_code);
CREATE INDEX idx_device_codes_expires_at ON device_codes (expires_at);
SELECT nsl_protect('device_codes');
