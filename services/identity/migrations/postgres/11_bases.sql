-- What a session rests on that is about to open: how often its password was set, and who let its device in. No session:
-- who let it in has ended theirs since.
ALTER TABLE passwords ADD COLUMN times_set bigint NOT NULL DEFAULT 0;
ALTER TABLE device_codes ADD COLUMN session text;
ALTER TABLE reset_tokens ADD COLUMN belongs_to text NOT NULL DEFAULT '';
CREATE INDEX idx_device_codes_user_id ON device_codes (user_id) WHERE session IS NOT NULL;
