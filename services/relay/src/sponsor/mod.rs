//! Accounts that pay for what others sign on Neo N3. The protocol has it in: the first signer of a transaction pays.
//!
//! Promises:
//! - The sponsor's signature has the scope none: whatever a script does, no contract takes it for an agreement.
//! - It is given only to what was prepared here, byte for byte, once, and only after the user's witness was proven.
//! - What is not named by the policy is refused, and no two processes spend the same money of its budgets.
//! - A policy speaks of the call that the transaction itself makes. What the called contract does further is bounded by
//!   the fees, which are fixed before anybody signs, and by the scope of the user's own signature.

mod assemble;
pub(crate) mod policy;
mod witness;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures_util::{FutureExt, future::BoxFuture};
use neo::{
    Hash160,
    context::Context,
    tx::{Transaction, Witness},
    wire::Wire,
};
use nsl_api::{
    Chain,
    relay::{Call, Submit},
    sponsor::{Complete, NameSponsor, Prepare, Prepared, PutSponsor, SponsorInfo},
};
use nsl_chain::{Chain as _, n3::NeoN3};
use nsl_core::{Clock, Code, Cx, Entry as Evidence, Error, Facts, Result, TenantId, fresh};
use nsl_ledger::Ledger;
use nsl_sql::{Change, Db};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

pub(crate) use self::policy::Entry;
use self::{
    assemble::{Draft, assemble, can_pay, still_works},
    policy::Policy,
    witness::Wanted,
};
use crate::{
    amounts::gas,
    dispatch::{Nodes, View},
    facts::Seen,
    n3::{N3Node, SIGNED},
    rules,
    store::{self, Accept, Kept, LaneKey, sponsored, sponsors},
};

/// How long a user has to sign.
const MOST_VALID: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(10);
const SWEEP: Duration = Duration::from_secs(3_600);
/// What pushes a signature: PUSHDATA1 of 64 bytes.
const PUSH_SIGNATURE: [u8; 2] = [0x0c, 64];

/// Refuses a call for which this account does not pay. To be asked before a request is accepted.
pub(crate) async fn allow(db: &Db, tenant: &TenantId, sponsor: &str, call: &Call) -> Result<()> {
    let found = sponsors::policy(db, tenant, sponsor).await?.ok_or_else(sponsors::unknown)?;
    Policy::read(&found)?.0.allows(&Entry::of(call)?)
}

fn permit(cx: &Cx, permission: &'static str, account: &str) -> Result<()> {
    cx.permit_on(permission, &Facts { chain: Some(Chain::NeoN3.as_str()), ..Facts::of("sponsor", account) })
}

/// What a request is going to cost its sponsor.
pub(crate) struct Bill<'a> {
    pub(crate) request: &'a str,
    pub(crate) sponsor: String,
    pub(crate) user: String,
    pub(crate) entry: Entry,
    /// Of the transaction that is to be signed, with what the chain took for the request before.
    pub(crate) in_all: i64,
}

/// Sets a request's fee aside, or what is missing of it, within the sponsor's policy. To be asked before each signature;
/// an error of [`is_refusal`] is no fault, but the sponsor's answer. [`sponsors::settle`] gives back what was not spent.
pub(crate) async fn reserve(db: &Db, tenant: &TenantId, bill: Bill<'_>, clock: &dyn Clock) -> Result<()> {
    let cx = Cx::system(tenant.clone(), Duration::from_secs(30));
    let reserve = sponsors::Reserve {
        tenant: tenant.clone(),
        id: bill.request.to_owned(),
        account: bill.sponsor,
        payee: bill.user,
        entry: bill.entry,
        fee: bill.in_all,
        amount: bill.in_all,
        now: clock.now(),
        prepared: None,
    };
    db.write(&cx, reserve).await.map(drop)
}

/// Whether the sponsor does not want to pay, as opposed to a database that does not answer.
pub(crate) fn is_refusal(error: &Error) -> bool {
    error.slug.starts_with("sponsor.")
}

/// What keeps sponsors, and makes and signs for them.
pub(crate) struct Sponsoring {
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) nodes: Arc<dyn Nodes>,
    /// What the operator allows a transaction to cost.
    pub(crate) most_fee: Option<u128>,
    /// While it holds, nothing is signed.
    pub(crate) paused: Arc<AtomicBool>,
}

