//! Reasoning and tool calls, told apart from the text that a model writes around them.
//!
//! `<think>…</think>` is reasoning where the family uses it, and only at the very start of an
//! answer, so that a text *about* the tag stays text. `<tool_call>{"name": …, "arguments": …}
//! </tool_call>` (Hermes, Qwen, SmolLM3 and many others) is a call where tools were offered. A call
//! that is no such JSON stays text, as the model wrote it. Other families' forms are not known.

use serde_json::Value;

const THINK: &str = "<think>";
const THINK_END: &str = "</think>";
const CALL: &str = "<tool_call>";
const CALL_END: &str = "</tool_call>";

/// Which sections an answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sections {
    pub reasoning: bool,
    /// The template has opened the reasoning already.
    pub opens_in_reasoning: bool,
    pub calls: bool,
}

impl Sections {
    /// Whether a token is the marker of a section.
    pub fn is_marker(bytes: &[u8]) -> bool {
        [THINK, THINK_END, CALL, CALL_END].iter().any(|marker| marker.as_bytes() == bytes)
    }
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
            Sections { opens_in_reasoning: true, .. } => Mode::Reasoning,
            Sections { reasoning: true, .. } => Mode::Start,
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
            Mode::Call => out.push(call_or_text(&held, "")),
            mode => self.emit(mode, held, &mut out),
        }
        out
    }

    /// Handles what is held as far as its mode goes; true if a marker was passed.
    fn advance(&mut self, out: &mut Vec<Section>) -> bool {
        match self.mode {
            Mode::Start => {
                let start = self.held.trim_start();
                if let Some(rest) = start.strip_prefix(THINK) {
                    self.held = rest.to_owned();
                    self.enter(Mode::Reasoning, true);
                    return true;
                }
                if THINK.starts_with(start) {
                    return false;
                }
                self.enter(Mode::Text, false);
                true
            }
            Mode::Reasoning => self.until(THINK_END, Mode::Text, out),
            Mode::Text if self.sections.calls => self.until(CALL, Mode::Call, out),
            Mode::Text => {
                let held = std::mem::take(&mut self.held);
                self.emit(Mode::Text, held, out);
                false
            }
            Mode::Call => {
                let Some(at) = self.held.find(CALL_END) else { return false };
                out.push(call_or_text(&self.held[..at], CALL_END));
                self.held.drain(..at + CALL_END.len());
                self.enter(Mode::Text, true);
                true
            }
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

fn call_or_text(body: &str, end: &str) -> Section {
    match parse_call(body) {
        Some((name, arguments)) => Section::Call { name, arguments },
        None => Section::Text(format!("{CALL}{body}{end}")),
    }
}

/// Name and arguments of a call. Arguments that the model wrote as a string of JSON are taken out
/// of the string.
fn parse_call(body: &str) -> Option<(String, String)> {
    let call: Value = serde_json::from_str(body.trim()).ok()?;
    let name = call.get("name")?.as_str()?.to_owned();
    let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    Some((name, arguments))
}
