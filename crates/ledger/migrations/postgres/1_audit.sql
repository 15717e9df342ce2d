CREATE TABLE audit_logs (
    tenant_id text NOT NULL,
    lane text NOT NULL,
    sequence bigint NOT NULL,
    id text NOT NULL,
    event_type text NOT NULL,
    user_address text,
    service_name text NOT NULL,
    method_name text NOT NULL,
    request_id text,
    correlation_id text,
    ip_address bytea,
    user_agent bytea,
    personal bytea,
    key_id text,
    request_data json,
    response_data json,
    status_code bigint,
    error_message text,
    execution_time_ms bigint,
    created_at timestamptz NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (lane, sequence, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_audit_tenant ON audit_logs (tenant_id, id);
CREATE INDEX idx_audit_request_id ON audit_logs (request_id);
CREATE INDEX idx_audit_created_at ON audit_logs USING brin (created_at);
SELECT nsl_protect('audit_logs');

-- A safety net for a clock that is far off; months are made ahead, so it stays empty.
CREATE TABLE audit_logs_default PARTITION OF audit_logs DEFAULT;
SELECT nsl_protect('audit_logs_default');

-- Makes the partitions of this month and of the given number that follow, and says how many were new.
CREATE FUNCTION nsl_audit_partitions(today timestamptz, ahead bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    made bigint := 0;
    first timestamp := date_trunc('month', today AT TIME ZONE 'UTC');
    from_month timestamp;
    name text;
BEGIN
    FOR month IN 0..ahead LOOP
        from_month := first + make_interval(months => month::int);
        name := 'audit_logs_' || to_char(from_month, 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF audit_logs FOR VALUES FROM (%L) TO (%L)', name,
                to_char(from_month, 'YYYY-MM-DD') || ' 00:00:00+00',
                to_char(from_month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
            PERFORM nsl_protect(name);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
SELECT nsl_audit_partitions(now(), 3);

-- Drops the months that lie wholly before and hold nothing any more, and says how many.
CREATE FUNCTION nsl_audit_drop_months(before timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    dropped bigint := 0;
    month record;
    filled boolean;
BEGIN
    FOR month IN SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'audit_logs'::regclass AND c.relname ~ '^audit_logs_[0-9]{4}_[0-9]{2}$'
          AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' < before AT TIME ZONE 'UTC'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', month.name) INTO filled;
        IF NOT filled THEN
            EXECUTE format('DROP TABLE %I', month.name);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;

CREATE TABLE audit_lanes (
    lane text NOT NULL PRIMARY KEY,
    tenant_id text NOT NULL,
    base bigint NOT NULL,
    base_hash bytea NOT NULL,
    length bigint NOT NULL,
    head bytea NOT NULL,
    mac bytea NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX idx_audit_lanes_tenant ON audit_lanes (tenant_id, lane);
SELECT nsl_protect('audit_lanes');

-- Checkpoints span tenants and hold hashes only.
CREATE TABLE audit_checkpoints (
    number bigint NOT NULL PRIMARY KEY,
    previous bytea NOT NULL,
    root bytea NOT NULL,
    lanes bigint NOT NULL,
    created_at timestamptz NOT NULL,
    hash bytea NOT NULL,
    mac bytea NOT NULL
);

CREATE TABLE audit_checkpoint_lanes (
    number bigint NOT NULL,
    lane text NOT NULL,
    tenant_id text NOT NULL,
    length bigint NOT NULL,
    head bytea NOT NULL,
    PRIMARY KEY (lane, length, number)
);
CREATE INDEX idx_audit_checkpoint_lanes_number ON audit_checkpoint_lanes (number, lane);
SELECT nsl_protect('audit_checkpoint_lanes');

CREATE TABLE audit_refusals (
    tenant_id text NOT NULL,
    process text NOT NULL,
    minute timestamptz NOT NULL,
    who text NOT NULL,
    reason text NOT NULL,
    service_name text NOT NULL,
    method_name text NOT NULL,
    status_code bigint NOT NULL,
    id text NOT NULL,
    subject text,
    ip_address bytea,
    key_id text,
    count bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (minute, process, tenant_id, who, reason, service_name, method_name, status_code)
);
SELECT nsl_protect('audit_refusals');
