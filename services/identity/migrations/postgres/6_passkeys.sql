-- Passkeys belong to people, and people to the platform.
CREATE TABLE passkeys (
    tenant_id text NOT NULL,
    id text NOT NULL,
    user_id text NOT NULL,
    -- What authenticators know the person by: random, and the same for all passkeys of one person.
    handle text NOT NULL,
    -- In base64url.
    credential_id text NOT NULL,
    -- The public key and what else is checked.
    credential json NOT NULL,
    sign_count bigint NOT NULL,
    backed_up boolean NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
SELECT nsl_protect('passkeys');
CREATE UNIQUE INDEX idx_passkeys_credential_id ON passkeys (credential_id);
CREATE INDEX idx_passkeys_user_id ON passkeys (user_id);

-- Challenges under way; taken away when they are answered.
CREATE TABLE passkey_ceremonies (
    tenant_id text NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    user_id text,
    state json NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT nsl_protect('passkey_ceremonies');
CREATE INDEX idx_passkey_ceremonies_expires_at ON passkey_ceremonies (expires_at);

-- Identity providers that tenants set for themselves. The secret is sealed.
CREATE TABLE identity_providers (
    tenant_id text NOT NULL,
    name text NOT NULL,
    settings json NOT NULL,
    secret bytea,
    secret_key text,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
SELECT nsl_protect('identity_providers');

-- Who somebody is at a provider. It counts for the owner of that provider alone: a tenant, or the platform.
CREATE TABLE federated (
    tenant_id text NOT NULL,
    id text NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
SELECT nsl_protect('federated');
CREATE UNIQUE INDEX idx_federated_subject ON federated (tenant_id, issuer, subject);
CREATE INDEX idx_federated_user_id ON federated (user_id);

-- Sign-ins at a provider that are under way; taken away by the callback. State and flow are kept as SHA-256, nonce
-- and verifier sealed.
CREATE TABLE federation_flows (
    tenant_id text NOT NULL,
    id text NOT NULL,
    flow text NOT NULL,
    provider text NOT NULL,
    issuer text NOT NULL,
    redirect_uri text NOT NULL,
    link_user text,
    sealed bytea NOT NULL,
    sealed_key text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT nsl_protect('federation_flows');
CREATE UNIQUE INDEX idx_federation_flows_id ON federation_flows (id);
CREATE INDEX idx_federation_flows_expires_at ON federation_flows (expires_at);
