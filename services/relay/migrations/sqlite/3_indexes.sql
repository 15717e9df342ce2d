-- The accounts of a tenant, and its requests of one chain from the newest on.
CREATE INDEX idx_relay_accounts_tenant ON relay_accounts (tenant_id, chain, account);
CREATE INDEX idx_relay_requests_chain ON relay_requests (tenant_id, chain, id);

-- What is old enough to be forgotten.
CREATE INDEX idx_relay_sponsor_days_day ON relay_sponsor_days (day);
