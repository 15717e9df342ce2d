-- Until when nobody else takes an open request up: it is being worked on, or failed a while ago.
ALTER TABLE gdpr_requests ADD COLUMN next_try_at INTEGER;
-- Counted at each taking up, so that who took it up before notices.
ALTER TABLE gdpr_requests ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
-- A person has one open request of a kind; what was asked for twice is done once.
DELETE FROM gdpr_requests WHERE completed_at IS NULL AND EXISTS (
    SELECT 1 FROM gdpr_requests o WHERE o.tenant_id = gdpr_requests.tenant_id AND o.kind = gdpr_requests.kind
        AND o.subject = gdpr_requests.subject AND o.completed_at IS NULL AND o.id < gdpr_requests.id);
CREATE UNIQUE INDEX idx_gdpr_requests_one ON gdpr_requests (tenant_id, kind, subject) WHERE completed_at IS NULL;
