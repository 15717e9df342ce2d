//! The ABIs under which a contract is asked: its own, and that of the contract behind it where it is a proxy.

use nsl_chain::{
    Bytes, Fault,
    x::{Abi, Named},
};
use nsl_core::{Error, Result};
use serde_json::Value;

/// In the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faces(Vec<Abi>);

impl Faces {
    pub(crate) fn add(&mut self, abi: &Value) -> Result<()> {
        self.0.push(Abi::read(abi)?);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a method of this name is known; how many arguments it takes is another matter.
    pub(crate) fn knows(&self, method: &str) -> bool {
        self.0.iter().any(|abi| names(abi, method))
    }

    /// The ABI that has the method.
    pub(crate) fn of(&self, method: &str) -> Result<&Abi> {
        let first = self.0.iter().find(|abi| names(abi, method)).or(self.0.first());
        first.ok_or_else(|| {
            Error::invalid(
                "contracts.abi_unknown",
                "the ABI of the contract is not known, and without one nothing can be asked of it",
            )
        })
    }

    /// What the name of an event stands for in logs: its first topic. A signature or a topic stands for itself.
    pub(crate) fn topic(&self, name: &str) -> Result<String> {
        if name.starts_with("0x") || name.contains('(') {
            return Ok(name.to_owned());
        }
        let topic = self.0.iter().find_map(|abi| abi.topic(name)).map(|topic| topic.to_string());
        topic.ok_or_else(|| match self.is_empty() {
            true => Error::invalid(
                "contracts.abi_unknown",
                "the ABI of the contract is not known: name the event by its signature",
            ),
            false => Error::invalid(
                "contracts.event_unknown",
                "the ABI has no event of this name, or several: name it by its signature",
            ),
        })
    }

    pub(crate) fn event(&self, topics: &[Bytes], data: &Bytes) -> Option<Named> {
        self.0.iter().find_map(|abi| abi.event(topics, data))
    }

    /// A fault in words, with the contract's own errors by their names and values.
    pub(crate) fn explain(&self, fault: &Fault) -> String {
        let told = self.0.iter().map(|abi| abi.explain(fault)).find(|told| *told != fault.reason);
        told.unwrap_or_else(|| fault.reason.clone())
    }
}

fn names(abi: &Abi, method: &str) -> bool {
    let wanted = method.replace(' ', "");
    let signatures = abi.methods();
    match wanted.contains('(') {
        true => signatures.contains(&wanted),
        false => signatures.iter().any(|one| one.split('(').next() == Some(&wanted)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn function(name: &str) -> Value {
        json!([{"type": "function", "name": name, "stateMutability": "view", "outputs": [],
            "inputs": [{"name": "a", "type": "uint256"}]}])
    }

    #[test]
    fn the_first_abi_that_has_a_method_counts() {
        let mut faces = Faces::default();
        assert_eq!(faces.of("f").unwrap_err().slug, "contracts.abi_unknown");
        faces.add(&function("f")).unwrap();
        faces.add(&function("g")).unwrap();
        assert!(faces.knows("f") && faces.knows("g(uint256)") && !faces.knows("g()") && !faces.knows("h"));
        assert_eq!(faces.of("g").unwrap().methods(), ["g(uint256)"]);
        assert_eq!(faces.of("h").unwrap().call("h", &[]).unwrap_err().slug, "chain.method_unknown");
        assert_eq!(faces.topic("Gone").unwrap_err().slug, "contracts.event_unknown");
        assert_eq!(faces.topic("Gone(uint256)").unwrap(), "Gone(uint256)");
    }
}
