//! JSON strings as sets of texts: lengths, patterns and formats of the *content* become regular
//! expressions over the text *with* its quotes and escapes.
//!
//! One content is written in one way only, that of `serde_json`: so a set of contents and its
//! complement stay apart, and equal strings are equal texts. Control characters that have no short
//! escape are never written.

use super::Refusal;
use super::language::Language;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};
use serde_json::Value;
use wright_chat::schema::Pattern;

/// One character of a string's content, escaped where it has to be.
const CHARACTER: &str = r#"(?:[^"\\\x00-\x1F]|\\["\\bfnrt])"#;

/// Characters with a short escape, and the letter of it.
const ESCAPES: [(char, &str); 7] = [
    ('"', "\""),
    ('\\', "\\\\"),
    ('\u{8}', "b"),
    ('\u{C}', "f"),
    ('\n', "n"),
    ('\r', "r"),
    ('\t', "t"),
];

/// Repetitions that a bound on length may ask for.
const LENGTH_MAX: u64 = 1 << 20;
/// Texts of a pattern that are listed one by one, at most.
const LISTED_MAX: usize = 64;

/// Strings whose content has from `min` to `max` characters.
pub(super) fn of_length(min: u64, max: Option<u64>) -> Result<Language, Refusal> {
    if min > LENGTH_MAX {
        return Err(Refusal::new("minLength", format!("it is more than {LENGTH_MAX}")));
    }
    let repeat = match (min, max.filter(|&max| max <= LENGTH_MAX)) {
        (0, None) => "*".to_owned(),
        (min, None) => format!("{{{min},}}"),
        (min, Some(max)) if max < min => return Ok(Language::none()),
        (min, Some(max)) => format!("{{{min},{max}}}"),
    };
    Ok(Language::regex(format!("\"{CHARACTER}{repeat}\"")))
}

/// The string `text`, as it is written.
pub(super) fn exactly(text: &str) -> Language {
    Language::literal(Value::String(text.to_owned()).to_string())
}

/// Strings whose content `pattern` matches somewhere.
pub(super) fn matching(pattern: &Pattern) -> Result<Language, Refusal> {
    let refuse = |why: &str| Refusal::new("pattern", format!("{:?}: {why}", pattern.source()));
    let hir =
        regex_syntax::parse(pattern.translated()).map_err(|_| refuse("it is not understood"))?;
    let body = searched(&hir).ok_or_else(|| {
        refuse("anchors and word boundaries can only stand at the beginning or the end of it")
    })?;
    Ok(Language::regex(format!("\"(?:{body})\"")))
}

/// The contents that `pattern` matches, if it matches whole contents and they are few.
pub(super) fn listed(pattern: &Pattern) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(pattern.translated()).ok()?;
    let mut texts = Vec::new();
    for branch in branches(&hir) {
        let parts = parts(branch);
        let [first, inner @ .., last] = &parts[..] else { return None };
        if !is_look(first, Look::Start) || !is_look(last, Look::End) {
            return None;
        }
        let mut found = vec![String::new()];
        for part in inner {
            found = append(&found, part)?;
        }
        texts.extend(found);
        if texts.len() > LISTED_MAX {
            return None;
        }
    }
    texts.sort();
    texts.dedup();
    Some(texts)
}

/// Each of `before`, followed by each text that `hir` matches.
fn append(before: &[String], hir: &Hir) -> Option<Vec<String>> {
    let joined = |ends: &[String]| -> Option<Vec<String>> {
        (before.len() * ends.len() <= LISTED_MAX).then(|| {
            let pairs = before.iter().flat_map(|a| ends.iter().map(move |b| format!("{a}{b}")));
            pairs.collect()
        })
    };
    match hir.kind() {
        HirKind::Empty => Some(before.to_vec()),
        HirKind::Literal(literal) => joined(&[String::from_utf8(literal.0.to_vec()).ok()?]),
        HirKind::Class(Class::Unicode(class)) => {
            let n: usize = class.iter().map(|r| r.len()).sum();
            if n > LISTED_MAX {
                return None;
            }
            let each = class.iter().flat_map(|r| r.start()..=r.end());
            joined(&each.map(String::from).collect::<Vec<_>>())
        }
        HirKind::Capture(capture) => append(before, &capture.sub),
        HirKind::Concat(parts) => {
            parts.iter().try_fold(before.to_vec(), |before, part| append(&before, part))
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(append(before, branch)?);
            }
            (all.len() <= LISTED_MAX).then_some(all)
        }
        HirKind::Repetition(r) if r.min == 0 && r.max == Some(1) => {
            let mut all = before.to_vec();
            all.extend(append(before, &r.sub)?);
            (all.len() <= LISTED_MAX).then_some(all)
        }
        _ => None,
    }
}

