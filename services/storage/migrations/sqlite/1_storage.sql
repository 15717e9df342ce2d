-- The current state of each key, tombstones included. Versions of a key only grow, also over deletion.
CREATE TABLE storage_data (
    tenant_id TEXT NOT NULL,
    user_address TEXT NOT NULL,
    chain TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- The version that this state took the place of, 0 for none: two writers that meet notice by it.
    replaces INTEGER NOT NULL,
    value TEXT,
    sealed BLOB,
    key_id TEXT,
    encrypted INTEGER NOT NULL DEFAULT 0,
    access_level TEXT NOT NULL DEFAULT 'private',
    shared_with TEXT,
    size_bytes INTEGER NOT NULL,
    metadata TEXT,
    accessed_count INTEGER NOT NULL DEFAULT 0,
    last_accessed INTEGER,
    expires_at INTEGER,
    retain_until INTEGER,
    deleted_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_address, chain, key)
) STRICT;
CREATE INDEX idx_storage_expires_at ON storage_data (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX idx_storage_deleted_at ON storage_data (deleted_at) WHERE deleted_at IS NOT NULL;

-- Superseded states. The current one is only in storage_data.
CREATE TABLE storage_versions (
    tenant_id TEXT NOT NULL,
    user_address TEXT NOT NULL,
    chain TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    value TEXT,
    sealed BLOB,
    key_id TEXT,
    encrypted INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    metadata TEXT,
    expires_at INTEGER,
    deleted_at INTEGER,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_address, chain, key, version)
) STRICT;
CREATE INDEX idx_storage_versions_expires_at ON storage_versions (expires_at) WHERE expires_at IS NOT NULL;

-- What a tenant holds: bytes of current and past values, and living keys, as a sum over parts. Here all is in
-- part 0, since one connection writes.
CREATE TABLE storage_usage (
    tenant_id TEXT NOT NULL,
    part INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE gdpr_requests (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    -- pending, erased (an erasure that is not yet in the ledger of erasures), done, failed
    status TEXT NOT NULL,
    reason TEXT,
    progress TEXT,
    receipt TEXT,
    requested_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    completed_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX idx_gdpr_requests_open ON gdpr_requests (due_at) WHERE completed_at IS NULL;
