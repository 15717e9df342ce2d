-- One row for each tenant that ever had a policy: who changes its policies takes the next number here.
CREATE TABLE policy_sets (
    tenant_id text NOT NULL PRIMARY KEY,
    version bigint NOT NULL
);
SELECT nsl_protect('policy_sets');

CREATE TABLE policies (
    tenant_id text NOT NULL,
    name text COLLATE "C" NOT NULL,
    text text NOT NULL,
    version bigint NOT NULL,
    digest text NOT NULL,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
SELECT nsl_protect('policies');

-- What each policy said at each time. A version without a text is its removal.
CREATE TABLE policy_versions (
    tenant_id text NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    text text,
    digest text NOT NULL,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name, version)
);
SELECT nsl_protect('policy_versions');
