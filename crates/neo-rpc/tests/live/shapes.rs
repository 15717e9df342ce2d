//! Random transactions of every shape.

use neo::{
    Hash160, Hash256, PrivateKey, account,
    fee::Verification,
    hash::sha256,
    script::Builder,
    stack::Param,
    tx::{Action, Attribute, Condition, OracleCode, Scopes, Signer, Transaction, Witness, WitnessRule},
};

/// Random numbers, the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bytes(&mut self) -> [u8; 32] {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        sha256(&self.0.to_le_bytes())
    }

    fn hash(&mut self) -> Hash160 {
        Hash160::of_script(&self.bytes())
    }

    fn key(&mut self) -> PrivateKey {
        PrivateKey::from_bytes(&self.bytes()).unwrap()
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bytes = self.bytes();
        usize::from_le_bytes(bytes[..8].try_into().unwrap()) % bound
    }

    fn list<T>(&mut self, count: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..count).map(|_| one(self)).collect()
    }
}

/// A deployed contract that verifies.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) hash: Hash160,
    pub(crate) arguments: Vec<Param>,
    pub(crate) gas: i64,
}

impl Verifier {
    fn invocation(&self) -> Vec<u8> {
        let mut script = Builder::new();
        for argument in self.arguments.iter().rev() {
            script.push(argument);
        }
        script.finish().unwrap()
    }
}

/// Somebody who signs.
pub(crate) enum Party {
    Key(PrivateKey),
    Keys { script: Vec<u8>, threshold: usize, keys: Vec<PrivateKey> },
    Contract(Verifier),
}

impl Party {
    pub(crate) fn account(&self) -> Hash160 {
        match self {
            Self::Key(key) => key.public().script_hash(),
            Self::Keys { script, .. } => Hash160::of_script(script),
            Self::Contract(contract) => contract.hash,
        }
    }

    pub(crate) fn way(&self) -> Verification {
        match self {
            Self::Key(key) => Verification::key(&key.public()),
            Self::Keys { script, .. } => Verification::Script(script.clone()),
            Self::Contract(contract) => {
                let invocation = contract.invocation().len();
                Verification::Measured { invocation, verification: 0, gas: contract.gas }
            }
        }
    }

    pub(crate) fn sign(&self, dice: &mut Dice, message: &[u8]) -> Witness {
        match self {
            Self::Key(key) => Witness::single(key, message),
            Self::Keys { script, threshold, keys } => {
                // Any of the keys, so many as are needed.
                let first = dice.below(keys.len() - threshold + 1);
                let signers = &keys[first..first + threshold];
                let signed: Vec<_> = signers.iter().map(|key| (key.public(), key.sign(message))).collect();
                Witness::multi(script, &signed).unwrap()
            }
            Self::Contract(contract) => Witness::contract(contract.invocation()),
        }
    }

    /// Its witness before anybody signed: the node fills in what is empty.
    fn unsigned(&self) -> Witness {
        match self {
            Self::Key(key) => Witness { invocation: vec![], verification: key.public().verification_script() },
            Self::Keys { script, .. } => Witness { invocation: vec![], verification: script.clone() },
            Self::Contract(contract) => Witness::contract(contract.invocation()),
        }
    }
}

pub(crate) fn party(dice: &mut Dice, contracts: &[Verifier]) -> Party {
    match dice.below(3) {
        0 => Party::Key(dice.key()),
        1 => Party::Contract(contracts[dice.below(contracts.len())].clone()),
        _ => {
            let most = if dice.below(4) == 0 { MOST_KEYS } else { 16 };
            let count = 1 + dice.below(most);
            several(dice, count)
        }
    }
}

/// Scripts of more keys do not fit into a witness, and neither do more than 15 signatures.
const MOST_KEYS: usize = 29;

fn several(dice: &mut Dice, count: usize) -> Party {
    let threshold = 1 + dice.below(count.min(15));
    let keys = dice.list(count, Dice::key);
    let script = account::multi(threshold, &keys.iter().map(PrivateKey::public).collect::<Vec<_>>()).unwrap();
    Party::Keys { script, threshold, keys }
}

pub(crate) struct Shape {
    pub(crate) transaction: Transaction,
    pub(crate) ways: Vec<Verification>,
}