impl Sponsoring {
    /// Forgets once an hour what nobody asks for any more.
    pub(crate) fn sweep(&self) -> impl FnOnce(CancellationToken) -> BoxFuture<'static, anyhow::Result<()>> + 'static {
        let (db, clock) = (self.db.clone(), Arc::clone(&self.clock));
        move |stop| {
            let sweep = async move {
                loop {
                    if let Err(error) = sponsored::forget(&db, clock.now()).await {
                        tracing::warn!("forgetting old prepared transactions failed: {error}");
                    }
                    tokio::time::sleep(SWEEP).await;
                }
            };
            async move { stop.run_until_cancelled(sweep).await.unwrap_or(Ok(())) }.boxed()
        }
    }

    pub(crate) async fn put(&self, cx: &Cx, put: PutSponsor) -> Result<SponsorInfo> {
        let account = rules::account(Chain::NeoN3, &put.account)?;
        permit(cx, "relay:admin", &account)?;
        self.kept(cx, &account).await?;
        let (_, policy) = Policy::read(&put.policy)?;
        let now = self.clock.now();
        let entry = Evidence::new(cx, "relay.sponsor_set", "relay", "put_sponsor", now)
            .request("account", account.clone())
            .request("contracts", policy.contracts.len())
            .request("per_transaction", policy.per_transaction.clone())
            .request("per_day", policy.per_day.clone())
            .request("per_user_per_day", policy.per_user_per_day.clone());
        let entry = self.ledger.seal(cx, entry, serde_json::Map::new()).await?;
        let (tenant, by) = (cx.tenant.clone(), cx.principal.subject.clone());
        self.db.write(cx, sponsors::PutPolicy { tenant, account: account.clone(), policy, by, now, entry }).await?;
        self.shown(cx, account).await
    }

    pub(crate) async fn find(&self, cx: &Cx, named: NameSponsor) -> Result<SponsorInfo> {
        let account = rules::account(Chain::NeoN3, &named.account)?;
        permit(cx, "relay:read", &account)?;
        self.shown(cx, account).await
    }

    pub(crate) async fn remove(&self, cx: &Cx, named: NameSponsor) -> Result<()> {
        let account = rules::account(Chain::NeoN3, &named.account)?;
        permit(cx, "relay:admin", &account)?;
        let entry = Evidence::new(cx, "relay.sponsor_removed", "relay", "remove_sponsor", self.clock.now())
            .request("account", account.clone());
        let entry = self.ledger.seal(cx, entry, serde_json::Map::new()).await?;
        self.db.write(cx, sponsors::RemovePolicy { tenant: cx.tenant.clone(), account, entry }).await
    }

    /// Makes a transaction for a user outside, and sets its fee aside until it comes back.
    pub(crate) async fn prepare(&self, cx: &Cx, prepare: Prepare) -> Result<Prepared> {
        if cx.rules.is_none() {
            cx.permit("relay:write")?;
        }
        let made = match self.make(cx, prepare).await {
            Err(refusal) => self.db.recall(cx, refusal).await?,
            Ok(made) => made,
        };
        made.ok_or_else(|| Error::internal(anyhow::anyhow!("a prepared transaction was not kept")))
    }

