//! Words and turns of phrase that only this project used in that sense, or that a technical writer
//! would not use, each with what to write in its place.
//!
//! English here is spelled as in the Oxford dictionary: British, but with -ize, as in the names of
//! the commands (`quantize`, `tokenize`).

/// Phrases in lower case, matched by whole words, and what to write.
const PHRASES: &[(&str, &str)] = &[
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("foretell", "predict"),
    ("foretells", "predicts"),
    ("foretold", "predicted"),
    ("foretelling", "predicting"),
    ("anew", "again"),
    ("likeliest", "most likely"),
    ("lexicon", "vocabulary"),
    ("renorm", "normalize in place"),
    ("one a core", "one per core"),
    ("nats a token", "nats per token"),
    ("bits a byte", "bits per byte"),
    ("bits a weight", "bits per weight"),
    ("bytes a token", "bytes per token"),
    ("tokens a second", "tokens per second"),
    ("of one's own", "your own"),
    ("byte by byte the same", "identical"),
    ("goes on from text", "continues text"),
    ("go on from text", "continue text"),
    ("was not made to", "cannot, or was not trained to"),
    ("change no byte", "do not affect the output"),
    ("is cut short", "is truncated"),
    ("fetch it again", "download it again"),
    ("entrys", "entries"),
    ("behaviors", "behaviours"),
    ("behavior", "behaviour"),
];
/// Stems that are spelled with -ize.
const STEMS: &[&str] = &[
    "initialis",
    "normalis",
    "optimis",
    "organis",
    "quantis",
    "randomis",
    "recognis",
    "serialis",
    "summaris",
    "synchronis",
    "tokenis",
    "utilis",
    "vectoris",
];
/// What may follow "is no" and "are no" in plain English.
const AFTER_NO: &[&str] = &[
    "better",
    "different",
    "faster",
    "fewer",
    "greater",
    "higher",
    "larger",
    "less",
    "longer",
    "lower",
    "more",
    "need",
    "reason",
    "shorter",
    "slower",
    "smaller",
    "such",
    "way",
    "worse",
];
/// What may stand before them: "there is no such file".
const BEFORE_IS: &[&str] = &["there", "it's"];

/// What is wrong in `text`, with its place.
pub fn problems(text: &str) -> Vec<(usize, String)> {
    let words = words(text);
    let lower: Vec<String> = words.iter().map(|(_, word)| word.to_lowercase()).collect();
    let mut found = Vec::new();
    for (i, word) in lower.iter().enumerate() {
        let place = words[i].0;
        for (phrase, instead) in PHRASES {
            if phrase
                .split(' ')
                .enumerate()
                .all(|(n, part)| lower.get(i + n).is_some_and(|w| w == part))
            {
                found.push((place, format!("not `{phrase}`, but {instead}")));
            }
        }
        if let Some(stem) = STEMS.iter().find(|stem| word.starts_with(**stem)) {
            let right = format!("{}z", &stem[..stem.len() - 1]);
            found.push((place, format!("`{word}`: spell it with -ize, `{right}…`")));
        }
        if matches!(word.as_str(), "is" | "are") && says_is_no(&lower, i) {
            let next = &lower[i + 2];
            found.push((
                place,
                format!("not `{word} no {next}`, but `{word} not a {next}` or the like"),
            ));
        }
    }
    found
}

/// Whether "is no X" at word `i` is meant as "is not an X".
fn says_is_no(words: &[String], i: usize) -> bool {
    let before = i.checked_sub(1).map_or("", |b| words[b].as_str());
    let after = words.get(i + 2).map_or("", String::as_str);
    words.get(i + 1).is_some_and(|w| w == "no")
        && !after.is_empty()
        && !BEFORE_IS.contains(&before)
        && !AFTER_NO.contains(&after)
}

/// Words of letters and apostrophes, with their places. Punctuation and blank lines are kept as
/// words of their own, so that a phrase ends at them; it does continue over the end of a line.
fn words(text: &str) -> Vec<(usize, &str)> {
    let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '_');
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (is_inner(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push((from, &text[from..at]));
                start = None;
            }
            _ => {}
        }
        if matches!(c, '.' | '`' | '(' | ')' | ';' | ':' | ',') || text[at..].starts_with("\n\n") {
            words.push((at, &text[at..at + 1]));
        }
    }
    words
}
