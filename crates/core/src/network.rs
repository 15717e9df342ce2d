use std::{fmt, net::IpAddr, str::FromStr};

/// A range of addresses such as `10.0.0.0/8`; an address alone is a range of one.
///
/// An IPv4 address in the clothes of IPv6 (`::ffff:10.0.0.1`) is taken for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.first) && cut(address, self.bits) == number(self.first)
    }

    /// Whether every address of the other is one of this.
    pub fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.contains(other.first)
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "a network is an address such as 203.0.113.7, or a range such as 10.0.0.0/8 or 2001:db8::/32";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| FORM)?;
        if first.to_canonical() != first {
            return Err("an IPv4 address is written as such, not as ::ffff:...");
        }
        let bits = match bits {
            None => width(first),
            Some(bits) if bits.len() <= 3 && !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| FORM)?
            }
            Some(_) => return Err(FORM),
        };
        if bits > width(first) {
            return Err(FORM);
        }
        if cut(first, bits) != number(first) {
            return Err("a range begins with its first address: 10.0.0.0/8, not 10.1.2.3/8");
        }
        Ok(Self { first, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address with all but its first `bits` bits zero.
fn cut(address: IpAddr, bits: u8) -> u128 {
    let rest = u32::from(width(address) - bits);
    number(address).checked_shr(rest).and_then(|kept| kept.checked_shl(rest)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_from_its_first_to_its_last() {
        for (text, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"][..],
                &["9.255.255.255", "11.0.0.0", "::"][..],
            ),
            ("203.0.113.7", &["203.0.113.7"], &["203.0.113.6", "203.0.113.8"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::", "2001:db8::1"]),
            ("::/0", &["::", "ffff::"], &["0.0.0.0", "::ffff:1.2.3.4"]),
            ("2001:db8::/32", &["2001:db8:ffff::1"], &["2001:db9::"]),
            ("::1", &["::1"], &["::2", "::", "0.0.0.1"]),
            ("192.168.1.128/25", &["192.168.1.128", "192.168.1.255"], &["192.168.1.127", "192.168.2.128"]),
        ] {
            for address in inside {
                assert!(network(text).contains(address.parse().unwrap()), "{address} in {text}");
            }
            for address in outside {
                assert!(!network(text).contains(address.parse().unwrap()), "{address} not in {text}");
            }
        }
    }

    #[test]
    fn one_covers_another_only_as_a_whole() {
        for (one, other, covers) in [
            ("10.0.0.0/8", "10.2.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.2.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("0.0.0.0/0", "::/0", false),
            ("::/0", "0.0.0.0/0", false),
            ("::/0", "2001:db8::1", true),
        ] {
            assert_eq!(network(one).covers(&network(other)), covers, "{one} covers {other}");
        }
    }

    #[test]
    fn it_is_written_one_way() {
        for (text, shown) in [("203.0.113.7", "203.0.113.7/32"), ("2001:DB8:0::/32", "2001:db8::/32"), ("::/0", "::/0")]
        {
            assert_eq!(network(text).to_string(), shown);
        }
        for wrong in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/08x",
            "10.0.0.1/8",
            "10.0.0/8",
            "010.0.0.0/8",
            "::ffff:10.0.0.1",
            "::ffff:10.0.0.0/104",
            "localhost",
            "10.0.0.0/8 ",
            "fe80::1%eth0",
            "2001:db8::1/32",
            "10.0.0.0/8/8",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong:?}");
        }
    }
}