    async fn make(&self, cx: &Cx, prepare: Prepare) -> Result<Option<Prepared>> {
        let Prepare { sponsor, user, contract, method, args, scope, verification, valid_for_ms } = prepare;
        let asked = rules::asked(&Submit {
            chain: Chain::NeoN3,
            account: user,
            call: Call {
                contract: Some(contract),
                method: Some(method),
                args,
                sponsor: Some(sponsor),
                ..Call::default()
            },
            max_fee: None,
            valid_for_ms,
        })?;
        Seen::of(Chain::NeoN3, &asked.call).permit(cx)?;
        let (user, sponsor) = (asked.account, asked.call.sponsor.clone().unwrap_or_default());
        if user == sponsor {
            return Err(Error::invalid("sponsor.pays_itself", "the sponsor and the user are one account"));
        }
        allow(&self.db, &cx.tenant, &sponsor, &asked.call).await?;
        let user_hash = hash(&user)?;
        let verification = verification.map(|script| script_of(&user_hash, &script)).transpose()?;
        let node = self.node(&cx.tenant, &sponsor).await?;
        let draft = Draft {
            script: assemble::script(&asked.call)?,
            sponsor: hash(&sponsor)?,
            user: user_hash,
            verification: verification.as_deref(),
            scope,
            valid_for: asked.valid_for.unwrap_or(MOST_VALID).min(MOST_VALID),
        };
        let made = assemble(&node.desk, draft).await?;
        let fee = made.transaction.fees();
        if let Some(most) = self.most_fee.filter(|most| u128::try_from(fee).unwrap_or(u128::MAX) > *most) {
            let (fee, most) = (gas(fee), gas(most));
            let message = format!("the fee is {fee}, and the operator allows {most}: raise relay.neo_n3_max_fee");
            return Err(Error::new(Code::Forbidden, "sponsor.over_transaction", message));
        }
        let chain = &node.desk.chain;
        can_pay(chain, hash(&sponsor)?, fee).await?;
        let (now, id) = (self.clock.now(), fresh("rel"));
        let shown = shown(&id, &made.transaction, chain.magic(), now.plus(made.valid_for))?;
        let entry = Evidence::new(cx, "relay.sponsored_prepared", "relay", "prepare_sponsored", now)
            .request("sponsor", sponsor.clone())
            .request("contract", asked.call.contract.clone())
            .request("method", asked.call.method.clone())
            .response("id", id.clone())
            .response("tx", shown.hash.clone())
            .response("fee", fee.to_string());
        let mut personal = serde_json::Map::new();
        personal.insert("user".to_owned(), user.clone().into());
        let entry = self.ledger.seal(cx, entry, personal).await?;
        let reserve = sponsors::Reserve {
            tenant: cx.tenant.clone(),
            id,
            account: sponsor,
            payee: user,
            entry: Entry::of(&asked.call)?,
            fee,
            amount: fee,
            now,
            prepared: Some(sponsored::NewPrepared {
                intent: serde_json::to_value(&asked.call).map_err(Error::internal)?,
                unsigned: made.transaction.unsigned_bytes(),
                verification,
                shown,
                entry,
            }),
        };
        self.write(cx, || reserve.clone()).await
    }

    /// Proves the user's witness, signs for the sponsor, and makes it a request that its lane sends.
    pub(crate) async fn complete(&self, cx: &Cx, complete: Complete) -> Result<(LaneKey, Kept)> {
        let chain = Some(Chain::NeoN3.as_str());
        cx.permit_on("relay:write", &Facts { chain, ..Facts::of("transaction", &complete.id) })?;
        let kept = match self.take_on(cx, complete).await {
            Err(refusal) => self.db.recall::<Kept>(cx, refusal).await?,
            Ok(kept) => kept,
        };
        let account = kept.account.as_str().into();
        Ok((LaneKey { tenant: cx.tenant.clone(), chain: Chain::NeoN3.as_str(), account }, kept))
    }

    async fn take_on(&self, cx: &Cx, complete: Complete) -> Result<Kept> {
        let Complete { id, proof } = complete;
        if self.paused.load(Ordering::Relaxed) {
            let message = "nothing is signed for the moment, by the operator's wish";
            return Err(Error::new(Code::Unavailable, "sponsored.paused", message).retry_after(PAUSE));
        }
        let waiting = sponsored::prepared(&self.db, &cx.tenant, &id).await?;
        let node = self.node(&cx.tenant, &waiting.account).await?;
        let chain = &node.desk.chain;
        let mut transaction = Transaction::from_unsigned_bytes(&waiting.unsigned).map_err(Error::internal)?;
        let (user, sponsor) = (hash(&waiting.payee)?, hash(&waiting.account)?);
        let wanted =
            Wanted { transaction: &transaction, network: chain.magic(), user, script: waiting.verification.as_deref() };
        let witness = wanted.witness(&proof)?;
        let fee = transaction.fees();
        // One that is used, by now or before, is only asked about again: its outcome is kept under the caller's
        // idempotency key.
        if !waiting.is_used
            && let Err(error) = is_good(chain, &transaction, sponsor).await
            && !sponsored::prepared(&self.db, &cx.tenant, &id).await?.is_used
        {
            return Err(error);
        }
        let lane = LaneKey {
            tenant: cx.tenant.clone(),
            chain: Chain::NeoN3.as_str(),
            account: waiting.account.as_str().into(),
        };
        let signature = node.signer.sign(&transaction.message(chain.magic())).await?;
        let invocation = [&PUSH_SIGNATURE[..], &signature].concat();
        let own = Witness { invocation, verification: node.signer.verification().to_vec() };
        transaction.set_witness(&user, witness).map_err(Error::internal)?;
        transaction.set_witness(&sponsor, own).map_err(Error::internal)?;
        transaction.verify(chain.magic()).map_err(Error::internal)?;
        let call = Call::deserialize(&waiting.intent).map_err(Error::internal)?;
        let mut intent = waiting.intent;
        intent[SIGNED] = BASE64.encode(transaction.to_bytes()).into();
        let now = self.clock.now();
        let subject = cx.principal.subject.clone();
        let kept = Kept {
            hash: Some(transaction.hash().to_string()),
            max_fee: Some(fee.to_string()),
            ..Kept::fresh(id, &lane, subject, intent, now)
        };
        let entry = Evidence::new(cx, "relay.sponsored_completed", "relay", "complete_sponsored", now)
            .request("id", kept.id.clone())
            .response("tx", kept.hash.clone());
        let entry = self.ledger.seal(cx, entry, serde_json::Map::new()).await?;
        let allowed = Entry::of(&call)?;
        let using = || {
            let accept = Accept { tenant: cx.tenant.clone(), kept: kept.clone(), entry: entry.clone() };
            sponsored::Use { accept, allowed: allowed.clone(), now }
        };
        self.write(cx, using).await
    }

