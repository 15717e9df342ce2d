//! What nodes check of a manifest when a contract is deployed or updated.

use std::collections::HashSet;

use super::{Grantee, Manifest, Parameter, ParameterType, Wild};
use crate::{
    error::{Error, Result, malformed},
    hash::Hash160,
    nef::{self, Nef},
    script,
    wire::{Wire as _, var_uint_size},
};

/// The text of a manifest takes at most so many bytes.
pub const MOST_BYTES: usize = 65_535;

/// The state of a contract is stored as one stack item, of at most so many items.
const MOST_ITEMS: usize = 2048;

impl Manifest {
    /// Refuses what a node refuses whatever the contract's hash and script are.
    pub fn check(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(malformed("manifest", "no name"));
        }
        if self.standards.iter().any(String::is_empty) {
            return Err(malformed("supported standards", "one has no name"));
        }
        once("supported standards", &self.standards)?;
        once("groups", &self.groups.iter().map(|group| group.key).collect::<Vec<_>>())?;
        self.check_abi()?;
        once("permissions", &self.permissions.iter().map(|permission| &permission.contract).collect::<Vec<_>>())?;
        for permission in &self.permissions {
            let Wild::Only(methods) = &permission.methods else { continue };
            if methods.iter().any(String::is_empty) {
                return Err(malformed("permissions", "a method has no name"));
            }
            once("methods of a permission", methods)?;
        }
        match &self.trusts {
            Wild::All => Ok(()),
            Wild::Only(list) => once("trusts", list),
        }
    }

    /// Refuses groups that do not vouch for the contract of this hash.
    pub fn check_for(&self, contract: &Hash160) -> Result<()> {
        self.check()?;
        match self.groups.iter().find(|group| !group.key.verify(contract.as_le(), &group.signature)) {
            Some(group) => Err(malformed("groups", format!("{} did not sign {contract}", group.key))),
            None => Ok(()),
        }
    }

    /// Refuses a manifest that does not go with this NEF, or is too large beside it.
    pub fn check_with(&self, nef: &Nef) -> Result<()> {
        self.check()?;
        nef.check()?;
        let starts: HashSet<usize> = script::check(&nef.script)?.iter().map(|instruction| instruction.offset).collect();
        if let Some(method) = self.abi.methods.iter().find(|method| !starts.contains(&(method.offset as usize))) {
            let why = format!("{} begins at {}, where no instruction of the script does", method.name, method.offset);
            return Err(malformed("methods", why));
        }
        // Beside the manifest: a structure of id, update counter, hash, and NEF. The first two grow; they are counted
        // at their largest.
        let mut stored = Stored { items: 5, bytes: 2 + 6 + 5 + 22 };
        let size = nef.to_bytes().len();
        stored.bytes += 1 + var_uint_size(size as u64) + size;
        stored.manifest(self);
        let too_large = |what, size: usize, most: usize| Error::TooLarge { what, size: size as u64, most: most as u64 };
        if stored.items > MOST_ITEMS {
            return Err(too_large("items of a contract's state", stored.items, MOST_ITEMS));
        }
        if stored.bytes > nef::MOST_BYTES {
            return Err(too_large("contract's state", stored.bytes, nef::MOST_BYTES));
        }
        Ok(())
    }

    fn check_abi(&self) -> Result<()> {
        if self.abi.methods.is_empty() {
            return Err(malformed("methods", "there is none"));
        }
        for method in &self.abi.methods {
            check_parameters(&method.name, &method.parameters)?;
            if method.offset > i32::MAX as u32 {
                return Err(malformed("methods", format!("{} begins at {}", method.name, method.offset)));
            }
        }
        for event in &self.abi.events {
            check_parameters(&event.name, &event.parameters)?;
        }
        let methods: Vec<_> = self.abi.methods.iter().map(|method| (&method.name, method.parameters.len())).collect();
        once("methods", &methods)?;
        once("events", &self.abi.events.iter().map(|event| &event.name).collect::<Vec<_>>())
    }
}

fn check_parameters(of: &str, parameters: &[Parameter]) -> Result<()> {
    if of.is_empty() {
        return Err(malformed("methods and events", "one has no name"));
    }
    for parameter in parameters {
        if parameter.name.is_empty() {
            return Err(malformed("parameters", format!("one of {of} has no name")));
        }
        if parameter.kind == ParameterType::Void {
            return Err(malformed("parameters", format!("{} of {of} is of type Void", parameter.name)));
        }
    }
    once("parameters", &parameters.iter().map(|parameter| &parameter.name).collect::<Vec<_>>())
}

