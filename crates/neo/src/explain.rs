//! What a script does, as far as it can be told for certain: contracts, methods, arguments, value moved.
//!
//! A call is told when everything it takes was pushed as constants right before it. Nothing is guessed: the rest is
//! shown as instructions, and when jumps or exceptions decide whether or in which order calls are made,
//! [`Explanation::straight`] is false.
//!
//! ```
//! use neo::{Hash160, explain::explain, native, stack::Param, token};
//!
//! let from = Hash160::from_address("NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU")?;
//! let script = token::nep17(native::GAS).transfer(&from, &native::NEO, &150_000_000.into(), Param::Null)?;
//! let explanation = explain(&script, &[from]);
//! let moved = explanation.calls().next().and_then(|call| call.moves.as_ref()).ok_or(neo::Error::Short("calls"))?;
//! assert_eq!((moved.text().as_str(), moved.from_signs), ("1.5 GAS", Some(true)));
//! # Ok::<(), neo::Error>(())
//! ```

mod call;
mod fault;
mod show;
mod walk;

use serde::Serialize;

pub use call::{Call, Moves, Standard, Then, TokenInfo};
pub use fault::{Cause, Fault, fault};

use crate::{hash::Hash160, tx::Transaction};

/// What a script does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// One after the other, from the script's beginning to its end.
    pub steps: Vec<Step>,
    /// Whether every step is taken once, in this order, unless one of them makes the script fault. Only then does the
    /// list of calls say what the script does.
    pub straight: bool,
    /// Whether calls are all that the script does: nothing had to be shown as instructions.
    pub complete: bool,
    /// Where and why the script is malformed; what follows there is not shown. A node takes no transaction with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
}

/// A part of a script.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A call of a contract with known arguments.
    Call(Box<Call>),
    /// Instructions that were not recognised.
    Instructions(Vec<Line>),
}

/// An instruction as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Where in the script it begins.
    pub offset: usize,
    /// The instruction.
    pub text: String,
}

impl Explanation {
    /// The calls that were recognised, in the order in which they stand in the script.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.steps.iter().filter_map(|step| match step {
            Step::Call(call) => Some(call.as_ref()),
            Step::Instructions(_) => None,
        })
    }
}

/// Explains a script. Of tokens, only the natives GAS and NEO are known; see [`explain_with`].
pub fn explain(script: &[u8], signers: &[Hash160]) -> Explanation {
    explain_with(script, signers, |_| None)
}

/// Explains what a transaction's script does for its signers.
pub fn explain_transaction(tx: &Transaction) -> Explanation {
    let signers: Vec<_> = tx.signers.iter().map(|signer| signer.account).collect();
    explain(&tx.script, &signers)
}

