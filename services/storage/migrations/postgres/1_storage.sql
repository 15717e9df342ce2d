-- The current state of each key, tombstones included. Versions of a key only grow, also over deletion.
-- Keys compare by bytes, so that lists are ordered alike on every engine and under every locale.
CREATE TABLE storage_data (
    tenant_id text COLLATE "C" NOT NULL,
    user_address text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    -- The version that this state took the place of, 0 for none: two writers that meet notice by it.
    replaces bigint NOT NULL,
    value json,
    sealed bytea,
    key_id text,
    encrypted boolean NOT NULL DEFAULT false,
    access_level text NOT NULL DEFAULT 'private',
    shared_with text,
    size_bytes bigint NOT NULL,
    metadata json,
    accessed_count bigint NOT NULL DEFAULT 0,
    last_accessed timestamptz,
    expires_at timestamptz,
    retain_until timestamptz,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_address, chain, key)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
-- Sealed bytes do not compress; trying to costs time.
ALTER TABLE storage_data ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX idx_storage_expires_at ON storage_data (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX idx_storage_deleted_at ON storage_data (deleted_at) WHERE deleted_at IS NOT NULL;
SELECT nsl_protect('storage_data');

-- Superseded states. The current one is only in storage_data.
CREATE TABLE storage_versions (
    tenant_id text COLLATE "C" NOT NULL,
    user_address text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    value json,
    sealed bytea,
    key_id text,
    encrypted boolean NOT NULL,
    size_bytes bigint NOT NULL,
    metadata json,
    expires_at timestamptz,
    deleted_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_address, chain, key, version)
);
ALTER TABLE storage_versions ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX idx_storage_versions_expires_at ON storage_versions (expires_at) WHERE expires_at IS NOT NULL;
SELECT nsl_protect('storage_versions');

-- What a tenant holds: bytes of current and past values, and living keys, as a sum over parts. Each connection
-- that writes adds to a part of its own, so that two groups of one tenant do not wait for each other's commit.
CREATE TABLE storage_usage (
    tenant_id text COLLATE "C" NOT NULL,
    part bigint NOT NULL,
    bytes bigint NOT NULL,
    items bigint NOT NULL,
    PRIMARY KEY (tenant_id, part)
) WITH (fillfactor = 10);
SELECT nsl_protect('storage_usage');

CREATE TABLE gdpr_requests (
    tenant_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    requested_by text NOT NULL,
    -- pending, erased (an erasure that is not yet in the ledger of erasures), done, failed
    status text NOT NULL,
    reason text,
    progress json,
    receipt json,
    requested_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    completed_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_gdpr_requests_open ON gdpr_requests (due_at) WHERE completed_at IS NULL;
SELECT nsl_protect('gdpr_requests');
