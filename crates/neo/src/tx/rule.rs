//! Witness rules: conditions under which a signature counts while the script runs.

use serde::{Deserialize, Serialize};

use super::signer::MOST_ITEMS;
use crate::{
    error::{Error, Result, malformed},
    hash::Hash160,
    keys::PublicKey,
    wire::{Reader, Wire, write_list},
};

/// How deep conditions may hold conditions: one in another in a third.
pub const MOST_NESTING: usize = 3;

/// What a rule says when its condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// The signature does not count.
    Deny,
    /// The signature counts.
    Allow,
}

/// One rule of a signer. Nodes ask them in order: the first whose condition holds decides, and none means no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessRule {
    /// What to do when the condition holds.
    pub action: Action,
    /// When to do it.
    pub condition: Condition,
}

/// What a rule asks of the contract that checks the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Condition {
    /// Always or never.
    Boolean {
        /// Whether always.
        expression: bool,
    },
    /// The other way round.
    Not {
        /// What must not hold.
        expression: Box<Condition>,
    },
    /// All of 1 to 16 hold.
    And {
        /// What must hold.
        expressions: Vec<Condition>,
    },
    /// At least one of 1 to 16 holds.
    Or {
        /// What may hold.
        expressions: Vec<Condition>,
    },
    /// This contract is running.
    ScriptHash {
        /// The contract.
        hash: Hash160,
    },
    /// A contract of this group is running.
    Group {
        /// The group's key.
        group: PublicKey,
    },
    /// The script of the transaction, or a contract that it called itself, is running.
    CalledByEntry,
    /// This contract called the one that is running.
    CalledByContract {
        /// The caller.
        hash: Hash160,
    },
    /// A contract of this group called the one that is running.
    CalledByGroup {
        /// The key of the caller's group.
        group: PublicKey,
    },
}

impl WitnessRule {
    /// Refuses what nodes refuse.
    pub fn check(&self) -> Result<()> {
        self.condition.check(MOST_NESTING)
    }
}

impl Condition {
    fn tag(&self) -> u8 {
        match self {
            Self::Boolean { .. } => 0x00,
            Self::Not { .. } => 0x01,
            Self::And { .. } => 0x02,
            Self::Or { .. } => 0x03,
            Self::ScriptHash { .. } => 0x18,
            Self::Group { .. } => 0x19,
            Self::CalledByEntry => 0x20,
            Self::CalledByContract { .. } => 0x28,
            Self::CalledByGroup { .. } => 0x29,
        }
    }

    fn check(&self, levels: usize) -> Result<()> {
        let Some(below) = levels.checked_sub(1) else { return Err(too_deep()) };
        match self {
            Self::Not { expression } => expression.check(below),
            Self::And { expressions } | Self::Or { expressions } => {
                members(expressions.len() as u64)?;
                expressions.iter().try_for_each(|expression| expression.check(below))
            }
            _ => Ok(()),
        }
    }

    fn read(from: &mut Reader<'_>, levels: usize) -> Result<Self> {
        let Some(below) = levels.checked_sub(1) else { return Err(too_deep()) };
        Ok(match from.u8("witness condition")? {
            0x00 => Self::Boolean { expression: boolean(from)? },
            0x01 => Self::Not { expression: Box::new(Self::read(from, below)?) },
            0x02 => Self::And { expressions: Self::read_members(from, below)? },
            0x03 => Self::Or { expressions: Self::read_members(from, below)? },
            0x18 => Self::ScriptHash { hash: Hash160::read(from)? },
            0x19 => Self::Group { group: PublicKey::read(from)? },
            0x20 => Self::CalledByEntry,
            0x28 => Self::CalledByContract { hash: Hash160::read(from)? },
            0x29 => Self::CalledByGroup { group: PublicKey::read(from)? },
            tag => return Err(malformed("witness condition", format!("unknown type {tag:#04x}"))),
        })
    }

    fn read_members(from: &mut Reader<'_>, levels: usize) -> Result<Vec<Self>> {
        let count = from.var_uint(MOST_ITEMS, "conditions")?;
        members(count)?;
        (0..count).map(|_| Self::read(from, levels)).collect()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Self::Boolean { expression } => out.push(u8::from(*expression)),
            Self::Not { expression } => expression.write(out),
            Self::And { expressions } | Self::Or { expressions } => write_list(expressions, out),
            Self::ScriptHash { hash } | Self::CalledByContract { hash } => hash.write(out),
            Self::Group { group } | Self::CalledByGroup { group } => group.write(out),
            Self::CalledByEntry => {}
        }
    }
}

impl Wire for Condition {
    fn write(&self, out: &mut Vec<u8>) {
        Self::write(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Self::read(from, MOST_NESTING)
    }
}

impl Wire for WitnessRule {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.action == Action::Allow));
        self.condition.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let action = match from.u8("witness rule")? {
            0 => Action::Deny,
            1 => Action::Allow,
            other => return Err(malformed("witness rule", format!("unknown action {other}"))),
        };
        Ok(Self { action, condition: <Condition as Wire>::read(from)? })
    }
}

fn boolean(from: &mut Reader<'_>) -> Result<bool> {
    match from.u8("witness condition")? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(malformed("witness condition", format!("{other} is neither true nor false"))),
    }
}

fn members(count: u64) -> Result<()> {
    match count {
        0 => Err(malformed("witness condition", "it combines no conditions")),
        1..=MOST_ITEMS => Ok(()),
        size => Err(Error::TooLarge { what: "conditions", size, most: MOST_ITEMS }),
    }
}

fn too_deep() -> Error {
    malformed("witness condition", format!("nested deeper than {MOST_NESTING}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not(expression: Condition) -> Condition {
        Condition::Not { expression: Box::new(expression) }
    }

    #[test]
    fn conditions_nest_three_deep_and_no_deeper() {
        let three = not(Condition::Or { expressions: vec![Condition::CalledByEntry] });
        assert_eq!(Condition::from_bytes(&[1, 3, 1, 0x20]).unwrap(), three);
        let rule = |condition| WitnessRule { action: Action::Allow, condition };
        assert!(rule(three.clone()).check().is_ok());
        let four = rule(not(three));
        assert_eq!(four.check(), Err(too_deep()));
        assert_eq!(WitnessRule::from_bytes(&four.to_bytes()), Err(too_deep()));
    }

    #[test]
    fn a_list_of_conditions_is_neither_empty_nor_long() {
        for count in [0, 1, 16, 17] {
            let condition = Condition::And { expressions: vec![Condition::Boolean { expression: true }; count] };
            let fits = (1..=16).contains(&count);
            assert_eq!(condition.check(MOST_NESTING).is_ok(), fits);
            assert_eq!(Condition::from_bytes(&condition.to_bytes()).is_ok(), fits);
        }
    }

    #[test]
    fn unknown_bytes_are_refused() {
        for bytes in [&[0, 2][..], &[4], &[0x21], &[0x18, 1], &[]] {
            assert!(Condition::from_bytes(bytes).is_err(), "{bytes:?}");
        }
        assert!(WitnessRule::from_bytes(&[2, 0x20]).is_err());
    }
}
