-- A client's secret is stored nowhere: only its SHA-256, in lower-case hex.
CREATE TABLE oauth_clients (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    grants TEXT NOT NULL,
    digest TEXT,
    old_digest TEXT,
    old_until INTEGER,
    networks TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    suspended_at INTEGER,
    last_used_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_oauth_clients_id ON oauth_clients (id);

-- Both codes are kept as SHA-256 alone.
CREATE TABLE device_codes (
    tenant_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    user_code TEXT NOT NULL,
    client TEXT NOT NULL,
    client_name TEXT NOT NULL,
    client_tenant TEXT,
    scope TEXT,
    state TEXT NOT NULL,
    user_id TEXT,
    works_in TEXT,
    interval_s INTEGER NOT NULL,
    polled_at INTEGER,
    origin BLOB,
    seal_key TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_device_codes_user_code ON device_codes (user_code);
CREATE INDEX idx_device_codes_expires_at ON device_codes (expires_at);
