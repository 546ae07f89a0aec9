use super::*;

/// The match at each start, as text.
fn matches<'t>(expression: &str, text: &'t str) -> Vec<&'t str> {
    let pattern = Pattern::new(expression);
    let mut matcher = Matcher::new(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match matcher.match_at(&pattern, at) {
            Some(end) => {
                found.push(&text[at..end]);
                at = end;
            }
            None => at += text[at..].chars().next().unwrap().len_utf8(),
        }
    }
    found
}

#[test]
fn classes_counts_and_alternatives() {
    assert_eq!(matches(r"\p{N}{1,3}", "12345 6"), ["123", "45", "6"]);
    assert_eq!(matches(r"[a-c-]+|x", "ab-dxx"), ["ab-", "x", "x"]);
    assert_eq!(matches(r"[^\s\p{L}]+", "a!?  b9"), ["!?", "9"]);
    assert_eq!(matches(r" ?\p{L}+", " één zwei3"), [" één", " zwei"]);
    assert_eq!(matches(r"[\p{Lu}\p{M}]*[\p{Ll}\p{M}]+", "HTMLtext AB"), ["HTMLtext"]);
}

#[test]
fn a_class_gives_back_and_a_possessive_one_does_not() {
    assert_eq!(matches(r"\s+(?!\S)", "a   b  "), ["  ", "  "]);
    assert_eq!(matches(r"\s*[\r\n]+", "  \n \n  x"), ["  \n \n"]);
    assert_eq!(matches(r"a*+a", "aaa"), Vec::<&str>::new());
    assert_eq!(matches(r"a*a", "aaa"), ["aaa"]);
}

#[test]
fn groups_fold_case_and_repeat() {
    assert_eq!(matches(r"(?i:'s|'ll)", "'S 'Ll 'ſ 'd"), ["'S", "'Ll", "'ſ"]);
    assert_eq!(matches(r"\p{L}+(?:'s|'t)?", "it's can't x'y"), ["it's", "can't", "x", "y"]);
    assert_eq!(matches(r"(?:ab)+c", "ababc abab"), ["ababc"]);
    assert_eq!(matches(r"(?:ab){2}", "ababab"), ["abab"]);
    assert_eq!(matches(r"(?=[a-m])\p{L}", "kz"), ["k"]);
}

#[test]
fn first_characters_prune_only_what_cannot_match() {
    let pattern = Pattern::new(r" ?\p{L}+|\s+|(?:'s)?x");
    assert_eq!(pattern.first[usize::from(b' ')], 0b011);
    assert_eq!(pattern.first[usize::from(b'x')], 0b101);
    assert_eq!(pattern.first[usize::from(b'\'')], 0b100);
    assert_eq!(pattern.first[usize::from(b'!')], 0);
    assert_eq!(pattern.first[128], 0b111);
}
