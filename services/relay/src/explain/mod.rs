//! Why a request is where it is, in words and down to the instruction where a node tells.

mod n3;
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
        match asked.chain {
            Chain::NeoX => {
                let chain = self.x.as_ref().ok_or_else(crate::accounts::missing)?;
                explanation.fault = x::fault(chain, &kept, asked.abi.as_ref()).await?;
            }
            Chain::NeoN3 => {
                let desk = self.n3.as_ref().ok_or_else(crate::accounts::missing)?;
                let told = n3::tell(&desk.chain, &kept).await?;
                (explanation.fault, explanation.steps) = (told.fault, told.steps);
            }
        }
        Ok(explanation)
    }
}
