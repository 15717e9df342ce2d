//! Several independent invocations in one script.
//!
//! What keeps them apart, as measured on neo-go 0.120 with all hard forks up to Faun, by test runs and by transactions
//! on its chain:
//!
//! - Each call of a contract works on a copy of the storage. When an exception leaves the call, the copy is thrown away
//!   and so are the notifications sent within it, also those of contracts that it called in turn; calls before and
//!   after keep theirs. So an invocation that **throws** leaves nothing behind but its price in GAS, and the others
//!   take place. An index out of range or a key that a map does not have is such an exception, too.
//! - **Nothing else can be caught.** `ABORT`, `ASSERT` that fails (with or without a message), a contract or method
//!   that is not there, missing call flags, an argument that a native contract cannot read, GAS that runs out, more on
//!   the stack than it holds: each ends the whole transaction with FAULT, and none of the invocations takes place. No
//!   construction of scripts changes that; the reference node has the same rule.
//! - An entry script may not notify, so the outcomes are left on the stack, which the application log shows.
//!
//! Therefore: run a batch for a test first, and take out what makes it fault. If the state changes in between and a
//! batch faults on the chain all the same, nothing of it has happened, and its invocations can be sent one by one.
//! All invocations of a batch share signers, fee and fate; a token's `transfer` that returns `false` has returned.

use super::{Builder, CallFlags, Opcode};
use crate::{
    error::{Result, malformed},
    hash::Hash160,
    stack::{Param, StackItem},
};

/// One call of a contract's method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The contract.
    pub contract: Hash160,
    /// The method.
    pub method: String,
    /// What the contract may do.
    pub flags: CallFlags,
    /// The arguments.
    pub args: Vec<Param>,
}

/// How one invocation of a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this; null if the method returns nothing.
    Returned(StackItem),
    /// It threw this, and what it had changed was undone.
    Threw(StackItem),
}

/// A script that makes these invocations one after the other, each in a block of its own. It leaves a pair for each:
/// true and what was returned, or false and what was thrown.
pub fn batch(invocations: &[Invocation]) -> Result<Vec<u8>> {
    let mut builder = Builder::new();
    for Invocation { contract, method, flags, args } in invocations {
        let (caught, done) = (builder.label(), builder.label());
        builder.try_block(Some(caught), None).call(contract, method, *flags, args);
        builder.op(Opcode::PUSHT).jump(Opcode::ENDTRY, done);
        builder.place(caught).op(Opcode::PUSHF).jump(Opcode::ENDTRY, done);
        builder.place(done).op(Opcode::PUSH2).op(Opcode::PACK);
    }
    builder.finish()
}

/// Reads what a [`batch`] of so many invocations left on the stack, in their order.
pub fn read_outcomes(stack: &[StackItem], count: usize) -> Result<Vec<Outcome>> {
    if stack.len() != count {
        return Err(malformed("outcomes", format!("{} items on the stack for {count} invocations", stack.len())));
    }
    let outcome = |item: &StackItem| match item.as_list()? {
        [StackItem::Boolean(true), value] => Ok(Outcome::Returned(value.clone())),
        [StackItem::Boolean(false), value] => Ok(Outcome::Threw(value.clone())),
        _ => Err(malformed("outcomes", "an item that is no pair of a boolean and a value")),
    };
    stack.iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        native,
        script::{check, to_text},
    };

    fn supply() -> Invocation {
        Invocation { contract: native::NEO, method: "totalSupply".into(), flags: CallFlags::ALL, args: vec![] }
    }

    #[test]
    fn each_invocation_has_a_block_of_its_own() {
        let script = batch(&[supply()]).unwrap();
        assert!(check(&script).is_ok());
        let expected = "\
0000: TRY @0048 -
0003: NEWARRAY0
0004: PUSH15
0005: PUSHDATA1 \"totalSupply\"
0018: PUSHDATA1 0xf563ea40bc283d4d0e05c48ea305b3f2a07340ef
0040: SYSCALL System.Contract.Call
0045: PUSHT
0046: ENDTRY @0051
0048: PUSHF
0049: ENDTRY @0051
0051: PUSH2
0052: PACK
";
        assert_eq!(to_text(&script).unwrap(), expected);
        let three = batch(&[supply(), supply(), supply()]).unwrap();
        assert_eq!(three, [script.as_slice(); 3].concat());
    }

    #[test]
    fn a_long_invocation_is_reached_over_as_well() {
        let mut long = supply();
        long.args = vec![Param::ByteArray(vec![0; 1000])];
        let script = batch(&[long, supply()]).unwrap();
        let all = check(&script).unwrap();
        assert_eq!((all[0].opcode, all[0].destinations().count()), (Opcode::TRY_L, 1));
    }

    #[test]
    fn outcomes_are_read_in_order() {
        let pair = |ok, value: &str| {
            StackItem::Array(vec![StackItem::Boolean(ok), StackItem::ByteString(value.as_bytes().to_vec())])
        };
        let outcomes = read_outcomes(&[pair(true, "a"), pair(false, "b")], 2).unwrap();
        let text = |value: &str| StackItem::ByteString(value.as_bytes().to_vec());
        assert_eq!(outcomes, [Outcome::Returned(text("a")), Outcome::Threw(text("b"))]);
        assert!(read_outcomes(&[pair(true, "a")], 2).is_err() && read_outcomes(&[StackItem::Null], 1).is_err());
    }
}
