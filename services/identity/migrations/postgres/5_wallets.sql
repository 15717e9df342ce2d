-- Wallets belong to people, and people to the platform. The address as its chain writes it, with its checksum.
CREATE TABLE wallets (
    tenant_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    user_id text NOT NULL,
    chain text NOT NULL,
    address text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
SELECT nsl_protect('wallets');
CREATE UNIQUE INDEX idx_wallets_address ON wallets (chain, address);
CREATE INDEX idx_wallets_user_id ON wallets (user_id);

-- Messages that wait for a signature, and those that had theirs: a nonce is spent once. `link_user` is who wants to
-- tie the account to themselves; without it the message signs in. `network` is a keyed hash of where it was asked
-- from.
CREATE TABLE wallet_challenges (
    tenant_id text NOT NULL,
    nonce text NOT NULL,
    chain text NOT NULL,
    address text NOT NULL,
    chain_network bigint NOT NULL,
    domain text NOT NULL,
    link_user text,
    network text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    spent_at timestamptz,
    PRIMARY KEY (tenant_id, nonce)
);
SELECT nsl_protect('wallet_challenges');
CREATE INDEX idx_wallet_challenges_address ON wallet_challenges (chain, address, network);
CREATE INDEX idx_wallet_challenges_expires_at ON wallet_challenges (expires_at);
