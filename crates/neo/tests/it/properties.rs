//! Readers of strangers' bytes: they never panic, and what they read is written back as it was.

use std::sync::LazyLock;

use neo::{
    Hash160, Hash256, PrivateKey, PublicKey,
    block::{Block, Header},
    context::Context,
    tx::{Action, Attribute, Condition, OracleCode, Scopes, Signer, Transaction, Witness, WitnessRule},
    wire::Wire,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

static KEYS: LazyLock<Vec<PublicKey>> =
    LazyLock::new(|| (1..=9).map(|number| PrivateKey::from_bytes(&[number; 32]).unwrap().public()).collect());

fn hash() -> impl Strategy<Value = Hash160> + Clone {
    any::<[u8; 20]>().prop_map(Hash160::from_le)
}

fn key() -> impl Strategy<Value = PublicKey> + Clone {
    (0..9_usize).prop_map(|at| KEYS[at])
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(|expression| Condition::Boolean { expression }),
        hash().prop_map(|hash| Condition::ScriptHash { hash }),
        key().prop_map(|group| Condition::Group { group }),
        Just(Condition::CalledByEntry),
        hash().prop_map(|hash| Condition::CalledByContract { hash }),
        key().prop_map(|group| Condition::CalledByGroup { group }),
    ];
    leaf.prop_recursive(2, 40, 16, |inner| {
        prop_oneof![
            inner.clone().prop_map(|condition| Condition::Not { expression: Box::new(condition) }),
            vec(inner.clone(), 1..=16).prop_map(|expressions| Condition::And { expressions }),
            vec(inner, 1..=16).prop_map(|expressions| Condition::Or { expressions }),
        ]
    })
}

fn signer() -> impl Strategy<Value = Signer> {
    let rule = (any::<bool>(), condition()).prop_map(|(allow, condition)| {
        let action = if allow { Action::Allow } else { Action::Deny };
        WitnessRule { action, condition }
    });
    let lists = (option::of(vec(hash(), 0..=16)), option::of(vec(key(), 0..=16)), option::of(vec(rule, 0..=16)));
    let scopes = select(vec![Scopes::NONE, Scopes::CALLED_BY_ENTRY, Scopes::GLOBAL]);
    (hash(), scopes, lists).prop_map(|(account, mut scopes, (contracts, groups, rules))| {
        if scopes == Scopes::GLOBAL {
            return Signer::new(account, scopes);
        }
        for (list, scope) in [
            (contracts.is_some(), Scopes::CUSTOM_CONTRACTS),
            (groups.is_some(), Scopes::CUSTOM_GROUPS),
            (rules.is_some(), Scopes::WITNESS_RULES),
        ] {
            scopes = if list { scopes | scope } else { scopes };
        }
        Signer {
            allowed_contracts: contracts.unwrap_or_default(),
            allowed_groups: groups.unwrap_or_default(),
            rules: rules.unwrap_or_default(),
            ..Signer::new(account, scopes)
        }
    })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let answer = (any::<u64>(), vec(any::<u8>(), 0..300)).prop_map(|(id, result)| Attribute::OracleResponse {
        id,
        code: OracleCode::Success,
        result,
    });
    let failure =
        any::<u64>().prop_map(|id| Attribute::OracleResponse { id, code: OracleCode::Timeout, result: vec![] });
    let single = (
        option::of(Just(Attribute::HighPriority)),
        option::of(prop_oneof![answer, failure]),
        option::of(any::<u32>().prop_map(Attribute::NotValidBefore)),
        option::of(any::<u8>().prop_map(Attribute::NotaryAssisted)),
    );
    let conflicts = vec(any::<[u8; 32]>().prop_map(|hash| Attribute::Conflicts(Hash256::from_le(hash))), 0..4);
    (single, conflicts)
        .prop_map(|((a, b, c, d), conflicts)| [a, b, c, d].into_iter().flatten().chain(conflicts).collect())
}

fn witness() -> impl Strategy<Value = Witness> {
    let script = || vec(any::<u8>(), 0..200);
    (script(), script()).prop_map(|(invocation, verification)| Witness { invocation, verification })
}

