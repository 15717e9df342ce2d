//! What sending a call would take.

use std::sync::Arc;

use nsl_api::relay::Estimate;
use nsl_core::Result;

use crate::{
    accounts::Accounts,
    dispatch::{Nodes, View},
    n3,
    node::Refusal,
    store::LaneKey,
};

impl Accounts {
    /// Exactly what would be signed now. The inner error is the reason for which it would be undone.
    pub(crate) async fn estimate(
        &self,
        lane: &LaneKey,
        intent: Arc<serde_json::Value>,
    ) -> Result<std::result::Result<Estimate, Refusal>> {
        let node = match self.node(lane).await? {
            View::X(node) => node,
            View::N3(_) => return self.estimate_n3(lane, &intent).await,
        };
        let price = node.price().await?;
        Ok(node.try_out(&"estimate".into(), &intent).await?.map(|ready| Estimate {
            fee: ready.cost(price).to_string(),
            system_fee: None,
            network_fee: None,
            scope: None,
            gas_limit: Some(ready.gas),
            max_fee_per_gas: Some(price.to_string()),
        }))
    }

    async fn estimate_n3(
        &self,
        lane: &LaneKey,
        intent: &serde_json::Value,
    ) -> Result<std::result::Result<Estimate, Refusal>> {
        let estimated = n3::estimate(self, lane, intent, &n3::N3Pace::default()).await?;
        Ok(estimated.map(|estimated| Estimate {
            fee: (estimated.system_fee + estimated.network_fee).to_string(),
            system_fee: Some(estimated.system_fee.to_string()),
            network_fee: Some(estimated.network_fee.to_string()),
            scope: Some(estimated.scope),
            gas_limit: None,
            max_fee_per_gas: None,
        }))
    }
}
