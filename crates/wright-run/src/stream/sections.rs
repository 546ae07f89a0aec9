//! Reasoning and tool calls, told apart from the text that a model writes around them.
//!
//! Reasoning is what stands between a family's marks (`<think>…</think>` and its kin), and only at
//! the very start of an answer, so that a text *about* the tag stays text. Calls are read in the
//! family's own form ([`super::forms`]) where tools were offered; a call that cannot be read stays
//! text, as the model wrote it.

use super::forms::{self, Marks};

/// Which sections an answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sections {
    pub reasoning: Option<Marks>,
    /// The template has opened the reasoning already.
    pub opens_in_reasoning: bool,
    pub calls: Option<Marks>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Section {
    Text(String),
    Reasoning(String),
    /// `arguments` is JSON text.
    Call {
        name: String,
        arguments: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Start,
    Reasoning,
    Text,
    Call,
}

#[derive(Debug)]
pub(crate) struct Splitter {
    sections: Sections,
    mode: Mode,
    held: String,
    /// Blanks at the start of a section belong to its marker.
    skip_blanks: bool,
}

impl Splitter {
    pub fn new(sections: Sections) -> Self {
        let mode = match sections {
            Sections { opens_in_reasoning: true, reasoning: Some(_), .. } => Mode::Reasoning,
            Sections { reasoning: Some(_), .. } => Mode::Start,
            Sections { calls: Some(calls), .. } if calls.is_bare() => Mode::Start,
            _ => Mode::Text,
        };
        let skip_blanks = mode == Mode::Reasoning;
        Splitter { sections, mode, held: String::new(), skip_blanks }
    }

    /// What is certain after `text`.
    pub fn push(&mut self, text: &str) -> Vec<Section> {
        self.held.push_str(text);
        let mut out = Vec::new();
        while self.advance(&mut out) {}
        out
    }

    /// What was held back, at the end of an answer.
    pub fn finish(&mut self) -> Vec<Section> {
        let held = std::mem::take(&mut self.held);
        let mut out = Vec::new();
        match self.mode {
            Mode::Call => self.call_or_text(&held, "", &mut out),
            mode => self.emit(mode, held, &mut out),
        }
        out
    }

    /// Handles what is held as far as its mode goes; true if a marker was passed.
    fn advance(&mut self, out: &mut Vec<Section>) -> bool {
        match self.mode {
            Mode::Start => {
                let start = self.held.trim_start();
                if let Some(marks) = self.sections.reasoning {
                    if let Some(rest) = start.strip_prefix(marks.open) {
                        self.held = rest.to_owned();
                        self.enter(Mode::Reasoning, true);
                        return true;
                    }
                    if marks.open.starts_with(start) {
                        return false;
                    }
                }
                if start.is_empty() {
                    return false;
                }
                let is_bare = self.sections.calls.is_some_and(|calls| calls.is_bare());
                let calls = is_bare && start.starts_with('{');
                self.enter(if calls { Mode::Call } else { Mode::Text }, false);
                true
            }
            Mode::Reasoning => {
                let close = self.sections.reasoning.and_then(|marks| marks.close);
                let passed = self.until(close.unwrap_or("</think>"), Mode::Text, out);
                if passed && self.sections.calls.is_some_and(|calls| calls.is_bare()) {
                    self.sections.reasoning = None;
                    self.mode = Mode::Start;
                }
                passed
            }
            Mode::Text if self.marked_calls().is_some() => {
                let open = self.marked_calls().map_or("", |marks| marks.open);
                self.until(open, Mode::Call, out)
            }
            Mode::Text => {
                let held = std::mem::take(&mut self.held);
                self.emit(Mode::Text, held, out);
                false
            }
            Mode::Call => {
                let Some(close) = self.sections.calls.and_then(|marks| marks.close) else {
                    return false;
                };
                let Some(at) = self.held.find(close) else { return false };
                let body: String = self.held.drain(..at).collect();
                self.held.drain(..close.len());
                self.call_or_text(&body, close, out);
                self.enter(Mode::Text, true);
                true
            }
        }
    }

    /// The form of calls that begin with a mark.
    fn marked_calls(&self) -> Option<Marks> {
        self.sections.calls.filter(|calls| !calls.is_bare())
    }

    fn call_or_text(&self, body: &str, end: &str, out: &mut Vec<Section>) {
        let Some(marks) = self.sections.calls else { return };
        match forms::parse(&marks, body) {
            Some(calls) => {
                let section = |(name, arguments)| Section::Call { name, arguments };
                out.extend(calls.into_iter().map(section));
            }
            // A bare call's mark is still in its body.
            None if marks.is_bare() => out.push(Section::Text(body.to_owned())),
            None => out.push(Section::Text(format!("{}{body}{end}", marks.open))),
        }
    }

    /// Emits what comes before `tag`, holding back what may become one.
    fn until(&mut self, tag: &str, next: Mode, out: &mut Vec<Section>) -> bool {
        let (end, found) = match self.held.find(tag) {
            Some(at) => (at, true),
            None => (self.held.len() - overlap(&self.held, tag), false),
        };
        let rest = self.held.split_off(end + if found { tag.len() } else { 0 });
        let mut before = std::mem::replace(&mut self.held, rest);
        before.truncate(end);
        self.emit(self.mode, before, out);
        if found {
            self.enter(next, true);
        }
        found
    }

    fn enter(&mut self, mode: Mode, skip_blanks: bool) {
        self.mode = mode;
        self.skip_blanks = skip_blanks;
    }

    fn emit(&mut self, mode: Mode, mut text: String, out: &mut Vec<Section>) {
        if self.skip_blanks {
            text.drain(..text.len() - text.trim_start().len());
        }
        if text.is_empty() {
            return;
        }
        self.skip_blanks = false;
        out.push(match mode {
            Mode::Reasoning => Section::Reasoning(text),
            _ => Section::Text(text),
        });
    }
}

/// How many bytes at the end of `text` are a proper beginning of `tag` (ASCII).
fn overlap(text: &str, tag: &str) -> usize {
    (1..tag.len()).rev().find(|&n| text.ends_with(&tag[..n])).unwrap_or(0)
}
