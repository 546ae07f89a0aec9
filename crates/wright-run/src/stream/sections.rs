//! Reasoning and tool calls, told apart from the text that a model writes around them.
//!
//! Reasoning is what stands between a family's marks (`<think>…</think>` and its kin), and calls
//! are read in the family's own form ([`super::forms`]) where tools were offered. Blanks beside a
//! mark belong to it. A call that cannot be read stays text, as the model wrote it.
//!
//! What is told depends on the text alone, not on the pieces in which it comes: whatever may yet
//! become a mark is held back.

use super::forms::{self, Calls, Reasoning};
use super::marks::{self, Found};
use super::shape::Call;
use std::sync::Arc;
use wright_chat::Tool;

/// Which sections an answer may have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sections {
    pub reasoning: Option<&'static Reasoning>,
    pub calls: Option<&'static Calls>,
    /// The tools on offer: they tell the types of arguments.
    pub tools: Arc<[Tool]>,
    /// The beginning of the answer that the prompt ends with, such as `<think>`: marks only.
    pub begun: String,
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

/// What a mark in the text of an answer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Opens(Mode),
    Nothing,
}

impl Sections {
    /// The sections of a family whose template this is, after a prompt that it has written.
    pub fn new(template: &str, prompt: &str, tools: &[Tool]) -> Self {
        let reasoning = forms::reasoning(template);
        let calls = forms::calls_of(template).filter(|_| !tools.is_empty());
        let mut sections = Sections { reasoning, calls, tools: tools.into(), begun: String::new() };
        sections.begun = sections.begun_by(prompt).to_owned();
        sections
    }

    /// Whether a control token of this text is a mark, and no mere end or beginning of a turn.
    pub fn is_mark(&self, token: &[u8]) -> bool {
        let Ok(token) = std::str::from_utf8(token) else { return false };
        self.reasoning.is_some_and(|form| form.has(token))
            || self.calls.is_some_and(|form| form.has(token))
    }

