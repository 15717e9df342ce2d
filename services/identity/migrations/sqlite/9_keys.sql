-- Whose a key is, where it may be used, and the secret before the last rotation, which works until spare_until.
ALTER TABLE api_keys ADD COLUMN owner TEXT;
ALTER TABLE api_keys ADD COLUMN description TEXT;
ALTER TABLE api_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN rotated_at INTEGER;
ALTER TABLE api_keys ADD COLUMN spare_digest TEXT;
ALTER TABLE api_keys ADD COLUMN spare_until INTEGER;
CREATE UNIQUE INDEX idx_api_keys_spare_digest ON api_keys (spare_digest) WHERE spare_digest IS NOT NULL;
CREATE INDEX idx_api_keys_owner ON api_keys (owner) WHERE owner IS NOT NULL;
