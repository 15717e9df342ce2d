//! The network fee: what the consensus nodes ask for the size of a transaction and for checking its witnesses.
//!
//! It is known before anybody signs, since signatures are always of one size:
//!
//! ```
//! # use neo::{PrivateKey, fee::{Prices, Verification, network_fee}, tx::{Signer, Transaction}};
//! # fn main() -> neo::Result<()> {
//! let key = PrivateKey::from_bytes(&[1; 32])?;
//! let mut tx = Transaction {
//!     signers: vec![Signer::called_by_entry(key.public().script_hash())],
//!     script: vec![0x40],
//!     ..Transaction::default()
//! };
//! tx.network_fee = network_fee(&tx, &[Verification::key(&key.public())], &Prices::default())?;
//! assert_eq!(tx.network_fee, 1_142_520);
//! # Ok(())
//! # }
//! ```

use crate::{
    account,
    error::{Error, Result, malformed},
    hash::Hash160,
    keys::PublicKey,
    tx::{Attribute, MOST_SIZE, MOST_WITNESS_SCRIPT, Transaction},
    wire::var_uint_size,
};

/// How many units of [`Prices::exec_pico_fee_factor`] are one datoshi (10⁻⁸ GAS).
pub const PICO: i64 = 10_000;
/// What checking all witnesses of a transaction may cost, in datoshi: 1.5 GAS.
pub const MOST_VERIFICATION: i64 = 150_000_000;

/// What checking one signature costs, in units of the factor.
const CHECK_SIGNATURE: i128 = 1 << 15;
const PUSH_DATA: i128 = 8;
const PUSH_COUNT: i128 = 1;

/// The prices that a network's Policy contract holds at the moment. The default is what a network begins with; the
/// committees of the public networks have changed them since, so ask the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prices {
    /// `getFeePerByte`: for each byte of a transaction, in datoshi.
    pub fee_per_byte: i64,
    /// `getExecPicoFeeFactor`: what execution prices are multiplied by, in ten-thousandths of a datoshi. Networks
    /// before the Faun hard fork have `getExecFeeFactor` only, in datoshi: see [`Prices::exec_fee_factor`].
    pub exec_pico_fee_factor: i64,
    /// `getAttributeFee` of 0x01.
    pub high_priority: i64,
    /// `getAttributeFee` of 0x11.
    pub oracle_response: i64,
    /// `getAttributeFee` of 0x20.
    pub not_valid_before: i64,
    /// `getAttributeFee` of 0x21. Paid for each signer.
    pub conflicts: i64,
    /// `getAttributeFee` of 0x22. Paid for each key that is to sign, and once more.
    pub notary_assisted: i64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            fee_per_byte: 1000,
            exec_pico_fee_factor: 30 * PICO,
            high_priority: 0,
            oracle_response: 0,
            not_valid_before: 0,
            conflicts: 0,
            notary_assisted: 10_000_000,
        }
    }
}

impl Prices {
    /// With this factor in whole datoshi, as `getExecFeeFactor` tells it.
    pub fn exec_fee_factor(self, datoshi: u32) -> Self {
        Self { exec_pico_fee_factor: i64::from(datoshi) * PICO, ..self }
    }

    fn attribute(&self, attribute: &Attribute, signers: usize) -> i128 {
        let (price, times) = match attribute {
            Attribute::HighPriority => (self.high_priority, 1),
            Attribute::OracleResponse { .. } => (self.oracle_response, 1),
            Attribute::NotValidBefore(_) => (self.not_valid_before, 1),
            Attribute::Conflicts(_) => (self.conflicts, signers as i128),
            Attribute::NotaryAssisted(keys) => (self.notary_assisted, i128::from(*keys) + 1),
        };
        i128::from(price) * times
    }
}

