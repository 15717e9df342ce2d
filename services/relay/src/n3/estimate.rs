//! What a transaction would cost, without signing it.

use std::sync::Arc;

use nsl_core::Result;
use serde_json::Value;

use super::{
    N3Node, N3Pace,
    ask::Ask,
    assemble::{Terms, unsigned},
    scope::{Trial, Tryout, refused, well},
};
use crate::{
    dispatch::{Nodes, View},
    store::LaneKey,
};

/// Exactly what would be sent, in 10⁻⁸ GAS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub system_fee: i64,
    pub network_fee: i64,
    /// The scopes of the account's signature, as people of Neo N3 write them.
    pub scope: String,
}

/// What a call of an account would cost. The inner error is the reason for which it would be undone.
pub(crate) async fn estimate(nodes: &dyn Nodes, lane: &LaneKey, intent: &Value, pace: &N3Pace) -> Tryout<Estimate> {
    let ask = Ask::read(intent)?;
    let (node, sponsor) = well!(signers(nodes, lane, &ask).await);
    let script = ask.script()?;
    let trial = Trial { script: &script, account: node.signer.account(), sponsor: ask.sponsor };
    let tried = well!(node.desk.try_out(trial, ask.scope).await);
    let rules = node.desk.rules().await?;
    let terms = Terms { valid_until: pace.valid_blocks, ..Terms::default() };
    let signers: Vec<_> = sponsor.iter().chain([&node]).map(|node| &*node.signer).collect();
    let transaction = well!(refused(unsigned(&tried, &signers, &terms, &rules)));
    let scope = transaction.signers.last().map(|signer| signer.scopes.to_string()).unwrap_or_default();
    Ok(Ok(Estimate { system_fee: transaction.system_fee, network_fee: transaction.network_fee, scope }))
}

/// The account, and who pays for it where that is another one. The inner error says why it can't be.
pub(super) async fn signers(
    nodes: &dyn Nodes,
    lane: &LaneKey,
    ask: &Ask,
) -> Tryout<(Arc<N3Node>, Option<Arc<N3Node>>)> {
    let node = n3(nodes.node(lane).await?)?;
    let Some(sponsor) = ask.sponsor.filter(|sponsor| *sponsor != node.signer.account()) else {
        return Ok(Ok((node, None)));
    };
    let lane = LaneKey { account: sponsor.to_string().into(), ..lane.clone() };
    match nodes.node(&lane).await {
        Ok(view) => Ok(Ok((node, Some(n3(view)?)))),
        Err(error) if error.code == nsl_core::Code::NotFound => {
            Ok(Err(format!("the sponsor: {}", error.message).into()))
        }
        Err(error) => Err(error),
    }
}

pub(super) fn n3(view: View) -> Result<Arc<N3Node>> {
    match view {
        View::N3(node) => Ok(node),
        View::X(_) => Err(nsl_core::Error::internal(anyhow::anyhow!("an account of the other chain"))),
    }
}
