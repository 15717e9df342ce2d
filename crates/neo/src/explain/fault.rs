//! Why a script faulted, from the text that a node gives.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::script::{Instruction, Opcode, instructions};

/// Why and where a script faulted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What kind of fault it is.
    pub cause: Cause,
    /// The node's own words, without the place.
    pub message: String,
    /// Where in its script the instruction begins that faulted, if the node says so (neo-go does).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// The operation that faulted, if the node says so.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub opcode: Option<Opcode>,
    /// That instruction of the script at hand. A node does not say of *which* script it tells the place: it may be
    /// that of a contract that was called. `None` if the script at hand has no such operation there, so that it was
    /// certainly another script; otherwise it was this one or, by chance, one with the same operation at that place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
}

/// The kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "reason")]
pub enum Cause {
    /// Something was thrown that nobody caught; the text, if it is one.
    Thrown(Option<String>),
    /// `ABORT`, with the reason if one was given.
    Aborted(Option<String>),
    /// `ASSERT` of what is not true, with the reason if one was given.
    AssertionFailed(Option<String>),
    /// The GAS that was allowed did not suffice.
    OutOfGas,
    /// A contract that was called is not there.
    NoContract,
    /// A method that was called is not there, or does not take so many arguments.
    NoMethod,
    /// The caller did not allow the contract what it wanted to do.
    MissingFlags,
    /// The manifest of the calling contract does not permit the call.
    NotPermitted,
    /// Something else: see the message.
    Other,
}

/// Reads the exception of a script that faulted. `pointer` is where the instruction pointer stood, for nodes that tell
/// it apart from the text; what the text says goes first.
pub fn fault(exception: &str, script: &[u8], pointer: Option<usize>) -> Fault {
    let (place, message) = split(exception);
    let (offset, opcode) = place.map_or((pointer, None), |(offset, opcode)| (Some(offset), opcode));
    let fits = |one: &Instruction<'_>| Some(one.offset) == offset && opcode.is_none_or(|opcode| opcode == one.opcode);
    let instruction = instructions(script).map_while(Result::ok).find(fits).map(|one| one.to_string());
    Fault { cause: cause(message), message: message.to_owned(), offset, opcode, instruction }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (self.offset, &self.instruction, self.opcode) {
            (Some(offset), Some(instruction), _) => write!(f, " (at {offset:04}: {instruction})"),
            (Some(offset), None, Some(opcode)) => {
                write!(f, " (at {offset:04}: {opcode}, in a contract that was called)")
            }
            (Some(offset), None, None) => write!(f, " (at {offset:04}, in a contract that was called)"),
            (None, ..) => Ok(()),
        }
    }
}

/// Takes `at instruction 12 (THROW): ` off.
fn split(exception: &str) -> (Option<(usize, Option<Opcode>)>, &str) {
    let parts = || {
        let (offset, rest) = exception.strip_prefix("at instruction ")?.split_once(" (")?;
        let (opcode, message) = rest.split_once("): ")?;
        Some(((offset.parse().ok()?, opcode.parse().ok()), message))
    };
    parts().map_or((None, exception), |(place, message)| (Some(place), message))
}

fn cause(message: &str) -> Cause {
    let reason = || message.split_once("Reason: ").map(|(_, reason)| reason.to_owned());
    let lower = message.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    // What a contract wrote itself comes first, or its words could be taken for the node's.
    if lower.starts_with("unhandled exception") {
        return Cause::Thrown(message.split_once(": ").map(|(_, text)| unquote(text)));
    }
    if let Some(text) = message.strip_prefix("An unhandled exception was thrown.") {
        return Cause::Thrown(Some(text.trim().to_owned()).filter(|text| !text.is_empty()));
    }
    if message.starts_with("ABORT") {
        return Cause::Aborted(reason());
    }
    if message.starts_with("ASSERT") {
        return Cause::AssertionFailed(reason());
    }
    if has("gas limit exceeded") || has("insufficient gas") {
        Cause::OutOfGas
    } else if (has("called contract") && has("not found")) || has("called contract does not exist") {
        Cause::NoContract
    } else if has("method not found")
        || (has("method '") && has("not found"))
        || (has("method \"") && has("doesn't exist in the contract"))
    {
        Cause::NoMethod
    } else if has("missing call flags") || has("cannot call this syscall with the flag") {
        Cause::MissingFlags
    } else if has("disallowed method call") || has("cannot call method") {
        Cause::NotPermitted
    } else {
        Cause::Other
    }
}

