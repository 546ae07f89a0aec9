//! The tool loop: a model answers, its calls are run, the results go back, until it answers
//! without a call.
//!
//! This is the plain loop, in which the model decides and a person may approve. It trusts the
//! model with every tool that it is handed; agents that must withstand hostile text plan first and
//! do not use it.

use crate::schema::{Schema, Violation, check_duplicate_keys};
use crate::{
    Cancel, Error, ErrorKind, Event, FinishReason, Message, Model, Prompt, Request, Response, Sink,
    Tool, ToolCall, ToolResult, ToolRunner,
};
use serde_json::Value;
use std::ops::ControlFlow;

/// Whether a call may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    Allow,
    /// It may not; the model is told so, with this reason.
    Deny(String),
    /// It may not, and the loop ends here.
    Stop,
}

/// Watches the loop: gets the model's events, approves calls, sees results.
pub trait ToolLoopObserver: Sink {
    /// Asked before each call.
    fn approve(&mut self, call: &ToolCall) -> Approval {
        let _ = call;
        Approval::Allow
    }

    /// Told of each result before the model gets it.
    fn result(&mut self, call: &ToolCall, result: &ToolResult) {
        let _ = (call, result);
    }

    /// Told of each of the model's answers as it is complete, the last one included, with the
    /// request that it answers.
    fn responded(&mut self, request: &Request, response: &Response) {
        let _ = (request, response);
    }
}

/// A sink watches too, and approves everything.
impl<F: FnMut(Event) -> ControlFlow<()>> ToolLoopObserver for F {}
impl ToolLoopObserver for crate::Collect {}

/// One answer of the model with the results of its calls.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolRound {
    pub response: Response,
    /// In the order of the calls; shorter where the loop ended among them.
    pub results: Vec<ToolResult>,
}

/// Why the loop ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolLoopEnd {
    /// The model answered without a call.
    Answered,
    /// The limit on rounds of calls was reached and the model still called.
    RoundLimit,
    /// The observer stopped it.
    Stopped,
    /// It was cancelled.
    Cancelled,
    /// The model or the runner failed; what was said before is in the rounds.
    Failed(Error),
}

/// What the loop did.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolLoopOutcome {
    pub rounds: Vec<ToolRound>,
    pub end: ToolLoopEnd,
}

impl ToolLoopOutcome {
    /// The messages that the loop added to the conversation, in order.
    pub fn messages(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        for round in &self.rounds {
            messages.push(round.response.message.clone());
            if !round.results.is_empty() {
                messages.push(Message::tool_results(round.results.clone()));
            }
        }
        messages
    }

    /// The last answer, if there was one.
    pub fn last(&self) -> Option<&Response> {
        self.rounds.last().map(|round| &round.response)
    }
}

/// The parts of a tool loop that stay the same from round to round.
pub struct ToolLoop<'a> {
    pub model: &'a dyn Model,
    /// Its tools are offered to the model.
    pub runner: &'a dyn ToolRunner,
    /// At most this many rounds of calls are run; `None` is without limit.
    pub max_rounds: Option<u32>,
    pub cancel: &'a Cancel,
}

