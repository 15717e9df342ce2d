//! Several independent invocations in one script.

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

/// A script that makes these invocations one after the other, each in a block of its own.
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
