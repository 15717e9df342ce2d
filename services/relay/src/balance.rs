//! What accounts hold, as the chains say.

use neo::{
    Hash160, native,
    script::{Builder, CallFlags},
    stack::Param,
};
use nsl_api::{
    Chain,
    relay::{AskBalance, Balance},
};
use nsl_chain::{
    n3::{self, NeoN3, Shown},
    x::Address,
};
use nsl_core::{Error, Result};

use crate::{
    accounts::{Accounts, missing},
    rules,
};

impl Accounts {
    pub(crate) async fn balance(&self, asked: AskBalance) -> Result<Balance> {
        let chain = asked.chain;
        let account = rules::account(chain, &asked.account)?;
        match chain {
            Chain::NeoX => {
                let node = self.x.as_ref().ok_or_else(missing)?;
                let address: Address = account.parse().map_err(Error::internal)?;
                let gas = node.balance(address).await?.to_string();
                Ok(Balance { chain, account, address: address.to_checksum(None), gas, neo: None })
            }
            Chain::NeoN3 => {
                let node = &self.n3.as_ref().ok_or_else(missing)?.chain;
                let hash: Hash160 = account.parse().map_err(Error::internal)?;
                let (gas, neo) = tokio::try_join!(held(node, native::GAS, hash), held(node, native::NEO, hash))?;
                let unknown = || Error::internal(anyhow::anyhow!("a native token tells no number"));
                let (gas, neo) = (gas.ok_or_else(unknown)?, neo.ok_or_else(unknown)?);
                Ok(Balance {
                    chain,
                    account,
                    address: hash.address(),
                    gas: gas.to_string(),
                    neo: Some(neo.to_string()),
                })
            }
        }
    }
}

/// What an account holds of a token, in its smallest unit; none where the token does not tell it as a number.
pub(crate) async fn held(chain: &NeoN3, token: Hash160, account: Hash160) -> Result<Option<i64>> {
    let mut script = Builder::new();
    script.call(&token, "balanceOf", CallFlags::READ_ONLY, &[Param::Hash160(account)]);
    let script = script.finish().map_err(Error::internal)?;
    let run = chain.invoke(&n3::Call { script, signers: Vec::new() }, None).await?;
    let Shown::Known(stack) = &run.stack else { return Ok(None) };
    let told = stack.first().and_then(|balance| balance.as_integer().ok());
    Ok(told.and_then(|balance| i64::try_from(balance).ok()))
}
