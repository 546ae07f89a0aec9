//! Words of a text for the full-text index, and what is searched for.
//!
//! The index splits text at everything that is not a letter, digit or mark, and folds case and
//! diacritics. Scripts that are written without spaces have no such places, so here each run of
//! them becomes pairs of neighbouring characters ("東京都" is "東京 京都 都"), and a search for a run
//! becomes a phrase of pairs. A single character is searched for as the beginning of a pair.

use crate::Error;
use std::fmt::Write;
use unicode_normalization::UnicodeNormalization;

/// Text in the form in which it is indexed.
pub(crate) fn indexed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if text.is_ascii() {
        out.push_str(text);
        return out;
    }
    let chars: Vec<char> = text.nfkc().collect();
    for run in chars.chunk_by(|a, b| is_unspaced(*a) == is_unspaced(*b)) {
        if is_unspaced(run[0]) {
            out.push(' ');
            push_pairs(&mut out, run, true);
            out.push(' ');
        } else {
            out.extend(run);
        }
    }
    out
}

/// Pairs of neighbours, and the last character alone where `has_last` or if there is no other.
fn push_pairs(out: &mut String, run: &[char], has_last: bool) {
    for pair in run.windows(2) {
        out.extend(pair);
        out.push(' ');
    }
    if has_last || run.len() == 1 {
        out.push(run[run.len() - 1]);
    }
}

/// Whether words of this character's script are not set apart by spaces.
fn is_unspaced(char: char) -> bool {
    matches!(char,
        '\u{0e00}'..='\u{0eff}'   // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Myanmar
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{1950}'..='\u{19df}' // Tai Le, New Tai Lue
        | '\u{1a20}'..='\u{1aaf}' // Tai Tham
        | '\u{3005}'..='\u{3007}' // iteration mark, zero
        | '\u{3041}'..='\u{30ff}' // Hiragana, Katakana
        | '\u{3100}'..='\u{312f}' // Bopomofo
        | '\u{31a0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}' // Myanmar extended
        | '\u{f900}'..='\u{faff}'
        | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{3ffff}'
    ) && char.is_alphanumeric()
        || is_mark_of_unspaced(char)
}

/// Vowels and tones of Thai, Lao, Myanmar and Khmer, which are not letters of their own.
fn is_mark_of_unspaced(char: char) -> bool {
    matches!(char,
        '\u{0e31}' | '\u{0e34}'..='\u{0e3a}' | '\u{0e47}'..='\u{0e4e}'
        | '\u{0eb1}' | '\u{0eb4}'..='\u{0ebc}' | '\u{0ec8}'..='\u{0ecd}'
        | '\u{102b}'..='\u{103e}' | '\u{1056}'..='\u{1059}' | '\u{17b4}'..='\u{17d3}'
        | '\u{3099}' | '\u{309a}')
}

/// A search in the language of FTS5, from what a person typed.
///
/// Words are joined by AND. `"…"` is a phrase, a trailing `*` a prefix; `AND`, `OR`, `NOT`,
/// parentheses and `prompt:` or `response:` before a term mean what they do in FTS5. Anything else
/// is only text, so `c++` or `don't` are not errors.
///
/// # Errors
/// If nothing is left to search for, or operators and parentheses do not match up, as the
/// database reports later.
pub(crate) fn query(typed: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut n_terms = 0;
    // Whether an operand ends here, so that another one needs AND before it.
    let mut is_after_operand = false;
    for token in tokens(typed) {
        let (word, opens, closes) = match token {
            Token::Operator(word) => {
                (word.to_owned(), !matches!(word, "AND" | "OR" | "NOT" | ")"), word == ")")
            }
            Token::Term { text, is_prefix } => match term(text, is_prefix) {
                Some(term) => {
                    n_terms += 1;
                    (term, true, true)
                }
                None => continue,
            },
        };
        if is_after_operand && opens {
            out.push_str("AND ");
        }
        let _ = write!(out, "{word} ");
        is_after_operand = closes;
    }
    if n_terms == 0 {
        let reason = "there is no word in it".to_owned();
        return Err(Error::BadQuery { query: typed.to_owned(), reason });
    }
    Ok(out.trim_end().to_owned())
}