    /// The longest end of `prompt` that is a mark, or begins one.
    fn begun_by<'p>(&self, prompt: &'p str) -> &'p str {
        let marks = self.marks();
        let own = self.reasoning.map(|form| [form.open, form.close]).into_iter().flatten();
        let marks: Vec<&str> = marks.iter().map(|(mark, _)| *mark).chain(own).collect();
        let whole = prompt.trim_end();
        let is_end = |at: &usize| {
            let (end, rest) = (&whole[*at..], &prompt[*at..]);
            marks.iter().any(|mark| *mark == end || (rest.len() > 1 && mark.starts_with(rest)))
        };
        let len_max = marks.iter().map(|mark| mark.len()).max().unwrap_or(0);
        let from = whole.len().saturating_sub(len_max);
        let mut starts = (from..whole.len()).filter(|&at| whole.is_char_boundary(at));
        starts.find(is_end).map_or("", |at| &prompt[at..])
    }

    /// Marks that are looked for all through an answer.
    fn marks(&self) -> Vec<(&'static str, Does)> {
        let mut marks = Vec::new();
        if let Some(form) = self.calls {
            let opens = form.open.iter().filter(|_| !form.is_bare());
            marks.extend(opens.map(|mark| (*mark, Does::Opens(Mode::Calls))));
            marks.extend(form.passed.iter().map(|mark| (*mark, Does::Nothing)));
        }
        if let Some(form) = self.reasoning {
            if form.anywhere {
                marks.push((form.open, Does::Opens(Mode::Reasoning)));
            }
            marks.extend(form.passed.iter().map(|mark| (*mark, Does::Nothing)));
        }
        marks
    }

    /// What may open a section at the very start of an answer alone.
    fn first_marks(&self) -> Vec<(&'static str, Mode)> {
        let reasoning = self.reasoning.filter(|form| !form.anywhere);
        let bare = self.calls.filter(|form| form.is_bare());
        // The end alone is that of reasoning which did not take place.
        let reasoning = reasoning
            .map(|form| [(form.open, Mode::Reasoning), (form.close, Mode::Text)])
            .into_iter()
            .flatten();
        reasoning.chain(bare.map(|form| (form.open[0], Mode::Calls))).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Splitter {
    sections: Sections,
    marks: Vec<&'static str>,
    does: Vec<Does>,
    /// While nothing has been said yet.
    first: Vec<(&'static str, Mode)>,
    mode: Mode,
    held: String,
    /// Blanks that belong to a mark, if one follows.
    blanks: String,
    /// Blanks at the start of a section belong to the mark before it.
    skip_blanks: bool,
    /// How many bytes to come are the prompt's, and so not said.
    unsaid: usize,
    /// What opened the section of calls, with the blanks before it.
    opened: String,
    /// Calls read in this section.
    n_read: usize,
    /// How far `held` has been searched for the end of calls.
    searched: usize,
    ended: bool,
}

impl Splitter {
    pub fn new(sections: Sections) -> Self {
        let (marks, does) = sections.marks().into_iter().unzip();
        Splitter {
            marks,
            does,
            first: sections.first_marks(),
            mode: Mode::Text,
            held: sections.begun.clone(),
            blanks: String::new(),
            skip_blanks: false,
            unsaid: sections.begun.len(),
            opened: String::new(),
            n_read: 0,
            searched: 0,
            ended: false,
            sections,
        }
    }

    pub fn is_mark(&self, token: &[u8]) -> bool {
        self.sections.is_mark(token)
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
        self.ended = true;
        let mut out = Vec::new();
        while self.advance(&mut out) {}
        let blanks = std::mem::take(&mut self.blanks);
        self.emit(self.mode, blanks, &mut out);
        out
    }

    /// Handles what is held as far as its mode goes; true if a mark was passed.
    fn advance(&mut self, out: &mut Vec<Section>) -> bool {
        match self.mode {
            Mode::Text if !self.first.is_empty() => self.start(),
            Mode::Text => self.text(out),
            Mode::Reasoning => self.reasoning(out),
            Mode::Calls => self.calls(out),
        }
    }

    /// Looks for what may stand at the start of an answer only; true if that is decided.
    fn start(&mut self) -> bool {
        let start = self.held.trim_start();
        let blank = self.held.len() - start.len();
        if let Some(&(mark, mode)) = self.first.iter().find(|(mark, _)| start.starts_with(mark)) {
            let is_bare = mode == Mode::Calls;
            if !is_bare {
                self.take(blank + mark.len());
            }
            self.skip_blanks = true;
            self.mode = mode;
            // After reasoning a bare call may follow.
            self.first.retain(|&(_, other)| other == Mode::Calls && !is_bare);
            return true;
        }
        if !self.ended && self.first.iter().any(|(mark, _)| mark.starts_with(start)) {
            return false;
        }
        // A mark that is no text may come first.
        let mark = marks::first(start, 0, &self.marks, self.ended);
        match mark {
            Found::Until(0) if !self.ended => return false,
            Found::Mark { at: 0, index } if self.does[index] == Does::Nothing => {
                self.take(blank + self.marks[index].len());
            }
            _ => self.first.clear(),
        }
        true
    }

    fn text(&mut self, out: &mut Vec<Section>) -> bool {
        let found = marks::first(&self.held, 0, &self.marks, self.ended);
        let (Found::Mark { at, .. } | Found::Until(at)) = found;
        let before = self.take(at);
        let keep = self.sections.calls.is_some();
        self.say(before, keep, out);
        let Found::Mark { index, .. } = found else { return false };
        let mark = self.take(self.marks[index].len());
        match self.does[index] {
            Does::Nothing => {}
            Does::Opens(Mode::Calls) => {
                self.opened = std::mem::take(&mut self.blanks);
                self.opened.push_str(&mark);
                (self.mode, self.n_read, self.searched) = (Mode::Calls, 0, 0);
            }
            Does::Opens(mode) => {
                let blanks = std::mem::take(&mut self.blanks);
                self.emit(Mode::Text, blanks, out);
                (self.mode, self.skip_blanks) = (mode, true);
            }
        }
        true
    }

    fn reasoning(&mut self, out: &mut Vec<Section>) -> bool {
        let Some(form) = self.sections.reasoning else { return false };
        let found = marks::first(&self.held, 0, &[form.close], self.ended);
        let (Found::Mark { at, .. } | Found::Until(at)) = found;
        let before = self.take(at);
        self.say(before, true, out);
        let Found::Mark { .. } = found else { return false };
        self.take(form.close.len());
        self.blanks.clear();
        (self.mode, self.skip_blanks) = (Mode::Text, true);
        true
    }

    fn calls(&mut self, out: &mut Vec<Section>) -> bool {
        let Some(form) = self.sections.calls else { return false };
        // Without a mark for the end, the next section ends this one.
        let next = if form.close.is_empty() && !form.is_bare() { form.open } else { &[] };
        let ends = form.close.iter().chain(next).copied();
        let ends: Vec<&str> = form.each.into_iter().chain(ends).collect();
        match marks::first(&self.held, self.searched, &ends, self.ended) {
            Found::Mark { at, index } => {
                let end = at + ends[index].len();
                let is_each = form.each.is_some() && index == 0;
                let is_next = !is_each && form.close.is_empty();
                let body = self.take(if is_each { end } else { at });
                let close = if is_each || is_next { String::new() } else { self.take(end - at) };
                self.searched = 0;
                let read = self.read(form, &body, &close, out);
                if !(is_each && read) {
                    self.leave(read);
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
                let read = self.read(form, &body, "", out);
                self.leave(read);
                false
            }
        }
    }

    /// Ends a section of calls.
    fn leave(&mut self, read: bool) {
        self.first.clear();
        self.opened.clear();
        (self.mode, self.skip_blanks) = (Mode::Text, read);
    }

    /// Tells the calls of `body`, or the text that it is if there are none.
    fn read(&mut self, form: &Calls, body: &str, close: &str, out: &mut Vec<Section>) -> bool {
        if body.trim().is_empty() && self.n_read > 0 {
            return true;
        }
        let tools = &self.sections.tools;
        let parse = |body: &str| form.shapes.iter().find_map(|shape| shape.read(body, tools));
        // A model may end its answer where its last call should have ended.
        let each = form.each.filter(|_| self.ended);
        let calls = parse(body).or_else(|| parse(&format!("{body}{}", each?)));
        match calls {
            Some(calls) => {
                self.n_read += calls.len();
                out.extend(calls.into_iter().map(Section::Call));
                true
            }
            None => {
                let opened = if self.n_read == 0 { self.opened.as_str() } else { "" };
                let text = format!("{opened}{body}{close}");
                self.skip_blanks = false;
                self.emit(Mode::Text, text, out);
                false
            }
        }
    }

    /// The next `len` bytes of what is held, without those of the prompt.
    fn take(&mut self, len: usize) -> String {
        let rest = self.held.split_off(len);
        let mut taken = std::mem::replace(&mut self.held, rest);
        let unsaid = self.unsaid.min(len);
        self.unsaid -= unsaid;
        taken.split_off(unsaid)
    }

    /// Emits `text`, keeping blanks at its end for a mark that may follow.
    fn say(&mut self, text: String, keep: bool, out: &mut Vec<Section>) {
        let end = if keep { text.trim_end().len() } else { text.len() };
        if end == 0 {
            self.blanks.push_str(&text);
            return;
        }
        let mut said = std::mem::take(&mut self.blanks);
        said.push_str(&text[..end]);
        self.blanks.push_str(&text[end..]);
        self.emit(self.mode, said, out);
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