fn once<T: std::hash::Hash + Eq + std::fmt::Debug>(what: &'static str, all: &[T]) -> Result<()> {
    let mut seen = HashSet::new();
    match all.iter().find(|one| !seen.insert(*one)) {
        Some(twice) => Err(malformed(what, format!("{twice:?} is there twice"))),
        None => Ok(()),
    }
}

/// What the stored form of a manifest takes: items, and bytes with a byte of type and a length each.
struct Stored {
    items: usize,
    bytes: usize,
}

impl Stored {
    fn manifest(&mut self, manifest: &Manifest) {
        self.list(8);
        self.text(manifest.name.len());
        self.list(manifest.groups.len());
        manifest.groups.iter().for_each(|_| {
            self.list(2);
            self.text(33);
            self.text(64);
        });
        self.list(0);
        self.list(manifest.standards.len());
        manifest.standards.iter().for_each(|name| self.text(name.len()));
        self.list(2);
        self.list(manifest.abi.methods.len());
        for method in &manifest.abi.methods {
            self.list(5);
            self.text(method.name.len());
            self.parameters(&method.parameters);
            self.number(method.return_type as u32);
            self.number(method.offset);
            self.fixed(2);
        }
        self.list(manifest.abi.events.len());
        for event in &manifest.abi.events {
            self.list(2);
            self.text(event.name.len());
            self.parameters(&event.parameters);
        }
        self.list(manifest.permissions.len());
        for permission in &manifest.permissions {
            self.list(2);
            self.grantee(&permission.contract);
            match &permission.methods {
                Wild::All => self.fixed(1),
                Wild::Only(methods) => {
                    self.list(methods.len());
                    methods.iter().for_each(|name| self.text(name.len()));
                }
            }
        }
        match &manifest.trusts {
            Wild::All => self.fixed(1),
            Wild::Only(list) => {
                self.list(list.len());
                list.iter().for_each(|grantee| self.grantee(grantee));
            }
        }
        let extra = manifest.extra.as_ref().and_then(|extra| serde_json::to_string(extra).ok());
        self.text(extra.map_or("null".len(), |extra| extra.len()));
    }

    fn parameters(&mut self, parameters: &[Parameter]) {
        self.list(parameters.len());
        for parameter in parameters {
            self.list(2);
            self.text(parameter.name.len());
            self.number(parameter.kind as u32);
        }
    }

    fn grantee(&mut self, grantee: &Grantee) {
        match grantee {
            Grantee::Any => self.fixed(1),
            Grantee::Contract(_) => self.text(20),
            Grantee::Group(_) => self.text(33),
        }
    }

    fn fixed(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
    }

    fn list(&mut self, count: usize) {
        self.fixed(1 + var_uint_size(count as u64));
    }

    fn text(&mut self, bytes: usize) {
        self.fixed(1 + var_uint_size(bytes as u64) + bytes);
    }

    fn number(&mut self, number: u32) {
        // Two's complement without leading zeros: 127 takes one byte, 128 two, zero none.
        let bytes = if number == 0 { 0 } else { (33 - number.leading_zeros()).div_ceil(8) };
        self.fixed(2 + bytes as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Method, tests::token};

    fn nef(script: &[u8]) -> Nef {
        Nef { compiler: "test".into(), source: String::new(), tokens: Vec::new(), script: script.to_vec() }
    }

    #[test]
    fn a_method_begins_at_an_instruction_of_a_script_that_is_whole() {
        // PUSHDATA1 of two bytes, RET.
        let nef = nef(&[0x0c, 2, 0x40, 0x40, 0x40]);
        let at = |offset| {
            let mut manifest = token();
            manifest.abi.methods[0].offset = offset;
            manifest.check_with(&nef)
        };
        assert_eq!((at(0), at(4)), (Ok(()), Ok(())));
        assert!(at(2).is_err() && at(5).is_err());
        assert!(token().check_with(&super::tests::nef(&[0x0c, 2, 0x40])).is_err(), "cut in the middle of data");
    }

    #[test]
    fn what_does_not_fit_into_one_stored_item_is_refused() {
        let mut manifest = token();
        let template = Method { parameters: Vec::new(), ..manifest.abi.methods[0].clone() };
        manifest.abi.methods.extend((0..400).map(|number| Method { name: format!("m{number}"), ..template.clone() }));
        let refusal = manifest.check_with(&nef(&[0x40])).unwrap_err();
        assert!(matches!(refusal, Error::TooLarge { most: 2048, .. }), "{refusal}");
        let refusal = token().check_with(&nef(&vec![0x21; nef::MOST_BYTES - 82])).unwrap_err();
        assert!(matches!(refusal, Error::TooLarge { what: "contract's state", .. }), "{refusal}");
    }
}