impl ToolLoop<'_> {
    /// Answers `request`, which has to be a conversation.
    ///
    /// What was said and done before a failure is never lost: it is in the outcome.
    pub fn run(
        &self,
        mut request: Request,
        observer: &mut dyn ToolLoopObserver,
    ) -> ToolLoopOutcome {
        let mut rounds = Vec::new();
        let end = match self.rounds(&mut request, &mut rounds, observer) {
            Ok(end) => end,
            Err(error) if error.kind == ErrorKind::Cancelled => ToolLoopEnd::Cancelled,
            Err(error) => ToolLoopEnd::Failed(error),
        };
        ToolLoopOutcome { rounds, end }
    }

    fn rounds(
        &self,
        request: &mut Request,
        rounds: &mut Vec<ToolRound>,
        observer: &mut dyn ToolLoopObserver,
    ) -> Result<ToolLoopEnd, Error> {
        request.tools = self.runner.tools()?;
        loop {
            let response = self.model.respond(request, self.cancel, &mut Events(observer))?;
            observer.responded(request, &response);
            let calls: Vec<ToolCall> =
                response.tool_calls().filter(|call| !call.server_executed).cloned().collect();
            let (message, finish) = (response.message.clone(), response.finish);
            rounds.push(ToolRound { response, results: Vec::new() });
            match finish {
                FinishReason::Cancelled => return Ok(ToolLoopEnd::Cancelled),
                // A provider that paused goes on when it is sent its own words.
                FinishReason::Paused => {
                    append(request, [message])?;
                    continue;
                }
                _ if calls.is_empty() => return Ok(ToolLoopEnd::Answered),
                _ => {}
            }
            if self.max_rounds.is_some_and(|max| rounds.len() > max as usize) {
                return Ok(ToolLoopEnd::RoundLimit);
            }
            let mut results = Vec::new();
            let end = self.run_calls(&calls, &request.tools, &mut results, observer);
            if let Some(round) = rounds.last_mut() {
                round.results.clone_from(&results);
            }
            if let Some(end) = end? {
                return Ok(end);
            }
            append(request, [message, Message::tool_results(results)])?;
        }
    }

    fn run_calls(
        &self,
        calls: &[ToolCall],
        tools: &[Tool],
        results: &mut Vec<ToolResult>,
        observer: &mut dyn ToolLoopObserver,
    ) -> Result<Option<ToolLoopEnd>, Error> {
        for call in calls {
            if self.cancel.is_cancelled() {
                return Ok(Some(ToolLoopEnd::Cancelled));
            }
            let result = match check(call, tools) {
                Err(message) => ToolResult::error(call, message),
                Ok(()) => match observer.approve(call) {
                    Approval::Allow => self.runner.call(call, self.cancel)?,
                    Approval::Deny(reason) => ToolResult::error(call, reason),
                    Approval::Stop => return Ok(Some(ToolLoopEnd::Stopped)),
                },
            };
            observer.result(call, &result);
            results.push(result);
        }
        Ok(None)
    }
}

/// Whether the call can be run at all; if not, what to tell the model.
///
/// A tool whose schema cannot be read is left to check its arguments itself.
fn check(call: &ToolCall, tools: &[Tool]) -> Result<(), String> {
    let Some(tool) = tools.iter().find(|tool| tool.name == call.name) else {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        return Err(format!(
            "no tool is called {:?}; the tools are {}",
            call.name,
            names.join(", ")
        ));
    };
    let arguments = match serde_json::from_str(&call.arguments) {
        Ok(arguments @ Value::Object(_)) => arguments,
        Ok(_) => return Err("the arguments have to be a JSON object".into()),
        Err(error) => return Err(format!("the arguments are not valid JSON: {error}")),
    };
    check_duplicate_keys(&call.arguments)
        .map_err(|error| format!("the arguments are not usable: {error}"))?;
    let Ok(schema) = Schema::compile(&tool.parameters) else { return Ok(()) };
    schema.validate(&arguments).map_err(|violations| {
        const SHOWN_MAX: usize = 10;
        let shown: Vec<String> =
            violations.iter().take(SHOWN_MAX).map(Violation::to_string).collect();
        format!("the arguments do not satisfy the schema of {:?}: {}", call.name, shown.join("; "))
    })
}

fn append(request: &mut Request, added: impl IntoIterator<Item = Message>) -> Result<(), Error> {
    match &mut request.prompt {
        Prompt::Chat(messages) => {
            messages.extend(added);
            Ok(())
        }
        Prompt::Raw(_) | Prompt::Fill { .. } => {
            Err(Error::new(ErrorKind::BadRequest, "tools can be used in a conversation only"))
        }
    }
}

/// The observer as the model's sink.
struct Events<'a>(&'a mut dyn ToolLoopObserver);

