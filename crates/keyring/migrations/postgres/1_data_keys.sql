CREATE TABLE data_keys (
    tenant_id text NOT NULL,
    key_id text NOT NULL,
    subject text NOT NULL,
    root_version bigint NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (tenant_id, key_id)
);
-- One key at a time seals; retired ones open.
CREATE UNIQUE INDEX idx_data_keys_subject ON data_keys (tenant_id, subject) WHERE retired_at IS NULL;
CREATE INDEX idx_data_keys_retired ON data_keys (tenant_id, subject) WHERE retired_at IS NOT NULL;
CREATE INDEX idx_data_keys_root_version ON data_keys (root_version);
SELECT nsl_protect('data_keys');