/// The alternatives at the top of an expression.
fn branches(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Alternation(list) => list.iter().flat_map(branches).collect(),
        HirKind::Capture(capture) => match capture.sub.kind() {
            HirKind::Alternation(_) => branches(&capture.sub),
            _ => vec![hir],
        },
        _ => vec![hir],
    }
}

fn parts(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Concat(list) => list.iter().flat_map(parts).collect(),
        HirKind::Capture(capture) if has_look(&capture.sub) => parts(&capture.sub),
        _ => vec![hir],
    }
}

fn has_look(hir: &Hir) -> bool {
    !hir.properties().look_set().is_empty()
}

fn is_look(hir: &Hir, look: Look) -> bool {
    matches!(hir.kind(), HirKind::Look(found) if *found == look)
}

/// The content around which `hir` can be found, as a regular expression over escaped text.
fn searched(hir: &Hir) -> Option<String> {
    let mut alternatives = Vec::new();
    for branch in branches(hir) {
        alternatives.extend(anchored(&parts(branch))?);
    }
    Some(alternatives.join("|"))
}

/// One alternative; anchors that stand in alternatives at an end are multiplied out.
fn anchored(parts: &[&Hir]) -> Option<Vec<String>> {
    let (mut from, mut to) = (0, parts.len());
    let (mut starts, mut ends) = (false, false);
    while from < to && is_look(parts[from], Look::Start) {
        (starts, from) = (true, from + 1);
    }
    while to > from && is_look(parts[to - 1], Look::End) {
        (ends, to) = (true, to - 1);
    }
    let inner = &parts[from..to];
    if let Some(at) = inner.iter().position(|part| has_look(part)) {
        let (HirKind::Alternation(list), true) =
            (through_captures(inner[at]).kind(), at == 0 || at + 1 == inner.len())
        else {
            return None;
        };
        let mut all = Vec::new();
        for branch in list {
            let mut whole = Vec::new();
            whole.extend(parts[..from + at].iter().copied());
            whole.extend(self::parts(branch));
            whole.extend(parts[from + at + 1..].iter().copied());
            all.extend(anchored(&whole)?);
        }
        return Some(all);
    }
    let mut out = String::new();
    if !starts {
        out.push_str(&format!("{CHARACTER}*"));
    }
    for part in inner {
        out.push_str(&escaped(part)?);
    }
    if !ends {
        out.push_str(&format!("{CHARACTER}*"));
    }
    Some(vec![out])
}

fn through_captures(hir: &Hir) -> &Hir {
    match hir.kind() {
        HirKind::Capture(capture) => through_captures(&capture.sub),
        _ => hir,
    }
}

/// `hir` over escaped text, where it matches content. `None` if it looks around.
fn escaped(hir: &Hir) -> Option<String> {
    Some(match hir.kind() {
        HirKind::Empty => String::new(),
        HirKind::Literal(literal) => {
            std::str::from_utf8(&literal.0).ok()?.chars().map(character).collect()
        }
        HirKind::Class(Class::Unicode(class)) => class_of(class),
        HirKind::Class(Class::Bytes(class)) => {
            let ranges = class.iter();
            let ranges = ranges.map(|r| ClassUnicodeRange::new(r.start().into(), r.end().into()));
            class_of(&ClassUnicode::new(ranges))
        }
        HirKind::Look(_) => return None,
        HirKind::Repetition(repetition) => {
            let inner = escaped(&repetition.sub)?;
            let (min, max) = (repetition.min, repetition.max);
            match (min, max) {
                (0, None) => format!("(?:{inner})*"),
                (1, None) => format!("(?:{inner})+"),
                (min, None) => format!("(?:{inner}){{{min},}}"),
                (min, Some(max)) => format!("(?:{inner}){{{min},{max}}}"),
            }
        }
        HirKind::Capture(capture) => format!("(?:{})", escaped(&capture.sub)?),
        HirKind::Concat(parts) => parts.iter().map(escaped).collect::<Option<Vec<_>>>()?.concat(),
        HirKind::Alternation(parts) => {
            let parts = parts.iter().map(escaped).collect::<Option<Vec<_>>>()?;
            format!("(?:{})", parts.join("|"))
        }
    })
}

