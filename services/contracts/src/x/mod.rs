//! Contracts of Neo X: what is checked before anything is sent, and what is sent.

mod code;
mod difference;
mod face;
mod proxy;

pub(crate) use code::{abi, code, deployment, wei};
pub(crate) use difference::differences;
pub(crate) use face::Faces;
pub(crate) use proxy::{Upgrade, admin, behind, upgrades};

use nsl_api::{contracts::Told, relay::Call};
use nsl_chain::Bytes;
use nsl_chain::x::Address;

/// A call, as the relay takes it.
pub(crate) fn wire(to: Option<Address>, data: &[u8], value: Option<&str>) -> Call {
    Call {
        to: to.map(|to| format!("{to:#x}")),
        data: Some(Bytes(data.to_vec()).to_string()),
        value: value.map(str::to_owned),
        ..Call::default()
    }
}

/// A log in the words of an ABI, or as it is where none fits.
pub(crate) fn told(contract: &str, topics: &[Bytes], data: &Bytes, faces: &Faces) -> Told {
    let named = faces.event(topics, data);
    let raw = named.is_none();
    let (name, values) = named.map(|named| (named.name, named.values)).unzip();
    Told {
        contract: contract.to_owned(),
        name,
        values,
        state: None,
        topics: if raw { topics.iter().map(Bytes::to_string).collect() } else { Vec::new() },
        data: raw.then(|| data.to_string()),
    }
}
