-- What persons asked for about their data: a copy (export), or that it goes (erasure); and tenants whose time is over
-- (closing, without a subject).
CREATE TABLE privacy_requests (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    -- open, done, failed
    state TEXT NOT NULL,
    reason TEXT,
    opened_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    done_at INTEGER,
    -- When a copy is no longer kept; none when it is gone.
    kept_until INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_privacy_requests_subject ON privacy_requests (subject);
CREATE INDEX idx_privacy_requests_open ON privacy_requests (due_at) WHERE state = 'open';
CREATE INDEX idx_privacy_requests_kept ON privacy_requests (kept_until) WHERE kept_until IS NOT NULL;
CREATE UNIQUE INDEX idx_privacy_requests_one ON privacy_requests (tenant_id, kind, subject) WHERE state = 'open';

-- What each service has to do for a request in each tenant, and what it said when it had.
CREATE TABLE privacy_parts (
    tenant_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    service TEXT NOT NULL,
    place TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    done_at INTEGER,
    outcome TEXT,
    PRIMARY KEY (tenant_id, request_id, service, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_privacy_parts_open ON privacy_parts (asked_at) WHERE done_at IS NULL;

-- Where persons were members before: what they stored there is still there.
CREATE TABLE privacy_traces (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_privacy_traces_user ON privacy_traces (user_id);