impl Sink for Events<'_> {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        self.0.event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collect, FakeModel, FakeReply};
    use serde_json::json;

    /// Doubles numbers, and fails as a runner when it is asked for 13.
    struct Doubler;

    impl ToolRunner for Doubler {
        fn tools(&self) -> Result<Vec<Tool>, Error> {
            Ok(vec![Tool {
                name: "double".into(),
                description: "Doubles a number".into(),
                parameters: json!({"type": "object", "properties": {"n": {"type": "number"}}}),
            }])
        }

        fn call(&self, call: &ToolCall, _: &Cancel) -> Result<ToolResult, Error> {
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
            match arguments["n"].as_i64() {
                Some(13) => Err(Error::new(ErrorKind::Unavailable, "the tool's process died")),
                Some(n) => Ok(ToolResult::ok(call, (2 * n).to_string())),
                None => Ok(ToolResult::error(call, "n is missing")),
            }
        }
    }

    fn call(name: &str, arguments: &str) -> FakeReply {
        FakeReply::Call(vec![ToolCall::new("1", name, arguments)])
    }

    fn run(
        replies: Vec<FakeReply>,
        max_rounds: Option<u32>,
        observer: &mut dyn ToolLoopObserver,
    ) -> (ToolLoopOutcome, FakeModel) {
        let model = FakeModel::new(replies);
        let cancel = Cancel::new();
        let tool_loop = ToolLoop { model: &model, runner: &Doubler, max_rounds, cancel: &cancel };
        let request = Request::chat(vec![Message::user("twice 4?")]);
        (tool_loop.run(request, observer), model)
    }

    #[test]
    fn results_go_back_until_the_model_answers() {
        let replies = vec![
            call("double", r#"{"n": 4}"#),
            call("triple", "{}"),
            call("double", "{n: 4"),
            call("double", r#"{"n": "four"}"#),
            call("double", r#"{"n": 4, "n": 5}"#),
            FakeReply::say("8"),
        ];
        let (outcome, model) = run(replies, Some(7), &mut Collect::default());
        assert_eq!(outcome.end, ToolLoopEnd::Answered);
        assert_eq!(outcome.last().unwrap().message.plain_text(), "8");
        let results: Vec<(&str, bool)> = outcome
            .rounds
            .iter()
            .flat_map(|round| &round.results)
            .map(|result| (result.content.text.as_str(), result.is_error))
            .collect();
        assert_eq!(results[0], ("8", false));
        assert!(results[1].1 && results[1].0.contains("double"), "{results:?}");
        assert!(results[2].1 && results[2].0.contains("JSON"), "{results:?}");
        assert_eq!(
            results[3].0,
            "the arguments do not satisfy the schema of \"double\": \
             /n: expected number, but this is the string \"four\""
        );
        assert!(results[4].1 && results[4].0.contains("/n stands twice"), "{results:?}");
        let Prompt::Chat(messages) = &model.requests()[5].prompt else { panic!() };
        assert_eq!(messages.len(), 11);
        assert_eq!(messages[1..], outcome.messages()[..10]);
    }

    #[test]
    fn the_limit_counts_rounds_of_calls() {
        let again = || call("double", r#"{"n": 1}"#);
        let replies = vec![again(), again(), again()];
        let (outcome, _) = run(replies, Some(2), &mut Collect::default());
        assert_eq!(outcome.end, ToolLoopEnd::RoundLimit);
        let n_results: Vec<usize> = outcome.rounds.iter().map(|r| r.results.len()).collect();
        assert_eq!(n_results, [1, 1, 0], "the calls of the third answer were not run");
        let (outcome, _) =
            run(vec![again(), FakeReply::say("2")], Some(1), &mut Collect::default());
        assert_eq!(outcome.end, ToolLoopEnd::Answered);
    }

    #[test]
    fn a_failure_keeps_what_was_done() {
        let replies = vec![call("double", r#"{"n": 4}"#), call("double", r#"{"n": 13}"#)];
        let (outcome, _) = run(replies, None, &mut Collect::default());
        assert!(matches!(&outcome.end, ToolLoopEnd::Failed(e) if e.message.contains("died")));
        assert_eq!(outcome.rounds.len(), 2);
        assert_eq!(outcome.rounds[0].results[0].content.text, "8");
    }

    /// Denies the first call and stops at the second.
    #[derive(Default)]
    struct Strict(u32);

    impl Sink for Strict {
        fn event(&mut self, _: Event) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }

    impl ToolLoopObserver for Strict {
        fn approve(&mut self, _: &ToolCall) -> Approval {
            self.0 += 1;
            if self.0 == 1 { Approval::Deny("not now".into()) } else { Approval::Stop }
        }
    }

    #[test]
    fn the_observer_decides() {
        let again = || call("double", r#"{"n": 1}"#);
        let (outcome, _) = run(vec![again(), again()], None, &mut Strict::default());
        assert_eq!(outcome.rounds[0].results[0].content.text, "not now");
        assert_eq!(outcome.end, ToolLoopEnd::Stopped);
        assert!(outcome.rounds[1].results.is_empty());
    }
}
