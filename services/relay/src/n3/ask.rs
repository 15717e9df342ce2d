//! What a stored request asks for.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{
    Hash160,
    script::{Builder, CallFlags, Invocation},
    stack::Param,
    tx::Transaction,
    wire::Wire,
};
use nsl_api::relay::{Call, Scope};
use nsl_core::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// The field of an intent that is a transaction which is signed already, in base64.
pub(crate) const SIGNED: &str = "signed";

/// What is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Script(Vec<u8>),
    Call(Invocation),
    /// It goes as it is, or not at all.
    Signed(Box<Transaction>),
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) what: What,
    pub(crate) scope: Scope,
    pub(crate) sponsor: Option<Hash160>,
    pub(crate) may_share: bool,
}

impl Ask {
    pub(crate) fn read(intent: &Value) -> Result<Self> {
        if let Some(signed) = intent.get(SIGNED) {
            let bytes =
                signed.as_str().and_then(|text| BASE64.decode(text).ok()).ok_or_else(|| broken("transaction"))?;
            let transaction = Transaction::from_bytes(&bytes).map_err(|_| broken("transaction"))?;
            let what = What::Signed(Box::new(transaction));
            return Ok(Self { what, scope: Scope::Minimal, sponsor: None, may_share: false });
        }
        Self::of(&Call::deserialize(intent).map_err(Error::internal)?)
    }

    pub(crate) fn of(call: &Call) -> Result<Self> {
        let what = match (&call.contract, &call.method) {
            (Some(contract), Some(method)) => {
                let contract = contract.parse().map_err(|_| broken("contract"))?;
                let args = call.args.iter().map(Param::from_json).collect::<neo::Result<_>>();
                let args = args.map_err(|error| {
                    Error::invalid("relay.args_malformed", format!("the arguments of the call: {error}"))
                })?;
                What::Call(Invocation { contract, method: method.clone(), flags: CallFlags::ALL, args })
            }
            _ => {
                let data = call.data.as_deref().unwrap_or_default();
                What::Script(hex::decode(data.trim_start_matches("0x")).map_err(|_| broken("script"))?)
            }
        };
        let sponsor = call.sponsor.as_deref().map(str::parse).transpose().map_err(|_| broken("sponsor"))?;
        let scope = call.scope.unwrap_or_default();
        // What a signature is to name for one call is nothing for another.
        let may_share = call.share && matches!(what, What::Call(_)) && scope != Scope::Contracts;
        Ok(Self { what, scope, sponsor, may_share })
    }

    pub(crate) fn script(&self) -> Result<Vec<u8>> {
        match &self.what {
            What::Script(script) => Ok(script.clone()),
            What::Call(call) => Builder::new()
                .call(&call.contract, &call.method, call.flags, &call.args)
                .finish()
                .map_err(|error| Error::invalid("relay.args_malformed", format!("the arguments of the call: {error}"))),
            What::Signed(transaction) => Ok(transaction.script.clone()),
        }
    }
}

fn broken(what: &str) -> Error {
    Error::internal(anyhow::anyhow!("a stored call of Neo N3 has a broken {what}"))
}

#[cfg(test)]
mod tests {
    use neo::native;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_and_its_script_are_the_same() {
        let intent = json!({
            "contract": native::GAS, "method": "transfer", "share": true, "scope": "none",
            "args": [{"type": "Hash160", "value": native::NEO}, {"type": "Integer", "value": "1"}],
        });
        let ask = Ask::read(&intent).unwrap();
        assert!(ask.may_share && ask.scope == Scope::None && ask.sponsor.is_none());
        let script = ask.script().unwrap();
        let raw = Ask::read(&json!({"data": format!("0x{}", hex::encode(&script)), "share": true})).unwrap();
        assert!(!raw.may_share, "a script of one's own may do anything");
        assert_eq!((raw.scope, raw.script().unwrap()), (Scope::Minimal, script.clone()));
        let mut wider = intent.clone();
        wider["scope"] = "contracts".into();
        assert!(!Ask::read(&wider).unwrap().may_share, "it names contracts for itself only");
    }

    #[test]
    fn arguments_that_no_node_takes_are_told() {
        let intent = json!({"contract": native::GAS, "method": "x", "args": [{"type": "Integer", "value": "one"}]});
        assert_eq!(Ask::read(&intent).unwrap_err().slug, "relay.args_malformed");
    }
}
