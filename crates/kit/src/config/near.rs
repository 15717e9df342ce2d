//! "Did you mean": the known word with the fewest edits.

pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (word.chars().count() / 4).clamp(1, 4);
    known.map(|candidate| (edits(word, candidate), candidate)).filter(|(n, _)| *n <= bound).min().map(|(_, c)| c)
}

/// Insertions, removals, replacements and swaps of neighbours that lead from `a` to `b`.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut two_up = Vec::new();
    let mut up: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut least = (up[j] + usize::from(x != y)).min(up[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                let before: &Vec<usize> = &two_up;
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        two_up = std::mem::replace(&mut up, row);
    }
    up[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_word() {
        let known = ["http.max_headers", "http.idle_timeout_ms", "log.level"];
        assert_eq!(nearest("http.max_haeders", known.into_iter()), Some("http.max_headers"));
        assert_eq!(nearest("log.levle", known.into_iter()), Some("log.level"));
        assert_eq!(nearest("storage.bytes", known.into_iter()), None);
        assert_eq!((edits("ab", "ba"), edits("abc", ""), edits("same", "same")), (1, 3, 0));
    }
}
