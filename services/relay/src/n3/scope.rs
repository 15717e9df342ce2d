//! The narrowest scope of a signature with which a script does the same as with the widest.
//!
//! What a contract asks for is no consent of whoever calls it: by itself a signature reaches what the script calls, and
//! no further. Contracts beyond that are named only for a request that allows it, and all of them never.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{
    Hash160,
    tx::{MOST_ITEMS, Scopes, Signer},
};
use nsl_api::relay::Scope;
use nsl_chain::{
    is_retryable, is_too_slow,
    n3::{Call, CallTree, InvocationResult, VmState},
};
use nsl_core::{Error, Result};
use serde_json::json;

use super::{alike::same, desk::Desk};
use crate::node::Refusal;

/// A script that ran well, as its signer is to sign it.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) script: Vec<u8>,
    pub(crate) signers: Vec<Signer>,
    pub(crate) run: InvocationResult,
}

/// What is tried out: a script and who is taken to have signed.
#[derive(Clone, Copy)]
pub(crate) struct Trial<'a> {
    pub(crate) script: &'a [u8],
    pub(crate) account: Hash160,
    pub(crate) sponsor: Option<Hash160>,
}

impl Trial<'_> {
    fn signers(&self, signer: &Signer) -> Vec<Signer> {
        let account = Signer { account: self.account, ..signer.clone() };
        let sponsor = self.sponsor.filter(|sponsor| *sponsor != self.account).map(Signer::none);
        sponsor.into_iter().chain([account]).collect()
    }

    fn tried(&self, signer: &Signer, run: &InvocationResult) -> Tried {
        Tried { script: self.script.to_vec(), signers: self.signers(signer), run: run.clone() }
    }

    fn call(&self, signer: &Signer) -> Call {
        Call { script: self.script.to_vec(), signers: self.signers(signer) }
    }
}

/// The runs with which a trial begins.
#[derive(Clone, Debug)]
pub(crate) struct First {
    signers: Vec<Signer>,
    runs: Vec<InvocationResult>,
}

/// Bytes of scripts that go to a node in one request: twice as many characters stay far below what nodes read.
const MOST_TOGETHER: usize = 256 << 10;

/// Contracts that a reason names.
const MOST_NAMED: usize = 3;

/// The inner error is the reason for which it would be undone, or for which no node runs it.
pub(crate) type Tryout<T> = Result<std::result::Result<T, Refusal>>;

/// Unwraps what went well; the reason for which it did not goes to the caller.
macro_rules! well {
    ($tried:expr) => {
        match $tried? {
            Ok(well) => well,
            Err(why) => return Ok(Err(why)),
        }
    };
}
pub(crate) use well;

impl Desk {
    /// Tries a script out in the scope that is asked for.
    pub(crate) async fn try_out(&self, trial: Trial<'_>, scope: Scope) -> Tryout<Tried> {
        let signers = first_signers(trial, scope);
        let runs = well!(self.runs(trial, &signers, false).await);
        self.try_on(trial, scope, First { signers, runs }).await
    }

