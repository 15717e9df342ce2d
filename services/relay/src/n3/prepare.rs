//! From requests to transactions that lack nothing but a place in the store.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
    stream,
};
use neo::{
    script::{Invocation, Outcome, batch, read_outcomes},
    stack::StackItem,
};
use nsl_api::Chain;
use nsl_chain::n3::{Rules, Shown};
use nsl_core::{Clock, Result, Timestamp};
use nsl_sql::Db;
use serde_json::json;

use super::{
    N3Node, N3Pace,
    ask::{Ask, What},
    assemble::{Made, Terms, signed, unsigned},
    estimate::signers,
    give::part,
    scope::{First, Trial, Tryout, refused, well},
};
use crate::{
    amounts::beyond_bound,
    dispatch::Nodes,
    node::Refusal,
    nonces::{Hash, Id},
    sponsor,
    store::{LaneKey, Wanted},
};

/// Requests that are tried out at the same time within one that is shared.
const TOGETHER: usize = 8;
const THREW: &str = "it threw: ";
/// Why a transaction that came signed is given up: nobody here can make another.
pub(super) const TOO_LATE: &str = "its last block passed before one had it";

/// What preparing needs to know of its lane.
pub(super) struct Bench {
    pub(super) db: Db,
    pub(super) nodes: Arc<dyn Nodes>,
    pub(super) node: Arc<N3Node>,
    pub(super) key: LaneKey,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pace: N3Pace,
    pub(super) rules: Rules,
    /// The last block that was read whole.
    pub(super) looked: u32,
}

/// A request and what it asks for.
pub(super) type Asked = (Wanted, Ask);

/// Requests, and what came of preparing them.
pub(super) type Preparing = (Vec<Id>, Result<Prepared>);

/// Requests in one signed transaction.
pub(super) struct Loaded {
    pub(super) requests: Vec<Id>,
    /// What the chain took already for each.
    pub(super) paid: Vec<u128>,
    pub(super) made: Made,
}

/// What came of trying requests out.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) loaded: Vec<Loaded>,
    pub(super) failed: Vec<(Id, Refusal)>,
    /// They wait, to go alone.
    pub(super) alone: Vec<Id>,
    /// They were signed by others, for blocks that have passed.
    pub(super) late: Vec<Id>,
}

/// What a further try of a parcel has to mind.
#[derive(Clone, Debug, Default)]
pub(super) struct Earlier {
    pub(super) conflicts: Vec<Hash>,
    pub(super) offered: i64,
}

