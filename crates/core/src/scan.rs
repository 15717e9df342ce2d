//! One walk over JSON text for what serde_json lets pass: repeated keys, deep nesting, halves of
//! surrogate pairs. It doesn't check the grammar: broken JSON is the parser's to refuse, right after.

use std::{borrow::Cow, collections::HashSet};

use crate::error::Error;

/// More levels than any request of ours has, and few enough for any parser behind us.
pub const DEEPEST: usize = 64;

// Up to so many keys a plain comparison with each is faster than hashing.
const FEW_KEYS: usize = 24;

struct Frame<'a> {
    object: bool,
    key_next: bool,
    first_key: usize,
    index: usize,
    many: Option<HashSet<Cow<'a, [u8]>>>,
}

struct Walk<'a> {
    text: &'a [u8],
    frames: Vec<Frame<'a>>,
    // The keys of all open objects, outermost first; each frame knows where its own begin.
    keys: Vec<Cow<'a, [u8]>>,
}

/// Refuses JSON text that two readers could take for different things.
pub fn scan(text: &[u8]) -> Result<(), Error> {
    let mut walk = Walk { text, frames: Vec::with_capacity(8), keys: Vec::with_capacity(16) };
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let Some(end) = walk.string(at)? else { return Ok(()) };
                at = end;
            }
            b'{' | b'[' => walk.open(byte == b'{', at)?,
            b'}' | b']' => {
                let Some(frame) = walk.frames.pop() else { return Ok(()) };
                walk.keys.truncate(frame.first_key);
            }
            b',' => {
                if let Some(frame) = walk.frames.last_mut() {
                    frame.key_next = frame.object;
                    frame.index += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

impl<'a> Walk<'a> {
    fn open(&mut self, object: bool, at: usize) -> Result<(), Error> {
        if self.frames.len() == DEEPEST {
            return Err(self.flaw("json.too_deep", "the JSON is nested more than 64 levels deep", at));
        }
        let first_key = self.keys.len();
        self.frames.push(Frame { object, key_next: object, first_key, index: 0, many: None });
        Ok(())
    }

    // From the opening quote to the closing one; none when the text ends before.
    fn string(&mut self, start: usize) -> Result<Option<usize>, Error> {
        let text = self.text;
        let mut at = start + 1;
        let mut escaped = false;
        loop {
            let Some(found) = quote_or_backslash(&text[at..]) else { return Ok(None) };
            at += found;
            if text[at] == b'"' {
                break;
            }
            escaped = true;
            if text.get(at + 1) == Some(&b'u') {
                at += self.unicode_escape(at)?;
            } else {
                at += 2;
            }
            if at >= text.len() {
                return Ok(None);
            }
        }
        if self.frames.last().is_some_and(|frame| frame.key_next) {
            let raw = &text[start + 1..at];
            self.key(if escaped { unescape(raw) } else { Cow::Borrowed(raw) }, start)?;
        }
        Ok(Some(at))
    }

    // The length of `\u` and its four digits, or of a whole surrogate pair.
    fn unicode_escape(&self, at: usize) -> Result<usize, Error> {
        let Some(unit) = hex4(self.text, at + 2) else { return Ok(2) };
        let half = || self.flaw("json.surrogate", "a string holds half of a surrogate pair", at);
        match unit {
            0xd800..=0xdbff => {
                let follows = self.text.get(at + 6..at + 8) == Some(b"\\u");
                match follows.then(|| hex4(self.text, at + 8)).flatten() {
                    Some(0xdc00..=0xdfff) => Ok(12),
                    _ => Err(half()),
                }
            }
            0xdc00..=0xdfff => Err(half()),
            _ => Ok(6),
        }
    }

    fn key(&mut self, key: Cow<'a, [u8]>, at: usize) -> Result<(), Error> {
        let frame = self.frames.last_mut().expect("a key stands in an object");
        frame.key_next = false;
        let own = &self.keys[frame.first_key..];
        let repeated = match &mut frame.many {
            Some(many) => !many.insert(key.clone()),
            None => own.contains(&key),
        };
        if repeated {
            let name = String::from_utf8_lossy(&key).chars().take(64).collect::<String>();
            let flaw = self.flaw("json.duplicate_key", format!("an object names the key {name:?} twice"), at);
            return Err(flaw);
        }
        if frame.many.is_none() && own.len() == FEW_KEYS {
            frame.many = Some(own.iter().cloned().chain([key.clone()]).collect());
        }
        self.keys.push(key);
        Ok(())
    }

    fn flaw(&self, slug: &'static str, message: impl Into<String>, at: usize) -> Error {
        let (line, column) = place(self.text, at);
        Error::invalid(slug, message).detail("line", line).detail("column", column).detail("path", self.path())
    }

    // A JSON pointer to the container in which the flaw is, cut to a readable length.
    fn path(&self) -> String {
        let mut path = String::new();
        let ends = self.frames.iter().skip(1).map(|frame| frame.first_key).chain([self.keys.len()]);
        let inner = self.frames.len().saturating_sub(1);
        for (frame, end) in self.frames.iter().zip(ends).take(inner) {
            path.push('/');
            match frame.object.then(|| self.keys[frame.first_key..end].last()).flatten() {
                Some(key) => path.push_str(&String::from_utf8_lossy(key).replace('~', "~0").replace('/', "~1")),
                None => path.push_str(&frame.index.to_string()),
            }
        }
        path.chars().take(256).collect()
    }
}

/// Line and column of a byte, both from 1, the column in bytes as serde_json counts.
pub fn place(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
    (line, column)
}

// Eight bytes at a time: a byte equal to the wanted one becomes zero, and a zero byte borrows.
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let hit = |word: u64, wanted: u8| {
        let x = word ^ u64::from_ne_bytes([wanted; 8]);
        x.wrapping_sub(ONES) & !x & HIGHS
    };
    let (words, rest) = text.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = hit(word, b'"') | hit(word, b'\\');
        if hits != 0 {
            return Some(i * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&b| b == b'"' || b == b'\\').map(|at| words.len() * 8 + at)
}

fn hex4(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0u16, |value, &digit| Some(value << 4 | (digit as char).to_digit(16)? as u16))
}

// Only for comparing keys: an escape that the parser will refuse stays as it is.
fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    let quoted = [b"\"", raw, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn verdict(text: &str) -> Option<String> {
        scan(text.as_bytes()).err().map(|error| {
            let fact = |name: &str| error.details[name].to_string();
            format!("{} {}:{} {}", error.slug, fact("line"), fact("column"), fact("path"))
        })
    }

    #[test]
    fn repeated_keys_are_found_at_any_depth_and_in_any_spelling() {
        for (text, expected) in [
            (r#"{"a":1,"a":2}"#, r#"json.duplicate_key 1:8 """#),
            ("{\"a\":1,\n \"\\u0061\":2}", r#"json.duplicate_key 2:2 """#),
            (r#"[0,{"x":{"é":[],"é":1}}]"#, r#"json.duplicate_key 1:18 "/1/x""#),
            (r#"{"a/b":{"":0,"":0}}"#, r#"json.duplicate_key 1:14 "/a~1b""#),
            (r#"{"a":{"b":1},"c":[{"b":1}],"a":0}"#, r#"json.duplicate_key 1:28 """#),
        ] {
            assert_eq!(verdict(text).as_deref(), Some(expected), "{text}");
        }
        for fine in
            [r#"{"a":{"a":{"a":"a"}},"b":["a","a"]}"#, r#"{"a":"\"a\":","b":"\\"}"#, r#"[{"a":1},{"a":1}]"#, "7"]
        {
            assert_eq!(verdict(fine), None, "{fine}");
        }
    }

    #[test]
    fn many_keys_are_checked_too() {
        let object = |names: &[usize]| {
            let fields: Vec<_> = names.iter().map(|n| format!("\"key{n}\":{n}")).collect();
            format!("{{{}}}", fields.join(","))
        };
        let names: Vec<_> = (0..5_000).collect();
        assert_eq!(verdict(&object(&names)), None);
        for repeated in [0, 23, 24, 25, 4_999] {
            let with = [names.as_slice(), &[repeated]].concat();
            assert!(verdict(&object(&with)).is_some_and(|text| text.starts_with("json.duplicate_key")), "{repeated}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(verdict(&format!("{}{}", "[".repeat(64), "]".repeat(64))), None);
        assert_eq!(verdict(&"[".repeat(65)).as_deref().map(|text| &text[..18]), Some("json.too_deep 1:65"));
        assert!(verdict(&"{\"a\":".repeat(100_000)).is_some());
    }

    #[test]
    fn half_a_surrogate_pair_is_refused_wherever_it_stands() {
        for bad in [r#""\ud800""#, r#"["\udc00"]"#, r#"{"\ud800x":1}"#, r#""\ud800\u0041""#, r#""\ud83d\ud83d\ude00""#]
        {
            assert!(verdict(bad).is_some_and(|text| text.starts_with("json.surrogate")), "{bad}");
        }
        assert_eq!(verdict(r#""\ud83d\ude00 \uFFFD \u0000 \\ud800""#), None);
    }

    #[test]
    fn broken_text_does_not_break_the_walk() {
        for text in
            ["", "\"", "\"\\", "\"\\u", "\"\\u12", "{\"a", "]]]", "}{", "{,\"a\":,}", "\"\\ud800\\u\"", "{\"a\\"]
        {
            let _ = scan(text.as_bytes());
        }
    }

    // The slow way to the same answer, over JSON that serde_json can hold with all its keys.
    fn repeats(value: &Pairs) -> bool {
        match value {
            Pairs::Leaf(_) => false,
            Pairs::List(items) => items.iter().any(repeats),
            Pairs::Object(fields) => {
                let distinct: BTreeSet<_> = fields.iter().map(|(key, _)| key).collect();
                distinct.len() < fields.len() || fields.iter().any(|(_, value)| repeats(value))
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Pairs {
        Leaf(String),
        List(Vec<Pairs>),
        Object(Vec<(String, Pairs)>),
    }

    fn write(value: &Pairs, escape: bool, out: &mut String) {
        let word = |text: &str, out: &mut String| match escape {
            true => {
                let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                out.push_str(&format!("\"{}\"", units.concat()));
            }
            false => out.push_str(&serde_json::to_string(text).unwrap()),
        };
        match value {
            Pairs::Leaf(text) => word(text, out),
            Pairs::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { " , " } else { "" });
                    write(item, escape, out);
                }
                out.push(']');
            }
            Pairs::Object(fields) => {
                out.push('{');
                for (i, (key, item)) in fields.iter().enumerate() {
                    out.push_str(if i > 0 { ",\n" } else { "" });
                    word(key, out);
                    out.push_str(" : ");
                    write(item, !escape, out);
                }
                out.push('}');
            }
        }
    }

    fn pairs() -> impl Strategy<Value = Pairs> {
        let word = prop_oneof!["[ab\"\\\\{}\\[\\],:]{0,3}", "\\PC{0,12}"];
        word.prop_map(Pairs::Leaf).prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Pairs::List),
                prop::collection::vec(("[ab\"\\\\]{0,2}|\\PC{1,9}", inner), 0..6).prop_map(Pairs::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_slow_way(value in pairs(), escape: bool) {
            let mut text = String::new();
            write(&value, escape, &mut text);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            prop_assert_eq!(scan(text.as_bytes()).is_err(), repeats(&value), "{}", text);
        }

        #[test]
        fn whatever_serde_json_takes_without_repeats_passes(value in any::<Vec<u8>>()) {
            let _ = scan(&value);
        }
    }
}
