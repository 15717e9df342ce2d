//! Proxies that keep the contract behind them where ERC-1967 says.

use nsl_chain::{
    Body, Event,
    x::{Abi, Address, B256, NeoX, keccak256},
};
use nsl_core::Result;
use serde_json::{Value, json};

/// The slot of the implementation: keccak-256 of `eip1967.proxy.implementation`, less one.
const IMPLEMENTATION: B256 = B256::new([
    0x36, 0x08, 0x94, 0xa1, 0x3b, 0xa1, 0xa3, 0x21, 0x06, 0x67, 0xc8, 0x28, 0x49, 0x2d, 0xb9, 0x8d, 0xca, 0x3e, 0x20,
    0x76, 0xcc, 0x37, 0x35, 0xa9, 0x20, 0xa3, 0xca, 0x50, 0x5d, 0x38, 0x2b, 0xbc,
]);

/// The contract behind a proxy; none where it is none.
pub(crate) async fn behind(chain: &NeoX, proxy: Address) -> Result<Option<Address>> {
    let held = Address::from_word(chain.storage(proxy, IMPLEMENTATION).await?);
    Ok((!held.is_zero()).then_some(held))
}

/// A call that upgrades a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    pub(crate) method: &'static str,
    pub(crate) data: Vec<u8>,
}

/// The calls that proxies know for it, in the order in which they are tried.
pub(crate) fn upgrades(implementation: Address, call: Option<&[u8]>) -> Result<Vec<Upgrade>> {
    let function = |name: &str, types: &[&str]| {
        let inputs: Vec<Value> = types.iter().map(|kind| json!({"name": "", "type": kind})).collect();
        json!({"type": "function", "name": name, "stateMutability": "payable", "inputs": inputs, "outputs": []})
    };
    let abi =
        Abi::read(&json!([function("upgradeTo", &["address"]), function("upgradeToAndCall", &["address", "bytes"])]))?;
    let to = json!(implementation.to_checksum(None));
    let with = json!(format!("0x{}", hex::encode(call.unwrap_or_default())));
    let and_call = Upgrade { method: "upgradeToAndCall", data: abi.call("upgradeToAndCall", &[to.clone(), with])? };
    match call {
        Some(_) => Ok(vec![and_call]),
        None => Ok(vec![Upgrade { method: "upgradeTo", data: abi.call("upgradeTo", &[to])? }, and_call]),
    }
}

impl Upgrade {
    /// Whether what a run told shows that the proxy has moved (ERC-1967 asks it to say so).
    pub(crate) fn is_seen(events: &[Event], proxy: Address, implementation: Address) -> bool {
        let topic = keccak256("Upgraded(address)");
        events.iter().any(|event| match &event.body {
            Body::Log { topics, .. } => {
                event.contract.eq_ignore_ascii_case(&format!("{proxy:#x}"))
                    && topics.len() == 2
                    && topics[0].0 == topic.as_slice()
                    && topics[1].0 == implementation.into_word().as_slice()
            }
            Body::Notification { .. } => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_that_of_the_standard() {
        let mut slot = keccak256("eip1967.proxy.implementation").0;
        slot[31] -= 1;
        assert_eq!(IMPLEMENTATION.0, slot);
    }

    #[test]
    fn with_a_call_there_is_one_way_and_without_two() {
        let to = Address::repeat_byte(7);
        let plain = upgrades(to, None).unwrap();
        let methods: Vec<_> = plain.iter().map(|one| one.method).collect();
        assert_eq!(methods, ["upgradeTo", "upgradeToAndCall"]);
        assert_eq!(plain[0].data[..4], keccak256("upgradeTo(address)")[..4]);
        let with = upgrades(to, Some(&[1, 2])).unwrap();
        assert_eq!(with.len(), 1);
        assert_eq!(with[0].data[..4], keccak256("upgradeToAndCall(address,bytes)")[..4]);
    }
}
