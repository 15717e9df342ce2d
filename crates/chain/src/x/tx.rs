//! Transactions of Neo X: made, signed by whoever holds the key, and read.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, Signature, TxKind, U256};
use nsl_core::{Error, Result};

use super::{
    fee::Fees,
    key::{Key, recover},
};
use crate::chain::TxId;

/// Half the order of secp256k1: the largest s that EIP-2 allows.
const HALF_ORDER: U256 =
    U256::from_limbs([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff]);

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub chain_id: u64,
    pub nonce: u64,
    /// None makes a contract of `data`.
    pub to: Option<Address>,
    pub value: U256,
    pub data: Vec<u8>,
    pub gas_limit: u64,
    pub fees: Fees,
}

/// A signed transaction, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub id: TxId,
    pub raw: Vec<u8>,
}

/// What a signed transaction says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub id: TxId,
    /// Who signed it.
    pub from: Address,
    pub draft: Draft,
}

enum Form {
    Dynamic(TxEip1559),
    Legacy(TxLegacy),
}

impl Draft {
    /// The hash that the sender signs.
    pub fn signing_hash(&self) -> [u8; 32] {
        match self.form() {
            Form::Dynamic(tx) => tx.signature_hash().0,
            Form::Legacy(tx) => tx.signature_hash().0,
        }
    }

    /// The transaction with a signature of its hash: r, s and the recovery bit (0, 1, 27 or 28).
    pub fn signed(&self, signature: &[u8; 65]) -> Result<Signed> {
        let bad = |why: &str| Error::invalid("chain.signature_invalid", format!("a signature of secp256k1: {why}"));
        let odd = match signature[64] {
            0 | 27 => false,
            1 | 28 => true,
            _ => return Err(bad("the last byte must be 0, 1, 27 or 28")),
        };
        let (r, s) = (U256::from_be_slice(&signature[..32]), U256::from_be_slice(&signature[32..64]));
        if s > HALF_ORDER {
            return Err(bad("s is in the upper half, which EIP-2 refuses"));
        }
        let made = Signature::new(r, s, odd);
        let envelope: TxEnvelope = match self.form() {
            Form::Dynamic(tx) => tx.into_signed(made).into(),
            Form::Legacy(tx) => tx.into_signed(made).into(),
        };
        let raw = envelope.encoded_2718();
        // Whoever signed, it must be somebody: a signature that names nobody is refused here and not by the node.
        let id = read(&raw)?.id;
        Ok(Signed { id, raw })
    }

    pub fn signed_by(&self, key: &Key) -> Result<Signed> {
        self.signed(&key.sign_hash(&self.signing_hash()))
    }

    /// The most wei that leave the sender by it.
    pub fn cost(&self) -> U256 {
        self.fees.bound(self.gas_limit).saturating_add(self.value)
    }

    fn form(&self) -> Form {
        let to = self.to.map_or(TxKind::Create, TxKind::Call);
        let Self { chain_id, nonce, value, gas_limit, .. } = *self;
        let input = self.data.clone().into();
        match self.fees {
            Fees::Dynamic { max_fee, tip } => Form::Dynamic(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: tip,
                to,
                value,
                access_list: Default::default(),
                input,
            }),
            Fees::Legacy { gas_price } => {
                Form::Legacy(TxLegacy { chain_id: Some(chain_id), nonce, gas_price, gas_limit, to, value, input })
            }
        }
    }
}

