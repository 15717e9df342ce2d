-- Contracts that a tenant deployed or described. One that was deployed has its hash when the chain has decided.
CREATE TABLE contracts_known (
    tenant_id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    hash text COLLATE "C",
    predicted text COLLATE "C",
    name text,
    account text COLLATE "C",
    request_id text COLLATE "C",
    checksum text COLLATE "C",
    -- deploying, deployed, failed, mismatched, described
    state text COLLATE "C" NOT NULL,
    reason text,
    tx text COLLATE "C",
    height bigint,
    -- The ABI on Neo X, the manifest on Neo N3.
    abi json NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX idx_contracts_known_hash ON contracts_known (tenant_id, chain, hash) WHERE hash IS NOT NULL;
CREATE INDEX idx_contracts_known_predicted ON contracts_known (tenant_id, chain, predicted) WHERE predicted IS NOT NULL;
CREATE UNIQUE INDEX idx_contracts_known_request ON contracts_known (tenant_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX idx_contracts_known_open ON contracts_known (id, tenant_id) WHERE state = 'deploying';

-- Updates that were sent from here. `checksum` is what the code shall have then on Neo N3; `implementation` is what
-- shall stand behind the proxy on Neo X.
CREATE TABLE contracts_updates (
    tenant_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    checksum text COLLATE "C",
    implementation text COLLATE "C",
    abi json,
    -- updating, updated, failed, mismatched
    state text COLLATE "C" NOT NULL,
    reason text,
    tx text COLLATE "C",
    asked_by text COLLATE "C" NOT NULL,
    asked_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (tenant_id, request_id)
);
CREATE INDEX idx_contracts_updates_hash ON contracts_updates (tenant_id, chain, hash, request_id);
CREATE INDEX idx_contracts_updates_open ON contracts_updates (request_id) WHERE state = 'updating';
SELECT nsl_protect('contracts_known');
SELECT nsl_protect('contracts_updates');
