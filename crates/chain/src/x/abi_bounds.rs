//! How much an ABI and what is read by it may ask for: both come from strangers.
//!
//! A type is built in memory before anything is read by it, and `uint256[1000000000]` is a few bytes of text. Encoded
//! data may point to the same part again and again, and is then small in a block and endless when it is written out.

use alloy_dyn_abi::{DynSolType, Specifier};
use alloy_json_abi::{EventParam, JsonAbi, Param};
use nsl_core::{Error, Result};

/// How deep a type may be nested: the decoder goes no deeper.
const MOST_DEPTH: usize = 16;
/// How many values the types of one list of parameters may have by themselves.
const MOST_VALUES: usize = 1 << 16;

const WORD: usize = 32;

/// Refuses an ABI with a type that is too much.
pub(super) fn check(abi: &JsonAbi) -> Result<()> {
    for function in abi.functions() {
        within(&function.name, &function.inputs)?;
        within(&function.name, &function.outputs)?;
    }
    for error in abi.errors() {
        within(&error.name, &error.inputs)?;
    }
    for event in abi.events() {
        within(&event.name, &event.inputs)?;
    }
    abi.constructor.as_ref().map_or(Ok(()), |constructor| within("the constructor", &constructor.inputs))
}

/// Whether what the data says of itself takes no more than the data: so it is with all that a compiler encodes.
pub(super) fn is_plain<'a, P: Typed + 'a>(params: impl IntoIterator<Item = &'a P>, data: &[u8]) -> bool {
    let kinds: Option<Vec<DynSolType>> = params.into_iter().map(Typed::kind).collect();
    kinds.is_some_and(|kinds| Weigher { left: data.len() }.sequence(kinds.iter(), data).is_some())
}

/// A parameter of anything.
pub(super) trait Typed {
    fn text(&self) -> &str;
    fn fields(&self) -> &[Param];
    fn kind(&self) -> Option<DynSolType>;
}

impl Typed for Param {
    fn text(&self) -> &str {
        &self.ty
    }

    fn fields(&self) -> &[Param] {
        &self.components
    }

    fn kind(&self) -> Option<DynSolType> {
        self.resolve().ok()
    }
}

impl Typed for EventParam {
    fn text(&self) -> &str {
        &self.ty
    }

    fn fields(&self) -> &[Param] {
        &self.components
    }

    fn kind(&self) -> Option<DynSolType> {
        self.resolve().ok()
    }
}

fn within(name: &str, params: &[impl Typed]) -> Result<()> {
    // Before it is built: what is nested too deep can't so much as be taken down again.
    let sound = params.iter().all(|param| depth(param) <= MOST_DEPTH);
    // What can't be built is refused when it is asked for.
    let values = || params.iter().filter_map(Typed::kind).fold(0_usize, |sum, kind| sum.saturating_add(values(&kind)));
    if sound && values() <= MOST_VALUES {
        return Ok(());
    }
    let name: String = name.chars().filter(|sign| !sign.is_control()).take(80).collect();
    let message = format!(
        "the ABI can't be used: the types of {name} are nested deeper than {MOST_DEPTH}, or hold more than \
         {MOST_VALUES} values"
    );
    Err(Error::invalid("chain.abi_invalid", message))
}

fn depth(param: &impl Typed) -> usize {
    let own = 1 + param.text().matches(['[', '(']).count();
    own + param.fields().iter().map(depth).max().unwrap_or_default()
}

// How many values are there before anything is read.
fn values(kind: &DynSolType) -> usize {
    match kind {
        DynSolType::Array(inner) => values(inner).saturating_add(1),
        DynSolType::FixedArray(inner, size) => values(inner).saturating_mul(*size),
        DynSolType::Tuple(parts) => parts.iter().fold(1, |sum, part| values(part).saturating_add(sum)),
        _ => 1,
    }
}

struct Weigher {
    left: usize,
}

impl Weigher {
    fn take(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }

    // Values side by side: each is here, or points from here to where it is.
    fn sequence<'a>(&mut self, kinds: impl Iterator<Item = &'a DynSolType>, data: &[u8]) -> Option<()> {
        let mut at = 0;
        for kind in kinds {
            let size = if kind.is_dynamic() { WORD } else { kind.minimum_words() * WORD };
            self.take(size)?;
            if kind.is_dynamic() {
                self.tail(kind, data.get(word(data, at)?..)?)?;
            }
            at += size;
        }
        Some(())
    }

    fn tail(&mut self, kind: &DynSolType, data: &[u8]) -> Option<()> {
        match kind {
            DynSolType::Array(inner) => {
                self.take(WORD)?;
                let size = word(data, 0)?;
                // Each takes a word at least, or nothing at all: those that take nothing are never read.
                if inner.minimum_words() == 0 {
                    return Some(());
                }
                self.sequence(std::iter::repeat_n(&**inner, size), data.get(WORD..)?)
            }
            DynSolType::FixedArray(inner, size) => self.sequence(std::iter::repeat_n(&**inner, *size), data),
            DynSolType::Tuple(parts) => self.sequence(parts.iter(), data),
            _ => {
                self.take(WORD)?;
                self.take(word(data, 0)?)
            }
        }
    }
}