/// How a signer is going to prove that it agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// By signatures that this script of one key or of several asks for.
    Script(Vec<u8>),
    /// By a contract or a script of another kind, which only a node can run.
    Measured {
        /// Bytes of the invocation script.
        invocation: usize,
        /// Bytes of the verification script: 0 for a contract.
        verification: usize,
        /// What running it cost, in datoshi: `gasconsumed` of `invokecontractverify`.
        gas: i64,
    },
}

impl Verification {
    /// By a signature of this key.
    pub fn key(key: &PublicKey) -> Self {
        Self::Script(key.verification_script())
    }

    /// Bytes of both scripts, and the cost of running them in datoshi.
    fn cost(&self, prices: &Prices) -> Result<(usize, i128)> {
        let script = match self {
            Self::Script(script) => script,
            Self::Measured { invocation, verification, gas } => {
                return Ok((sizes(*invocation, *verification)?, i128::from(*gas)));
            }
        };
        let (signatures, units) = if account::read_single(script).is_some() {
            (1, 2 * PUSH_DATA + CHECK_SIGNATURE)
        } else if let Some((threshold, keys)) = account::read_multi(script) {
            let keys = keys.len() as i128;
            (threshold, PUSH_DATA * (threshold as i128 + keys) + 2 * PUSH_COUNT + CHECK_SIGNATURE * keys)
        } else {
            return Err(malformed("network fee", "only a node can tell the cost of a script of another kind"));
        };
        let pico = units * i128::from(prices.exec_pico_fee_factor);
        Ok((sizes(66 * signatures, script.len())?, (pico + i128::from(PICO) - 1).div_euclid(PICO.into())))
    }

    fn account(&self) -> Option<Hash160> {
        match self {
            Self::Script(script) => Some(Hash160::of_script(script)),
            Self::Measured { .. } => None,
        }
    }
}

/// The network fee of a transaction in datoshi, exactly as `calculatenetworkfee` of a node: `signers` says in the
/// order of its signers how each is going to prove itself. Its witnesses and its own network fee make no difference.
pub fn network_fee(tx: &Transaction, signers: &[Verification], prices: &Prices) -> Result<i64> {
    if signers.len() != tx.signers.len() {
        let why = format!("{} signers, and {} ways to prove themselves", tx.signers.len(), signers.len());
        return Err(malformed("network fee", why));
    }
    let mut size = tx.unsigned_bytes().len() + var_uint_size(signers.len() as u64);
    let mut verification = 0;
    for (signer, way) in tx.signers.iter().zip(signers) {
        if way.account().is_some_and(|account| account != signer.account) {
            let account = signer.account.address();
            return Err(malformed("network fee", format!("the script is not that of the signer {account}")));
        }
        let (bytes, cost) = way.cost(prices)?;
        size += bytes;
        verification += cost;
    }
    bound("transaction", size as i128, MOST_SIZE as i128)?;
    bound("cost of verification", verification, MOST_VERIFICATION.into())?;
    let attributes: i128 = tx.attributes.iter().map(|each| prices.attribute(each, signers.len())).sum();
    let fee = size as i128 * i128::from(prices.fee_per_byte) + verification + attributes;
    i64::try_from(fee).ok().filter(|fee| *fee >= 0).ok_or_else(|| malformed("network fee", "beyond 63 bits"))
}

/// Bytes that a witness of these two scripts takes.
fn sizes(invocation: usize, verification: usize) -> Result<usize> {
    let most = i128::from(MOST_WITNESS_SCRIPT);
    bound("invocation script", invocation as i128, most)?;
    bound("verification script", verification as i128, most)?;
    Ok([invocation, verification].into_iter().map(|size| var_uint_size(size as u64) + size).sum())
}

