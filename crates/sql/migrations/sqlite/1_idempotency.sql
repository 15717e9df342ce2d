CREATE TABLE idempotency (
    tenant_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    outcome TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, subject, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_idempotency_expires_at ON idempotency (expires_at);
