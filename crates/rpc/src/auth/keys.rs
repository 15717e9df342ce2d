use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::{digest, hmac};
use nsl_core::{Code, Error, Result, Secret, Timestamp};

/// Carries the claim of a request and the proof of a reply.
pub(crate) const HEADER: &str = "x-nsl-peer";
const SHORTEST: usize = 32;

/// The keys that peers share: the first signs, all are accepted, so that a new key can be handed round
/// before it is used.
#[derive(Clone)]
pub struct PeerKeys(Arc<[hmac::Key]>);

impl PeerKeys {
    /// Refuses an empty list and keys of fewer than 32 bytes.
    pub fn new(keys: &[Secret]) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::new(Code::Invalid, "peer.key_missing", "no peer key is set"));
        }
        if keys.iter().any(|key| key.expose().len() < SHORTEST) {
            return Err(Error::new(Code::Invalid, "peer.key_short", "a peer key needs at least 32 bytes"));
        }
        Ok(Self(keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose())).collect()))
    }

    /// The claim for a request that is about to be sent.
    pub(crate) fn claim(&self, method: &str, path: &str, now: Timestamp, nonce: Nonce, body: &[u8]) -> String {
        let body = hex::encode(digest::digest(&digest::SHA256, body));
        let stem = format!("1 {} {nonce} {body}", now.0);
        let proof = hmac::sign(&self.0[0], asked(method, path, &stem).as_bytes());
        format!("{stem} {}", hex::encode(proof))
    }

    /// Reads a claim and checks who made it; whether it is fresh is for the caller to say.
    pub(crate) fn read(&self, method: &str, path: &str, claim: &str) -> Option<Claim> {
        let (stem, proof) = claim.rsplit_once(' ')?;
        let proof = hex::decode(proof).ok()?;
        let text = asked(method, path, stem);
        let key = self.0.iter().position(|key| hmac::verify(key, text.as_bytes(), &proof).is_ok())?;
        let mut parts = stem.split(' ');
        let ("1", time, nonce, body, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next())
        else {
            return None;
        };
        let body = hex::decode(body).ok()?.try_into().ok()?;
        Some(Claim { made: Timestamp(time.parse().ok()?), nonce: Nonce::parse(nonce)?, body, key })
    }

    /// The proof that the reply to `nonce` comes from a holder of the key that the request was signed with.
    pub(crate) fn prove(&self, key: usize, nonce: Nonce, status: u16, body: &[u8]) -> String {
        hex::encode(hmac::sign(&self.0[key], answered(nonce, status, body).as_bytes()))
    }

    /// Whether a reply to a request of ours, which the first key signed, is genuine.
    pub(crate) fn proven(&self, nonce: Nonce, status: u16, body: &[u8], proof: &str) -> bool {
        hex::decode(proof)
            .is_ok_and(|proof| hmac::verify(&self.0[0], answered(nonce, status, body).as_bytes(), &proof).is_ok())
    }
}

// Neither a method, a path of ours nor a stem holds a line break, so the parts cannot run into each other.
fn asked(method: &str, path: &str, stem: &str) -> String {
    format!("nsl peer request\n{method}\n{path}\n{stem}")
}

fn answered(nonce: Nonce, status: u16, body: &[u8]) -> String {
    format!("nsl peer reply\n{nonce}\n{status}\n{}", hex::encode(digest::digest(&digest::SHA256, body)))
}

/// What a peer said of its request, and with which of our keys it proved it.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) made: Timestamp,
    pub(crate) nonce: Nonce,
    body: [u8; 32],
    pub(crate) key: usize,
}

impl Claim {
    pub(crate) fn covers(&self, body: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(digest::digest(&digest::SHA256, body).as_ref(), &self.body)
            .is_ok()
    }
}

/// Never the same twice: who sends, drawn once a process, and the how-manieth request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nonce {
    pub(crate) sender: u64,
    pub(crate) count: u64,
}

impl Nonce {
    fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let (sender, count) = text.split_at(16);
        Some(Self { sender: u64::from_str_radix(sender, 16).ok()?, count: u64::from_str_radix(count, 16).ok()? })
    }
}

