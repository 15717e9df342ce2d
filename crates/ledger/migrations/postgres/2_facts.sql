ALTER TABLE audit_refusals ADD COLUMN facts text NOT NULL DEFAULT '';
