//! A model for tests that says what it was told to say.

use crate::{
    Capabilities, Description, Error, ErrorKind, Event, FinishReason, Message, Model, Origin, Part,
    Request, Response, Role, Sink, Text, ToolCall, Usage,
};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard};

/// One scripted answer.
#[derive(Debug, Clone)]
pub enum Turn {
    /// Say this, piece by piece.
    Say(Vec<String>),
    /// Call these tools.
    Call(Vec<ToolCall>),
    /// Fail.
    Fail(Error),
}

impl Turn {
    /// Say this, a word at a time.
    pub fn say(text: &str) -> Self {
        Turn::Say(text.split_inclusive(' ').map(str::to_owned).collect())
    }
}

/// Answers with its turns, one a request, and remembers what it was asked.
#[derive(Debug, Default)]
pub struct Scripted {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    turns: VecDeque<Turn>,
    requests: Vec<Request>,
}

impl Scripted {
    pub fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        let state = State { turns: turns.into_iter().collect(), requests: Vec::new() };
        Scripted { state: Mutex::new(state) }
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Model for Scripted {
    fn describe(&self) -> Description {
        Description {
            id: "scripted".into(),
            provider: "scripted".into(),
            summary: "says what a test told it to say".into(),
            context_length: None,
            embedding_length: None,
            licence: None,
            capabilities: Capabilities { chat: true, tools: true, ..Capabilities::default() },
        }
    }

    fn respond(&self, request: &Request, sink: &mut dyn Sink) -> Result<Response, Error> {
        let turn = {
            let mut state = self.lock();
            state.requests.push(request.clone());
            state.turns.pop_front()
        };
        match turn {
            None => Err(Error::new(ErrorKind::BadRequest, "the script has no turn left")),
            Some(Turn::Fail(error)) => Err(error),
            Some(Turn::Say(pieces)) => Ok(say(pieces, sink)),
            Some(Turn::Call(calls)) => Ok(call(calls, sink)),
        }
    }
}

fn say(pieces: Vec<String>, sink: &mut dyn Sink) -> Response {
    let mut said = String::new();
    let mut completion_tokens = 0;
    let mut finish = FinishReason::Stop;
    for piece in pieces {
        said.push_str(&piece);
        completion_tokens += 1;
        if sink.event(Event::Text { text: piece }) == ControlFlow::Break(()) {
            finish = FinishReason::Cancelled;
            break;
        }
    }
    let part = Part::Text(Text::new(Origin::Model, said));
    response(vec![part], finish, completion_tokens)
}

fn call(calls: Vec<ToolCall>, sink: &mut dyn Sink) -> Response {
    let mut finish = FinishReason::ToolCalls;
    for (index, call) in (0..).zip(&calls) {
        let event = Event::ToolCall {
            index,
            id: Some(call.id.clone()),
            name: Some(call.name.clone()),
            arguments: call.arguments.clone(),
        };
        if sink.event(event) == ControlFlow::Break(()) {
            finish = FinishReason::Cancelled;
            break;
        }
    }
    response(calls.into_iter().map(Part::ToolCall).collect(), finish, 0)
}

fn response(parts: Vec<Part>, finish: FinishReason, completion_tokens: u32) -> Response {
    Response {
        message: Message { role: Role::Assistant, parts },
        finish,
        usage: Usage { completion_tokens, ..Usage::default() },
        tokens: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Collect;

    #[test]
    fn says_its_turns_in_order_and_remembers_the_requests() {
        let model = Scripted::new([Turn::say("one two"), Turn::say("three")]);
        let mut sink = Collect::default();
        let first = model.respond(&Request::chat(vec![Message::user("a")]), &mut sink).unwrap();
        let second = model.respond(&Request::chat(vec![Message::user("b")]), &mut sink).unwrap();
        assert_eq!(first.message.plain_text(), "one two");
        assert_eq!(second.message.plain_text(), "three");
        assert_eq!(sink.events.len(), 3);
        assert_eq!(model.requests().len(), 2);
        let over = model.respond(&Request::chat(vec![]), &mut sink).unwrap_err();
        assert_eq!(over.kind, ErrorKind::BadRequest);
    }

    #[test]
    fn a_sink_that_breaks_cancels_and_keeps_what_was_said() {
        let model = Scripted::new([Turn::say("one two three")]);
        let mut left = 2;
        let mut sink = |_: Event| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let response = model.respond(&Request::chat(vec![]), &mut sink).unwrap();
        assert_eq!(response.finish, FinishReason::Cancelled);
        assert_eq!(response.message.plain_text(), "one two ");
    }
}