/// A regular expression for one character of content.
fn character(c: char) -> String {
    match ESCAPES.iter().find(|(escape, _)| *escape == c) {
        Some((_, letter)) => format!(r"\\{letter}"),
        None if c < ' ' => r"[^\s\S]".into(),
        None => regex_syntax::escape(&c.to_string()),
    }
}

fn class_of(class: &ClassUnicode) -> String {
    let mut plain = class.clone();
    let special = [('\0', '\u{1F}'), ('"', '"'), ('\\', '\\')];
    let special = special.map(|(from, to)| ClassUnicodeRange::new(from, to));
    plain.difference(&ClassUnicode::new(special));
    let has = |c: char| class.iter().any(|range| range.start() <= c && c <= range.end());
    let escapes: Vec<String> =
        ESCAPES.iter().filter(|(c, _)| has(*c)).map(|(c, _)| character(*c)).collect();
    let mut alternatives = escapes;
    if plain.iter().next().is_some() {
        let ranges: Vec<String> = plain
            .iter()
            .map(|r| format!(r"\x{{{:X}}}-\x{{{:X}}}", u32::from(r.start()), u32::from(r.end())))
            .collect();
        alternatives.insert(0, format!("[{}]", ranges.concat()));
    }
    match alternatives.len() {
        0 => r"[^\s\S]".into(),
        1 => alternatives.remove(0),
        _ => format!("(?:{})", alternatives.join("|")),
    }
}

/// Strings of a format; `None` if the format is not known.
pub(super) fn of_format(name: &str) -> Option<Language> {
    // The 29th of February is left out.
    const DATE: &str = "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|\
                        (?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
    const CLOCK: &str = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?";
    const OFFSET: &str = r"(?:Z|[+\-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
    const BYTE: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    const LABEL: &str = "[a-zA-Z0-9](?:[a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?";
    let host = format!("{LABEL}(?:\\.{LABEL}){{0,3}}");
    let body = match name {
        "date" => DATE.to_owned(),
        "time" => format!("{CLOCK}{OFFSET}"),
        "date-time" => format!("{DATE}T{CLOCK}{OFFSET}"),
        "duration" => {
            let n = "[0-9]{1,9}";
            format!("P(?:{n}W|(?:{n}Y{n}M{n}D|{n}M{n}D|{n}Y|{n}M|{n}D)(?:T{n}H)?|T{n}[HMS])")
        }
        "email" => format!(r"[a-zA-Z0-9_%+\-]{{1,32}}(?:\.[a-zA-Z0-9_%+\-]{{1,30}})?@{host}"),
        "hostname" => host,
        "ipv4" => format!(r"{BYTE}(?:\.{BYTE}){{3}}"),
        "ipv6" => "[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}|::1".to_owned(),
        "uri" => {
            const PART: &str = "[a-zA-Z0-9._~\\-]";
            format!(r"https?://{host}(?::[0-9]{{1,5}})?(?:/{PART}*)*(?:\?{PART}+=(?:{PART})*)?")
        }
        "uri-reference" => "(?:/?[a-zA-Z0-9._~\\-]+)*|#[a-zA-Z0-9]+".to_owned(),
        "json-pointer" => "(?:/[a-zA-Z0-9_\\-]+)*".to_owned(),
        "relative-json-pointer" => "(?:0|[1-9][0-9]{0,3})(?:#|(?:/[a-zA-Z0-9_\\-]+)*)".to_owned(),
        // Simple ones.
        "regex" => "\\^?(?:[a-zA-Z0-9 _]|\\.[*+]?)*\\$?".to_owned(),
        "uuid" => "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".to_owned(),
        _ => return None,
    };
    Some(Language::regex(format!("\"(?:{body})\"")))
}
