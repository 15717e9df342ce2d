-- Passkeys belong to people, and people to the platform.
CREATE TABLE passkeys (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- What authenticators know the person by: random, and the same for all passkeys of one person.
    handle TEXT NOT NULL,
    -- In base64url.
    credential_id TEXT NOT NULL,
    -- The public key and what else is checked.
    credential TEXT NOT NULL,
    sign_count INTEGER NOT NULL,
    backed_up INTEGER NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_passkeys_credential_id ON passkeys (credential_id);
CREATE INDEX idx_passkeys_user_id ON passkeys (user_id);

-- Challenges under way; taken away when they are answered.
CREATE TABLE passkey_ceremonies (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    user_id TEXT,
    state TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_passkey_ceremonies_expires_at ON passkey_ceremonies (expires_at);

-- Identity providers that tenants set for themselves. The secret is sealed.
CREATE TABLE identity_providers (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    secret BLOB,
    secret_key TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

-- Who somebody is at a provider. It counts for the owner of that provider alone: a tenant, or the platform.
CREATE TABLE federated (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_federated_subject ON federated (tenant_id, issuer, subject);
CREATE INDEX idx_federated_user_id ON federated (user_id);

-- Sign-ins at a provider that are under way; taken away by the callback. State and flow are kept as SHA-256, nonce
-- and verifier sealed.
CREATE TABLE federation_flows (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    flow TEXT NOT NULL,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    link_user TEXT,
    sealed BLOB NOT NULL,
    sealed_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_federation_flows_id ON federation_flows (id);
CREATE INDEX idx_federation_flows_expires_at ON federation_flows (expires_at);
