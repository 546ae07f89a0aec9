//! "Did you mean …?": which known word is close to what was typed.

/// The known word that is at most `most` edits away from `word`, and the closest.
pub fn closest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = known.into_iter().map(|candidate| (edits(&word, candidate), candidate));
    near.filter(|&(distance, _)| distance <= most).min_by_key(|&(n, _)| n).map(|(_, word)| word)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("modles", "models"), 1);
        assert_eq!(edits("chats", "chat"), 1);
        assert_eq!(edits("hello", "help"), 2);
    }

    #[test]
    fn the_closest_word_wins_or_none() {
        let verbs = ["run", "chat", "models", "pull"];
        assert_eq!(closest("Modles", verbs, 1), Some("models"));
        assert_eq!(closest("why", verbs, 1), None);
    }
}
