-- Wallets belong to people, and people to the platform. The address as its chain writes it, with its checksum.
CREATE TABLE wallets (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX idx_wallets_address ON wallets (chain, address);
CREATE INDEX idx_wallets_user_id ON wallets (user_id);

-- Messages that wait for a signature, and those that had theirs: a nonce is spent once. `link_user` is who wants to
-- tie the account to themselves; without it the message signs in. `network` is a keyed hash of where it was asked
-- from.
CREATE TABLE wallet_challenges (
    tenant_id TEXT NOT NULL,
    nonce TEXT NOT NULL,
    chain TEXT NOT NULL,
    address TEXT NOT NULL,
    chain_network INTEGER NOT NULL,
    domain TEXT NOT NULL,
    link_user TEXT,
    network TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at INTEGER,
    PRIMARY KEY (tenant_id, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_wallet_challenges_address ON wallet_challenges (chain, address, network);
CREATE INDEX idx_wallet_challenges_expires_at ON wallet_challenges (expires_at);