fn bound(what: &'static str, size: i128, most: i128) -> Result<()> {
    if size <= most {
        return Ok(());
    }
    Err(Error::TooLarge { what, size: u64::try_from(size).unwrap_or(u64::MAX), most: most as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash::Hash256, keys::PrivateKey, tx::Signer, wire::Wire};

    fn keys(count: u8) -> Vec<PrivateKey> {
        (1..=count).map(|number| PrivateKey::from_bytes(&[number; 32]).unwrap()).collect()
    }

    fn of(account: Hash160) -> Transaction {
        Transaction { signers: vec![Signer::none(account)], script: vec![0x40], ..Transaction::default() }
    }

    fn multi(threshold: usize, count: u8) -> Verification {
        let keys: Vec<_> = keys(count).iter().map(PrivateKey::public).collect();
        Verification::Script(account::multi(threshold, &keys).unwrap())
    }

    #[test]
    fn the_size_is_that_of_the_signed_transaction() {
        let bytes_only = Prices { exec_pico_fee_factor: 0, fee_per_byte: 1, ..Prices::default() };
        let key = &keys(1)[0];
        let mut tx = of(key.public().script_hash());
        let fee = network_fee(&tx, &[Verification::key(&key.public())], &bytes_only).unwrap();
        tx.sign(1, key).unwrap();
        assert_eq!(fee, tx.to_bytes().len() as i64);
        assert_eq!(network_fee(&tx, &[Verification::key(&key.public())], &bytes_only).unwrap(), fee, "signed or not");
    }

    #[test]
    fn execution_is_rounded_up_for_each_witness() {
        let key = &keys(1)[0].public();
        let tx = of(key.script_hash());
        let verification = [Verification::key(key)];
        let fee = |pico| {
            let prices = Prices { fee_per_byte: 0, exec_pico_fee_factor: pico, ..Prices::default() };
            network_fee(&tx, &verification, &prices).unwrap()
        };
        assert_eq!(fee(30 * PICO), 30 * 32784);
        assert_eq!((fee(1), fee(3), fee(0)), (4, 10, 0));
        assert_eq!(Prices::default().exec_fee_factor(30), Prices::default());
    }

    #[test]
    fn attributes_are_paid_by_signer_and_key() {
        let prices = Prices {
            fee_per_byte: 0,
            exec_pico_fee_factor: 0,
            high_priority: 1,
            oracle_response: 10,
            not_valid_before: 100,
            conflicts: 1_000,
            notary_assisted: 100_000,
        };
        let contract = Verification::Measured { invocation: 0, verification: 0, gas: 0 };
        let mut tx = of(Hash160::ZERO);
        tx.signers.push(Signer::none(Hash160::of_script(b"other")));
        let fee = |attributes| {
            let tx = Transaction { attributes, ..tx.clone() };
            network_fee(&tx, &[contract.clone(), contract.clone()], &prices).unwrap()
        };
        assert_eq!(fee(vec![Attribute::HighPriority, Attribute::NotValidBefore(5)]), 101);
        assert_eq!(fee(vec![Attribute::Conflicts(Hash256::ZERO), Attribute::Conflicts(Hash256::ZERO)]), 4_000);
        assert_eq!(fee(vec![Attribute::NotaryAssisted(0)]), 100_000);
        assert_eq!(fee(vec![Attribute::NotaryAssisted(255)]), 25_600_000);
    }

    #[test]
    fn what_no_node_would_take_has_no_fee() {
        let fee = |way: Verification| {
            let account = way.account().unwrap_or_default();
            network_fee(&of(account), &[way], &Prices::default())
        };
        assert!(fee(multi(15, 29)).is_ok());
        assert!(fee(multi(16, 16)).is_err(), "the signatures are too long");
        assert!(fee(multi(1, 30)).is_err(), "the script is too long");
        assert!(fee(Verification::Script(vec![0x11])).is_err(), "an unknown script");
        assert!(fee(Verification::Measured { invocation: 0, verification: 0, gas: MOST_VERIFICATION + 1 }).is_err());
        let key = Verification::key(&keys(1)[0].public());
        assert!(network_fee(&of(Hash160::ZERO), &[key], &Prices::default()).is_err(), "another's script");
        assert!(network_fee(&of(Hash160::ZERO), &[], &Prices::default()).is_err());
    }
}
