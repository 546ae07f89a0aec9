//! Misspellings, by the list of the `typos` project: it knows what people mistype, not what is
//! right, so a new technical word needs no entry anywhere.

use unicase::UniCase;

/// Words that the list takes for mistakes and that are right here, each with what it is.
const RIGHT: &[(&str, &str)] = &[
    ("mis", "the prefix, before a hyphen"),
    ("nd", "as in 2nd"),
    ("curren", "an HTML entity"),
    ("tham", "a script"),
];

/// What is wrong with the spelling of `word`, if anything.
pub fn problem(word: &str) -> Option<String> {
    if RIGHT.iter().any(|(right, _)| right.eq_ignore_ascii_case(word)) {
        return None;
    }
    let corrections = typos_dict::WORD.find(&UniCase::new(word))?;
    Some(match corrections {
        [] => format!("`{word}` is misspelt"),
        _ => format!("`{word}` is misspelt: {}", corrections.join(" or ")),
    })
}
