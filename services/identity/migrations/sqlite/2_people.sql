-- A tenant that is to be deleted stays for a while (`erase_at`), then its data goes and its name with it.
ALTER TABLE tenants ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
ALTER TABLE tenants ADD COLUMN erase_at INTEGER;

-- People belong to the platform: one person may be a member of several tenants.
CREATE TABLE users (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    email TEXT,
    name TEXT,
    -- The name in lower case, to search by.
    folded TEXT,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_users_id ON users (id);
CREATE UNIQUE INDEX idx_users_email ON users (email) WHERE email IS NOT NULL;

CREATE TABLE members (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    roles TEXT NOT NULL,
    status TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_members_user_id ON members (user_id);

-- Roles that a tenant made for itself, beside the built-in ones.
CREATE TABLE roles (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

-- An invite itself is stored nowhere: only its SHA-256, in lower-case hex.
CREATE TABLE invites (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    digest TEXT NOT NULL,
    email TEXT,
    roles TEXT NOT NULL,
    invited_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- Accepted or withdrawn: it works no more.
    ended_at INTEGER,
    accepted_by TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_invites_digest ON invites (digest);
