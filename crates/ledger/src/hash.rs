//! What is hashed, and how.

use aws_lc_rs::{digest, hmac};
use nsl_core::{Secret, TenantId};
use nsl_sql::Value;

pub(crate) type Hash = [u8; 32];
pub(crate) const START: Hash = [0; 32];

/// Signs lengths and heads: the part of the evidence that is not in the database.
#[derive(Clone)]
pub struct ChainKey(hmac::Key);

impl ChainKey {
    pub fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    pub(crate) fn code(&self, parts: &Parts) -> Vec<u8> {
        hmac::sign(&self.0, &parts.0).as_ref().to_vec()
    }

    pub(crate) fn fits(&self, parts: &Parts, code: &[u8]) -> bool {
        hmac::verify(&self.0, &parts.0, code).is_ok()
    }
}

/// Fields in a form that reads in one way only: each with its presence and length before it.
pub(crate) struct Parts(Vec<u8>);

impl Parts {
    pub(crate) fn of(what: &str) -> Self {
        Self(Vec::with_capacity(512)).bytes(Some(what.as_bytes()))
    }

    pub(crate) fn bytes(mut self, field: Option<&[u8]>) -> Self {
        match field {
            None => self.0.push(0),
            Some(field) => {
                self.0.push(1);
                self.0.extend_from_slice(&(field.len() as u64).to_be_bytes());
                self.0.extend_from_slice(field);
            }
        }
        self
    }

    pub(crate) fn text(self, field: &str) -> Self {
        self.bytes(Some(field.as_bytes()))
    }

    pub(crate) fn number(self, field: i64) -> Self {
        self.bytes(Some(&field.to_be_bytes()))
    }

    /// A column as it goes to SQL and as it comes back: times and numbers alike, texts and JSON alike.
    pub(crate) fn value(self, value: &Value) -> Self {
        match value {
            Value::Null(_) => self.bytes(None),
            Value::Bool(x) => self.number((*x).into()),
            Value::Int(x) => self.number(*x),
            Value::Time(x) => self.number(x.0),
            Value::Bytes(x) => self.bytes(Some(x)),
            text => self.bytes(text.as_text().map(str::as_bytes)),
        }
    }

    pub(crate) fn hash(&self) -> Hash {
        sha256(&[&self.0])
    }
}

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// The state of a lane, as its code covers it.
pub(crate) fn lane(lane: &str, tenant: &TenantId, base: i64, base_hash: &[u8], length: i64, head: &[u8]) -> Parts {
    Parts::of("nsl lane 1")
        .text(lane)
        .text(tenant.as_str())
        .number(base)
        .bytes(Some(base_hash))
        .number(length)
        .bytes(Some(head))
}

/// The Merkle tree hash of RFC 6962 §2.1.
pub(crate) fn merkle(leaves: &[Parts]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => sha256(&[&[0], &leaf.0]),
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            sha256(&[&[1], &merkle(&leaves[..split]), &merkle(&leaves[split..])])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_that_of_rfc_6962() {
        let leaf = |byte: u8| Parts(vec![byte]);
        let hashed = |byte: u8| sha256(&[&[0], &[byte]]);
        let node = |left: Hash, right: Hash| sha256(&[&[1], &left, &right]);
        assert_eq!(hex::encode(merkle(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(merkle(&[leaf(1), leaf(2), leaf(3)]), node(node(hashed(1), hashed(2)), hashed(3)));
        let five = node(node(node(hashed(1), hashed(2)), node(hashed(3), hashed(4))), hashed(5));
        assert_eq!(merkle(&[leaf(1), leaf(2), leaf(3), leaf(4), leaf(5)]), five);
    }

    #[test]
    fn absent_and_empty_differ() {
        assert_ne!(Parts::of("x").bytes(None).hash(), Parts::of("x").text("").hash());
    }

    #[test]
    fn a_column_hashes_the_same_on_its_way_out_and_back() {
        let out = [Value::from(true), Value::Time(nsl_core::Timestamp(7)), Value::json("{}"), Value::from("a")];
        let back = [Value::Int(1), Value::Int(7), Value::from("{}"), Value::Shared("a".into())];
        for (out, back) in out.iter().zip(&back) {
            assert_eq!(Parts::of("").value(out).hash(), Parts::of("").value(back).hash());
        }
    }
}
