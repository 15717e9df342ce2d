CREATE TABLE data_keys (
    tenant_id text NOT NULL,
    key_id text NOT NULL,
    subject text NOT NULL,
    root_version bigint NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
);
CREATE INDEX idx_data_keys_subject ON data_keys (tenant_id, subject);
CREATE INDEX idx_data_keys_root_version ON data_keys (root_version);
SELECT nsl_protect('data_keys');
