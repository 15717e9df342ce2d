//! How much a tenant may say.

/// Bytes of all policies of a tenant.
pub const LONGEST_TEXT: usize = 32 * 1024;
/// Policies of a tenant.
pub const MOST_POLICIES: usize = 100;
/// Bytes of one policy: what nests in it is on the stack of who reads it.
pub const LONGEST_POLICY: usize = 4 * 1024;
/// Bytes of a bundle: the texts, and what names them.
pub const LONGEST_BUNDLE: usize = LONGEST_TEXT + MOST_POLICIES * 80;

/// Brackets within brackets. The parser goes down by a call for each.
const DEEPEST: usize = 32;
/// Operators, brackets and commas of one policy. What they tie together is a tree as deep as they are many.
const MOST_TIES: usize = 1_024;

/// Says where a text nests deeper than it may, or ties more together, as an offset in bytes.
pub(crate) fn too_deep(text: &str) -> Option<(usize, &'static str)> {
    let (mut depth, mut ties) = (0usize, 0usize);
    let mut chars = text.char_indices().peekable();
    let mut word_before = false;
    while let Some((at, c)) = chars.next() {
        let word = c.is_alphanumeric() || c == '_';
        match c {
            '"' => {
                // A string: what is in it is no code.
                while let Some((_, c)) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if chars.peek().is_some_and(|(_, next)| *next == '/') => {
                chars.by_ref().find(|(_, c)| matches!(c, '\n' | '\r'));
            }
            '(' | '[' | '{' => {
                depth += 1;
                ties += 1;
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => ties = 0,
            '&' | '|' | '+' | '-' | '*' | '!' | '<' | '>' | '=' | '.' | ',' | ':' => ties += 1,
            _ if word && !word_before => {
                let ties_more = ["if", "then", "else", "in", "has", "like", "is", "when", "unless"]
                    .iter()
                    .any(|word| text[at..].starts_with(word));
                ties += usize::from(ties_more);
            }
            _ => {}
        }
        word_before = word;
        if depth > DEEPEST {
            return Some((at, "brackets nest deeper than 32"));
        }
        if ties > MOST_TIES {
            return Some((at, "one policy ties too much together: make it several"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_or_ties_too_much_is_found_before_it_is_read() {
        let deep = |n: usize| {
            format!("permit(principal, action, resource) when {{ {}true{} }};", "(".repeat(n), ")".repeat(n))
        };
        assert_eq!(too_deep(&deep(30)), None);
        assert!(too_deep(&deep(32)).is_some());
        let chain = format!("forbid(principal, action, resource) when {{ {}true }};", "a && ".repeat(600));
        assert!(too_deep(&chain).is_some());
        assert_eq!(too_deep(&"permit(principal, action, resource);\n".repeat(500)), None, "each for itself");
        assert_eq!(too_deep(&format!("// {}\n", "(".repeat(500))), None);
        assert_eq!(too_deep(&format!("\"{}\\\"((\"", "(".repeat(500))), None);
    }
}
