//! From the bytes of generated tokens to the events of an answer.
//!
//! Four things stand between a token and a reader: characters can span tokens ([`utf8`]), a model's
//! reasoning and its tool calls are written into the same stream as its answer ([`sections`]), and
//! a stop string must never be seen, not even its beginning ([`stop`]). Whatever the borders of
//! tokens are, the same bytes give the same answer; only the pieces differ.
//!
//! Stop strings are looked for in the text of the answer alone: not in the reasoning, and not in
//! tool calls. This file knows no tokens and no model.

mod forms;
mod literal;
mod marks;
mod nested;
mod sections;
mod shape;
mod stop;
mod typed;
mod utf8;

pub(crate) use forms::calls_of;
pub(crate) use sections::Sections;

use sections::{Section, Splitter};
use shape::Call;
use std::ops::ControlFlow;
use stop::StopStrings;
use utf8::Utf8;
use wright_chat::{Content, Event, Message, Origin, Part, Role, Sink, ToolCall};

/// How an answer stands after some more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Going,
    /// A stop string has appeared; nothing more is said.
    Stopped,
    /// The sink has enough.
    Cancelled,
}

/// An answer as it grows.
#[derive(Debug)]
pub(crate) struct Answer {
    utf8: Utf8,
    splitter: Splitter,
    stops: StopStrings,
    parts: Vec<Part>,
    /// Begins the id of each tool call.
    call_prefix: String,
    n_calls: u32,
    state: State,
}

impl Answer {
    /// An answer without any text yet. Calls have the ids that the model gives them, or
    /// `{call_prefix}{index}`, the index in two digits.
    pub fn new(sections: Sections, stop: &[String], call_prefix: String) -> Self {
        Answer {
            utf8: Utf8::default(),
            splitter: Splitter::new(sections),
            stops: StopStrings::new(stop),
            parts: Vec::new(),
            call_prefix,
            n_calls: 0,
            state: State::Going,
        }
    }

    /// Takes the bytes of the next token, and tells `sink` what can be told.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> State {
        if self.state == State::Going {
            let text = self.utf8.push(bytes);
            let sections = self.splitter.push(&text);
            self.tell(sections, sink);
        }
        self.state
    }

    /// Tells what was held back: the answer is over.
    pub fn finish(&mut self, sink: &mut dyn Sink) -> State {
        if self.state == State::Going {
            let rest = self.utf8.finish();
            let mut sections = self.splitter.push(&rest);
            sections.extend(self.splitter.finish());
            self.tell(sections, sink);
        }
        if self.state == State::Going {
            let held = self.stops.flush();
            self.say(held, sink);
        }
        self.state
    }

    /// Whether a control token of this text is a mark of the family's form of answers.
    pub fn is_mark(&self, token: &[u8]) -> bool {
        self.splitter.is_mark(token)
    }

    /// What was said, and whether it has tool calls.
    pub fn into_message(self) -> (Message, bool) {
        (Message::new(Role::Assistant, self.parts), self.n_calls > 0)
    }

    fn tell(&mut self, sections: Vec<Section>, sink: &mut dyn Sink) {
        for section in sections {
            if self.state != State::Going {
                return;
            }
            match section {
                Section::Text(text) => {
                    let (text, stopped) = self.stops.push(&text);
                    self.say(text, sink);
                    if stopped && self.state == State::Going {
                        self.state = State::Stopped;
                    }
                }
                Section::Reasoning(text) => self.think(text, sink),
                Section::Call(call) => {
                    let held = self.stops.flush();
                    self.say(held, sink);
                    self.call(call, sink);
                }
            }
        }
    }

    fn say(&mut self, text: String, sink: &mut dyn Sink) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut().map(|part| &mut part.content) {
            Some(Content::Text(said)) => said.text.push_str(&text),
            _ => self.parts.push(Part::text(Origin::Model, text.as_str())),
        }
        self.send(Event::Text { text }, sink);
    }

    fn think(&mut self, text: String, sink: &mut dyn Sink) {
        match self.parts.last_mut().map(|part| &mut part.content) {
            Some(Content::Reasoning(thought)) => thought.text.push_str(&text),
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
        if self.state != State::Cancelled && sink.event(event) == ControlFlow::Break(()) {
            self.state = State::Cancelled;
        }
    }
}

#[cfg(test)]
mod tests;
