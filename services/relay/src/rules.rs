//! What a request may look like.

use std::time::Duration;

use neo::stack::Param;
use nsl_api::{
    Chain,
    relay::{Call, Scope, Submit},
};
use nsl_core::{Code, Error, Result};
use serde::Deserialize;

/// Nodes of Neo X take no larger transaction; scripts of Neo N3 are shorter.
const MOST_DATA: usize = 128 << 10;
const MOST_SCRIPT: usize = 65_535;
/// What one transaction of Neo N3 may hold besides its script leaves room for so much.
const MOST_ARGS: usize = 48 << 10;
const LONGEST_METHOD: usize = 256;
const LONGEST_VALID: u64 = 7 * 24 * 3_600 * 1_000;

pub(crate) fn not_found() -> Error {
    Error::new(Code::NotFound, "relay.request_not_found", "there is no such request")
}

/// The account in the one form in which it is stored: `0x` and 40 small hex digits.
pub(crate) fn account(chain: Chain, text: &str) -> Result<String> {
    let refused =
        || Error::invalid("relay.account_malformed", "the account is not 0x and 40 hex digits, nor an address");
    if chain == Chain::NeoN3 && text.starts_with('N') {
        return neo::Hash160::from_address(text).map(|hash| hash.to_string()).map_err(|_| refused());
    }
    let digits = text.strip_prefix("0x").ok_or_else(refused)?;
    let fits = digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if fits { Ok(format!("0x{}", digits.to_ascii_lowercase())) } else { Err(refused()) }
}

/// An amount in the smallest unit of a chain.
pub(crate) fn amount(what: &str, text: &str) -> Result<u128> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| {
        let message = format!("{what} is not a whole number of the smallest unit as a decimal string");
        Error::invalid("relay.amount_malformed", message).detail("field", what)
    })
}

/// What is asked for, checked, in the form in which it is stored.
pub(crate) struct Asked {
    pub(crate) account: String,
    pub(crate) call: Call,
    pub(crate) max_fee: Option<u128>,
    pub(crate) valid_for: Option<Duration>,
}

/// Checks all of it, and gives each part one form.
pub(crate) fn asked(submit: &Submit) -> Result<Asked> {
    let valid_for = match submit.valid_for_ms {
        Some(0) => Err(Error::invalid("relay.valid_for_malformed", "valid_for_ms is 0")),
        Some(ms) if ms > LONGEST_VALID => {
            let message = format!("valid_for_ms is more than {LONGEST_VALID}, which is seven days");
            Err(Error::invalid("relay.valid_for_malformed", message))
        }
        ms => Ok(ms.map(Duration::from_millis)),
    };
    Ok(Asked {
        account: account(submit.chain, &submit.account)?,
        call: check(submit.chain, &submit.call)?,
        max_fee: submit.max_fee.as_deref().map(|fee| amount("max_fee", fee)).transpose()?,
        valid_for: valid_for?,
    })
}

/// The call, with all of it in one form.
pub(crate) fn check(chain: Chain, call: &Call) -> Result<Call> {
    match chain {
        Chain::NeoX => check_x(call),
        Chain::NeoN3 => check_n3(call),
    }
}

fn unfit(message: impl Into<String>) -> Error {
    Error::invalid("relay.call_unfit", message)
}

fn data(text: &str, most: usize) -> Result<String> {
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|_| Error::invalid("relay.data_malformed", "the data of the call is not 0x and hex digits"))?;
    if bytes.len() > most {
        let message = format!("the data of the call is larger than {most} bytes");
        return Err(Error::invalid("relay.data_too_large", message).detail("limit_bytes", most));
    }
    Ok(format!("0x{}", hex::encode(bytes)))
}

fn check_x(call: &Call) -> Result<Call> {
    let strange = [
        ("contract", call.contract.is_some()),
        ("method", call.method.is_some()),
        ("args", !call.args.is_empty()),
        ("share", call.share),
        ("scope", call.scope.is_some()),
        ("sponsor", call.sponsor.is_some()),
    ];
    if let Some((name, _)) = strange.iter().find(|(_, there)| *there) {
        return Err(unfit(format!("a call of Neo X has no `{name}`: it has `to`, `data` and `value`")));
    }
    let data = data(call.data.as_deref().unwrap_or("0x"), MOST_DATA)?;
    let to = call.to.as_deref().map(|to| account(Chain::NeoX, to)).transpose()?;
    if to.is_none() && data == "0x" {
        return Err(unfit("the call has neither `to` nor `data`: it would deploy nothing"));
    }
    let value = call.value.as_deref().unwrap_or("0");
    let sound = !value.is_empty()
        && value.bytes().all(|digit| digit.is_ascii_digit())
        && value.parse::<nsl_chain::x::U256>().is_ok();
    if !sound {
        return Err(Error::invalid("relay.value_malformed", "the value is not a whole number of wei"));
    }
    Ok(Call { to, data: Some(data), value: Some(value.to_owned()), ..Call::default() })
}

fn check_n3(call: &Call) -> Result<Call> {
    for (name, there) in [("to", call.to.is_some()), ("value", call.value.is_some())] {
        if there {
            return Err(unfit(format!(
                "a call of Neo N3 has no `{name}`: it is a script in `data`, or `contract`, `method` and `args`"
            )));
        }
    }
    let sponsor = call.sponsor.as_deref().map(|sponsor| account(Chain::NeoN3, sponsor)).transpose()?;
    if sponsor.is_some() && call.scope == Some(Scope::None) {
        return Err(unfit("a call that a sponsor pays needs the account's signature: its scope can't be none"));
    }
    let kept = Call { scope: call.scope, sponsor, share: call.share, ..Call::default() };
    match (call.data.as_deref(), call.contract.as_deref(), call.method.as_deref()) {
        (Some(script), None, None) if call.args.is_empty() => {
            if call.share {
                return Err(unfit("a script can't share a transaction: name `contract` and `method`"));
            }
            let script = data(script, MOST_SCRIPT)?;
            if script == "0x" {
                return Err(unfit("the script is empty"));
            }
            Ok(Call { data: Some(script), ..kept })
        }
        (None, Some(contract), Some(method)) => {
            if method.is_empty() || method.len() > LONGEST_METHOD {
                return Err(unfit(format!("the name of the method has not 1 to {LONGEST_METHOD} bytes")));
            }
            Ok(Call {
                contract: Some(account(Chain::NeoN3, contract)?),
                method: Some(method.to_owned()),
                args: arguments(&call.args)?,
                ..kept
            })
        }
        _ => Err(unfit("a call of Neo N3 has either `data`, which is a script, or `contract`, `method` and `args`")),
    }
}

fn arguments(args: &[serde_json::Value]) -> Result<Vec<serde_json::Value>> {
    let size: usize = args.iter().map(|one| one.to_string().len()).sum();
    if size > 2 * MOST_ARGS {
        let message = format!("the arguments have more than {} characters", 2 * MOST_ARGS);
        return Err(Error::invalid("relay.data_too_large", message).detail("limit_bytes", 2 * MOST_ARGS));
    }
    let checked = args.iter().enumerate().map(|(place, one)| {
        let param = Param::deserialize(one).map_err(|error| {
            let message = format!("argument {place} is not a typed parameter: {error}");
            Error::invalid("relay.argument_malformed", message).detail("argument", place)
        })?;
        serde_json::to_value(param).map_err(Error::internal)
    });
    checked.collect()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
