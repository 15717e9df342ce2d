//! Verification scripts: who must sign for an account.

use crate::{
    error::{Result, malformed},
    hash::sha256,
    keys::PublicKey,
};

const PUSHDATA1: u8 = 0x0c;
const PUSHINT8: u8 = 0x00;
const PUSHINT16: u8 = 0x01;
const PUSH0: u8 = 0x10;
const SYSCALL: u8 = 0x41;

/// Keys of one account, at most.
pub const MOST_KEYS: usize = 1024;

/// The number of a system call: the first four bytes of SHA-256 of its name.
pub fn syscall(name: &str) -> [u8; 4] {
    let hash = sha256(name.as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The script that asks for a signature of one key.
pub fn single(key: &PublicKey) -> Vec<u8> {
    let mut script = Vec::with_capacity(40);
    push_key(key, &mut script);
    end("System.Crypto.CheckSig", &mut script);
    script
}

/// The script that asks for signatures of `threshold` of these keys. Their order does not matter: the script has
/// them sorted, as nodes make it.
pub fn multi(threshold: usize, keys: &[PublicKey]) -> Result<Vec<u8>> {
    if threshold == 0 || threshold > keys.len() || keys.len() > MOST_KEYS {
        return Err(malformed("multi-signature account", format!("{threshold} of {} keys", keys.len())));
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let mut script = Vec::with_capacity(35 * keys.len() + 12);
    push_count(threshold, &mut script);
    sorted.iter().for_each(|key| push_key(key, &mut script));
    push_count(keys.len(), &mut script);
    end("System.Crypto.CheckMultisig", &mut script);
    Ok(script)
}

/// The key of a script that [`single`] makes.
pub fn read_single(script: &[u8]) -> Option<PublicKey> {
    let key = script.get(2..35).and_then(|key| PublicKey::from_slice(key).ok())?;
    (single(&key) == script).then_some(key)
}

/// Threshold and keys of a script that asks for several signatures, in whatever order it has them.
pub fn read_multi(script: &[u8]) -> Option<(usize, Vec<PublicKey>)> {
    let (threshold, mut rest) = read_count(script)?;
    let mut keys = Vec::new();
    while let Some([PUSHDATA1, 33, after @ ..]) = (rest.first() == Some(&PUSHDATA1)).then_some(rest) {
        keys.push(PublicKey::from_slice(after.get(..33)?).ok()?);
        rest = &after[33..];
    }
    let (count, rest) = read_count(rest)?;
    let mut call = Vec::new();
    end("System.Crypto.CheckMultisig", &mut call);
    let fits = count == keys.len() && (1..=count).contains(&threshold) && count <= MOST_KEYS && rest == call;
    fits.then_some((threshold, keys))
}

fn push_key(key: &PublicKey, script: &mut Vec<u8>) {
    script.extend_from_slice(&[PUSHDATA1, 33]);
    script.extend_from_slice(&key.to_bytes());
}

fn push_count(count: usize, script: &mut Vec<u8>) {
    match count {
        0..=16 => script.push(PUSH0 + count as u8),
        17..=127 => script.extend_from_slice(&[PUSHINT8, count as u8]),
        _ => {
            script.push(PUSHINT16);
            script.extend_from_slice(&(count as u16).to_le_bytes());
        }
    }
}

fn read_count(script: &[u8]) -> Option<(usize, &[u8])> {
    match script {
        [push @ 0x11..=0x20, rest @ ..] => Some((usize::from(push - PUSH0), rest)),
        [PUSHINT8, count @ 0..=127, rest @ ..] => Some((usize::from(*count), rest)),
        [PUSHINT16, low, high, rest @ ..] => Some((usize::from(u16::from_le_bytes([*low, *high])), rest)),
        _ => None,
    }
}

fn end(call: &str, script: &mut Vec<u8>) {
    script.push(SYSCALL);
    script.extend_from_slice(&syscall(call));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PrivateKey;

    fn keys(count: u16) -> Vec<PublicKey> {
        (1..=count)
            .map(|number| {
                let mut bytes = [0; 32];
                bytes[30..].copy_from_slice(&number.to_be_bytes());
                PrivateKey::from_bytes(&bytes).unwrap().public()
            })
            .collect()
    }

    #[test]
    fn a_script_of_several_keys_reads_back_whatever_order_they_came_in() {
        for (threshold, count) in [(1, 1), (2, 3), (16, 17), (100, 130)] {
            let mut all = keys(count);
            let script = multi(threshold, &all).unwrap();
            all.reverse();
            assert_eq!(multi(threshold, &all).unwrap(), script);
            all.sort();
            assert_eq!(read_multi(&script), Some((threshold, all)));
            assert_eq!(read_single(&script), None);
        }
    }

    #[test]
    fn no_other_script_is_taken_for_one() {
        let key = keys(1)[0];
        let script = single(&key);
        assert_eq!(read_single(&script), Some(key));
        assert_eq!(read_multi(&script), None);
        let script = multi(2, &keys(3)).unwrap();
        for cut in 0..script.len() {
            assert_eq!(read_multi(&script[..cut]), None, "{cut}");
        }
        assert!(multi(0, &keys(1)).is_err() && multi(2, &keys(1)).is_err() && multi(1, &[]).is_err());
    }
}
