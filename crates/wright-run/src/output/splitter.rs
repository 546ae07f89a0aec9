//! Separates reasoning and tool calls from the text that a model writes around them.
//!
//! Reasoning is what stands between a family's tags (such as `<think>…</think>`), and calls are
//! parsed in the family's own format where tools were offered. White space beside a tag belongs to
//! it. A call that cannot be parsed stays text, as the model wrote it.
//!
//! The result depends on the text alone, not on the pieces in which it arrives: whatever may yet
//! become a tag is held back.

use super::call::Call;
use super::call_parser;
use super::tags::{self, Found};
use std::sync::Arc;
use wright_chat::Tool;
use wright_text::{CallFormat, ReasoningFormat};

/// Which sections an answer may have, and how they are written.
#[derive(Debug, Clone, Default)]
pub struct OutputFormat {
    pub reasoning: Option<&'static ReasoningFormat>,
    pub calls: Option<&'static CallFormat>,
    /// The tools on offer: their schemas give the types of arguments.
    pub tools: Arc<[Tool]>,
    /// The beginning of the answer that the prompt ends with, such as `<think>`: tags only.
    pub prefilled: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Section {
    Text(String),
    Reasoning(String),
    Call(Call),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Text,
    Reasoning,
    Calls,
}

/// What a tag in the text of an answer actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Open(Mode),
    Ignore,
}

impl OutputFormat {
    /// The format of the family whose template this is, after a prompt that it has rendered.
    pub fn new(template: &str, prompt: &str, tools: &[Tool]) -> Self {
        let reasoning = ReasoningFormat::of_template(template);
        let calls = CallFormat::of_template(template).filter(|_| !tools.is_empty());
        let prefilled = String::new();
        let mut format = OutputFormat { reasoning, calls, tools: tools.into(), prefilled };
        format.prefilled = format.prefilled_by(prompt).to_owned();
        format
    }

    /// Whether a control token of this text is a tag, and not merely the end or start of a turn.
    pub fn is_tag(&self, token: &[u8]) -> bool {
        let Ok(token) = std::str::from_utf8(token) else { return false };
        self.reasoning.is_some_and(|form| form.has_token(token))
            || self.calls.is_some_and(|form| form.has_token(token))
    }

