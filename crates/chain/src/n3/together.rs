//! Several test runs, and several transactions, in one request.

use neo::{Hash256, tx::Transaction, wire::Wire};
use neo_rpc::model::InvokeSigner;
use nsl_core::Result;

use super::{Call, InvocationResult, NeoN3, refused, send::refusal};
use crate::{chain::ChainKind, error::Trouble};

impl NeoN3 {
    /// Test runs of these scripts, each for itself. With `diagnostics` the node also tells which contracts were called.
    pub async fn invoke_all(&self, calls: &[Call], diagnostics: bool) -> Result<Vec<Result<InvocationResult>>> {
        let signers: Vec<Vec<InvokeSigner>> =
            calls.iter().map(|call| call.signers.iter().cloned().map(InvokeSigner::from).collect()).collect();
        let scripts: Vec<(&[u8], &[InvokeSigner])> =
            calls.iter().zip(&signers).map(|(call, signers)| (call.script.as_slice(), signers.as_slice())).collect();
        let scripts = &scripts;
        let runs = self.pool.run_heavy(|node| async move {
            let runs = node.ask("invokescript", |rpc| rpc.invoke_scripts(scripts, diagnostics)).await?;
            each(runs.into_iter().map(|run| run.map_err(|error| node.trouble(error))))
        });
        let into_error = |trouble: Trouble| trouble.into_error(ChainKind::NeoN3, "a test run");
        let runs = runs.await.map_err(into_error)?;
        Ok(runs.into_iter().map(|run| run.map_err(into_error)).collect())
    }

    /// Sends signed transactions, in order. To send one again is no error, also when it is in a block already.
    pub async fn send_all(&self, signed: &[&[u8]]) -> Vec<Result<Hash256>> {
        let checked: Vec<Result<Hash256>> = signed.iter().map(|bytes| checked(bytes)).collect();
        let sound: Vec<&[u8]> =
            signed.iter().zip(&checked).filter(|(_, checked)| checked.is_ok()).map(|(bytes, _)| *bytes).collect();
        let bytes = &sound;
        let sent = self.pool.run(|node| async move {
            let sent = node.ask("sendrawtransaction", |rpc| rpc.send_raw_transactions(bytes)).await?;
            each(sent.into_iter().map(|one| one.map_err(|error| node.trouble(error))))
        });
        let mut verdicts = match sent.await {
            Ok(verdicts) => verdicts,
            Err(trouble) => sound.iter().map(|_| Err(trouble.clone())).collect(),
        }
        .into_iter();
        let verdict = |hash| match verdicts.next()? {
            Ok(_) => Some(Ok(hash)),
            Err(Trouble::Node(error)) => Some(refusal(error).map_or(Ok(hash), Err)),
            Err(trouble) => Some(Err(trouble.into_error(ChainKind::NeoN3, "taking a transaction"))),
        };
        let mut verdict = verdict;
        let lost = || Trouble::Garbled("no answer".to_owned()).into_error(ChainKind::NeoN3, "taking a transaction");
        checked
            .into_iter()
            .map(|checked| checked.and_then(|hash| verdict(hash).unwrap_or_else(|| Err(lost()))))
            .collect()
    }
}

fn checked(bytes: &[u8]) -> Result<Hash256> {
    let transaction = Transaction::from_bytes(bytes).map_err(refused)?;
    transaction.check().map_err(refused)?;
    Ok(transaction.hash())
}

/// The trouble of one is the trouble of all where it is the endpoint's and nothing was done.
fn each<T>(all: impl Iterator<Item = Result<T, Trouble>>) -> Result<Vec<Result<T, Trouble>>, Trouble> {
    let all: Vec<Result<T, Trouble>> = all.collect();
    let is_endpoints = |one: &Result<T, Trouble>| one.as_ref().is_err_and(Trouble::is_endpoints);
    if !all.is_empty() && all.iter().all(is_endpoints) {
        return all.into_iter().map(|one| one.map(Ok)).collect();
    }
    Ok(all)
}
