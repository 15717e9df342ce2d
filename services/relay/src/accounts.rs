//! Accounts whose keys are kept here, and the chain as each of them sees it.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use aws_lc_rs::rand;
use neo::PrivateKey;
use nsl_api::{
    Chain, Revealed,
    relay::{Account, AddAccount},
};
use nsl_chain::{
    n3::NeoN3,
    x::{Address, Key, NeoX},
};
use nsl_core::{Clock, Code, Cx, Entry, Error, Result, Secret, Subject};
use nsl_keyring::{Keyring, bind};
use nsl_ledger::Ledger;
use nsl_sql::Db;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::{
    dispatch::{Nodes, View},
    n3::{self, Desk, N3Node},
    node::Node,
    store::{ACCOUNT_TAKEN, Add, KeptAccount, LaneKey, account, accounts},
    x::XNode,
};

const LONGEST_LABEL: usize = 100;

/// The accounts of all tenants.
pub struct Accounts {
    pub db: Db,
    pub keyring: Keyring,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    /// Where it is set up.
    pub x: Option<Arc<NeoX>>,
    pub n3: Option<Arc<Desk>>,
    /// What somebody works with at the moment: a key stays open no longer than that.
    open: Mutex<HashMap<LaneKey, Opened>>,
}

enum Opened {
    X(Weak<dyn Node>),
    N3(Weak<N3Node>),
}

impl Opened {
    fn of(view: &View) -> Self {
        match view {
            View::X(node) => Self::X(Arc::downgrade(node)),
            View::N3(node) => Self::N3(Arc::downgrade(node)),
        }
    }

    fn view(&self) -> Option<View> {
        match self {
            Self::X(node) => node.upgrade().map(View::X),
            Self::N3(node) => node.upgrade().map(View::N3),
        }
    }
}

impl Accounts {
    pub fn new(
        db: Db,
        keyring: Keyring,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        x: Option<Arc<NeoX>>,
        n3: Option<Arc<NeoN3>>,
    ) -> Self {
        let n3 = n3.map(|chain| Arc::new(Desk::new(chain)));
        Self { db, keyring, ledger, clock, x, n3, open: Mutex::default() }
    }

    /// How many accounts' keys are open in this process.
    pub fn keys_open(&self) -> usize {
        self.open.lock().values().filter(|one| one.view().is_some()).count()
    }

    /// Makes an account, or takes one over.
    pub(crate) async fn add(&self, cx: &Cx, add: AddAccount) -> Result<Account> {
        let (account, secret) = key(add.chain, add.key.as_ref())?;
        self.keep(cx, add.chain, add.label, (account, secret), add.key.is_some()).await
    }

    /// Seals a key and keeps it.
    pub(crate) async fn keep(
        &self,
        cx: &Cx,
        kind: Chain,
        label: String,
        (account, secret): (String, Zeroizing<Vec<u8>>),
        taken_over: bool,
    ) -> Result<Account> {
        if label.chars().count() > LONGEST_LABEL {
            return Err(Error::invalid("relay.label_too_long", "the label has more than 100 characters"));
        }
        let now = self.clock.now();
        let chain = kind.as_str();
        let data_key = self.keyring.current(&cx.tenant, &nobody()).await?;
        let sealed = data_key.seal(&place(cx, chain, &account), secret.as_slice())?;
        let key_id = Arc::clone(data_key.id());
        let kept = KeptAccount { account: account.clone(), label, key_id, sealed, created_at: now };
        let entry = Entry::new(cx, "relay.account_added", "relay", "add_account", now)
            .request("chain", chain)
            .request("taken_over", taken_over)
            .response("account", account);
        let entry = self.ledger.seal(cx, entry, serde_json::Map::new()).await?;
        let by = cx.principal.subject.clone();
        let add = Add { tenant: cx.tenant.clone(), chain, shown: shown(kind, kept.clone())?, kept, by, entry };
        // What is kept is told, which is not this key where the same request came before.
        match self.db.write(cx, add.clone()).await {
            // Of two equal requests under one key, one waits for the other, and may find that it has kept the account:
            // asked again, it is told the other's outcome.
            Err(error) if cx.once.is_some() && error.slug == ACCOUNT_TAKEN => self.db.write(cx, add).await,
            done => done,
        }
    }

    pub(crate) async fn list(&self, cx: &Cx, chain: Chain) -> Result<Vec<Account>> {
        let kept = accounts(&self.db, &cx.tenant, chain.as_str()).await?;
        kept.into_iter().map(|one| shown(chain, one)).collect()
    }

    async fn secret(&self, lane: &LaneKey) -> Result<Zeroizing<Vec<u8>>> {
        let unknown = || Error::new(Code::NotFound, "relay.account_unknown", "the account is none of the tenant's");
        let kept = account(&self.db, &lane.tenant, lane.chain, &lane.account).await?.ok_or_else(unknown)?;
        let lost = || Error::internal(anyhow::anyhow!("the data key of an account is gone"));
        let key = self.keyring.find(&lane.tenant, &kept.key_id).await?.ok_or_else(lost)?;
        let place = bind(&[lane.tenant.as_str().as_bytes(), lane.chain.as_bytes(), kept.account.as_bytes()]);
        key.open(&place, &kept.sealed).map(Zeroizing::new)
    }
}

