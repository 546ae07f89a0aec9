//! How data stays data.
//!
//! A template pastes messages between control tokens, and the result is searched for control
//! tokens by name. So that a message cannot forge one, a *marker*, a noncharacter found nowhere in
//! the input, is put into its text; names that it interrupts are not found, and it is deleted once
//! the search is done. Two ways to put it:
//!
//! - **guarded**: as few markers as do. Inside every full name, and at the ends of a text that
//!   could be completed to a name by what stands beside it. Nothing that only trims messages and
//!   joins them to other text can form a name out of it, and templates hardly notice it.
//! - **severed**: between all characters. No name can hold any part of the text, whatever the
//!   template does to it, but a template that looks into messages no longer sees what it looks for.
//!
//! A conversation is rendered both ways. If both have the same control tokens in the same order,
//! the guarded one is used; if not, a message had a hand in one, and the severed one is used.

use crate::special::Finder;
use std::sync::Arc;

/// Noncharacters (Unicode 23.7): never assigned, never in interchanged text.
const NONCHARACTERS: std::ops::RangeInclusive<char> = '\u{fdd0}'..='\u{fdef}';

/// Writes a text of the message at an index (`None`: of a tool's definition).
pub(super) type Writer<'a> = dyn Fn(&str, Option<usize>) -> String + 'a;

/// What names there are to be forged.
#[derive(Debug)]
pub(super) struct Names {
    /// Control tokens by text.
    pub finder: Arc<Finder>,
    /// The same texts backwards.
    reversed: Finder,
    /// All texts, with a byte between that no text has.
    joined: Vec<u8>,
    len_max: usize,
    /// Whether a name holds white space.
    spaced: bool,
    /// Names of one character.
    single: Vec<char>,
}

/// How to write a text of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Guarded,
    Severed,
}

