-- Messages that wait: for a consumer, or for the relay to the broker. Also those put aside as dead.
CREATE TABLE queue_messages (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    payload bytea NOT NULL,
    attempt bigint NOT NULL,
    fence bigint NOT NULL,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    dead boolean NOT NULL,
    reason text
);
CREATE INDEX idx_queue_messages_topic_due_at ON queue_messages (topic, due_at) WHERE NOT dead;
CREATE INDEX idx_queue_messages_due_at ON queue_messages (due_at) WHERE NOT dead;
SELECT nsl_protect('queue_messages');

-- Who works on a message that came through the broker, and which are done.
CREATE TABLE queue_claims (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    attempt bigint NOT NULL,
    fence bigint NOT NULL,
    lease_until timestamptz NOT NULL,
    done_at timestamptz
);
CREATE INDEX idx_queue_claims_done_at ON queue_claims (done_at) WHERE done_at IS NOT NULL;
SELECT nsl_protect('queue_claims');
