//! From the bytes of generated tokens to the events of an answer.
//!
//! Characters can span tokens ([`utf8`]), reasoning and tool calls arrive in the same stream as
//! the answer ([`splitter`]), and no part of a stop string may be shown ([`stop_strings`]).
//! However the bytes are divided into tokens, the same bytes give the same answer; only the pieces
//! differ.
//!
//! Stop strings are searched for in the text of the answer alone: not in reasoning or tool calls.
//! This module knows no tokens and no model.

mod argument_types;
mod call;
mod call_parser;
mod nested_elements;
mod python_literal;
mod splitter;
mod stop_strings;
mod tags;
mod utf8;

pub use splitter::OutputFormat;

use call::Call;
use splitter::{Section, Splitter};
use std::ops::ControlFlow;
use stop_strings::StopStrings;
use utf8::Utf8;
use wright_chat::{Content, Event, Message, Origin, Part, Role, Sink, ToolCall};

/// Whether an answer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputState {
    Open,
    /// A stop string has appeared; nothing more is emitted.
    Stopped,
    /// The sink asked to stop.
    Cancelled,
}

/// An answer as it grows: bytes in, events and a message out.
///
/// ```
/// use wright_chat::Collect;
/// use wright_run::{OutputFormat, OutputState, OutputStream};
///
/// // The words of a chat template tell how the family writes its reasoning.
/// let format = OutputFormat::new("{{ '<think>' }} {{ '</think>' }}", "", &[]);
/// let mut output = OutputStream::new(format, &["END".to_owned()], "call".to_owned());
/// let mut sink = Collect::default();
/// assert_eq!(output.push(b"<think>hm</think>Yes. E", &mut sink), OutputState::Open);
/// assert_eq!(output.push(b"ND of the answer", &mut sink), OutputState::Stopped);
/// let (message, has_calls) = output.into_message();
/// assert_eq!((message.plain_text().as_str(), has_calls), ("Yes. ", false));
/// ```
#[derive(Debug)]
pub struct OutputStream {
    utf8: Utf8,
    splitter: Splitter,
    stops: StopStrings,
    parts: Vec<Part>,
    /// Begins the id of each tool call.
    call_prefix: String,
    n_calls: u32,
    state: OutputState,
}

impl OutputStream {
    /// An answer without any text yet. Calls have the ids that the model gives them, or
    /// `{call_prefix}{index}`, the index in two digits.
    pub fn new(format: OutputFormat, stop: &[String], call_prefix: String) -> Self {
        OutputStream {
            utf8: Utf8::default(),
            splitter: Splitter::new(format),
            stops: StopStrings::new(stop),
            parts: Vec::new(),
            call_prefix,
            n_calls: 0,
            state: OutputState::Open,
        }
    }

    /// Takes the bytes of the next token, and sends `sink` what is certain.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> OutputState {
        if self.state == OutputState::Open {
            let text = self.utf8.push(bytes);
            let sections = self.splitter.push(&text);
            self.emit(sections, sink);
        }
        self.state
    }

    /// Sends what was held back: the answer is complete.
    pub fn finish(&mut self, sink: &mut dyn Sink) -> OutputState {
        if self.state == OutputState::Open {
            let rest = self.utf8.finish();
            let mut sections = self.splitter.push(&rest);
            sections.extend(self.splitter.finish());
            self.emit(sections, sink);
        }
        if self.state == OutputState::Open {
            let held = self.stops.flush();
            self.text(held, sink);
        }
        self.state
    }

    /// Whether a control token of this text is a tag of the family's format.
    pub fn is_tag(&self, token: &[u8]) -> bool {
        self.splitter.is_tag(token)
    }

    /// The complete message, and whether it has tool calls.
    pub fn into_message(self) -> (Message, bool) {
        (Message::new(Role::Assistant, self.parts), self.n_calls > 0)
    }

    fn emit(&mut self, sections: Vec<Section>, sink: &mut dyn Sink) {
        for section in sections {
            if self.state != OutputState::Open {
                return;
            }
            match section {
                Section::Text(text) => {
                    let (text, stopped) = self.stops.push(&text);
                    self.text(text, sink);
                    if stopped && self.state == OutputState::Open {
                        self.state = OutputState::Stopped;
                    }
                }
                Section::Reasoning(text) => self.reasoning(text, sink),
                Section::Call(call) => {
                    let held = self.stops.flush();
                    self.text(held, sink);
                    self.call(call, sink);
                }
            }
        }
    }

    fn text(&mut self, text: String, sink: &mut dyn Sink) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut().map(|part| &mut part.content) {
            Some(Content::Text(last)) => last.text.push_str(&text),
            _ => self.parts.push(Part::text(Origin::Model, text.as_str())),
        }
        self.send(Event::Text { text }, sink);
    }

    fn reasoning(&mut self, text: String, sink: &mut dyn Sink) {
        match self.parts.last_mut().map(|part| &mut part.content) {
            Some(Content::Reasoning(last)) => last.text.push_str(&text),
            _ => self.parts.push(Part::reasoning(text.as_str())),
        }
        self.send(Event::Reasoning { text }, sink);
    }

    fn call(&mut self, call: Call, sink: &mut dyn Sink) {
        let Call { id, name, arguments } = call;
        let index = self.n_calls;
        self.n_calls += 1;
        let is_free = |id: &String| {
            !self.parts.iter().filter_map(Part::as_tool_call).any(|call| call.id == *id)
        };
        let id = id.filter(is_free).unwrap_or_else(|| format!("{}{index:02}", self.call_prefix));
        self.parts.push(ToolCall::new(&id, &name, &arguments).into());
        self.send(Event::ToolCall { index, id: Some(id), name: Some(name), arguments }, sink);
    }

    fn send(&mut self, event: Event, sink: &mut dyn Sink) {
        if self.state != OutputState::Cancelled && sink.event(event) == ControlFlow::Break(()) {
            self.state = OutputState::Cancelled;
        }
    }
}

#[cfg(test)]
mod tests;