#[async_trait]
impl Nodes for Accounts {
    fn chains(&self) -> Vec<&'static str> {
        let (x, n3) = (self.x.iter().map(|_| Chain::NeoX), self.n3.iter().map(|_| Chain::NeoN3));
        x.chain(n3).map(|chain| chain.as_str()).collect()
    }

    async fn node(&self, lane: &LaneKey) -> Result<View> {
        if let Some(open) = self.open.lock().get(lane).and_then(Opened::view) {
            return Ok(open);
        }
        let view = if lane.chain == Chain::NeoN3.as_str() {
            let desk = self.n3.clone().ok_or_else(missing)?;
            let secret = self.secret(lane).await?;
            let key: &[u8; 32] = secret.as_slice().try_into().map_err(Error::internal)?;
            let key = PrivateKey::from_bytes(key).map_err(Error::internal)?;
            View::N3(Arc::new(N3Node { desk, signer: Arc::new(n3::Key::new(key)) }))
        } else {
            let chain = self.x.clone().ok_or_else(missing)?;
            let secret = self.secret(lane).await?;
            let signer = Arc::new(Key::from_secret(&Secret::new(secret.as_slice()))?);
            View::X(Arc::new(XNode { chain, signer }))
        };
        let mut open = self.open.lock();
        open.retain(|_, other| other.view().is_some());
        open.insert(lane.clone(), Opened::of(&view));
        Ok(view)
    }
}

pub(crate) fn missing() -> Error {
    Error::new(Code::NotFound, "relay.chain_missing", "the chain is not set up here")
}

// No person: their erasure must not take money along.
fn nobody() -> Subject {
    Subject::parse("platform").expect("a fixed valid id")
}

fn place(cx: &Cx, chain: &str, account: &str) -> Vec<u8> {
    bind(&[cx.tenant.as_str().as_bytes(), chain.as_bytes(), account.as_bytes()])
}

/// The account of a key, a fresh one where none is given, and the 32 bytes of the key.
fn key(chain: Chain, given: Option<&Revealed>) -> Result<(String, Zeroizing<Vec<u8>>)> {
    let refused = |what: &str| Error::invalid("relay.key_malformed", format!("the key is not {what}"));
    let mut bytes = Zeroizing::new(vec![0; 32]);
    match (chain, given) {
        (_, None) => rand::fill(&mut bytes).map_err(|_| Error::internal(anyhow::anyhow!("no randomness")))?,
        (Chain::NeoX, Some(Revealed(text))) => {
            hex::decode_to_slice(text.trim_start_matches("0x"), &mut bytes).map_err(|_| refused("32 bytes as hex"))?;
        }
        (Chain::NeoN3, Some(Revealed(text))) => {
            bytes.copy_from_slice(PrivateKey::from_wif(text).map_err(|_| refused("a WIF"))?.to_bytes().as_slice());
        }
    }
    let account = account_of(chain, &bytes)?;
    Ok((account, bytes))
}

/// The account of the 32 bytes of a key.
pub(crate) fn account_of(chain: Chain, bytes: &[u8]) -> Result<String> {
    let refused = |what: &str| Error::invalid("relay.key_malformed", format!("the key is not {what}"));
    Ok(match chain {
        Chain::NeoX => {
            let key = Key::from_secret(&Secret::new(bytes)).map_err(|_| refused("one of secp256k1"))?;
            format!("{:#x}", key.address())
        }
        Chain::NeoN3 => {
            let key: &[u8; 32] = bytes.try_into().map_err(Error::internal)?;
            PrivateKey::from_bytes(key).map_err(|_| refused("one of secp256r1"))?.public().script_hash().to_string()
        }
    })
}

fn shown(chain: Chain, kept: KeptAccount) -> Result<Account> {
    let address = match chain {
        Chain::NeoX => kept.account.parse::<Address>().map_err(Error::internal)?.to_checksum(None),
        Chain::NeoN3 => kept.account.parse::<neo::Hash160>().map_err(Error::internal)?.address(),
    };
    Ok(Account { chain, account: kept.account, address, label: kept.label, created_at: kept.created_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_key_gives_its_account_and_another_text_is_refused() {
        let given = |text: &str| Some(Revealed(text.to_owned()));
        let x = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        assert_eq!(key(Chain::NeoX, given(x).as_ref()).unwrap().0, "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
        let n3 = "L1aS3HBJPfc8G7vhoEtkHoHWMCoz1kD7TmiiCt3QRhxsUUv49BiB";
        assert_eq!(key(Chain::NeoN3, given(n3).as_ref()).unwrap().0, "0xa755f41b43031e7c45b7ca534a5f3759ac665214");
        for (chain, text) in
            [(Chain::NeoX, n3), (Chain::NeoN3, x), (Chain::NeoX, "0x00"), (Chain::NeoX, &"0".repeat(64))]
        {
            let error = key(chain, given(text).as_ref()).unwrap_err();
            assert_eq!(error.slug, "relay.key_malformed");
            assert!(!error.to_string().contains(text));
        }
        assert_ne!(key(Chain::NeoX, None).unwrap().0, key(Chain::NeoX, None).unwrap().0);
    }
}
