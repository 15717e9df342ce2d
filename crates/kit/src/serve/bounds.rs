use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::settings::HttpSettings;

use super::network::Network;

/// How many connections there may be, overall and of one address.
pub(super) struct Bounds {
    overall: u32,
    per_address: u32,
    exempt_loopback: bool,
    exempt: Vec<Network>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    overall: u32,
    by_address: HashMap<IpAddr, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Overall,
    Address,
}

impl Refusal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overall => "overall",
            Self::Address => "address",
        }
    }
}

/// One open connection; dropping it makes room.
pub(super) struct Permit {
    bounds: Arc<Bounds>,
    counted: Option<IpAddr>,
}

impl Bounds {
    pub(super) fn new(http: &HttpSettings) -> Self {
        Self {
            overall: http.max_connections,
            per_address: http.max_connections_per_address,
            exempt_loopback: http.exempt_loopback,
            exempt: http.trusted_proxies.clone(),
            open: Mutex::default(),
        }
    }

    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Refusal> {
        let exempt = (self.exempt_loopback && address.to_canonical().is_loopback())
            || self.exempt.iter().any(|network| network.contains(address));
        let counted = (!exempt).then(|| group(address));
        let mut open = self.open.lock();
        if open.overall >= self.overall {
            return Err(Refusal::Overall);
        }
        if let Some(group) = counted {
            let count = open.by_address.entry(group).or_insert(0);
            if *count >= self.per_address {
                return Err(Refusal::Address);
            }
            *count += 1;
        }
        open.overall += 1;
        Ok(Permit { bounds: Arc::clone(self), counted })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.bounds.open.lock();
        open.overall -= 1;
        if let Some(group) = self.counted
            && let Some(count) = open.by_address.get_mut(&group)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&group);
            }
        }
    }
}

/// One customer has a whole /64 of IPv6, so that counts as one address.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(overall: u32, per_address: u32) -> Arc<Bounds> {
        Arc::new(Bounds {
            overall,
            per_address,
            exempt_loopback: true,
            exempt: vec!["10.0.0.0/8".parse().unwrap()],
            open: Mutex::default(),
        })
    }

    #[test]
    fn one_address_cannot_take_all() {
        let bounds = bounds(4, 2);
        let admit = |address: &str| bounds.admit(address.parse().unwrap());
        let held = [admit("192.0.2.1").unwrap(), admit("192.0.2.1").unwrap()];
        assert_eq!(admit("192.0.2.1").err(), Some(Refusal::Address));
        assert_eq!(admit("::ffff:192.0.2.1").err(), Some(Refusal::Address));
        let _other = admit("192.0.2.2").unwrap();
        drop(held);
        assert!(admit("192.0.2.1").is_ok());
        assert_eq!(bounds.open.lock().by_address.len(), 1, "addresses without connections are forgotten");
    }

    #[test]
    fn neighbours_of_a_64_are_one_and_exempt_ones_still_count_overall() {
        let bounds = bounds(4, 1);
        let admit = |address: &str| bounds.admit(address.parse().unwrap());
        let _first = admit("2001:db8::1").unwrap();
        assert_eq!(admit("2001:db8::2").err(), Some(Refusal::Address));
        let _more = [admit("10.0.0.1").unwrap(), admit("10.0.0.1").unwrap(), admit("127.0.0.1").unwrap()];
        assert_eq!(admit("127.0.0.1").err(), Some(Refusal::Overall));
    }
}
