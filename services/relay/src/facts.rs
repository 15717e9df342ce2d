//! What policies of a tenant may know of a transaction, and which transfers count as large.
//!
//! Only amounts of the coins themselves are known: the value of a call on Neo X, and the amount of a `transfer` that is
//! called on GAS or NEO on Neo N3. What other tokens are worth, and what a script does, nobody knows here.

use neo::native;
use nsl_api::{Chain, relay::Call};
use nsl_core::{Cx, Error, Facts, Result, Timestamp};

/// A call as policies see it.
pub(crate) struct Seen {
    chain: Chain,
    /// In whole coins.
    amount: Option<String>,
    contract: Option<String>,
    /// The name of a method, or the selector of one on Neo X.
    method: Option<String>,
    /// A script: what it moves is unknown.
    opaque: bool,
}

const WRITE: &str = "relay:write";
/// `0x` and the four bytes of a selector.
const SELECTOR: usize = 10;

impl Seen {
    /// Of a call in the form in which it is stored.
    pub(crate) fn of(chain: Chain, call: &Call) -> Self {
        match chain {
            Chain::NeoX => Self {
                chain,
                amount: call.value.as_deref().map(|value| whole(value, 18)),
                contract: call.to.clone(),
                method: call.data.as_deref().and_then(|data| data.get(..SELECTOR)).map(str::to_owned),
                opaque: false,
            },
            Chain::NeoN3 => Self {
                chain,
                amount: transferred(call),
                contract: call.contract.clone(),
                method: call.method.clone(),
                opaque: call.data.is_some(),
            },
        }
    }

    pub(crate) fn permit(&self, cx: &Cx) -> Result<()> {
        cx.permit_on(
            WRITE,
            &Facts {
                chain: Some(self.chain.as_str()),
                contract: self.contract.as_deref(),
                method: self.method.as_deref(),
                amount: self.amount.as_deref(),
                ..Facts::of("transaction", "")
            },
        )
    }

    /// Asks for a second factor where the transfer is as large as `bound` or larger; also where nobody can tell.
    pub(crate) fn check_large(&self, cx: &Cx, bound: Option<u128>, now: Timestamp) -> Result<()> {
        let Some(bound) = bound else { return Ok(()) };
        let digits = if self.chain == Chain::NeoN3 { 8 } else { 18 };
        let is_large = match &self.amount {
            Some(amount) => smallest(amount, digits).is_none_or(|amount| amount >= bound),
            None => self.opaque,
        };
        if !is_large {
            return Ok(());
        }
        cx.second_factor(now).map_err(|error| why(error, self.chain))
    }
}

fn why(mut error: Error, chain: Chain) -> Error {
    error.message = format!("{}: it is a large transfer on {}", error.message, chain.as_str());
    error
}

/// The amount of a transfer of GAS or NEO.
fn transferred(call: &Call) -> Option<String> {
    let contract = call.contract.as_deref()?;
    let digits = match contract {
        _ if contract == native::GAS.to_string() => 8,
        _ if contract == native::NEO.to_string() => 0,
        _ => return None,
    };
    if call.method.as_deref() != Some("transfer") {
        return None;
    }
    let amount = match &call.args.get(2)?["value"] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // What is no plain number counts as the greatest amount to those who ask.
    Some(if is_number(&amount) { whole(&amount, digits) } else { amount })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An amount of the smallest unit in whole coins.
fn whole(amount: &str, digits: usize) -> String {
    if digits == 0 {
        return amount.to_owned();
    }
    let padded = format!("{amount:0>width$}", width = digits + 1);
    let (coins, part) = padded.split_at(padded.len() - digits);
    format!("{coins}.{part}")
}

/// The other way round; none for what is no number, or a greater one than there are coins.
fn smallest(amount: &str, digits: usize) -> Option<u128> {
    let (coins, part) = amount.split_once('.').unwrap_or((amount, ""));
    if !is_number(coins) || part.len() > digits {
        return None;
    }
    format!("{coins}{part:0<digits$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nsl_core::{PrincipalKind, TenantId};
    use serde_json::json;

    use super::*;

    fn x(value: &str) -> Seen {
        let data = "0xa9059cbb00000000".to_owned();
        Seen::of(
            Chain::NeoX,
            &Call { to: Some("0x12".to_owned()), data: Some(data), value: Some(value.to_owned()), ..Call::default() },
        )
    }

    fn n3(contract: String, method: &str, amount: serde_json::Value) -> Seen {
        let args =
            vec![json!({"type": "Hash160"}), json!({"type": "Hash160"}), json!({"type": "Integer", "value": amount})];
        let (contract, method) = (Some(contract), Some(method.to_owned()));
        Seen::of(Chain::NeoN3, &Call { contract, method, args, ..Call::default() })
    }

    #[test]
    fn amounts_are_whole_coins_on_both_chains() {
        let gas = || native::GAS.to_string();
        for (seen, amount) in [
            (x("0"), Some("0.000000000000000000")),
            (x("1500000000000000000"), Some("1.500000000000000000")),
            (n3(gas(), "transfer", json!("150000000")), Some("1.50000000")),
            (n3(gas(), "transfer", json!(7)), Some("0.00000007")),
            (n3(gas(), "transfer", json!("-1")), Some("-1")),
            (n3(native::NEO.to_string(), "transfer", json!("3")), Some("3")),
            (n3(gas(), "balanceOf", json!("3")), None),
            (n3("0x12".to_owned(), "transfer", json!("3")), None),
        ] {
            assert_eq!(seen.amount.as_deref(), amount);
        }
        assert_eq!(x("1").method.as_deref(), Some("0xa9059cbb"));
        let plain = Call { to: Some("0x12".to_owned()), data: Some("0x".to_owned()), ..Call::default() };
        assert_eq!(Seen::of(Chain::NeoX, &plain).method, None);
    }

    #[test]
    fn a_large_transfer_needs_a_person_with_a_fresh_second_factor() {
        let (now, coin) = (Timestamp(10_000_000_000), 10_u128.pow(18));
        let mut cx = Cx::system(TenantId::fresh(), Duration::from_secs(1));
        cx.principal.kind = PrincipalKind::ApiKey;
        let slug = |cx: &Cx, seen: &Seen, bound: u128| {
            seen.check_large(cx, Some(bound), now).map_err(|error| error.slug.into_owned())
        };
        let needed = || Err("auth.person_needed".to_owned());
        assert!(x(&u128::MAX.to_string()).check_large(&cx, None, now).is_ok());
        assert_eq!(slug(&cx, &x("999999999999999999"), coin), Ok(()));
        assert_eq!(slug(&cx, &x("1000000000000000000"), coin), needed());
        assert_eq!(slug(&cx, &x(&"9".repeat(70)), coin), needed());
        let script = Call { data: Some("0x11".to_owned()), ..Call::default() };
        assert_eq!(slug(&cx, &Seen::of(Chain::NeoN3, &script), 1), needed());
        let gas = |amount| n3(native::GAS.to_string(), "transfer", amount);
        assert_eq!(slug(&cx, &gas(json!("99")), 100), Ok(()));
        assert_eq!(slug(&cx, &gas(json!("100")), 100), needed());
        assert_eq!(slug(&cx, &gas(json!("-100")), 100), needed());
        cx.principal.kind = PrincipalKind::Token;
        cx.principal.session = Some("ses_1".into());
        assert_eq!(slug(&cx, &gas(json!("100")), 100), Err("auth.step_up".to_owned()));
        cx.principal.second_factor_at = Some(now);
        assert_eq!(slug(&cx, &gas(json!("100")), 100), Ok(()));
    }
}