/// Takes the quotes off that neo-go puts around.
fn unquote(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => text.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => text.to_owned(),
    }
}

fn as_text<S: Serializer>(opcode: &Option<Opcode>, serializer: S) -> Result<S::Ok, S::Error> {
    match opcode {
        Some(opcode) => serializer.serialize_str(opcode.name()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{native, script::Builder, script::CallFlags};

    #[test]
    fn the_place_is_found_in_the_script_that_has_it() {
        let mut builder = Builder::new();
        let script = builder.call(&native::GAS, "nothing", CallFlags::ALL, &[]).finish().unwrap();
        let text = "at instruction 33 (SYSCALL): System.Contract.Call failed: method not found: nothing/0";
        let found = fault(text, &script, None);
        assert_eq!((found.cause, found.offset, found.opcode), (Cause::NoMethod, Some(33), Some(Opcode::SYSCALL)));
        assert_eq!(found.message, "System.Contract.Call failed: method not found: nothing/0");
        assert_eq!(found.instruction.as_deref(), Some("SYSCALL System.Contract.Call"));
        let shown = "System.Contract.Call failed: method not found: nothing/0 (at 0033: SYSCALL System.Contract.Call)";
        assert_eq!(fault(text, &script, None).to_string(), shown);
        let elsewhere = fault("at instruction 33 (ASSERT): ASSERT failed", &script, None);
        assert_eq!((elsewhere.cause, elsewhere.instruction), (Cause::AssertionFailed(None), None));
        let shown = fault("at instruction 33 (ASSERT): ASSERT failed", &script, None).to_string();
        assert_eq!(shown, "ASSERT failed (at 0033: ASSERT, in a contract that was called)");
        let told = fault("GAS limit exceeded", &script, Some(0));
        assert_eq!((told.cause, told.instruction.as_deref()), (Cause::OutOfGas, Some("NEWARRAY0")));
    }

    #[test]
    fn the_words_of_both_nodes_are_known() {
        let some = |text: &str| Some(text.to_owned());
        for (text, cause) in [
            (r#"at instruction 99 (THROW): unhandled exception: "a \"b\"""#, Cause::Thrown(some("a \"b\""))),
            ("at instruction 9 (THROW): unhandled exception", Cause::Thrown(None)),
            ("An unhandled exception was thrown. no", Cause::Thrown(some("no"))),
            ("An unhandled exception was thrown.", Cause::Thrown(None)),
            ("at instruction 146 (ABORT): ABORT", Cause::Aborted(None)),
            ("ABORT is executed.", Cause::Aborted(None)),
            ("ABORTMSG is executed. Reason: GAS limit exceeded", Cause::Aborted(some("GAS limit exceeded"))),
            (
                "at instruction 129 (ASSERTMSG): ASSERTMSG is executed with false result. Reason: asserted",
                Cause::AssertionFailed(some("asserted")),
            ),
            ("ASSERT is executed with false result.", Cause::AssertionFailed(None)),
            ("Insufficient GAS.", Cause::OutOfGas),
            ("Called Contract Does Not Exist: 0x00.x", Cause::NoContract),
            (
                "at instruction 30 (SYSCALL): System.Contract.Call failed: called contract 00 not found: key not found",
                Cause::NoContract,
            ),
            ("Method \"x\" with 1 parameter(s) doesn't exist in the contract 0x00.", Cause::NoMethod),
            (
                "at instruction 10 (SYSCALL): System.Storage.Put failed: missing call flags: 00101 vs 00010",
                Cause::MissingFlags,
            ),
            ("at instruction 29 (SYSCALL): method 'onNEP17Payment' not found", Cause::NoMethod),
            ("at instruction 93 (SYSCALL): System.Contract.Call failed: GAS limit exceeded", Cause::OutOfGas),
            ("at instruction 1 (SYSCALL): invalid value: expected byte size of 20 got 1", Cause::Other),
            ("at instruction x (SYSCALL): y", Cause::Other),
            ("", Cause::Other),
        ] {
            assert_eq!(fault(text, &[], None).cause, cause, "{text}");
        }
    }
}
