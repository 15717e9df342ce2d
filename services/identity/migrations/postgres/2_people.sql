-- A tenant that is to be deleted stays for a while (`erase_at`), then its data goes and its name with it.
ALTER TABLE tenants ADD COLUMN status text NOT NULL DEFAULT 'active';
ALTER TABLE tenants ADD COLUMN erase_at timestamptz;

-- People belong to the platform: one person may be a member of several tenants.
-- What is searched compares by bytes, alike on every engine and under every locale.
CREATE TABLE users (
    tenant_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    email text COLLATE "C",
    name text,
    -- The name in lower case, to search by.
    folded text COLLATE "C",
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX idx_users_id ON users (id);
CREATE UNIQUE INDEX idx_users_email ON users (email) WHERE email IS NOT NULL;
SELECT nsl_protect('users');

CREATE TABLE members (
    tenant_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    roles json NOT NULL,
    status text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX idx_members_user_id ON members (user_id);
SELECT nsl_protect('members');

-- Roles that a tenant made for itself, beside the built-in ones.
CREATE TABLE roles (
    tenant_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    permissions json NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
SELECT nsl_protect('roles');

-- An invite itself is stored nowhere: only its SHA-256, in lower-case hex.
CREATE TABLE invites (
    tenant_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    digest text NOT NULL,
    email text COLLATE "C",
    roles json NOT NULL,
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Accepted or withdrawn: it works no more.
    ended_at timestamptz,
    accepted_by text,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX idx_invites_digest ON invites (digest);
SELECT nsl_protect('invites');
