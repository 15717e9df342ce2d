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

/// The slot of the admin: keccak-256 of `eip1967.proxy.admin`, less one.
const ADMIN: B256 = B256::new([
    0xb5, 0x31, 0x27, 0x68, 0x4a, 0x56, 0x8b, 0x31, 0x73, 0xae, 0x13, 0xb9, 0xf8, 0xa6, 0x01, 0x6e, 0x24, 0x3e, 0x63,
    0xb6, 0xe8, 0xee, 0x11, 0x78, 0xd6, 0xa7, 0x17, 0x85, 0x0b, 0x5d, 0x61, 0x03,
]);

/// The contract behind a proxy; none where it is none.
pub(crate) async fn behind(chain: &NeoX, proxy: Address) -> Result<Option<Address>> {
    held(chain, proxy, IMPLEMENTATION).await
}

/// The contract that alone may upgrade a proxy; none where that is up to an account or to the proxy itself.
pub(crate) async fn admin(chain: &NeoX, proxy: Address) -> Result<Option<Address>> {
    match held(chain, proxy, ADMIN).await? {
        Some(admin) => Ok((!chain.code(admin).await?.is_empty()).then_some(admin)),
        None => Ok(None),
    }
}

async fn held(chain: &NeoX, proxy: Address, slot: B256) -> Result<Option<Address>> {
    let held = Address::from_word(chain.storage(proxy, slot).await?);
    Ok((!held.is_zero()).then_some(held))
}

/// A call that upgrades a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    pub(crate) to: Address,
    pub(crate) method: &'static str,
    pub(crate) data: Vec<u8>,
}

/// The calls that proxies and contracts that administer them know for it, in the order in which they are tried. With a
/// call to follow, only those that make it.
pub(crate) fn upgrades(
    proxy: Address,
    admin: Option<Address>,
    implementation: Address,
    call: Option<&[u8]>,
) -> Result<Vec<Upgrade>> {
    let word = |address: Address| json!(address.to_checksum(None));
    let (of, new) = (word(proxy), word(implementation));
    let follow = json!(format!("0x{}", hex::encode(call.unwrap_or_default())));
    let mut ways = Vec::new();
    if let Some(admin) = admin {
        ways.push((admin, "upgrade", vec![of.clone(), new.clone()]));
        ways.push((admin, "upgradeAndCall", vec![of, new.clone(), follow.clone()]));
    }
    ways.push((proxy, "upgradeTo", vec![new.clone()]));
    ways.push((proxy, "upgradeToAndCall", vec![new, follow]));
    ways.retain(|(_, method, _)| call.is_none() || method.ends_with("AndCall"));
    let abi = abi()?;
    ways.into_iter().map(|(to, method, args)| Ok(Upgrade { to, method, data: abi.call(method, &args)? })).collect()
}

fn abi() -> Result<Abi> {
    let function = |name: &str, types: &[&str]| {
        let inputs: Vec<Value> = types.iter().map(|kind| json!({"name": "", "type": kind})).collect();
        json!({"type": "function", "name": name, "stateMutability": "payable", "inputs": inputs, "outputs": []})
    };
    Abi::read(&json!([
        function("upgradeTo", &["address"]),
        function("upgradeToAndCall", &["address", "bytes"]),
        function("upgrade", &["address", "address"]),
        function("upgradeAndCall", &["address", "address", "bytes"]),
    ]))
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
    fn the_slots_are_those_of_the_standard() {
        for (slot, name) in [(IMPLEMENTATION, "eip1967.proxy.implementation"), (ADMIN, "eip1967.proxy.admin")] {
            let mut word = keccak256(name).0;
            word[31] -= 1;
            assert_eq!(slot.0, word, "{name}");
        }
    }

    #[test]
    fn each_way_to_upgrade_is_known_by_its_selector() {
        let (proxy, admin, new) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(7));
        let ways = |admin, call| {
            let ways = upgrades(proxy, admin, new, call).unwrap();
            ways.into_iter().map(|way| (way.to, way.data[..4].to_vec())).collect::<Vec<_>>()
        };
        let way = |to, signature: &str| (to, keccak256(signature)[..4].to_vec());
        let direct = [way(proxy, "upgradeTo(address)"), way(proxy, "upgradeToAndCall(address,bytes)")];
        assert_eq!(ways(None, None), direct);
        let by_admin = [way(admin, "upgrade(address,address)"), way(admin, "upgradeAndCall(address,address,bytes)")];
        assert_eq!(ways(Some(admin), None), [by_admin.clone(), direct.clone()].concat());
        assert_eq!(ways(Some(admin), Some(&[1])), [by_admin[1].clone(), direct[1].clone()]);
    }
}