prop_compose! {
    fn transaction()(
        (nonce, valid_until_block) in any::<(u32, u32)>(),
        system_fee in 0..i64::MAX / 2,
        network_fee in 0..i64::MAX / 2,
        both in vec((signer(), witness()), 1..8),
        attributes in attributes(),
        script in vec(any::<u8>(), 1..600),
    ) -> Transaction {
        let (mut signers, witnesses): (Vec<Signer>, _) = both.into_iter().unzip();
        for (at, signer) in signers.iter_mut().enumerate() {
            // Each its own account, whatever the rest came to.
            let mut account = *signer.account.as_le();
            account[0] = at as u8;
            signer.account = Hash160::from_le(account);
        }
        Transaction {
            version: 0, nonce, system_fee, network_fee, valid_until_block, signers, attributes, script, witnesses,
        }
    }
}

/// Reads bytes that may be anything.
fn read<T: Wire + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(read) = T::from_bytes(bytes) {
        let written = read.to_bytes();
        // Lengths can be written longer than needed; nothing else has two forms.
        prop_assert!(written.len() <= bytes.len());
        prop_assert!(written.len() < bytes.len() || written == bytes);
        prop_assert_eq!(&T::from_bytes(&written).unwrap(), &read);
    }
    Ok(())
}

fn read_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    let _ = Transaction::from_unsigned_bytes(bytes);
    read::<Transaction>(bytes)?;
    read::<Header>(bytes)?;
    read::<Block>(bytes)?;
    read::<Signer>(bytes)?;
    read::<WitnessRule>(bytes)?;
    read::<Condition>(bytes)?;
    read::<Attribute>(bytes)?;
    read::<Witness>(bytes)
}

proptest! {
    #[test]
    fn a_transaction_comes_back_from_bytes_and_from_json(tx in transaction()) {
        let bytes = tx.to_bytes();
        prop_assert!(tx.check().is_ok());
        prop_assert_eq!(&Transaction::from_bytes(&bytes).unwrap(), &tx);
        let json = serde_json::to_string(&tx).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Transaction>(&json).unwrap(), &tx);

        let unsigned = Transaction { witnesses: vec![], ..tx.clone() };
        prop_assert_eq!(&Transaction::from_unsigned_bytes(&tx.unsigned_bytes()).unwrap(), &unsigned);
        let context = Context::new(1, tx).unwrap();
        let json = serde_json::to_string(&context).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Context>(&json).unwrap(), &context);
    }

    #[test]
    fn anything_can_be_read(bytes in vec(any::<u8>(), 0..400)) {
        read_all(&bytes)?;
    }

    #[test]
    fn a_transaction_that_was_changed_on_the_way_can_be_read(
        tx in transaction(), changes in vec((any::<usize>(), any::<u8>()), 1..4), cut in any::<Option<u16>>(),
    ) {
        let mut bytes = tx.to_bytes();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| usize::from(cut) % bytes.len()));
        read_all(&bytes)?;
    }

    #[test]
    fn a_block_that_was_changed_on_the_way_can_be_read(
        txs in vec(transaction(), 0..3), head in any::<[u8; 105]>(), witness in witness(), change in any::<(usize, u8)>(),
    ) {
        let mut bytes = [&[0; 4][..], &head, &[1]].concat();
        witness.write(&mut bytes);
        bytes.push(txs.len() as u8);
        txs.iter().for_each(|tx| tx.write(&mut bytes));
        let block = Block::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&block.to_bytes(), &bytes);
        prop_assert_eq!(&serde_json::from_str::<Block>(&serde_json::to_string(&block).unwrap()).unwrap(), &block);
        let at = change.0 % bytes.len();
        bytes[at] = change.1;
        read_all(&bytes)?;
    }

    #[test]
    fn any_text_can_be_read_as_json(text in "[\\[\\]{}:,\"a-z0-9]{0,80}") {
        let _ = serde_json::from_str::<Transaction>(&text);
        let _ = serde_json::from_str::<Block>(&text);
        let _ = serde_json::from_str::<Context>(&text);
    }
}