impl std::fmt::Display for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}", self.sender, self.count)
    }
}

/// The source of this process's nonces.
pub(crate) struct Nonces {
    sender: u64,
    next: AtomicU64,
}

impl Nonces {
    pub(crate) fn new() -> Self {
        let mut sender = [0; 8];
        aws_lc_rs::rand::fill(&mut sender).expect("the system gives randomness, or nothing here is safe");
        Self { sender: u64::from_be_bytes(sender), next: AtomicU64::new(1) }
    }

    pub(crate) fn fresh(&self) -> Nonce {
        Nonce { sender: self.sender, count: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> PeerKeys {
        let keys: Vec<_> = names.iter().map(|name| Secret::new(format!("{name:-<32}"))).collect();
        PeerKeys::new(&keys).unwrap()
    }

    const AT: Timestamp = Timestamp(1_000_000);
    const NONCE: Nonce = Nonce { sender: 7, count: 9 };

    #[test]
    fn a_claim_is_read_by_a_holder_of_the_key_for_that_call_only() {
        let mine = keys(&["a"]);
        let claim = mine.claim("POST", "/rpc/s/m", AT, NONCE, b"body");
        let read = mine.read("POST", "/rpc/s/m", &claim).unwrap();
        assert_eq!((read.made, read.nonce), (AT, NONCE));
        assert!(read.covers(b"body") && !read.covers(b"bodY"));
        assert!(mine.read("GET", "/rpc/s/m", &claim).is_none());
        assert!(mine.read("POST", "/rpc/s/n", &claim).is_none());
        assert!(keys(&["b"]).read("POST", "/rpc/s/m", &claim).is_none());
    }

    #[test]
    fn any_changed_character_breaks_a_claim() {
        let mine = keys(&["a"]);
        let claim = mine.claim("POST", "/p", AT, NONCE, b"body");
        for at in 0..claim.len() {
            let mut bent = claim.clone().into_bytes();
            bent[at] = if bent[at] == b'0' { b'1' } else { b'0' };
            let bent = String::from_utf8(bent).unwrap();
            assert!(mine.read("POST", "/p", &bent).is_none(), "{bent}");
        }
        for bad in ["", " ", "1", "1 2 3 4", &format!("{claim} {claim}")] {
            assert!(mine.read("POST", "/p", bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_old_key_is_accepted_while_the_new_one_signs() {
        let (old, both, new) = (keys(&["old"]), keys(&["new", "old"]), keys(&["new"]));
        let read = both.read("POST", "/p", &old.claim("POST", "/p", AT, NONCE, b"")).unwrap();
        let proof = both.prove(read.key, NONCE, 200, b"reply");
        assert!(old.proven(NONCE, 200, b"reply", &proof), "the reply is signed with the key of the request");
        assert!(new.read("POST", "/p", &both.claim("POST", "/p", AT, NONCE, b"")).is_some());
    }

    #[test]
    fn a_reply_belongs_to_one_request_status_and_body() {
        let mine = keys(&["a"]);
        let proof = mine.prove(0, NONCE, 200, b"reply");
        assert!(mine.proven(NONCE, 200, b"reply", &proof));
        assert!(!mine.proven(Nonce { count: 10, ..NONCE }, 200, b"reply", &proof));
        assert!(!mine.proven(NONCE, 500, b"reply", &proof));
        assert!(!mine.proven(NONCE, 200, b"Reply", &proof));
        assert!(!mine.proven(NONCE, 200, b"reply", "") && !mine.proven(NONCE, 200, b"reply", "zz"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_of_a_stranger_is_believed_or_breaks_the_reader(text in "\\PC{0,80}|1 -?[0-9]{1,25} [0-9a-fé]{0,40} [0-9a-f]{0,70} [0-9a-f]{0,70}") {
            proptest::prop_assert!(keys(&["a"]).read("POST", "/p", &text).is_none());
            proptest::prop_assert!(Nonce::parse(&text).is_none());
        }
    }

    #[test]
    fn short_and_missing_keys_are_refused() {
        assert!(PeerKeys::new(&[]).is_err());
        assert!(PeerKeys::new(&[Secret::new("x".repeat(31))]).is_err());
    }
}
