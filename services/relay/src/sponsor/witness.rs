//! What comes back of a prepared transaction: exactly that one, and a witness of its user that holds.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{
    Hash160, PublicKey, account,
    context::Context,
    tx::{Transaction, Witness},
    wire::Reader,
};
use nsl_api::sponsor::{Proof, WitnessScripts};
use nsl_core::{Error, Result};

/// Signers of a transaction, at most.
const MOST_WITNESSES: u64 = 16;

/// What was prepared.
pub(crate) struct Wanted<'a> {
    pub(crate) transaction: &'a Transaction,
    pub(crate) network: u32,
    pub(crate) user: Hash160,
    /// The fees pay for this script, or else for one of a single key.
    pub(crate) script: Option<&'a [u8]>,
}

impl Wanted<'_> {
    /// The user's witness. Refused when it does not hold for what was prepared, or comes with another transaction.
    pub(crate) fn witness(&self, proof: &Proof) -> Result<Witness> {
        let witness = match proof {
            Proof { witness: Some(scripts), signature: None, public_key: None, context: None, transaction: None } => {
                scripts_of(scripts)?
            }
            Proof {
                witness: None,
                signature: Some(signature),
                public_key: Some(key),
                context: None,
                transaction: None,
            } => Witness::of_signature(&read_key(key)?, &read_signature(signature)?),
            Proof { witness: None, signature: None, public_key: None, context: Some(context), transaction: None } => {
                self.of_context(context)?
            }
            Proof { witness: None, signature: None, public_key: None, context: None, transaction: Some(bytes) } => {
                self.of_transaction(&decode("transaction", bytes)?)?
            }
            _ => {
                let forms = "`witness`, `signature` and `public_key`, `context`, or `transaction`";
                return Err(malformed(format!("it comes in exactly one form: {forms}")));
            }
        };
        let message = self.transaction.message(self.network);
        witness.verify(&self.user, &message).map_err(|error| {
            let message = format!("the user's witness does not hold for what was prepared: {error}");
            Error::invalid("sponsored.witness_invalid", message)
        })?;
        if self.script.is_none() && account::read_single(&witness.verification).is_none() {
            let message = "the user has several keys: prepare again and give the script as `verification`";
            return Err(Error::invalid("sponsored.witness_unpaid", message));
        }
        Ok(witness)
    }

    fn of_context(&self, json: &serde_json::Value) -> Result<Witness> {
        let context: Context =
            serde_json::from_value(json.clone()).map_err(|error| malformed(format!("the context: {error}")))?;
        if context.network() != self.network || context.transaction() != self.transaction {
            return Err(differs());
        }
        // In its own JSON a context has all signatures in one place, whoever wrote it.
        let json = serde_json::to_value(&context).map_err(Error::internal)?;
        let item = &json["items"][self.user.to_string()];
        let missing = || malformed("the user has not signed the context".to_owned());
        let script = decode("context", item["script"].as_str().ok_or_else(missing)?)?;
        let signatures = item["signatures"].as_object().ok_or_else(missing)?;
        let each = signatures
            .iter()
            .map(|(key, signature)| Ok((read_key(key)?, read_signature(signature.as_str().unwrap_or_default())?)));
        let signatures = each.collect::<Result<Vec<_>>>()?;
        match (account::read_single(&script), signatures.first()) {
            (_, None) => Err(missing()),
            (Some(key), Some((_, signature))) => Ok(Witness::of_signature(&key, signature)),
            (None, Some(_)) => {
                Witness::multi(&script, &signatures).map_err(|error| malformed(format!("the context: {error}")))
            }
        }
    }

    // Wallets give the witness that they made, and perhaps an empty one in the place of the other.
    fn of_transaction(&self, bytes: &[u8]) -> Result<Witness> {
        let rest = bytes.strip_prefix(self.transaction.unsigned_bytes().as_slice()).ok_or_else(differs)?;
        let mut reader = Reader::new(rest);
        let read = reader.list::<Witness>(MOST_WITNESSES, "witnesses").and_then(|all| reader.finish().map(|()| all));
        let all = read.map_err(|error| malformed(format!("the witnesses of the transaction: {error}")))?;
        let of_user = |witness: &Witness| Hash160::of_script(&witness.verification) == self.user;
        let missing = || malformed("the transaction has no witness of its user".to_owned());
        all.into_iter().find(of_user).ok_or_else(missing)
    }
}

fn malformed(why: String) -> Error {
    Error::invalid("sponsored.proof_malformed", format!("what the user signed: {why}"))
}