pub(crate) fn shape(dice: &mut Dice, contracts: &[Verifier], magic: u32) -> Shape {
    let count = if dice.below(8) == 0 { 12 } else { 1 + dice.below(4) };
    let mut parties: Vec<Party> = Vec::new();
    // At times around what may be spent on verification.
    let costly = dice.below(25) == 0;
    for _ in 0..if costly { 4 + dice.below(4) } else { count } {
        let next = if costly { several(dice, MOST_KEYS) } else { party(dice, contracts) };
        if parties.iter().all(|party| party.account() != next.account()) {
            parties.push(next);
        }
    }
    let signers: Vec<_> = parties.iter().map(|party| signer(dice, party.account())).collect();
    let attributes = attributes(dice, 16 - signers.len());
    let script = if dice.below(20) == 0 { 40_000 } else { 1 + dice.below(600) };
    let mut transaction = Transaction {
        version: 0,
        nonce: dice.below(1 << 32) as u32,
        system_fee: dice.below(1 << 40) as i64,
        network_fee: dice.below(1 << 40) as i64,
        valid_until_block: dice.below(1 << 32) as u32,
        signers,
        attributes,
        script: vec![0x40; script],
        witnesses: vec![],
    };
    let signed = dice.below(2) == 0;
    let message = transaction.message(magic);
    let witness = |party: &Party| if signed { party.sign(dice, &message) } else { party.unsigned() };
    transaction.witnesses = parties.iter().map(witness).collect();
    Shape { transaction, ways: parties.iter().map(Party::way).collect() }
}

pub(crate) fn signer(dice: &mut Dice, account: Hash160) -> Signer {
    let mut signer = match dice.below(4) {
        0 => return Signer::new(account, Scopes::GLOBAL),
        1 => return Signer::none(account),
        _ => Signer::called_by_entry(account),
    };
    if dice.below(2) == 0 {
        signer.scopes = signer.scopes | Scopes::CUSTOM_CONTRACTS;
        let count = dice.below(17);
        signer.allowed_contracts = dice.list(count, Dice::hash);
    }
    if dice.below(3) == 0 {
        signer.scopes = signer.scopes | Scopes::CUSTOM_GROUPS;
        let count = dice.below(17);
        signer.allowed_groups = dice.list(count, |dice| dice.key().public());
    }
    if dice.below(2) == 0 {
        signer.scopes = signer.scopes | Scopes::WITNESS_RULES;
        let count = dice.below(17);
        signer.rules = dice.list(count, |dice| {
            let action = if dice.below(2) == 0 { Action::Deny } else { Action::Allow };
            WitnessRule { action, condition: condition(dice, 2) }
        });
    }
    signer
}

fn condition(dice: &mut Dice, below: usize) -> Condition {
    match dice.below(if below == 0 { 6 } else { 9 }) {
        0 => Condition::Boolean { expression: dice.below(2) == 0 },
        1 => Condition::ScriptHash { hash: dice.hash() },
        2 => Condition::Group { group: dice.key().public() },
        3 => Condition::CalledByEntry,
        4 => Condition::CalledByContract { hash: dice.hash() },
        5 => Condition::CalledByGroup { group: dice.key().public() },
        6 => Condition::Not { expression: Box::new(condition(dice, below - 1)) },
        and => {
            let count = 1 + dice.below(4);
            let expressions = dice.list(count, |dice| condition(dice, below - 1));
            if and == 7 { Condition::And { expressions } } else { Condition::Or { expressions } }
        }
    }
}

fn attributes(dice: &mut Dice, most: usize) -> Vec<Attribute> {
    let result = vec![5; dice.below(400)];
    let mut all = vec![
        Attribute::HighPriority,
        Attribute::OracleResponse { id: 1, code: OracleCode::Success, result },
        Attribute::NotValidBefore(7),
        Attribute::NotaryAssisted(dice.below(256) as u8),
    ];
    all.retain(|_| dice.below(4) == 0);
    let conflicts = dice.below(5);
    all.extend(dice.list(conflicts, |dice| Attribute::Conflicts(Hash256::from_le(dice.bytes()))));
    all.truncate(most);
    all
}