enum Token<'a> {
    /// What FTS5 is to read as it stands.
    Operator(&'a str),
    Term {
        text: &'a str,
        is_prefix: bool,
    },
}

fn tokens(typed: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = typed.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' => {
                tokens.push(Token::Operator(&rest[..1]));
                1
            }
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len(), |end| end + 1);
                let after = rest.get(end + 1..).unwrap_or("");
                let is_prefix = after.starts_with('*');
                tokens.push(Token::Term { text: &rest[1..end], is_prefix });
                rest.len() - after.len() + usize::from(is_prefix)
            }
            _ => {
                let is_end = |char: char| char.is_whitespace() || matches!(char, '"' | '(' | ')');
                let end = rest.find(is_end).unwrap_or(rest.len());
                push_word(&mut tokens, &rest[..end]);
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

fn push_word<'a>(tokens: &mut Vec<Token<'a>>, word: &'a str) {
    if matches!(word, "AND" | "OR" | "NOT") {
        return tokens.push(Token::Operator(word));
    }
    let mut text = word;
    for (prefix, operator) in [("prompt:", "prompt :"), ("response:", "response :")] {
        if let Some(after) = word.strip_prefix(prefix) {
            tokens.push(Token::Operator(operator));
            text = after;
        }
    }
    if text.is_empty() {
        return;
    }
    let is_prefix = text.ends_with('*');
    tokens.push(Token::Term { text: text.trim_end_matches('*'), is_prefix });
}

/// A quoted phrase of the words in `text`; `None` if there is none.
fn term(text: &str, is_prefix: bool) -> Option<String> {
    let chars: Vec<char> = text.nfkc().filter(|char| *char != '"').collect();
    if !chars.iter().any(|char| char.is_alphanumeric() || is_unspaced(*char)) {
        return None;
    }
    let mut phrases: Vec<String> = Vec::new();
    for run in chars.chunk_by(|a, b| is_unspaced(*a) == is_unspaced(*b)) {
        let mut words = String::new();
        let is_last = std::ptr::eq(run.as_ptr_range().end, chars.as_ptr_range().end);
        let mut is_open = is_prefix && is_last;
        if is_unspaced(run[0]) {
            push_pairs(&mut words, run, false);
            is_open |= run.len() == 1;
        } else if run.iter().any(|char| char.is_alphanumeric()) {
            words.extend(run);
        } else {
            continue;
        }
        phrases.push(format!("\"{}\"{}", words.trim(), if is_open { " *" } else { "" }));
    }
    // Neighbouring runs follow each other in the index only where a pair ends at the border, so
    // they are searched for separately.
    Some(match phrases.len() {
        1 => phrases.remove(0),
        _ => format!("({})", phrases.join(" AND ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_without_spaces_are_indexed_as_pairs() {
        assert_eq!(indexed("plain, text"), "plain, text");
        assert_eq!(indexed("in 東京都!"), "in  東京 京都 都 !");
        assert_eq!(indexed("ﾃｽﾄ").trim(), "テス スト ト");
        assert_eq!(indexed("é"), "é");
        assert!(indexed("สวัสดี").contains("วั"));
    }

    #[test]
    fn what_is_typed_becomes_a_query_that_fts5_reads() {
        let cases = [
            ("one two", "\"one\" AND \"two\""),
            ("\"one two\" three*", "\"one two\" AND \"three\" *"),
            ("c++ don't", "\"c++\" AND \"don't\""),
            ("one OR (two NOT three)", "\"one\" OR ( \"two\" NOT \"three\" )"),
            ("東京都", "\"東京 京都\""),
            ("東", "\"東\" *"),
            ("prompt:x", "prompt : \"x\""),
            ("say \"open", "\"say\" AND \"open\""),
            ("GPT4東京", "(\"GPT4\" AND \"東京\")"),
            ("a - b", "\"a\" AND \"b\""),
        ];
        for (typed, expected) in cases {
            assert_eq!(query(typed).unwrap(), expected, "{typed}");
        }
        for typed in ["", "  ", "\"\"", "!?", "***"] {
            assert!(matches!(query(typed), Err(Error::BadQuery { .. })), "{typed}");
        }
    }
}