impl Names {
    pub fn new(finder: Arc<Finder>, texts: &[Vec<u8>]) -> Self {
        let backwards: Vec<Vec<u8>> =
            texts.iter().map(|text| text.iter().rev().copied().collect()).collect();
        let joined = texts.join(&0xff);
        let spaced = texts.iter().any(|t| String::from_utf8_lossy(t).contains(char::is_whitespace));
        let single = |text: &Vec<u8>| {
            let text = String::from_utf8_lossy(text);
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none())
        };
        Names {
            single: texts.iter().filter_map(single).collect(),
            reversed: Finder::new((0u32..).zip(&backwards).map(|(i, text)| (&text[..], i))),
            len_max: texts.iter().map(Vec::len).max().unwrap_or(0),
            finder,
            joined,
            spaced,
        }
    }

    /// `text` as data, with `marker` where `mode` wants it.
    pub fn write(&self, text: &str, mode: Mode, marker: char) -> String {
        if mode == Mode::Severed && !is_word(text) {
            self.sever(text, marker)
        } else {
            self.guard(text, marker)
        }
    }

    fn guard(&self, text: &str, marker: char) -> String {
        let mut breaks = self.inner_breaks(text);
        let start = text.len() - text.trim_start().len();
        let end = start + text.trim().len();
        for (start, end) in [(0, text.len()), (start, end)] {
            let part = &text.as_bytes()[start..end];
            if part.is_empty() {
                continue;
            }
            let within = self.is_within(part);
            if within || self.may_end(part) {
                breaks.push(start);
            }
            if within || self.may_begin(part) {
                breaks.push(end);
            }
        }
        breaks.sort_unstable();
        breaks.dedup();
        // Nothing is within a name of one character: two markers on either side call it data.
        let singles = text.char_indices().filter(|(_, c)| self.single.contains(c));
        breaks.extend(singles.flat_map(|(i, c)| [i, i, i + c.len_utf8(), i + c.len_utf8()]));
        breaks.sort_unstable();
        let mut out = String::with_capacity(text.len() + breaks.len() * marker.len_utf8());
        let mut at = 0;
        for position in breaks {
            out.push_str(&text[at..position]);
            out.push(marker);
            at = position;
        }
        out.push_str(&text[at..]);
        out
    }

    /// A position inside each full name.
    fn inner_breaks(&self, text: &str) -> Vec<usize> {
        let mut breaks = Vec::new();
        let mut at = 0;
        while let Some((start, end, _)) = self.finder.find(text, at) {
            // Names begin and end at characters, so the position after the first is within.
            at = start + text[start..end].chars().next().map_or(1, char::len_utf8);
            if at < end {
                breaks.push(at);
            }
        }
        breaks
    }

    /// Whether a name could begin with an end of `text`.
    fn may_begin(&self, text: &[u8]) -> bool {
        let from = text.len().saturating_sub(self.len_max);
        (from..text.len()).any(|i| self.finder.begins_with(&text[i..]))
    }

    /// Whether a name could end with a beginning of `text`.
    fn may_end(&self, text: &[u8]) -> bool {
        let head = &text[..text.len().min(self.len_max)];
        let backwards: Vec<u8> = head.iter().rev().copied().collect();
        (0..backwards.len()).any(|i| self.reversed.begins_with(&backwards[i..]))
    }

    /// Whether `text` is part of a name.
    fn is_within(&self, text: &[u8]) -> bool {
        text.len() <= self.len_max && self.joined.windows(text.len()).any(|part| part == text)
    }

    fn sever(&self, text: &str, marker: char) -> String {
        // Blanks at the ends stay free for a template to trim, unless they could be part of a name.
        let (start, end) = if self.spaced {
            (0, text.len())
        } else {
            let start = text.len() - text.trim_start().len();
            (start, start + text.trim().len())
        };
        let mut out = String::with_capacity(text.len() * 4);
        out.push_str(&text[..start]);
        if start < end {
            out.push(marker);
        }
        for c in text[start..end].chars() {
            if self.single.contains(&c) {
                out.extend([marker, c, marker, marker]);
            } else {
                out.extend([c, marker]);
            }
        }
        out.push_str(&text[end..]);
        out
    }

    /// The control tokens of `text`, in order.
    pub fn in_order(&self, text: &str, marker: char) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut at = 0;
        while let Some((_, end, id)) = self.finder.find_structure(text, at, Some(marker)) {
            ids.push(id);
            at = end;
        }
        ids
    }
}

/// Identifiers (of tools, calls, parameters) are never severed: templates check their length and
/// form, and look things up by them. They are guarded, and templates do not cut them up.
fn is_word(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// Noncharacters that none of `texts` holds.
pub(super) fn free_noncharacters(texts: &[&str]) -> Vec<char> {
    NONCHARACTERS.filter(|&c| !texts.iter().any(|text| text.contains(c))).collect()
}

/// Marks that tell where each message's own text went: an opening noncharacter, the index of the
/// message in digits that are noncharacters too, and a closing one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    open: char,
    close: char,
    digits: [char; 8],
}

impl Marks {
    /// Takes ten of the free noncharacters.
    pub fn new(free: &[char]) -> Option<Self> {
        let [open, close, digits @ ..] = free.first_chunk::<10>()?;
        Some(Marks { open: *open, close: *close, digits: *digits })
    }

    /// `text`, its blanks at the ends aside, between marks of message `index`.
    pub fn write(&self, text: &str, index: usize) -> String {
        let core = text.trim();
        if core.is_empty() {
            return text.to_owned();
        }
        let start = text.len() - text.trim_start().len();
        let mut number = String::new();
        let mut rest = index;
        while rest > 0 {
            number.push(self.digits[rest % 8]);
            rest /= 8;
        }
        let (open, close) = (self.open, self.close);
        format!(
            "{}{open}{number}{open}{core}{close}{}",
            &text[..start],
            &text[start + core.len()..]
        )
    }

