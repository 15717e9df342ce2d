-- Messages that wait: for a consumer, or for the relay to the broker. Also those put aside as dead.
CREATE TABLE queue_messages (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    payload BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    reason TEXT
) STRICT;
CREATE INDEX idx_queue_messages_topic_due_at ON queue_messages (topic, due_at) WHERE NOT dead;
CREATE INDEX idx_queue_messages_due_at ON queue_messages (due_at) WHERE NOT dead;

-- Who works on a message that came through the broker, and which are done.
CREATE TABLE queue_claims (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    done_at INTEGER
) STRICT;
CREATE INDEX idx_queue_claims_done_at ON queue_claims (done_at) WHERE done_at IS NOT NULL;
