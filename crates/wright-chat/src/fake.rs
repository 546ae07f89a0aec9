//! A model whose answers are written in advance: for tests, demonstrations and examples.

use crate::{
    Cancel, Capabilities, Description, Error, ErrorKind, Event, FinishReason, Message, Model,
    Origin, Part, Provider, Request, Response, Role, Sink, ToolCall, Usage,
};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard};

/// One prepared answer.
#[derive(Debug, Clone)]
pub enum FakeReply {
    /// Answer with this, piece by piece.
    Say(Vec<String>),
    /// Call these tools.
    Call(Vec<ToolCall>),
    /// Fail.
    Fail(Error),
}

impl FakeReply {
    /// Answer with this, one word at a time.
    pub fn say(text: &str) -> Self {
        FakeReply::Say(text.split_inclusive(' ').map(str::to_owned).collect())
    }
}

/// Gives its replies one after the other, one for each request, and remembers what it was asked.
///
/// ```
/// use wright_chat::{Cancel, Collect, FakeModel, FakeReply, Message, Model, Request};
/// let model = FakeModel::new([FakeReply::say("Hello there")]);
/// let request = Request::chat(vec![Message::user("Hi")]);
/// let response = model.respond(&request, &Cancel::new(), &mut Collect::default())?;
/// assert_eq!(response.message.plain_text(), "Hello there");
/// # Ok::<(), wright_chat::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct FakeModel {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    replies: VecDeque<FakeReply>,
    requests: Vec<Request>,
}

impl FakeModel {
    pub fn new(replies: impl IntoIterator<Item = FakeReply>) -> Self {
        let state = State { replies: replies.into_iter().collect(), requests: Vec::new() };
        FakeModel { state: Mutex::new(state) }
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Model for FakeModel {
    fn describe(&self) -> Description {
        Description {
            id: "fake".into(),
            provider: Provider::Fake,
            summary: "gives prepared answers".into(),
            context_length: None,
            embedding_length: None,
            licence: None,
            capabilities: Capabilities { chat: true, tools: true, ..Capabilities::default() },
        }
    }

    fn respond(
        &self,
        request: &Request,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<Response, Error> {
        let reply = {
            let mut state = self.lock();
            state.requests.push(request.clone());
            state.replies.pop_front()
        };
        match reply {
            None => Err(Error::new(ErrorKind::BadRequest, "no prepared answer is left")),
            Some(FakeReply::Fail(error)) => Err(error),
            Some(FakeReply::Say(pieces)) => Ok(say(pieces, cancel, sink)),
            Some(FakeReply::Call(calls)) => Ok(call(calls, sink)),
        }
    }
}

fn say(pieces: Vec<String>, cancel: &Cancel, sink: &mut dyn Sink) -> Response {
    let mut said = String::new();
    let mut completion_tokens = 0;
    let mut finish = FinishReason::Stop;
    for piece in pieces {
        said.push_str(&piece);
        completion_tokens += 1;
        let flow = sink.event(Event::Text { text: piece });
        if flow.is_break() || cancel.is_cancelled() {
            finish = FinishReason::Cancelled;
            break;
        }
    }
    response(vec![Part::text(Origin::Model, said)], finish, completion_tokens)
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
    response(calls.into_iter().map(Part::from).collect(), finish, 0)
}

fn response(parts: Vec<Part>, finish: FinishReason, completion_tokens: u32) -> Response {
    let usage = Usage { completion_tokens, ..Usage::default() };
    Response::new(Message::new(Role::Assistant, parts), finish, usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Collect;

    #[test]
    fn says_its_replies_in_order_and_remembers_the_requests() {
        let model = FakeModel::new([FakeReply::say("one two"), FakeReply::say("three")]);
        let mut sink = Collect::default();
        let first = model
            .respond(&Request::chat(vec![Message::user("a")]), &Cancel::new(), &mut sink)
            .unwrap();
        let second = model
            .respond(&Request::chat(vec![Message::user("b")]), &Cancel::new(), &mut sink)
            .unwrap();
        assert_eq!(first.message.plain_text(), "one two");
        assert_eq!(second.message.plain_text(), "three");
        assert_eq!(sink.events.len(), 3);
        assert_eq!(model.requests().len(), 2);
        let over = model.respond(&Request::chat(vec![]), &Cancel::new(), &mut sink).unwrap_err();
        assert_eq!(over.kind, ErrorKind::BadRequest);
    }

    #[test]
    fn a_sink_that_breaks_cancels_and_keeps_what_was_said() {
        let model = FakeModel::new([FakeReply::say("one two three")]);
        let mut left = 2;
        let mut sink = |_: Event| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let response = model.respond(&Request::chat(vec![]), &Cancel::new(), &mut sink).unwrap();
        assert_eq!(response.finish, FinishReason::Cancelled);
        assert_eq!(response.message.plain_text(), "one two ");
    }
}