    /// The first runs of several scripts, in one request: that costs a node more than the runs do. Nothing is known of
    /// any of them where one is too much, and then each is to be tried out by itself.
    pub(crate) async fn first(&self, trials: &[(Trial<'_>, Scope)]) -> Vec<Option<First>> {
        let none = || trials.iter().map(|_| None).collect();
        let signers: Vec<Vec<Signer>> = trials.iter().map(|(trial, scope)| first_signers(*trial, *scope)).collect();
        let calls: Vec<Call> = trials
            .iter()
            .zip(&signers)
            .flat_map(|((trial, _), signers)| signers.iter().map(|signer| trial.call(signer)))
            .collect();
        if trials.len() < 2 || calls.iter().map(|call| call.script.len()).sum::<usize>() > MOST_TOGETHER {
            return none();
        }
        let Ok(runs) = self.chain.invoke_all(&calls, false).await else { return none() };
        let mut runs = runs.into_iter();
        let first = |signers: Vec<Signer>| {
            let own: Vec<Result<InvocationResult>> = runs.by_ref().take(signers.len()).collect();
            // What a node refuses is told by the trial of this one alone.
            let own: Vec<InvocationResult> = own.into_iter().collect::<Result<_>>().ok()?;
            (own.len() == signers.len()).then_some(First { signers, runs: own })
        };
        signers.into_iter().map(first).collect()
    }

    /// As `try_out`, where the first runs are known.
    pub(crate) async fn try_on(&self, trial: Trial<'_>, scope: Scope, first: First) -> Tryout<Tried> {
        let First { signers, mut runs } = first;
        if let Err(why) = halted(&runs[0], trial.script) {
            return Ok(Err(why));
        }
        let may_name = match scope {
            Scope::Minimal => false,
            Scope::Contracts => true,
            Scope::None | Scope::CalledByEntry | Scope::Global => {
                let (script, signers) = (trial.script.to_vec(), trial.signers(&signers[0]));
                return Ok(Ok(Tried { script, signers, run: runs.remove(0) }));
            }
        };
        if let Some(at) = (1..runs.len()).find(|at| same(&runs[0], &runs[*at], true)) {
            return Ok(Ok(trial.tried(&signers[at], &runs[at])));
        }
        // Nothing does the same, or no two runs are the same.
        if let Some((signer, run)) = well!(self.first_same(trial, &simple()).await) {
            return Ok(Ok(trial.tried(&signer, &run)));
        }
        let found = well!(self.by_contracts(trial).await);
        Ok(match found {
            Some((signer, run)) if may_name => Ok(trial.tried(&signer, &run)),
            found => Err(reaches_further(found.map(|(signer, _)| signer.allowed_contracts)).into()),
        })
    }

    /// Scopes of named contracts, as few of them as can be, alone or with what the script calls itself.
    async fn by_contracts(&self, trial: Trial<'_>) -> Tryout<Option<(Signer, InvocationResult)>> {
        let global = Signer::new(trial.account, Scopes::GLOBAL);
        let run = well!(self.runs(trial, &[global], true).await).remove(0);
        let mut called = Vec::new();
        run.diagnostics.iter().flat_map(|told| &told.calls).for_each(|root| below(root, &mut called));
        if called.is_empty() || called.len() as u64 > MOST_ITEMS {
            return Ok(Ok(None));
        }
        let both = Scopes::CALLED_BY_ENTRY | Scopes::CUSTOM_CONTRACTS;
        let of = |scopes, contracts: &[Hash160]| Signer {
            allowed_contracts: contracts.to_vec(),
            ..Signer::new(trial.account, scopes)
        };
        let wide = [of(Scopes::CUSTOM_CONTRACTS, &called), of(both, &called)];
        let Some((mut signer, mut run)) = well!(self.first_same(trial, &wide).await) else { return Ok(Ok(None)) };
        for contract in called {
            let fewer: Vec<Hash160> = signer.allowed_contracts.iter().copied().filter(|one| *one != contract).collect();
            if fewer.is_empty() {
                break;
            }
            if let Some(found) = well!(self.first_same(trial, &[of(signer.scopes, &fewer)]).await) {
                (signer, run) = found;
            }
        }
        Ok(Ok(Some((signer, run))))
    }

    /// The first of these signers with which the script does the same as with the widest. Where even two runs with the
    /// widest differ (a block came in between, or the script throws dice), values are left out of the comparison.
    async fn first_same(&self, trial: Trial<'_>, among: &[Signer]) -> Tryout<Option<(Signer, InvocationResult)>> {
        let global = Signer::new(trial.account, Scopes::GLOBAL);
        let all = [std::slice::from_ref(&global), among, std::slice::from_ref(&global)].concat();
        for last in [false, true] {
            let runs = well!(self.runs(trial, &all, false).await);
            let is_exact = same(&runs[0], &runs[all.len() - 1], true);
            if !is_exact && !last {
                continue;
            }
            let found = (1..=among.len()).find(|at| same(&runs[0], &runs[*at], is_exact));
            return Ok(Ok(found.map(|at| (all[at].clone(), runs[at].clone()))));
        }
        Ok(Ok(None))
    }

    async fn runs(&self, trial: Trial<'_>, signers: &[Signer], diagnostics: bool) -> Tryout<Vec<InvocationResult>> {
        let calls: Vec<Call> = signers.iter().map(|signer| trial.call(signer)).collect();
        let runs = self.chain.invoke_all(&calls, diagnostics).await.and_then(|runs| runs.into_iter().collect());
        refused(runs)
    }
}

/// What an endpoint refuses stays refused; an endpoint that does not answer decides nothing.
pub(super) fn refused<T>(asked: Result<T>) -> Tryout<T> {
    match asked {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) if is_retryable(&error) || is_too_slow(&error) || &*error.slug == "chain.wrong_network" => {
            Err(error)
        }
        Err(Error { message, .. }) => Ok(Err(message.into())),
    }
}

/// Why no signature is given for it.
fn reaches_further(contracts: Option<Vec<Hash160>>) -> String {
    let Some(contracts) = contracts else {
        return "other contracts than the called one ask for the account's signature, and it can't be given to named ones \
                alone: call each by itself, or allow it to all (scope: global)"
            .to_owned();
    };
    let named: Vec<String> = contracts.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    let more = match contracts.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the called contract would use the account's signature at {}{more}: allow that with scope: contracts, or send it \
         without with scope: called_by_entry",
        named.join(", ")
    )
}

/// The one that is asked for; or the widest, to compare with, and those of which the first that does the same is
/// taken.
fn first_signers(trial: Trial<'_>, scope: Scope) -> Vec<Signer> {
    let of = |scopes| Signer::new(trial.account, scopes);
    match scope {
        Scope::None => vec![of(Scopes::NONE)],
        Scope::CalledByEntry => vec![of(Scopes::CALLED_BY_ENTRY)],
        Scope::Global => vec![of(Scopes::GLOBAL)],
        Scope::Minimal | Scope::Contracts => [vec![of(Scopes::GLOBAL)], simple()].concat(),
    }
}

fn simple() -> Vec<Signer> {
    [Scopes::NONE, Scopes::CALLED_BY_ENTRY].map(|scopes| Signer::new(Hash160::ZERO, scopes)).to_vec()
}

/// Why a script would be undone.
fn halted(run: &InvocationResult, script: &[u8]) -> std::result::Result<(), Refusal> {
    if run.state == VmState::Halt {
        return Ok(());
    }
    let exception = run.exception.as_deref();
    let trouble =
        json!({ "exception": exception, "script": BASE64.encode(script), "gas": run.gas_consumed.to_string() });
    Err(Refusal { reason: why(exception, script), trouble: Some(trouble) })
}

/// In words, where in its script it faulted and why.
pub(super) fn why(exception: Option<&str>, script: &[u8]) -> String {
    exception.map_or_else(
        || "the script faults, and the node does not say why".to_owned(),
        |text| neo::explain::fault(text, script, None).to_string(),
    )
}

fn below(tree: &CallTree, called: &mut Vec<Hash160>) {
    for call in &tree.calls {
        if !called.contains(&call.hash) {
            called.push(call.hash);
        }
        below(call, called);
    }
}