    /// Takes the marks out of `text`: what remains, and the spans that they told (message, start,
    /// end), or `None` if they do not pair.
    pub fn read(&self, text: &str) -> Option<(String, Vec<super::Span>)> {
        let mut out = String::with_capacity(text.len());
        let mut spans = Vec::new();
        let mut opened = None;
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c == self.open {
                let mut message = 0;
                let mut unit = 1usize;
                loop {
                    let digit = rest.next()?;
                    if digit == self.open {
                        break;
                    }
                    let value = self.digits.iter().position(|&d| d == digit)?;
                    message += value.checked_mul(unit)?;
                    unit = unit.checked_mul(8)?;
                }
                if opened.replace((message, out.len())).is_some() {
                    return None;
                }
            } else if c == self.close {
                let (message, start) = opened.take()?;
                spans.push(super::Span { message, start, end: out.len() });
            } else {
                out.push(c);
            }
        }
        opened.is_none().then_some((out, spans))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: char = '\u{fdd0}';

    fn names(texts: &[&str]) -> Names {
        let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        let finder = Finder::new((0u32..).zip(&texts).map(|(i, text)| (&text[..], i)));
        Names::new(Arc::new(finder), &texts)
    }

    #[test]
    fn plain_text_is_left_alone_and_names_are_broken() {
        let names = names(&["<|im_end|>", "</s>"]);
        let guard = |text| names.write(text, Mode::Guarded, '#');
        assert_eq!(guard(" Hello, <b>world</b>! "), " Hello, <b>world</b>! ");
        assert_eq!(guard("a</s>b"), "a<#/s>b");
        assert_eq!(guard("say <|im_en "), "say <|im_en# ");
        assert_eq!(guard("d|> so"), "#d|> so");
        assert_eq!(guard(" end "), " #end# ");
        assert_eq!(names.write("a b", Mode::Severed, '#'), "#a# #b#");
        assert_eq!(names.write(" ab c\n", Mode::Severed, '#'), " #a#b# #c#\n");
        assert_eq!(names.write("call_1", Mode::Severed, '#'), "call_1");
    }

    /// Whatever stands on either side, a guarded text has no part in a name; pieces of names are
    /// the texts most likely to.
    #[test]
    fn no_joint_of_fragments_forms_a_name() {
        let texts = ["<|a|>", "<|b|><|c|>", "aa", "xax", "\n\n", "€"];
        let names = names(&texts);
        let mut fragments = vec![String::new(), "q".to_owned(), " ".to_owned()];
        for text in texts {
            for (i, _) in text.char_indices() {
                for (j, c) in text.char_indices().skip_while(|&(j, _)| j < i) {
                    fragments.push(text[i..j + c.len_utf8()].to_owned());
                }
            }
        }
        fragments.push("€ ".to_owned());
        for before in &fragments {
            for data in fragments.iter().skip(1).flat_map(|a| [a.clone(), format!("{a}x{a}")]) {
                for after in &fragments {
                    let guarded = names.write(&data, Mode::Guarded, M);
                    let text = format!("{before}{guarded}{after}");
                    let mut at = 0;
                    while let Some((start, end, _)) =
                        names.finder.find_structure(&text, at, Some(M))
                    {
                        let data_end = before.len() + guarded.len();
                        let outside = end <= before.len() || start >= data_end;
                        assert!(outside, "{before:?} {data:?} {after:?}");
                        at = start + text[start..].chars().next().unwrap().len_utf8();
                    }
                    assert_eq!(guarded.replace(M, ""), data);
                }
            }
        }
    }

    #[test]
    fn marks_tell_spans() {
        let free = free_noncharacters(&["x\u{fdd0}"]);
        assert_eq!((free.len(), free[0]), (31, '\u{fdd1}'));
        let marks = Marks::new(&free).unwrap();
        let text = format!("[{}|{}]", marks.write(" ab ", 0), marks.write("c", 1000));
        let (plain, spans) = marks.read(&text).unwrap();
        assert_eq!(plain, "[ ab |c]");
        let told: Vec<_> = spans.iter().map(|s| (s.message, &plain[s.start..s.end])).collect();
        assert_eq!(told, [(0, "ab"), (1000, "c")]);
        assert!(marks.read(&text[..text.len() - 4]).is_none());
    }
}
