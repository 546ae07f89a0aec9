//! "Did you mean …?": which known word is close to what was typed.

/// The known word that is at most `most` edits away from `word`, and the closest.
pub fn closest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    // Swapped neighbours count as one edit: that is how fingers err.
    let near = known.into_iter().map(|known| (strsim::osa_distance(&word, known), known));
    near.filter(|&(distance, _)| distance <= most).min_by_key(|&(n, _)| n).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_word_wins_or_none() {
        let verbs = ["run", "chat", "models", "pull"];
        assert_eq!(closest("Modles", verbs, 1), Some("models"));
        assert_eq!(closest("chats", verbs, 1), Some("chat"));
        assert_eq!(closest("modlse", verbs, 1), None);
        assert_eq!(closest("why", verbs, 1), None);
    }
}