    /// The longest end of `prompt` that is a tag, or begins one.
    fn prefilled_by<'p>(&self, prompt: &'p str) -> &'p str {
        let tags = self.tags();
        let own = self.reasoning.map(|form| [form.open, form.close]).into_iter().flatten();
        let tags: Vec<&str> = tags.iter().map(|(tag, _)| *tag).chain(own).collect();
        let whole = prompt.trim_end();
        let is_end = |at: &usize| {
            let (end, rest) = (&whole[*at..], &prompt[*at..]);
            tags.iter().any(|tag| *tag == end || (rest.len() > 1 && tag.starts_with(rest)))
        };
        let len_max = tags.iter().map(|tag| tag.len()).max().unwrap_or(0);
        let from = whole.len().saturating_sub(len_max);
        let mut starts = (from..whole.len()).filter(|&at| whole.is_char_boundary(at));
        starts.find(is_end).map_or("", |at| &prompt[at..])
    }

    /// Tags that are searched for throughout an answer.
    fn tags(&self) -> Vec<(&'static str, Action)> {
        let mut tags = Vec::new();
        if let Some(form) = self.calls {
            let opens = form.open.iter().filter(|_| !form.is_bare());
            tags.extend(opens.map(|tag| (*tag, Action::Open(Mode::Calls))));
            tags.extend(form.ignored_tags.iter().map(|tag| (*tag, Action::Ignore)));
        }
        if let Some(form) = self.reasoning {
            if form.anywhere {
                tags.push((form.open, Action::Open(Mode::Reasoning)));
            }
            tags.extend(form.ignored_tags.iter().map(|tag| (*tag, Action::Ignore)));
        }
        tags
    }

    /// Tags that open a section only at the very start of an answer.
    fn first_tags(&self) -> Vec<(&'static str, Mode)> {
        let reasoning = self.reasoning.filter(|form| !form.anywhere);
        let bare = self.calls.filter(|form| form.is_bare());
        // The closing tag alone: the model skipped its reasoning.
        let reasoning = reasoning
            .map(|form| [(form.open, Mode::Reasoning), (form.close, Mode::Text)])
            .into_iter()
            .flatten();
        reasoning.chain(bare.map(|form| (form.open[0], Mode::Calls))).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Splitter {
    format: OutputFormat,
    tags: Vec<&'static str>,
    actions: Vec<Action>,
    /// Tags that may open the answer, while nothing has been emitted.
    first: Vec<(&'static str, Mode)>,
    mode: Mode,
    held: String,
    /// White space that belongs to a tag, if one follows.
    spaces: String,
    /// White space at the start of a section belongs to the tag before it.
    skip_spaces: bool,
    /// How many of the next bytes are the prompt's, and so not emitted.
    n_prefilled: usize,
    /// What opened the section of calls, with the white space before it.
    opened: String,
    /// Calls parsed in this section.
    n_parsed: usize,
    /// How far `held` has been searched for the end of calls.
    searched: usize,
    ended: bool,
}

impl Splitter {
    pub fn new(format: OutputFormat) -> Self {
        let (tags, actions) = format.tags().into_iter().unzip();
        Splitter {
            tags,
            actions,
            first: format.first_tags(),
            mode: Mode::Text,
            held: format.prefilled.clone(),
            spaces: String::new(),
            skip_spaces: false,
            n_prefilled: format.prefilled.len(),
            opened: String::new(),
            n_parsed: 0,
            searched: 0,
            ended: false,
            format,
        }
    }

    pub fn is_tag(&self, token: &[u8]) -> bool {
        self.format.is_tag(token)
    }

    /// What is certain after `text`.
    pub fn push(&mut self, text: &str) -> Vec<Section> {
        self.held.push_str(text);
        let mut out = Vec::new();
        while self.advance(&mut out) {}
        out
    }

    /// What was held back, once the answer is complete.
    pub fn finish(&mut self) -> Vec<Section> {
        self.ended = true;
        let mut out = Vec::new();
        while self.advance(&mut out) {}
        let spaces = std::mem::take(&mut self.spaces);
        self.emit(self.mode, spaces, &mut out);
        out
    }

    /// Handles the held text as far as the current mode goes; true if it passed a tag.
    fn advance(&mut self, out: &mut Vec<Section>) -> bool {
        match self.mode {
            Mode::Text if !self.first.is_empty() => self.start(),
            Mode::Text => self.text(out),
            Mode::Reasoning => self.reasoning(out),
            Mode::Calls => self.calls(out),
        }
    }

    /// Handles tags that only the start of an answer may have; true once that is decided.
    fn start(&mut self) -> bool {
        let start = self.held.trim_start();
        let n_spaces = self.held.len() - start.len();
        if let Some(&(tag, mode)) = self.first.iter().find(|(tag, _)| start.starts_with(tag)) {
            let is_bare = mode == Mode::Calls;
            if !is_bare {
                self.take(n_spaces + tag.len());
            }
            self.skip_spaces = true;
            self.mode = mode;
            // After reasoning a bare call may follow.
            self.first.retain(|&(_, other)| other == Mode::Calls && !is_bare);
            return true;
        }
        if !self.ended && self.first.iter().any(|(tag, _)| tag.starts_with(start)) {
            return false;
        }
        // A tag to be ignored may come first.
        let tag = tags::first(start, 0, &self.tags, self.ended);
        match tag {
            Found::Until(0) if !self.ended => return false,
            Found::Tag { at: 0, index } if self.actions[index] == Action::Ignore => {
                self.take(n_spaces + self.tags[index].len());
            }
            _ => self.first.clear(),
        }
        true
    }

    fn text(&mut self, out: &mut Vec<Section>) -> bool {
        let found = tags::first(&self.held, 0, &self.tags, self.ended);
        let (Found::Tag { at, .. } | Found::Until(at)) = found;
        let before = self.take(at);
        let keep = self.format.calls.is_some();
        self.emit_trimmed(before, keep, out);
        let Found::Tag { index, .. } = found else { return false };
        let tag = self.take(self.tags[index].len());
        match self.actions[index] {
            Action::Ignore => {}
            Action::Open(Mode::Calls) => {
                self.opened = std::mem::take(&mut self.spaces);
                self.opened.push_str(&tag);
                (self.mode, self.n_parsed, self.searched) = (Mode::Calls, 0, 0);
            }
            Action::Open(mode) => {
                let spaces = std::mem::take(&mut self.spaces);
                self.emit(Mode::Text, spaces, out);
                (self.mode, self.skip_spaces) = (mode, true);
            }
        }
        true
    }

    fn reasoning(&mut self, out: &mut Vec<Section>) -> bool {
        let Some(form) = self.format.reasoning else { return false };
        let found = tags::first(&self.held, 0, &[form.close], self.ended);
        let (Found::Tag { at, .. } | Found::Until(at)) = found;
        let before = self.take(at);
        self.emit_trimmed(before, true, out);
        let Found::Tag { .. } = found else { return false };
        self.take(form.close.len());
        self.spaces.clear();
        (self.mode, self.skip_spaces) = (Mode::Text, true);
        true
    }

    fn calls(&mut self, out: &mut Vec<Section>) -> bool {
        let Some(form) = self.format.calls else { return false };
        // Without a tag for the end, the next section ends this one.
        let next = if form.close.is_empty() && !form.is_bare() { form.open } else { &[] };
        let ends = form.close.iter().chain(next).copied();
        let ends: Vec<&str> = form.call_end.into_iter().chain(ends).collect();
        match tags::first(&self.held, self.searched, &ends, self.ended) {
            Found::Tag { at, index } => {
                let end = at + ends[index].len();
                let is_call_end = form.call_end.is_some() && index == 0;
                let is_next = !is_call_end && form.close.is_empty();
                let body = self.take(if is_call_end { end } else { at });
                let close =
                    if is_call_end || is_next { String::new() } else { self.take(end - at) };
                self.searched = 0;
                let parsed = self.parse(form, &body, &close, out);
                if !(is_call_end && parsed) {
                    self.leave(parsed);
                }
                true
            }
            Found::Until(at) if !self.ended => {
                self.searched = at;
                false
            }
            Found::Until(_) => {
                let len = self.held.len();
                let body = self.take(len);
                let parsed = self.parse(form, &body, "", out);
                self.leave(parsed);
                false
            }
        }
    }

    /// Ends a section of calls.
    fn leave(&mut self, parsed: bool) {
        self.first.clear();
        self.opened.clear();
        (self.mode, self.skip_spaces) = (Mode::Text, parsed);
    }

    /// Emits the calls of `body`, or its text if it has none.
    fn parse(
        &mut self,
        form: &CallFormat,
        body: &str,
        close: &str,
        out: &mut Vec<Section>,
    ) -> bool {
        if body.trim().is_empty() && self.n_parsed > 0 {
            return true;
        }
        let tools = &self.format.tools;
        let calls_in = |body: &str| {
            form.syntaxes.iter().find_map(|syntax| call_parser::parse(syntax, body, tools))
        };
        // A model may end its answer where its last call should have ended.
        let each = form.call_end.filter(|_| self.ended);
        let calls = calls_in(body).or_else(|| calls_in(&format!("{body}{}", each?)));
        match calls {
            Some(calls) => {
                self.n_parsed += calls.len();
                out.extend(calls.into_iter().map(Section::Call));
                true
            }
            None => {
                let opened = if self.n_parsed == 0 { self.opened.as_str() } else { "" };
                let text = format!("{opened}{body}{close}");
                self.skip_spaces = false;
                self.emit(Mode::Text, text, out);
                false
            }
        }
    }

    /// The next `len` bytes of what is held, without those of the prompt.
    fn take(&mut self, len: usize) -> String {
        let rest = self.held.split_off(len);
        let mut taken = std::mem::replace(&mut self.held, rest);
        let n_prefilled = self.n_prefilled.min(len);
        self.n_prefilled -= n_prefilled;
        taken.split_off(n_prefilled)
    }

    /// Emits `text`, keeping back white space at its end for a tag that may follow.
    fn emit_trimmed(&mut self, text: String, keep: bool, out: &mut Vec<Section>) {
        let end = if keep { text.trim_end().len() } else { text.len() };
        if end == 0 {
            self.spaces.push_str(&text);
            return;
        }
        let mut ready = std::mem::take(&mut self.spaces);
        ready.push_str(&text[..end]);
        self.spaces.push_str(&text[end..]);
        self.emit(self.mode, ready, out);
    }

    fn emit(&mut self, mode: Mode, mut text: String, out: &mut Vec<Section>) {
        if self.skip_spaces {
            text.drain(..text.len() - text.trim_start().len());
        }
        if text.is_empty() {
            return;
        }
        self.skip_spaces = false;
        out.push(match mode {
            Mode::Reasoning => Section::Reasoning(text),
            _ => Section::Text(text),
        });
    }
}
