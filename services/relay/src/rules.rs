//! What a request may look like.

use nsl_api::{Chain, relay::Call};
use nsl_core::{Code, Error, Result};

/// Nodes of Neo X take no larger transaction; scripts of Neo N3 are shorter.
const MOST_DATA: usize = 128 << 10;
const MOST_SCRIPT: usize = 65_535;

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

/// The call, with all of it in one form.
pub(crate) fn check(chain: Chain, call: &Call) -> Result<Call> {
    let digits = call.data.strip_prefix("0x").unwrap_or(&call.data);
    let data = hex::decode(digits)
        .map_err(|_| Error::invalid("relay.data_malformed", "the data of the call is not 0x and hex digits"))?;
    let most = if chain == Chain::NeoN3 { MOST_SCRIPT } else { MOST_DATA };
    if data.len() > most {
        let message = format!("the data of the call is larger than {most} bytes");
        return Err(Error::invalid("relay.data_too_large", message).detail("limit_bytes", most));
    }
    let to = call.to.as_deref().map(|to| account(chain, to)).transpose()?;
    let value = call.value.as_deref().unwrap_or("0");
    let sound = !value.is_empty() && value.len() <= 78 && value.bytes().all(|digit| digit.is_ascii_digit());
    if !sound {
        return Err(Error::invalid("relay.value_malformed", "the value is not a whole number of wei"));
    }
    if chain == Chain::NeoN3 && (value != "0" || to.is_some() || data.is_empty()) {
        return Err(Error::invalid("relay.call_unfit", "a call of Neo N3 is a script: it has no `to` and no `value`"));
    }
    Ok(Call { to, data: format!("0x{}", hex::encode(data)), value: Some(value.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(data: &str, value: Option<&str>) -> Call {
        Call { to: None, data: data.into(), value: value.map(Into::into) }
    }

    #[test]
    fn an_account_has_one_form() {
        let address = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
        let hash = "0xa755f41b43031e7c45b7ca534a5f3759ac665214";
        assert_eq!(account(Chain::NeoN3, address).unwrap(), hash);
        assert_eq!(account(Chain::NeoX, &hash.replace("a755", "A755")).unwrap(), hash);
        for wrong in [address, "", "0x12", &hash[2..]] {
            assert!(account(Chain::NeoX, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_call_that_no_node_takes_is_refused() {
        assert_eq!(check(Chain::NeoX, &call("AB", None)).unwrap(), call("0xab", Some("0")));
        assert!(check(Chain::NeoX, &call("0xa", None)).is_err());
        assert!(check(Chain::NeoX, &call("0x", Some("-1"))).is_err());
        assert!(check(Chain::NeoX, &call("0x", Some("1e18"))).is_err());
        assert!(check(Chain::NeoX, &call(&"00".repeat(MOST_DATA + 1), None)).is_err());
        assert!(check(Chain::NeoN3, &call("0x11", Some("1"))).is_err());
        assert!(check(Chain::NeoN3, &call("0x", None)).is_err());
    }
}
