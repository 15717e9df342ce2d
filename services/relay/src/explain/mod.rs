//! Why a request is where it is, in words and down to the instruction where a node tells.

mod x;

use nsl_api::{
    Chain,
    relay::{Explain, Explanation},
};
use nsl_core::Result;

use crate::{accounts::Accounts, service::state, store::Kept};

impl Accounts {
    pub(crate) async fn explain(&self, kept: Kept, asked: Explain) -> Result<Explanation> {
        let mut explanation = Explanation {
            state: state(&kept.state)?,
            tx: kept.hash.clone(),
            reason: kept.reason.clone(),
            fault: None,
            steps: None,
        };
        match (asked.chain, &self.x) {
            (Chain::NeoX, Some(chain)) => explanation.fault = x::fault(chain, &kept, asked.abi.as_ref()).await?,
            _ => {}
        }
        Ok(explanation)
    }
}
