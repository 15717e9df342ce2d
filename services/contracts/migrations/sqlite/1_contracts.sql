-- Contracts that a tenant deployed or described. One that was deployed has its hash when the chain has decided.
CREATE TABLE contracts_known (
    tenant_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    id TEXT NOT NULL,
    hash TEXT,
    predicted TEXT,
    name TEXT,
    account TEXT,
    request_id TEXT,
    checksum TEXT,
    -- deploying, deployed, failed, mismatched, described
    state TEXT NOT NULL,
    reason TEXT,
    tx TEXT,
    height INTEGER,
    -- The ABI on Neo X, the manifest on Neo N3.
    abi TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_contracts_known_hash ON contracts_known (tenant_id, chain, hash) WHERE hash IS NOT NULL;
CREATE INDEX idx_contracts_known_predicted ON contracts_known (tenant_id, chain, predicted) WHERE predicted IS NOT NULL;
CREATE UNIQUE INDEX idx_contracts_known_request ON contracts_known (tenant_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX idx_contracts_known_open ON contracts_known (id, tenant_id) WHERE state = 'deploying';

-- Updates that were sent from here. `checksum` is what the code shall have then on Neo N3; `implementation` is what
-- shall stand behind the proxy on Neo X.
CREATE TABLE contracts_updates (
    tenant_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    hash TEXT NOT NULL,
    account TEXT NOT NULL,
    checksum TEXT,
    implementation TEXT,
    abi TEXT,
    -- updating, updated, failed, mismatched
    state TEXT NOT NULL,
    reason TEXT,
    tx TEXT,
    asked_by TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    settled_at INTEGER,
    PRIMARY KEY (tenant_id, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_contracts_updates_hash ON contracts_updates (tenant_id, chain, hash, request_id);
CREATE INDEX idx_contracts_updates_open ON contracts_updates (request_id) WHERE state = 'updating';
