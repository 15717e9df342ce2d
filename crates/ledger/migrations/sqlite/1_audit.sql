CREATE TABLE audit_logs (
    tenant_id TEXT NOT NULL,
    lane TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    user_address TEXT,
    service_name TEXT NOT NULL,
    method_name TEXT NOT NULL,
    request_id TEXT,
    correlation_id TEXT,
    ip_address BLOB,
    user_agent BLOB,
    personal BLOB,
    key_id TEXT,
    request_data TEXT,
    response_data TEXT,
    status_code INTEGER,
    error_message TEXT,
    execution_time_ms INTEGER,
    created_at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (lane, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_audit_tenant ON audit_logs (tenant_id, id);
CREATE INDEX idx_audit_request_id ON audit_logs (request_id);
CREATE INDEX idx_audit_created_at ON audit_logs (created_at);

CREATE TABLE audit_lanes (
    lane TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    base INTEGER NOT NULL,
    base_hash BLOB NOT NULL,
    length INTEGER NOT NULL,
    head BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_audit_lanes_tenant ON audit_lanes (tenant_id, lane);

CREATE TABLE audit_checkpoints (
    number INTEGER NOT NULL PRIMARY KEY,
    previous BLOB NOT NULL,
    root BLOB NOT NULL,
    lanes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT;

CREATE TABLE audit_checkpoint_lanes (
    number INTEGER NOT NULL,
    lane TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    length INTEGER NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (lane, length, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_audit_checkpoint_lanes_number ON audit_checkpoint_lanes (number, lane);

CREATE TABLE audit_refusals (
    tenant_id TEXT NOT NULL,
    process TEXT NOT NULL,
    minute INTEGER NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    service_name TEXT NOT NULL,
    method_name TEXT NOT NULL,
    status_code INTEGER NOT NULL,
    id TEXT NOT NULL,
    subject TEXT,
    ip_address BLOB,
    key_id TEXT,
    count INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (minute, process, tenant_id, who, reason, service_name, method_name, status_code)
) STRICT, WITHOUT ROWID;