/// Reads a signed transaction; of the types only 0 with a chain id, and 2.
pub fn read(raw: &[u8]) -> Result<Read> {
    let malformed = || Error::invalid("chain.tx_malformed", "not a signed transaction of Neo X");
    let refused = |why: &str| Error::invalid("chain.tx_type_refused", format!("a transaction of Neo X: {why}"));
    let mut rest = raw;
    let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|_| malformed())?;
    if !rest.is_empty() {
        return Err(malformed());
    }
    let signature = *envelope.signature();
    if signature.s() > HALF_ORDER {
        return Err(malformed());
    }
    let (hash, draft) = match &envelope {
        TxEnvelope::Eip1559(signed) => {
            let tx = signed.tx();
            if !tx.access_list.is_empty() {
                return Err(refused("access lists are not taken"));
            }
            let fees = Fees::Dynamic { max_fee: tx.max_fee_per_gas, tip: tx.max_priority_fee_per_gas };
            (signed.signature_hash(), draft(tx.chain_id, tx.nonce, tx.to, tx.value, &tx.input, tx.gas_limit, fees))
        }
        TxEnvelope::Legacy(signed) => {
            let tx = signed.tx();
            let chain_id = tx.chain_id.ok_or_else(|| refused("without a chain id it is valid on any chain"))?;
            let fees = Fees::Legacy { gas_price: tx.gas_price };
            (signed.signature_hash(), draft(chain_id, tx.nonce, tx.to, tx.value, &tx.input, tx.gas_limit, fees))
        }
        _ => return Err(refused("only types 0 and 2 are taken, no access lists, blobs or delegations")),
    };
    let mut rs = [0; 64];
    rs[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    rs[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let from = recover(&hash.0, &rs, signature.v())
        .ok_or_else(|| Error::invalid("chain.signature_invalid", "the signature of the transaction names nobody"))?;
    let id = envelope.tx_hash().to_string().parse()?;
    Ok(Read { id, from, draft })
}

fn draft(chain_id: u64, nonce: u64, to: TxKind, value: U256, data: &[u8], gas_limit: u64, fees: Fees) -> Draft {
    Draft { chain_id, nonce, to: to.to().copied(), value, data: data.to_vec(), gas_limit, fees }
}

#[cfg(test)]
mod tests {
    use nsl_core::Secret;

    use super::*;

    fn key() -> Key {
        Key::from_secret(&Secret::new([0x46; 32])).unwrap()
    }

    fn draft_of(fees: Fees) -> Draft {
        Draft {
            chain_id: 1,
            nonce: 9,
            to: Some("0x3535353535353535353535353535353535353535".parse().unwrap()),
            value: U256::from(1_000_000_000_000_000_000u64),
            data: Vec::new(),
            gas_limit: 21_000,
            fees,
        }
    }

    // The worked example of EIP-155.
    #[test]
    fn a_legacy_transaction_is_that_of_its_eip() {
        let draft = draft_of(Fees::Legacy { gas_price: 20_000_000_000 });
        assert_eq!(
            hex::encode(draft.signing_hash()),
            "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
        );
        let signed = draft.signed_by(&key()).unwrap();
        assert_eq!(
            hex::encode(&signed.raw),
            "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080\
             25a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276\
             a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
        );
    }

    #[test]
    fn what_is_signed_reads_back() {
        for fees in [Fees::Legacy { gas_price: 7 }, Fees::Dynamic { max_fee: 50, tip: 3 }] {
            for to in [None, draft_of(fees).to] {
                let draft = Draft { to, data: vec![1, 2, 3], ..draft_of(fees) };
                let signed = draft.signed_by(&key()).unwrap();
                let found = read(&signed.raw).unwrap();
                assert_eq!((found.id, found.from, found.draft), (signed.id, key().address(), draft));
            }
        }
    }

    #[test]
    fn what_neo_x_does_not_take_is_refused() {
        let signed = draft_of(Fees::Dynamic { max_fee: 50, tip: 3 }).signed_by(&key()).unwrap().raw;
        for cut in 0..signed.len() {
            assert!(read(&signed[..cut]).is_err());
        }
        assert!(read(&[&signed[..], &[0]].concat()).is_err());
        let mut signature = key().sign_hash(&[7; 32]);
        signature[64] = 2;
        assert!(draft_of(Fees::Legacy { gas_price: 1 }).signed(&signature).is_err());
        signature[64] = 0;
        signature[32..64].fill(0xee);
        assert_eq!(
            draft_of(Fees::Legacy { gas_price: 1 }).signed(&signature).unwrap_err().slug,
            "chain.signature_invalid"
        );
        // Type 1, and a legacy one without chain id.
        let access_list = alloy_consensus::TxEip2930 { chain_id: 1, ..Default::default() };
        let other: TxEnvelope = access_list.into_signed(Signature::test_signature()).into();
        assert_eq!(read(&other.encoded_2718()).unwrap_err().slug, "chain.tx_type_refused");
        let anywhere: TxEnvelope = TxLegacy::default().into_signed(Signature::test_signature()).into();
        assert_eq!(read(&anywhere.encoded_2718()).unwrap_err().slug, "chain.tx_type_refused");
    }
}
