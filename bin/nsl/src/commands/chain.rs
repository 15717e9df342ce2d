//! The chains as command lines name them, and amounts on them.

use clap::ValueEnum;
use neo::{Hash160, native};

use crate::exit::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Chain {
    NeoN3,
    NeoX,
}

impl Chain {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NeoN3 => "neo-n3",
            Self::NeoX => "neo-x",
        }
    }

    fn decimals(self) -> usize {
        match self {
            Self::NeoN3 => 8,
            Self::NeoX => 18,
        }
    }

    /// An amount in the smallest unit: such a whole number, or GAS (and gwei on Neo X) where the text says so.
    pub(crate) fn amount(self, text: &str) -> Result<String, Failure> {
        let lower = text.trim().to_ascii_lowercase();
        let (number, places) = match (lower.strip_suffix("gas"), lower.strip_suffix("gwei"), self) {
            (Some(number), ..) => (number, self.decimals()),
            (None, Some(number), Self::NeoX) => (number, 9),
            _ => (lower.as_str(), 0),
        };
        smallest(number.trim_end(), places).ok_or_else(|| {
            let units = if self == Self::NeoX { "wei, 20gwei or 0.5gas" } else { "units of 10^-8 GAS, or 0.5gas" };
            Failure::usage(format!("{text:?} is no amount on {}: write {units}", self.name()))
        })
    }

    /// An amount of the smallest unit, for people.
    pub(crate) fn gas(self, smallest: &str) -> String {
        let places = self.decimals();
        if smallest.is_empty() || !smallest.bytes().all(|byte| byte.is_ascii_digit()) {
            return crate::show::clean(smallest);
        }
        let padded = format!("{smallest:0>width$}", width = places + 1);
        let (whole, part) = padded.split_at(padded.len() - places);
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        let whole = if whole.is_empty() { "0" } else { whole };
        if part.is_empty() { format!("{whole} GAS") } else { format!("{whole}.{part} GAS") }
    }

    /// A contract as the API names it. On N3, native contracts are known by their names.
    pub(crate) fn contract(self, text: &str) -> Result<String, Failure> {
        if self == Self::NeoX {
            return self.address(text);
        }
        let short = |name: &'static str| name.strip_suffix("Token").unwrap_or(name);
        let named = |name| text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(short(name));
        match native::ALL.iter().find(|(name, _)| named(name)) {
            Some((_, hash)) => Ok(hash.to_string()),
            None => Hash160::from_text(text).map(|hash| hash.to_string()).map_err(|error| {
                let natives: Vec<&str> = native::ALL.iter().map(|(name, _)| short(name)).collect();
                let natives = natives.join(", ");
                Failure::usage(format!("{text:?} names no contract: {error}; native ones are {natives}"))
            }),
        }
    }

    /// An address as the API takes it. One of Neo X with wrong capitals may have been copied wrongly.
    pub(crate) fn address(self, text: &str) -> Result<String, Failure> {
        let read = |text: &str| nsl_chain::x::address(text).is_some();
        if self == Self::NeoX && !read(text) && read(&text.to_ascii_lowercase()) && text.starts_with("0x") {
            return Err(Failure::usage(format!(
                "the capitals of {text} do not fit its checksum: write it in lower case, or copy it anew"
            )));
        }
        Ok(text.to_owned())
    }
}

// A decimal number in its smallest units.
fn smallest(text: &str, places: usize) -> Option<String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = !whole.is_empty() && digits(whole) && digits(part) && part.len() <= places;
    if !fits || (text.contains('.') && part.is_empty()) {
        return None;
    }
    let number = format!("{whole}{part:0<places$}");
    let number = number.trim_start_matches('0');
    // Beyond 256 bits there is no amount on any chain.
    (number.len() <= 78).then(|| if number.is_empty() { "0".to_owned() } else { number.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_say_their_unit() {
        for (chain, text, amount) in [
            (Chain::NeoN3, "7", Some("7")),
            (Chain::NeoN3, "0.5gas", Some("50000000")),
            (Chain::NeoN3, "12 GAS", Some("1200000000")),
            (Chain::NeoN3, "0.00000001gas", Some("1")),
            (Chain::NeoN3, "0.000000001gas", None),
            (Chain::NeoN3, "20gwei", None),
            (Chain::NeoN3, "0.5", None),
            (Chain::NeoN3, "-1", None),
            (Chain::NeoN3, "", None),
            (Chain::NeoN3, "gas", None),
            (Chain::NeoN3, "1.gas", None),
            (Chain::NeoX, "0", Some("0")),
            (Chain::NeoX, "007", Some("7")),
            (Chain::NeoX, "20gwei", Some("20000000000")),
            (Chain::NeoX, "1.5gas", Some("1500000000000000000")),
            (Chain::NeoX, "0x10", None),
            (Chain::NeoX, "1e3", None),
        ] {
            assert_eq!(chain.amount(text).ok().as_deref(), amount, "{text}");
        }
        for (chain, text, shown) in [
            (Chain::NeoN3, "0", "0 GAS"),
            (Chain::NeoN3, "1", "0.00000001 GAS"),
            (Chain::NeoN3, "150000000", "1.5 GAS"),
            (Chain::NeoX, "21000000000000000000", "21 GAS"),
            (Chain::NeoX, "x\u{1b}", "x\u{fffd}"),
        ] {
            assert_eq!(chain.gas(text), shown);
        }
    }

    #[test]
    fn contracts_go_by_hash_address_and_native_name() {
        let gas = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
        for text in ["gastoken", "Gas", "GAS", &gas[2..], gas, "NepwUjd9GhqgNkrfXaxj9mmsFhFzGoFuWM"] {
            match Chain::NeoN3.contract(text) {
                Ok(hash) => assert_eq!(hash, gas, "{text}"),
                Err(failure) => panic!("{text}: {failure}"),
            }
        }
        let unknown = Chain::NeoN3.contract("gsa").unwrap_err().message;
        assert!(unknown.contains("names no contract") && unknown.contains("Neo, Gas, PolicyContract"), "{unknown}");
        assert_eq!(Chain::NeoX.contract("0xAb").unwrap(), "0xAb");
    }

    #[test]
    fn capitals_of_an_address_are_checked() {
        let right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        for text in [right, &right.to_ascii_lowercase(), "0xAb", "nothing"] {
            assert_eq!(Chain::NeoX.address(text).unwrap(), text);
        }
        let wrong = Chain::NeoX.address(&right.replace("aA", "Aa")).unwrap_err();
        assert!(wrong.message.contains("write it in lower case"), "{}", wrong.message);
    }
}