fn differs() -> Error {
    Error::invalid("sponsored.differs", "what came back is another transaction than the one that was prepared")
}

fn decode(what: &str, text: &str) -> Result<Vec<u8>> {
    BASE64.decode(text).map_err(|_| malformed(format!("{what} is not base64")))
}

fn scripts_of(scripts: &WitnessScripts) -> Result<Witness> {
    let WitnessScripts { invocation, verification } = scripts;
    Ok(Witness { invocation: decode("invocation", invocation)?, verification: decode("verification", verification)? })
}

fn read_key(text: &str) -> Result<PublicKey> {
    text.parse().map_err(|_| malformed("the public key is not one of secp256r1 in hex".to_owned()))
}

fn read_signature(text: &str) -> Result<[u8; 64]> {
    let bytes = hex::decode(text.trim_start_matches("0x")).ok().or_else(|| BASE64.decode(text).ok());
    let sized = bytes.and_then(|bytes| bytes.try_into().ok());
    sized.ok_or_else(|| malformed("the signature is not 64 bytes in hex or base64".to_owned()))
}

#[cfg(test)]
mod tests {
    use neo::{PrivateKey, tx::Signer, wire::Wire};
    use serde_json::json;

    use super::*;

    const NETWORK: u32 = 1230;

    fn key(number: u8) -> PrivateKey {
        PrivateKey::from_bytes(&[number; 32]).unwrap()
    }

    fn prepared(user: Hash160) -> Transaction {
        Transaction {
            nonce: 7,
            system_fee: 1_000,
            network_fee: 2_000,
            valid_until_block: 100,
            signers: vec![Signer::none(key(1).public().script_hash()), Signer::called_by_entry(user)],
            script: vec![0x11, 0x40],
            ..Transaction::default()
        }
    }

    fn wanted<'a>(transaction: &'a Transaction, script: Option<&'a [u8]>) -> Wanted<'a> {
        Wanted { transaction, network: NETWORK, user: transaction.signers[1].account, script }
    }

    fn scripts(witness: &Witness) -> Proof {
        let [invocation, verification] = [&witness.invocation, &witness.verification].map(|bytes| BASE64.encode(bytes));
        Proof { witness: Some(WitnessScripts { invocation, verification }), ..Proof::default() }
    }

    fn slug(wanted: &Wanted<'_>, proof: &Proof) -> String {
        wanted.witness(proof).unwrap_err().slug.into_owned()
    }

    #[test]
    fn a_signature_counts_in_each_of_its_forms() {
        let user = key(2);
        let transaction = prepared(user.public().script_hash());
        let wanted = wanted(&transaction, None);
        let message = transaction.message(NETWORK);
        let witness = Witness::single(&user, &message);
        let signature = witness.signatures().unwrap()[0];
        let signed = |text: String| Proof {
            signature: Some(text),
            public_key: Some(user.public().to_string()),
            ..Proof::default()
        };
        let mut context = Context::new(NETWORK, transaction.clone()).unwrap();
        context.sign(&user).unwrap();
        let context = Proof { context: Some(serde_json::to_value(&context).unwrap()), ..Proof::default() };
        // As a wallet writes it that knows of no other signer, and as one that leaves a place for them.
        let mut alone = [transaction.unsigned_bytes(), vec![1]].concat();
        witness.write(&mut alone);
        let mut both = [transaction.unsigned_bytes(), vec![2, 0, 0]].concat();
        witness.write(&mut both);
        let whole = |bytes: &[u8]| Proof { transaction: Some(BASE64.encode(bytes)), ..Proof::default() };
        for proof in [
            scripts(&witness),
            signed(hex::encode(signature)),
            signed(BASE64.encode(signature)),
            context,
            whole(&alone),
            whole(&both),
        ] {
            assert_eq!(wanted.witness(&proof).unwrap(), witness, "{proof:?}");
        }
        both.push(0);
        assert_eq!(slug(&wanted, &whole(&both)), "sponsored.proof_malformed");
    }

    #[test]
    fn several_keys_sign_together_when_the_fee_covers_them() {
        let keys = [key(2), key(3), key(4)];
        let script = account::multi(2, &keys.each_ref().map(PrivateKey::public)).unwrap();
        let transaction = prepared(Hash160::of_script(&script));
        let mut context = Context::new(NETWORK, transaction.clone()).unwrap();
        context.add_script(&script).unwrap();
        context.sign(&keys[2]).unwrap();
        let proof =
            |context: &Context| Proof { context: Some(serde_json::to_value(context).unwrap()), ..Proof::default() };
        let paid = wanted(&transaction, Some(&script));
        assert_eq!(slug(&paid, &proof(&context)), "sponsored.proof_malformed", "one of two");
        context.sign(&keys[0]).unwrap();
        let witness = paid.witness(&proof(&context)).unwrap();
        assert!(witness.verify(&Hash160::of_script(&script), &transaction.message(NETWORK)).is_ok());
        assert!(paid.witness(&scripts(&witness)).is_ok());
        assert_eq!(slug(&wanted(&transaction, None), &scripts(&witness)), "sponsored.witness_unpaid");
    }