/// Explains a script, where the caller knows more tokens. `signers` are the accounts of the transaction's signers;
/// with none given, nothing is said of who signs.
pub fn explain_with(script: &[u8], signers: &[Hash160], tokens: impl Fn(&Hash160) -> Option<TokenInfo>) -> Explanation {
    walk::walk(script, &call::Knowledge { signers, tokens: &tokens })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        native,
        script::{Builder, CallFlags, Invocation, Opcode, batch, from_text},
        stack::{Param, StackItem},
        token::{nep11, nep17},
        tx::Signer,
    };

    const ALICE: Hash160 = Hash160::from_le([1; 20]);
    const BOB: Hash160 = Hash160::from_le([2; 20]);
    const OTHER: Hash160 = Hash160::from_le([9; 20]);

    #[test]
    fn several_transfers_in_one_script_are_told() {
        let script = [
            nep17(native::GAS).transfer_or_fault(&ALICE, &BOB, &1.into(), "note").unwrap(),
            nep17(OTHER).transfer(&BOB, &ALICE, &70.into(), Param::Null).unwrap(),
            nep11(OTHER).transfer_part(&ALICE, &BOB, &5.into(), b"id", Param::Null).unwrap(),
            nep11(OTHER).transfer(&BOB, b"id", Param::Null).unwrap(),
            vec![Opcode::RET.byte()],
        ]
        .concat();
        let told = explain(&script, &[ALICE]);
        assert!(told.complete && told.straight && told.flaw.is_none());
        let calls: Vec<_> = told.calls().collect();
        let moves: Vec<_> = calls.iter().map(|call| call.moves.clone().unwrap()).collect();
        let gas = native::ALL.iter().find(|(_, hash)| *hash == native::GAS).map(|(name, _)| *name);
        assert_eq!((calls[0].name, calls[0].then, calls[1].then), (gas, Then::Assert, Then::Keep));
        assert_eq!((moves[0].text().as_str(), moves[0].from_signs), ("0.00000001 GAS", Some(true)));
        let tx = Transaction {
            version: 0,
            nonce: 0,
            system_fee: 0,
            network_fee: 0,
            valid_until_block: 1,
            signers: vec![Signer::called_by_entry(ALICE)],
            attributes: vec![],
            script: script.clone(),
            witnesses: vec![],
        };
        assert_eq!(explain_transaction(&tx), told);
        assert_eq!((moves[1].text().as_str(), moves[1].from_signs), ("70 of the smallest unit", Some(false)));
        assert_eq!((moves[2].standard, moves[2].id.as_deref()), (Standard::Nep11Divisible, Some(&b"id"[..])));
        assert_eq!((moves[3].standard, moves[3].from, moves[3].to), (Standard::Nep11, None, BOB));
        let known = explain_with(&script, &[], |_| Some(TokenInfo { symbol: "FLM".into(), decimals: 1 }));
        let second = known.calls().nth(1).unwrap().moves.clone().unwrap();
        assert_eq!((second.text().as_str(), second.from_signs), ("7 FLM", None));
        let text = told.to_string();
        assert!(
            text.contains("moves 0.00000001 GAS (NEP-17) from ") && text.contains("not among the signers"),
            "{text}"
        );
    }

    #[test]
    fn arguments_of_all_kinds_are_told() {
        let args = vec![
            Param::Map(vec![("a".into(), Param::Array(vec![])), (1.into(), true.into())]),
            Param::Array(vec![Param::Null, (-1).into(), Param::Array(vec!["x".into()])]),
            Param::Map(vec![]),
        ];
        let mut builder = Builder::new();
        let script = builder.call(&OTHER, "m", CallFlags::STATES, &args).op(Opcode::DROP).finish().unwrap();
        let told = explain(&script, &[]);
        let call = told.calls().next().unwrap();
        assert_eq!(call.args, args.iter().map(StackItem::from).collect::<Vec<_>>());
        assert_eq!((call.flags, call.then, call.moves.is_none()), (CallFlags::STATES, Then::Drop, true));
    }

    #[test]
    fn a_batch_is_told_as_calls_apart() {
        let one = |amount: i64| Invocation {
            contract: native::NEO,
            method: "transfer".into(),
            flags: CallFlags::ALL,
            args: vec![ALICE.into(), BOB.into(), amount.into(), Param::Null],
        };
        let script = batch(&[one(1), one(2)]).unwrap();
        let told = explain(&script, &[]);
        assert!(told.complete && told.straight, "{told}");
        let calls: Vec<_> = told.calls().map(|call| (call.isolated, call.moves.as_ref().unwrap().text())).collect();
        assert_eq!(calls, [(true, "1 NEO".into()), (true, "2 NEO".into())]);
    }

    #[test]
    fn what_is_not_certain_is_shown_as_instructions() {
        let call = hex::encode(nep17(OTHER).balance_of(&ALICE).unwrap());
        let call = |before: &str, after: &str| {
            let script = [hex::decode(before).unwrap(), hex::decode(&call).unwrap(), hex::decode(after).unwrap()];
            explain(&script.concat(), &[])
        };
        // A constant left below the call, and one that something else reads.
        let told = call("11", "9e");
        assert!(!told.complete && told.straight && told.calls().count() == 1 && told.steps.len() == 3, "{told}");
        // A jump over the call.
        let told = call("1124fe", "");
        assert!(!told.straight && told.flaw.is_some(), "{told}");
        let told = call("22022202", "40");
        assert!(!told.straight && told.calls().count() == 1 && told.flaw.is_none(), "{told}");
        // A return before the call.
        assert!(!call("40", "").straight);
        // Arguments that are computed.
        let computed = from_text(
            "PUSH1\nPUSH1\nADD\nPUSH1\nPACK\nPUSH15\nPUSHDATA1 \"m\"\nPUSHDATA1 0x0909090909090909090909090909090909090909\n\
             SYSCALL System.Contract.Call",
        )
        .unwrap();
        let told = explain(&computed, &[]);
        assert!(told.calls().count() == 0 && !told.complete && told.straight, "{told}");
        assert!(matches!(&told.steps[..], [Step::Instructions(lines)] if lines.len() == 9));
        // A malformed end.
        let told = call("", "06");
        assert_eq!(told.flaw.as_deref(), Some("at 63: no operation has number 0x06"), "{told}");
        assert!(!told.complete && !told.straight && told.calls().count() == 1);
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let mut script = vec![Opcode::NEWARRAY0.byte()];
        script.extend([Opcode::PUSH1.byte(), Opcode::PACK.byte()].repeat(200_000));
        assert_eq!(explain(&script, &[]).calls().count(), 0);
    }

    proptest! {
        #[test]
        fn every_instruction_is_told_exactly_once(bytes: Vec<u8>, cut in 0..200_usize) {
            let mut script = nep17(OTHER).transfer(&ALICE, &BOB, &5.into(), Param::Null).unwrap();
            let at = cut.min(script.len());
            script.splice(at..at, bytes);
            let told = explain(&script, &[ALICE]);
            let mut at = 0;
            for step in &told.steps {
                match step {
                    Step::Call(call) => { prop_assert!(call.offset >= at); at = call.offset + 1 }
                    Step::Instructions(lines) => for line in lines {
                        prop_assert!(line.offset >= at);
                        at = line.offset + 1;
                    }
                }
            }
            let _ = (told.to_string(), serde_json::to_string(&told).unwrap());
        }
    }
}
