//! Answers: from a request to events and a response.

use super::LocalModel;
use super::pending::Pending;
use super::prompt::PreparedPrompt;
use crate::engine::{self, End, EngineEvent, Task};
use crate::output::{OutputState, OutputStream};
use crate::{Constraint, Sampler};
use std::ops::ControlFlow;
use wright_chat::{
    Cancel, Error, ErrorKind, Event, FinishReason, Prompt, Remedy, Request, Response, Sink,
    TokenInfo, TopToken, Usage,
};

impl LocalModel {
    pub(super) fn generate(
        &self,
        request: &Request,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<Response, Error> {
        if !self.description.capabilities.score {
            return Err(self.no_text_output());
        }
        let begin = self.seconds();
        let PreparedPrompt { ids, format, n_dropped } = self.prepare(request)?;
        let constraint = self.constraint(request, &format)?;
        let mut usage = Usage { prompt_tokens: ids.len() as u32, ..Usage::default() };
        // With its index a call's id has nine letters and digits: Mistral's templates want that.
        let prefix = format!("c{:06}", ids.len());
        let mut output = OutputStream::new(format, &request.options.stop, prefix);
        let pending = self.start_answer(request, ids, constraint)?;
        let mut finish = None;
        if n_dropped > 0 {
            let text = format!("left out the {n_dropped} oldest messages: the context is full");
            finish = cancelled(sink.event(Event::Notice { text }));
        }
        let mut tokens = Vec::new();
        let mut first = begin;
        while finish.is_none() {
            let Some(event) = pending.next_unless(cancel)? else {
                finish = Some(FinishReason::Cancelled);
                break;
            };
            match event {
                EngineEvent::Cached(n) => usage.cached_tokens = n as u32,
                EngineEvent::Prefill(n) => {
                    let event = Event::Prefill { done: n as u32, total: usage.prompt_tokens };
                    finish = cancelled(sink.event(event));
                }
                EngineEvent::Token { id, logprobs } => {
                    usage.completion_tokens += 1;
                    if usage.completion_tokens == 1 {
                        first = self.seconds();
                    }
                    if let Some(logprobs) = logprobs {
                        let token = self.token_info(id, logprobs);
                        tokens.push(token.clone());
                        finish = cancelled(sink.event(Event::Token { token }));
                    }
                    finish = finish.or_else(|| self.push(id, &mut output, sink));
                }
                EngineEvent::Speculated { accepted, .. } => {
                    usage.accepted_draft_tokens += accepted as u32;
                }
                EngineEvent::Scored { .. } | EngineEvent::Vector(_) => {}
                EngineEvent::End(end) => finish = Some(limit(end)),
                EngineEvent::Failed(error) => return Err(error),
            }
        }
        drop(pending);
        usage.prefill_s = first - begin;
        usage.decode_s = self.seconds() - first;
        let finish = finish.unwrap_or(FinishReason::Stop);
        Ok(response(output, finish, usage, tokens, sink))
    }

    fn start_answer(
        &self,
        request: &Request,
        ids: Vec<u32>,
        constraint: Option<Box<Constraint>>,
    ) -> Result<Pending, Error> {
        let bad = |error: crate::OptionError| Error::new(ErrorKind::BadRequest, error.to_string());
        let sampling = self.sampling.with(&request.options, self.n_vocab).map_err(bad)?;
        let mut sampler = Sampler::new(sampling, self.n_vocab);
        ids.iter().for_each(|&id| sampler.accept(id));
        // Text to continue may be anything: it is the caller's to limit.
        let is_raw = matches!(request.prompt, Prompt::Raw(_));
        let task = Task::Generate {
            sampler: Box::new(sampler),
            max_tokens: request.options.max_tokens.map_or(usize::MAX, |n| n as usize),
            top: request.logprobs,
            stop_loops: request.options.stop_loops.unwrap_or(!is_raw),
            constraint,
        };
        self.start(ids, task)
    }

    /// Adds one token to the output. Returns why the answer ends, if it does.
    fn push(
        &self,
        id: u32,
        output: &mut OutputStream,
        sink: &mut dyn Sink,
    ) -> Option<FinishReason> {
        if self.tokenizer.is_end(id) {
            return Some(FinishReason::Stop);
        }
        let bytes = self.tokenizer.token_bytes(id);
        // Some families write their tags as control tokens; other control tokens are not text.
        if self.tokenizer.is_control(id) && !output.is_tag(bytes) {
            return None;
        }
        match output.push(bytes, sink) {
            OutputState::Open => None,
            OutputState::Stopped => Some(FinishReason::StopString),
            OutputState::Cancelled => Some(FinishReason::Cancelled),
        }
    }

    fn token_info(&self, id: u32, logprobs: engine::Logprobs) -> TokenInfo {
        let bytes = |id: u32| self.tokenizer.token_bytes(id).to_vec();
        let top = logprobs.top.iter();
        TokenInfo {
            id,
            bytes: bytes(id),
            logprob: logprobs.logprob,
            top: top.map(|&(id, logprob)| TopToken { id, bytes: bytes(id), logprob }).collect(),
        }
    }

    /// The error of a model that produces no text, with what it is for.
    fn no_text_output(&self) -> Error {
        let (hint, remedy) = match self.reranker {
            Some(_) => ("it is a reranker: it scores how well texts answer a query", Remedy::Rank),
            None => ("it is an embedding model: it turns texts into vectors", Remedy::Embed),
        };
        self.unsupported("write text").hint(hint).remedy(remedy)
    }
}

/// The reason for which the engine ended an answer.
fn limit(end: End) -> FinishReason {
    match end {
        End::MaxTokens | End::Scored => FinishReason::MaxTokens,
        End::Context => FinishReason::ContextFull,
        End::Loop => FinishReason::Loop,
    }
}

fn cancelled(flow: ControlFlow<()>) -> Option<FinishReason> {
    flow.is_break().then_some(FinishReason::Cancelled)
}

/// Sends what was held back and assembles the response.
fn response(
    mut output: OutputStream,
    mut finish: FinishReason,
    usage: Usage,
    tokens: Vec<TokenInfo>,
    sink: &mut dyn Sink,
) -> Response {
    if finish == FinishReason::Stop || finish.is_limit() {
        match output.finish(sink) {
            OutputState::Open => {}
            OutputState::Stopped => finish = FinishReason::StopString,
            OutputState::Cancelled => finish = FinishReason::Cancelled,
        }
    }
    let (message, calls) = output.into_message();
    if calls && finish == FinishReason::Stop {
        finish = FinishReason::ToolCalls;
    }
    Response { tokens, ..Response::new(message, finish, usage) }
}