    async fn node(&self, tenant: &TenantId, sponsor: &str) -> Result<Arc<N3Node>> {
        let lane = LaneKey { tenant: tenant.clone(), chain: Chain::NeoN3.as_str(), account: sponsor.into() };
        match self.nodes.node(&lane).await? {
            View::N3(node) => Ok(node),
            View::X(_) => Err(Error::internal(anyhow::anyhow!("an account of the other chain"))),
        }
    }

    // Of two equal requests under one key, one waits for the other, and may find that it has spent what both ask for:
    // asked again, it is told the other's outcome.
    async fn write<C: Change>(&self, cx: &Cx, change: impl Fn() -> C) -> Result<C::Done> {
        match self.db.write(cx, change()).await {
            Err(error) if cx.once.is_some() && error.slug.starts_with("sponsor") => self.db.write(cx, change()).await,
            done => done,
        }
    }

    // An account that is not the tenant's pays for nobody.
    async fn kept(&self, cx: &Cx, account: &str) -> Result<()> {
        let found = store::account(&self.db, &cx.tenant, Chain::NeoN3.as_str(), account).await?;
        let unknown = || Error::new(Code::NotFound, "relay.account_unknown", "the account is none of the tenant's");
        found.map(drop).ok_or_else(unknown)
    }

    async fn shown(&self, cx: &Cx, account: String) -> Result<SponsorInfo> {
        let found = sponsors::sponsor(&self.db, &cx.tenant, &account, self.clock.now()).await?;
        let found = found.ok_or_else(sponsors::unknown)?;
        let address = hash(&account)?.address();
        let spent_today = found.spent_today.to_string();
        Ok(SponsorInfo { account, address, policy: found.policy, spent_today, updated_at: found.updated_at })
    }
}

/// Whether it would do by now what it was prepared for.
async fn is_good(chain: &NeoN3, transaction: &Transaction, sponsor: Hash160) -> Result<()> {
    let fee = transaction.fees();
    let (works, pays) = (still_works(chain, transaction), can_pay(chain, sponsor, fee));
    let (height, works, pays) = tokio::join!(chain.height(), works, pays);
    if height? >= transaction.valid_until_block.into() {
        return Err(sponsored::expired());
    }
    works.and(pays)
}

fn hash(account: &str) -> Result<Hash160> {
    account.parse().map_err(Error::internal)
}

fn script_of(user: &Hash160, text: &str) -> Result<Vec<u8>> {
    let unfit = |why: &str| Error::invalid("sponsored.verification_unfit", format!("the script of the user {why}"));
    let script = BASE64.decode(text).map_err(|_| unfit("is not base64"))?;
    if Hash160::of_script(&script) != *user {
        return Err(unfit("is that of another account"));
    }
    let is_known = neo::account::read_single(&script).is_some() || neo::account::read_multi(&script).is_some();
    if is_known { Ok(script) } else { Err(unfit("asks for other than signatures")) }
}

fn shown(id: &str, transaction: &Transaction, network: u32, expires_at: nsl_core::Timestamp) -> Result<Prepared> {
    let context = Context::new(network, transaction.clone()).map_err(Error::internal)?;
    let scopes = transaction.signers.get(1).map(|user| user.scopes.to_string()).unwrap_or_default();
    Ok(Prepared {
        id: id.to_owned(),
        transaction: BASE64.encode(transaction.unsigned_bytes()),
        hash: transaction.hash().to_string(),
        message: hex::encode(transaction.message(network)),
        network,
        context: serde_json::to_value(&context).map_err(Error::internal)?,
        system_fee: transaction.system_fee.to_string(),
        network_fee: transaction.network_fee.to_string(),
        scopes,
        valid_until_block: transaction.valid_until_block,
        expires_at,
    })
}
