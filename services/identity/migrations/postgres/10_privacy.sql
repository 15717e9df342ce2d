-- What persons asked for about their data: a copy (export), or that it goes (erasure); and tenants whose time is over
-- (closing, without a subject).
CREATE TABLE privacy_requests (
    tenant_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    subject text COLLATE "C" NOT NULL,
    opened_by text NOT NULL,
    -- open, done, failed
    state text NOT NULL,
    reason text,
    opened_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    done_at timestamptz,
    -- When a copy is no longer kept; none when it is gone.
    kept_until timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_privacy_requests_subject ON privacy_requests (subject);
CREATE INDEX idx_privacy_requests_open ON privacy_requests (due_at) WHERE state = 'open';
CREATE INDEX idx_privacy_requests_kept ON privacy_requests (kept_until) WHERE kept_until IS NOT NULL;
CREATE UNIQUE INDEX idx_privacy_requests_one ON privacy_requests (tenant_id, kind, subject) WHERE state = 'open';
SELECT nsl_protect('privacy_requests');

-- What each service has to do for a request in each tenant, and what it said when it had.
CREATE TABLE privacy_parts (
    tenant_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL,
    asked_at timestamptz NOT NULL,
    done_at timestamptz,
    outcome json,
    PRIMARY KEY (tenant_id, request_id, service, place)
);
CREATE INDEX idx_privacy_parts_open ON privacy_parts (asked_at) WHERE done_at IS NULL;
SELECT nsl_protect('privacy_parts');

-- Where persons were members before: what they stored there is still there.
CREATE TABLE privacy_traces (
    tenant_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX idx_privacy_traces_user ON privacy_traces (user_id);
SELECT nsl_protect('privacy_traces');