impl Bench {
    /// Prepares what is to go together; what can't is put apart.
    pub(super) fn prepare(&self, mut asked: Vec<Asked>) -> BoxFuture<'_, Result<Prepared>> {
        async move {
            let mut out = Prepared::default();
            loop {
                if asked.len() < 2 {
                    if let Some(one) = asked.pop() {
                        self.single(one, None, &mut out).await?;
                    }
                    return Ok(out);
                }
                match self.load(&asked, &Earlier::default(), None).await? {
                    Ok(Load::Loaded(made)) => {
                        Self::within_bounds(&asked, made, &mut out);
                        return Ok(out);
                    }
                    Ok(Load::Threw(threw)) => drop_failed(&mut asked, threw, &mut out),
                    Err(_) => {
                        let faulty = self.faulty(&asked).await?;
                        if faulty.is_empty() {
                            // Only together they are too much, or in each other's way.
                            let rest = asked.split_off(asked.len() / 2);
                            for half in [asked, rest] {
                                let mut half = self.prepare(half).await?;
                                out.loaded.append(&mut half.loaded);
                                out.failed.append(&mut half.failed);
                                out.alone.append(&mut half.alone);
                                out.late.append(&mut half.late);
                            }
                            return Ok(out);
                        }
                        drop_failed(&mut asked, faulty, &mut out);
                    }
                }
            }
        }
        .boxed()
    }

    /// Prepares requests that go each by itself, and says of each what came of it. Their first runs go to a node together.
    pub(super) async fn prepare_each(&self, asked: Vec<Asked>) -> Vec<Preparing> {
        let script = |(_, ask): &Asked| match &ask.what {
            What::Signed(_) => None,
            What::Call(_) | What::Script(_) => ask.script().ok(),
        };
        let scripts: Vec<Option<Vec<u8>>> = asked.iter().map(script).collect();
        let account = self.node.signer.account();
        let tried = scripts.iter().zip(&asked).filter_map(|(script, (_, ask))| Some((script.as_deref()?, ask)));
        let trials: Vec<_> =
            tried.map(|(script, ask)| (Trial { script, account, sponsor: ask.sponsor }, ask.scope)).collect();
        let mut known = self.node.desk.first(&trials).await.into_iter();
        let single = |(script, one): (&Option<Vec<u8>>, Asked)| {
            let first = script.as_ref().and_then(|_| known.next().flatten());
            async move {
                let (ids, mut out) = (vec![one.0.id.clone()], Prepared::default());
                let done = self.single(one, first, &mut out).await;
                (ids, done.map(|()| out))
            }
        };
        join_all(scripts.iter().zip(asked).map(single)).await
    }

    async fn single(&self, (wanted, ask): Asked, first: Option<First>, out: &mut Prepared) -> Result<()> {
        if matches!(&ask.what, What::Signed(transaction) if transaction.valid_until_block <= self.looked) {
            out.late.push(wanted.id);
            return Ok(());
        }
        let one = [(wanted, ask)];
        match self.load(&one, &Earlier::default(), first).await? {
            Ok(Load::Loaded(made)) => match over(&one[0].0, part(made.fee, 1)) {
                Some(why) => out.failed.push((one[0].0.id.clone(), why.into())),
                None => {
                    out.loaded.push(Loaded { requests: vec![one[0].0.id.clone()], paid: vec![one[0].0.paid], made })
                }
            },
            Ok(Load::Threw(threw)) => out.failed.extend(threw.into_iter().map(|(_, id, why)| (id, why))),
            Err(refusal) => out.failed.push((one[0].0.id.clone(), refusal)),
        }
        Ok(())
    }

    /// Whose share is more than it may be goes alone, where it says what it costs itself; the others go without it.
    fn within_bounds(asked: &[Asked], made: Made, out: &mut Prepared) {
        let part = part(made.fee, asked.len());
        let dear: Vec<Id> = asked
            .iter()
            .filter(|(wanted, _)| over(wanted, part).is_some())
            .map(|(wanted, _)| wanted.id.clone())
            .collect();
        if dear.is_empty() {
            let requests = asked.iter().map(|(wanted, _)| wanted.id.clone()).collect();
            let paid = asked.iter().map(|(wanted, _)| wanted.paid).collect();
            out.loaded.push(Loaded { requests, paid, made });
        } else {
            out.alone.extend(dear);
        }
    }

    /// Those that fault by themselves, with the reason.
    async fn faulty(&self, asked: &[Asked]) -> Result<Vec<Undone>> {
        let mut trials: Vec<BoxFuture<'_, Result<Option<Undone>>>> = Vec::with_capacity(asked.len());
        for (place, (wanted, ask)) in asked.iter().enumerate() {
            let trial = async move {
                let script = ask.script()?;
                let (account, sponsor) = (self.node.signer.account(), ask.sponsor);
                let trial = Trial { script: &script, account, sponsor };
                let tried = self.node.desk.try_out(trial, ask.scope).await?;
                Ok(tried.err().map(|refusal| (place, wanted.id.clone(), refusal)))
            };
            trials.push(trial.boxed());
        }
        let tried: Vec<_> = stream::iter(trials).buffered(TOGETHER).collect().await;
        tried.into_iter().filter_map(Result::transpose).collect()
    }

    /// A transaction for all of them, signed; or those that throw. The inner error is why no node would take it.
    pub(super) async fn load(&self, asked: &[Asked], earlier: &Earlier, known: Option<First>) -> Tryout<Load> {
        let Some((first, ask)) = asked.first() else { return Ok(Err("there is nothing to send".to_owned().into())) };
        if let What::Signed(transaction) = &ask.what {
            let made = Made::of(transaction, false);
            if made.one.valid_until <= self.looked {
                return Ok(Err(TOO_LATE.to_owned().into()));
            }
            return Ok(Ok(Load::Loaded(made)));
        }
        let (node, sponsor) = well!(signers(&*self.nodes, &self.key, ask).await);
        let script = if asked.len() == 1 { well!(refused(ask.script())) } else { well!(refused(together(asked))) };
        let trial = Trial { script: &script, account: node.signer.account(), sponsor: ask.sponsor };
        let tried = match known {
            Some(known) => well!(node.desk.try_on(trial, ask.scope, known).await),
            None => well!(node.desk.try_out(trial, ask.scope).await),
        };
        if asked.len() > 1 {
            let Shown::Known(stack) = &tried.run.stack else {
                return Ok(Err(format!("{}: its outcome can't be shown", first.id).into()));
            };
            let outcomes = match read_outcomes(stack, asked.len()) {
                Ok(outcomes) => outcomes,
                Err(error) => return Ok(Err(error.to_string().into())),
            };
            let threw: Vec<Undone> = outcomes
                .iter()
                .zip(asked)
                .enumerate()
                .filter_map(|(place, (outcome, (wanted, ask)))| Some((place, wanted.id.clone(), thrown(outcome, ask)?)))
                .collect();
            if !threw.is_empty() {
                return Ok(Ok(Load::Threw(threw)));
            }
        }
        let until = asked.iter().filter_map(|(wanted, _)| wanted.expires_at).min();
        let terms = Terms {
            valid_until: self.valid_until(until),
            conflicts: earlier.conflicts.clone(),
            more_than: earlier.offered,
        };
        let signers: Vec<_> = sponsor.iter().chain([&node]).map(|node| &*node.signer).collect();
        let transaction = well!(refused(unsigned(&tried, &signers, &terms, &self.rules)));
        if sponsor.is_some() {
            well!(self.reserve(asked, transaction.fees()).await);
        }
        let made = signed(transaction, &signers, self.node.desk.chain.magic()).await;
        Ok(Ok(Load::Loaded(well!(refused(made)))))
    }

    /// Sets the fee aside at whoever pays for these. The inner error is why it does not want to.
    pub(super) async fn reserve(&self, asked: &[Asked], fee: i64) -> Tryout<()> {
        let part = part(fee, asked.len());
        for (wanted, ask) in asked {
            let Some(account) = ask.sponsor else { continue };
            // A contract can starve on the chain at will: what its earlier transactions took counts as if it was one.
            let in_all = i64::try_from(part.saturating_add(wanted.paid)).unwrap_or(i64::MAX);
            let bill = sponsor::Bill {
                request: &wanted.id,
                sponsor: account.to_string(),
                user: self.key.account.to_string(),
                entry: match &ask.what {
                    What::Call(call) => sponsor::Entry::Call { contract: call.contract, method: call.method.clone() },
                    What::Script(_) | What::Signed(_) => sponsor::Entry::Script,
                },
                in_all,
            };
            match sponsor::reserve(&self.db, &self.key.tenant, bill, &*self.clock).await {
                Ok(()) => {}
                Err(error) if sponsor::is_refusal(&error) => return Ok(Err(error.message.into())),
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(()))
    }

    /// The last block for a transaction that is of use up to this time.
    pub(super) fn valid_until(&self, time: Option<Timestamp>) -> u32 {
        // A node that is some blocks behind must not find it too far ahead.
        let most = self.rules.most_valid_blocks - self.rules.most_valid_blocks / 10;
        let blocks = self.pace.valid_blocks.min(most).max(1);
        let blocks = time.map_or(blocks, |time| {
            let left = time.0.saturating_sub(self.clock.now().0).max(0) as u64 / 1_000 / self.rules.ms_per_block;
            blocks.min(u32::try_from(left).unwrap_or(u32::MAX)).max(1)
        });
        self.looked.saturating_add(blocks)
    }
}

