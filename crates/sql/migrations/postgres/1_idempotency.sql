-- The tenants that the open transaction acts for; a list, so that a group may carry rows of several.
CREATE FUNCTION nsl_tenants() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT string_to_array(current_setting('nsl.tenants', true), ',') $$;

-- Binds a table to row-level security, its owner included. The sub-selects make PostgreSQL read the
-- setting once a statement and not once a row; the cast makes ANY read an array and not a set of rows.
CREATE FUNCTION nsl_protect(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY tenants ON %I
        USING (tenant_id = ANY ((SELECT nsl_tenants())::text[]) OR (SELECT current_setting(''nsl.tenants'', true)) = ''*'')
        WITH CHECK (tenant_id = ANY ((SELECT nsl_tenants())::text[]) OR (SELECT current_setting(''nsl.tenants'', true)) = ''*'')',
        name);
END $$;

CREATE TABLE idempotency (
    tenant_id text NOT NULL,
    subject text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    outcome json NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject, key)
);
CREATE INDEX idx_idempotency_expires_at ON idempotency (expires_at);
SELECT nsl_protect('idempotency');