fn word(data: &[u8], at: usize) -> Option<usize> {
    let (high, low) = data.get(at..at.checked_add(WORD)?)?.split_at(WORD - 8);
    let number = u64::from_be_bytes(low.try_into().ok()?);
    high.iter().all(|byte| *byte == 0).then_some(number)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use alloy_dyn_abi::{DynSolValue, FunctionExt};
    use alloy_primitives::U256;
    use serde_json::{Value, json};

    use super::*;

    fn abi(output: Value) -> JsonAbi {
        let function =
            json!({"type": "function", "name": "f", "stateMutability": "view", "inputs": [], "outputs": [output]});
        serde_json::from_value(json!([function])).unwrap()
    }

    fn plain(kind: &str) -> JsonAbi {
        abi(json!({"name": "", "type": kind}))
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(
            json!({"name": "v", "type": "uint8"}),
            |inner, _| json!({"name": "v", "type": "tuple[]", "components": [inner]}),
        )
    }

    #[test]
    fn types_that_are_too_much_are_refused() {
        for fine in ["uint256", "uint256[1000]", "bytes32[256][256]", "string[][][]"] {
            check(&plain(fine)).unwrap();
        }
        check(&abi(nested(7))).unwrap();
        let deep = format!("uint8{}", "[]".repeat(50_000));
        let many = format!("({})", vec!["uint8"; 70_000].join(","));
        for bomb in ["uint8[65537]", "uint8[1000][1000][1000]", "uint8[18446744073709551615][2]", &deep, &many] {
            let error = check(&plain(bomb)).unwrap_err();
            assert_eq!(error.slug, "chain.abi_invalid", "{}", &bomb[..20.min(bomb.len())]);
        }
        assert!(check(&abi(nested(8))).is_err());
        for kind in ["error", "event", "constructor"] {
            let mut input = json!({"name": "a", "type": "uint8[70000]"});
            if kind == "event" {
                input["indexed"] = json!(false);
            }
            let one = json!([{"type": kind, "name": "E", "anonymous": false, "stateMutability": "payable",
                "inputs": [input]}]);
            assert!(check(&serde_json::from_value(one).unwrap()).is_err(), "{kind}");
        }
    }

    fn number(number: usize) -> [u8; WORD] {
        U256::from(number).to_be_bytes()
    }

    // An array whose elements are all the same part of the data.
    fn pointing(count: usize, part: &[u8]) -> Vec<u8> {
        [number(count).as_slice(), &number(count * WORD).repeat(count), part].concat()
    }

    #[test]
    fn data_that_points_to_the_same_part_again_and_again_is_not_plain() {
        let of = |kind: &str, data: &[u8]| {
            let abi = plain(kind);
            is_plain(&abi.function("f").unwrap()[0].outputs, data)
        };
        let text = |size: usize| [number(size).as_slice(), &vec![b'a'; size.next_multiple_of(WORD)]].concat();
        let inner = pointing(1, &text(64));
        assert!(of("bytes[]", &[&number(WORD)[..], &inner].concat()), "one is as good as anywhere else");
        let bomb = [&number(WORD)[..], &pointing(100, &text(10_000))].concat();
        assert!(!of("bytes[]", &bomb));
        let mut deep = text(32);
        for _ in 0..6 {
            deep = pointing(100, &deep);
        }
        assert!(!of("string[][][][][][]", &[&number(WORD)[..], &deep].concat()));
        let endless = [number(WORD), number(usize::MAX)].concat();
        assert!(!of("uint8[]", &endless) && !of("bytes", &endless) && !of("uint8[2][]", &endless));
        assert!(!of("uint8", &[]) && !of("bytes", &[0xff; 64]));
    }

    #[test]
    fn what_is_encoded_as_compilers_do_is_plain() {
        let text = |text: &str| DynSolValue::String(text.to_owned());
        let number = |number: u64| DynSolValue::Uint(U256::from(number), 256);
        for (kind, value) in [
            ("uint256", number(7)),
            ("string", text("")),
            ("string[]", DynSolValue::Array(vec![text("a"), text(&"long".repeat(50)), text("")])),
            ("string[2][]", DynSolValue::Array(vec![DynSolValue::FixedArray(vec![text("a"), text("b")])])),
            ("uint256[2][]", DynSolValue::Array(vec![DynSolValue::FixedArray(vec![number(1), number(2)]); 5])),
            ("string[][]", DynSolValue::Array(vec![DynSolValue::Array(vec![text("x")]), DynSolValue::Array(vec![])])),
            ("(uint256,string)[]", DynSolValue::Array(vec![DynSolValue::Tuple(vec![number(1), text("y")]); 3])),
        ] {
            let abi = plain(kind);
            let function = &abi.function("f").unwrap()[0];
            let data = function.abi_encode_output(&[value]).unwrap();
            assert!(is_plain(&function.outputs, &data), "{kind}");
            assert!(function.abi_decode_output(&data).is_ok());
        }
    }
}