/// Place, request and reason.
type Undone = (usize, Id, Refusal);

pub(super) enum Load {
    Loaded(Made),
    /// These would be undone, the others not.
    Threw(Vec<Undone>),
}

fn drop_failed(asked: &mut Vec<Asked>, undone: Vec<Undone>, out: &mut Prepared) {
    for (place, id, why) in undone.into_iter().rev() {
        asked.remove(place);
        out.failed.push((id, why));
    }
}

/// Why an invocation of a batch was undone, as a run of it alone would tell.
fn thrown(outcome: &Outcome, ask: &Ask) -> Option<Refusal> {
    let reason = threw(outcome)?;
    let exception = format!("unhandled exception: {}", reason.trim_start_matches(THREW));
    let script = ask.script().unwrap_or_default();
    let trouble = Some(json!({ "exception": exception, "script": BASE64.encode(script) }));
    Some(Refusal { reason, trouble })
}

fn together(asked: &[Asked]) -> Result<Vec<u8>> {
    let call = |(_, ask): &Asked| match &ask.what {
        What::Call(call) => Some(call.clone()),
        What::Script(_) | What::Signed(_) => None,
    };
    let calls: Vec<Invocation> = asked.iter().filter_map(call).collect();
    batch(&calls).map_err(|error| nsl_core::Error::invalid("relay.args_malformed", error.to_string()))
}

/// Why it costs more than it may, together with what the chain took for it already.
pub(super) fn over(wanted: &Wanted, fee: u128) -> Option<String> {
    let (most, fee) = (wanted.max_fee?, fee.saturating_add(wanted.paid));
    (fee > most).then(|| beyond_bound(Chain::NeoN3.as_str(), fee, most))
}

/// What an invocation of a batch threw.
pub(super) fn threw(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Returned(_) => None,
        Outcome::Threw(StackItem::ByteString(bytes) | StackItem::Buffer(bytes)) => {
            Some(format!("{THREW}{}", String::from_utf8_lossy(bytes)))
        }
        Outcome::Threw(item) => Some(format!("{THREW}{}", json!(item))),
    }
}