    #[test]
    fn another_transaction_never_passes() {
        let user = key(2);
        let transaction = prepared(user.public().script_hash());
        let wanted = wanted(&transaction, None);
        let tampered: Vec<(&str, Transaction)> = vec![
            ("script", Transaction { script: vec![0x12, 0x40], ..transaction.clone() }),
            ("fees", Transaction { system_fee: 9_000, ..transaction.clone() }),
            ("network fee", Transaction { network_fee: 2_001, ..transaction.clone() }),
            ("validity", Transaction { valid_until_block: 101, ..transaction.clone() }),
            ("nonce", Transaction { nonce: 8, ..transaction.clone() }),
            ("scope", {
                let mut other = transaction.clone();
                other.signers[0] = Signer::called_by_entry(other.signers[0].account);
                other
            }),
            ("user's scope", {
                let mut other = transaction.clone();
                other.signers[1].scopes = neo::tx::Scopes::GLOBAL;
                other
            }),
        ];
        for (what, other) in tampered {
            let witness = Witness::single(&user, &other.message(NETWORK));
            assert_eq!(slug(&wanted, &scripts(&witness)), "sponsored.witness_invalid", "{what}");
            let mut context = Context::new(NETWORK, other.clone()).unwrap();
            context.sign(&user).unwrap();
            let context = Proof { context: Some(serde_json::to_value(&context).unwrap()), ..Proof::default() };
            assert_eq!(slug(&wanted, &context), "sponsored.differs", "{what}");
            let mut bytes = [other.unsigned_bytes(), vec![1]].concat();
            witness.write(&mut bytes);
            let whole = Proof { transaction: Some(BASE64.encode(bytes)), ..Proof::default() };
            assert_eq!(slug(&wanted, &whole), "sponsored.differs", "{what}");
        }
        let elsewhere = Witness::single(&user, &transaction.message(NETWORK + 1));
        assert_eq!(slug(&wanted, &scripts(&elsewhere)), "sponsored.witness_invalid", "another network");
    }

    #[test]
    fn no_changed_bit_passes() {
        let user = key(2);
        let transaction = prepared(user.public().script_hash());
        let wanted = wanted(&transaction, None);
        let mut good = [transaction.unsigned_bytes(), vec![1]].concat();
        Witness::single(&user, &transaction.message(NETWORK)).write(&mut good);
        let whole = |bytes: &[u8]| Proof { transaction: Some(BASE64.encode(bytes)), ..Proof::default() };
        assert!(wanted.witness(&whole(&good)).is_ok());
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(wanted.witness(&whole(&changed)).is_err(), "{at}");
            assert!(wanted.witness(&whole(&good[..at])).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn nobody_else_signs_for_the_user() {
        let (user, stranger) = (key(2), key(9));
        let transaction = prepared(user.public().script_hash());
        let wanted = wanted(&transaction, None);
        let message = transaction.message(NETWORK);
        for who in [&stranger, &key(1)] {
            assert_eq!(slug(&wanted, &scripts(&Witness::single(who, &message))), "sponsored.witness_invalid");
        }
        // The stranger's signature under the user's own script.
        let forged = Witness::of_signature(&user.public(), &stranger.sign(&message));
        assert_eq!(slug(&wanted, &scripts(&forged)), "sponsored.witness_invalid");
        // A script that is no signature check, and a contract.
        let anyone = Witness { invocation: vec![], verification: vec![0x11] };
        assert_eq!(slug(&wanted, &scripts(&anyone)), "sponsored.witness_invalid");
        assert_eq!(slug(&wanted, &scripts(&Witness::contract(vec![]))), "sponsored.witness_invalid");
        // More pushed than signatures.
        let mut padded = Witness::single(&user, &message);
        padded.invocation.insert(0, 0x11);
        assert_eq!(slug(&wanted, &scripts(&padded)), "sponsored.witness_invalid");
        let none = Proof::default();
        let two = Proof { context: Some(json!({})), ..scripts(&forged) };
        for proof in [none, two] {
            assert_eq!(slug(&wanted, &proof), "sponsored.proof_malformed");
        }
    }
}
