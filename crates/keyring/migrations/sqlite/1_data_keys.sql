CREATE TABLE data_keys (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    root_version INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (tenant_id, key_id)
) STRICT, WITHOUT ROWID;
-- One key at a time seals; retired ones open.
CREATE UNIQUE INDEX idx_data_keys_subject ON data_keys (tenant_id, subject) WHERE retired_at IS NULL;
CREATE INDEX idx_data_keys_retired ON data_keys (tenant_id, subject) WHERE retired_at IS NOT NULL;
CREATE INDEX idx_data_keys_root_version ON data_keys (root_version);
