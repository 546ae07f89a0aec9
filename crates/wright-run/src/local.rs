//! A model file as a [`wright_chat::Model`]: tokenizer, template and engine together.

use crate::context::{self, Fitted};
use crate::engine::{self, Engine, Goal, Job, Step};
use crate::fill::Fill;
use crate::load::{Clock, LoadError, LoadOptions};
use crate::rank::Ranker;
use crate::stream::{self, Answer, Sections, State};
use crate::{Sampler, Sampling, vocabulary};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use wright_chat::{
    Cancel, Capabilities, Description, Error, ErrorKind, Event, FinishReason, Message, Prompt,
    Provider, Request, Response, Score, Sink, Text, Token, TokenInfo, Tool, ToolChoice, TopToken,
    Usage,
};
use wright_model::config::{Kind, Pooling};
use wright_model::{Model, Session};
use wright_text::{RenderOptions, Rendered, Template, Tokenizer};

/// Room that a chat leaves for the answer where the request does not say how long it may be.
const ANSWER_ROOM: usize = 256;

/// How long a request that waits for the engine takes to notice that it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// A model that runs in this process.
pub struct Local {
    options: LoadOptions,
    description: Description,
    tokenizer: Tokenizer,
    template: Option<Template>,
    /// Of models that judge documents.
    ranker: Option<Ranker>,
    /// Tokens around a gap, in families that fill gaps.
    fill: Option<Fill>,
    n_ctx: usize,
    n_vocab: u32,
    /// Sampler options where a request says nothing.
    sampling: Sampling,
    engine: Engine,
}

/// A prompt as ids, and what was done to make it fit.
struct Ready {
    ids: Vec<u32>,
    sections: Sections,
    n_dropped: usize,
}

impl Local {
    /// Brings the weights into the form that this processor likes and starts the engine.
    ///
    /// # Errors
    /// If the file has no usable tokenizer, or memory or threads are short.
    pub fn new(model: Arc<Model>, options: LoadOptions) -> Result<Local, LoadError> {
        // Most of loading is repacking, which leaves time for the vocabulary.
        let (session, text) = std::thread::scope(|scope| {
            let session = scope.spawn(|| session(&model, &options));
            let text = text(&model, &options);
            (session.join(), text)
        });
        let (tokenizer, template) = text?;
        let session = session.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let fill = Fill::find(model.metadata(), &tokenizer);
        let mut description = describe(&model, &options, template.as_ref());
        description.capabilities.fill = fill.is_some();
        let ranker = Ranker::find(&model, &tokenizer);
        description.capabilities.rank = ranker.is_some();
        let n_vocab = model.n_vocab() as u32;
        let sampling = vocabulary::sampling(model.metadata());
        let n_ctx = session.n_ctx();
        let engine = Engine::start(session, options.drafts, options.prefixes.clone())
            .map_err(|e| LoadError::Thread(e.to_string()))?;
        Ok(Local {
            options,
            description,
            tokenizer,
            template,
            ranker,
            fill,
            n_ctx,
            n_vocab,
            sampling,
            engine,
        })
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn seconds(&self) -> f64 {
        self.options.clock.as_ref().map_or(0.0, |clock: &Clock| clock())
    }

    /// The request's prompt as ids.
    fn ready(&self, request: &Request) -> Result<Ready, Error> {
        match &request.prompt {
            Prompt::Chat(messages) => self.ready_chat(messages, request),
            Prompt::Raw(text) => {
                let ids = self.with_bos(self.tokenizer.encode(&text.text));
                Ok(Ready { ids, sections: Sections::default(), n_dropped: 0 })
            }
            Prompt::Fill { prefix, suffix } => self.ready_fill(prefix, suffix),
        }
    }

    fn with_bos(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(bos) = self.tokenizer.bos().filter(|_| self.tokenizer.adds_bos()) {
            ids.insert(0, bos);
        }
        ids
    }

    /// A gap between two texts, in the order that the family learnt.
    fn ready_fill(&self, prefix: &Text, suffix: &Text) -> Result<Ready, Error> {
        let Some(fill) = &self.fill else {
            return Err(Error::unsupported(&self.description.id, "fill a gap")
                .hint("code models with fill-in-the-middle tokens can"));
        };
        let ids =
            fill.ids(self.tokenizer.encode(&prefix.text), self.tokenizer.encode(&suffix.text));
        Ok(Ready { ids: self.with_bos(ids), sections: Sections::default(), n_dropped: 0 })
    }

    /// Renders a conversation that fits: see [`crate::context`].
    fn ready_chat(&self, messages: &[Message], request: &Request) -> Result<Ready, Error> {
        let Some(template) = &self.template else {
            return Err(Error::unsupported(&self.description.id, "chat: it has no chat template")
                .hint("it is a base model: give it text to go on from, with --raw"));
        };
        let tools = self.offered(template, request)?;
        let asked = request.options.max_tokens.map_or(ANSWER_ROOM, |n| n as usize);
        let room = asked.min(self.n_ctx / 4).max(1);
        let fitted = context::fit(messages, self.n_ctx, room, |messages| {
            let rendered = self.render(template, messages, tools)?;
            let ids = self.tokenizer.encode_rendered(&rendered);
            let sections = Sections::new(template.source(), &rendered.text(), tools);
            Ok((ids, sections))
        })?;
        let Fitted { ids, with: sections, n_dropped } = fitted;
        Ok(Ready { ids, sections, n_dropped })
    }

    /// The tools that the model is told about.
    fn offered<'a>(&self, template: &Template, request: &'a Request) -> Result<&'a [Tool], Error> {
        let unsupported = |what| Err(Error::unsupported(&self.description.id, what));
        match &request.tool_choice {
            ToolChoice::None => return Ok(&[]),
            ToolChoice::Auto => {}
            ToolChoice::Required | ToolChoice::Named(_) => {
                return unsupported("be made to call a tool: it may only be offered some");
            }
        }
        if !request.tools.is_empty() && !calls_tools(template) {
            return unsupported("call tools: its template has no form for it that is known");
        }
        Ok(&request.tools)
    }

    fn render(
        &self,
        template: &Template,
        messages: &[Message],
        tools: &[Tool],
    ) -> Result<Rendered, Error> {
        let options = RenderOptions {
            add_generation_prompt: true,
            now: self.options.now,
            ..RenderOptions::default()
        };
        template.render(messages, tools, &options).map_err(text_error)
    }

    /// Begins to generate.
    fn submit(&self, request: &Request, ids: Vec<u32>) -> Result<Running, Error> {
        let bad = |error: crate::OptionError| Error::new(ErrorKind::BadRequest, error.to_string());
        let sampling = self.sampling.with(&request.options, self.n_vocab).map_err(bad)?;
        let mut sampler = Sampler::new(sampling, self.n_vocab);
        ids.iter().for_each(|&id| sampler.accept(id));
        let left = self.n_ctx.saturating_sub(ids.len()) + 1;
        let max_tokens = request.options.max_tokens.map_or(left, |n| (n as usize).min(left));
        let goal = Goal::Generate { sampler: Box::new(sampler), max_tokens, top: request.logprobs };
        self.start(ids, goal)
    }

    fn start(&self, ids: Vec<u32>, goal: Goal) -> Result<Running, Error> {
        let (sender, steps) = mpsc::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let running = Running { steps, cancelled: Arc::clone(&cancelled) };
        self.engine.submit(Job { ids, goal, steps: sender, cancelled })?;
        Ok(running)
    }

    fn start_score(&self, (ids, from): (Vec<u32>, usize)) -> Result<Running, Error> {
        self.start(ids, Goal::Score { from })
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

    /// Why a model that makes no text makes none, and what it is for.
    fn writes_nothing(&self) -> Error {
        let hint = match self.ranker {
            Some(_) => "it says how well texts answer a query: `wright rerank`",
            None => "it turns texts to vectors: `wright embed`",
        };
        Error::unsupported(&self.description.id, "write text").hint(hint)
    }

    /// The ids of a text with those that the model expects around it.
    fn document(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode_document(text)
    }

    /// What one pass over each text gives.
    ///
    /// # Errors
    /// The first text's that failed, by its number from 1.
    fn vectors(
        &self,
        texts: impl Iterator<Item = Result<(Vec<u32>, Goal), Error>>,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let start = |(ids, goal)| self.start(ids, goal);
        let running: Vec<Running> =
            texts.map(|text| text.and_then(start)).collect::<Result<_, Error>>()?;
        let n = running.len();
        let numbered = |(index, running): (usize, Running)| {
            running.vector().map_err(|mut error| {
                if n > 1 {
                    error.message = format!("text {} of {n}: {}", index + 1, error.message);
                }
                error
            })
        };
        running.into_iter().enumerate().map(numbered).collect()
    }

    /// Ids of `context` and of both together: the continuation is what comes after.
    fn score_ids(&self, context: &Text, continuation: &Text) -> Result<(Vec<u32>, usize), Error> {
        let before = self.with_bos(self.tokenizer.encode(&context.text));
        let both = format!("{}{}", context.text, continuation.text);
        let mut all = self.with_bos(self.tokenizer.encode(&both));
        // A token across the border counts as the continuation's.
        let mut from = before.iter().zip(&all).take_while(|(a, b)| a == b).count();
        if from == 0 {
            let begin = self.tokenizer.bos().or_else(|| self.tokenizer.eos());
            let Some(begin) = begin else {
                return Err(Error::new(ErrorKind::BadRequest, "nothing comes before the text")
                    .hint("this model has no token that begins a text: give some context"));
            };
            all.insert(0, begin);
            from = 1;
        }
        Ok((all, from))
    }
}

/// The weights as this processor likes them.
fn session(model: &Arc<Model>, options: &LoadOptions) -> Result<Session, LoadError> {
    let mut session = options.session();
    if model.config().family.kind == Kind::Encoder {
        // Its tokens see each other: a text is read in one pass.
        session.n_batch = session.n_batch.max(session.n_ctx);
    }
    let release = |range: Range<usize>| {
        if let Some(release) = &options.release {
            release(range);
        }
    };
    Ok(Session::releasing(Arc::clone(model), session, &release)?)
}

/// The tokenizer, and the template if there is one.
fn text(model: &Model, options: &LoadOptions) -> Result<(Tokenizer, Option<Template>), LoadError> {
    let tokenizer = vocabulary::tokenizer(model)?;
    let chosen = options.chat_template.as_deref();
    let template = vocabulary::template(model, &tokenizer, chosen)?;
    Ok((tokenizer, template))
}

/// A job in the engine; dropping it cancels.
struct Running {
    steps: Receiver<Step>,
    cancelled: Arc<AtomicBool>,
}

impl Running {
    /// # Errors
    /// If the job failed or the engine died.
    fn next(&self) -> Result<Step, Error> {
        match self.steps.recv() {
            Ok(Step::Failed(error)) => Err(error),
            Ok(step) => Ok(step),
            Err(_) => Err(engine::dead()),
        }
    }

    /// The next step; `None` once `cancel` is set.
    ///
    /// # Errors
    /// If the job failed or the engine died.
    fn next_unless(&self, cancel: &Cancel) -> Result<Option<Step>, Error> {
        while !cancel.is_cancelled() {
            match self.steps.recv_timeout(CANCEL_POLL) {
                Ok(Step::Failed(error)) => return Err(error),
                Ok(step) => return Ok(Some(step)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(engine::dead()),
            }
        }
        Ok(None)
    }
}

impl Running {
    /// Waits for all scores.
    fn score(self) -> Result<Score, Error> {
        let mut score = Score { logprobs: Vec::new(), greedy: Vec::new() };
        loop {
            match self.next()? {
                Step::Scored { logprob, greedy } => {
                    score.logprobs.push(logprob);
                    score.greedy.push(greedy);
                }
                Step::End => return Ok(score),
                _ => {}
            }
        }
    }
}

impl Running {
    fn vector(self) -> Result<Vec<f32>, Error> {
        loop {
            if let Step::Vector(vector) = self.next()? {
                return Ok(vector);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl wright_chat::Model for Local {
    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn respond(
        &self,
        request: &Request,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<Response, Error> {
        if request.format.is_some() {
            return Err(Error::unsupported(&self.description.id, "keep to a schema or grammar"));
        }
        if !self.description.capabilities.score {
            return Err(self.writes_nothing());
        }
        let begin = self.seconds();
        let Ready { ids, sections, n_dropped } = self.ready(request)?;
        let mut usage = Usage { prompt_tokens: ids.len() as u32, ..Usage::default() };
        // With its index a call's id has nine letters and digits: Mistral's templates want that.
        let prefix = format!("c{:06}", ids.len());
        let mut answer = Answer::new(sections, &request.options.stop, prefix);
        let running = self.submit(request, ids)?;
        let mut finish = None;
        if n_dropped > 0 {
            let text = format!("left out the {n_dropped} oldest messages: the context is full");
            finish = cancelled(sink.event(Event::Notice { text }));
        }
        let mut tokens = Vec::new();
        let mut first = begin;
        while finish.is_none() {
            let Some(step) = running.next_unless(cancel)? else {
                finish = Some(FinishReason::Cancelled);
                break;
            };
            match step {
                Step::Cached(n) => usage.cached_tokens = n as u32,
                Step::Prefill(n) => {
                    let event = Event::Prefill { done: n as u32, total: usage.prompt_tokens };
                    finish = cancelled(sink.event(event));
                }
                Step::Token { id, logprobs } => {
                    usage.completion_tokens += 1;
                    if usage.completion_tokens == 1 {
                        first = self.seconds();
                    }
                    if let Some(logprobs) = logprobs {
                        let token = self.token_info(id, logprobs);
                        tokens.push(token.clone());
                        finish = cancelled(sink.event(Event::Token { token }));
                    }
                    finish = finish.or_else(|| self.take(id, &mut answer, sink));
                }
                Step::Drafted { accepted, .. } => {
                    usage.accepted_draft_tokens += accepted as u32;
                }
                Step::Scored { .. } | Step::Vector(_) => {}
                Step::End => finish = Some(limit(request, &usage)),
                Step::Failed(error) => return Err(error),
            }
        }
        drop(running);
        usage.prefill_s = first - begin;
        usage.decode_s = self.seconds() - first;
        let finish = finish.unwrap_or(FinishReason::Stop);
        Ok(end(answer, finish, usage, tokens, sink))
    }

    fn score(&self, context: &Text, continuations: &[Text]) -> Result<Vec<Score>, Error> {
        let mut jobs = continuations.iter().map(|text| self.score_ids(context, text));
        let mut scores = Vec::with_capacity(continuations.len());
        // The first reads the context; the others begin alike and run together.
        if let Some(first) = jobs.next() {
            scores.push(self.start_score(first?)?.score()?);
        }
        let running: Vec<Running> =
            jobs.map(|job| self.start_score(job?)).collect::<Result<_, Error>>()?;
        for running in running {
            scores.push(running.score()?);
        }
        Ok(scores)
    }

    /// Vectors of length 1, pooled as the model's metadata say.
    fn embed(&self, texts: &[Text]) -> Result<Vec<Vec<f32>>, Error> {
        if !self.description.capabilities.embed {
            return Err(Error::unsupported(&self.description.id, "embed text: it judges pairs")
                .hint("it says how well texts answer a query: `wright rerank`"));
        }
        let vectors =
            self.vectors(texts.iter().map(|text| Ok((self.document(&text.text), Goal::Embed))))?;
        Ok(vectors.into_iter().map(unit).collect())
    }

    fn rank(&self, query: &Text, texts: &[Text]) -> Result<Vec<f32>, Error> {
        let Some(ranker) = &self.ranker else {
            return Err(Error::unsupported(&self.description.id, "rank texts")
                .hint("models made for it can, such as bge-reranker-v2-m3 or Qwen3-Reranker"));
        };
        let pair = |text: &Text| {
            let pair = ranker.pair(&self.tokenizer, &query.text, &text.text).map_err(text_error)?;
            Ok((pair.ids, Goal::Classify { second: pair.second }))
        };
        let labels = self.vectors(texts.iter().map(pair))?;
        Ok(labels.iter().map(|labels| ranker.score(labels)).collect())
    }

    fn tokenize(&self, text: &Text) -> Result<Vec<Token>, Error> {
        let token = |id| Token {
            id,
            bytes: self.tokenizer.token_bytes(id).to_vec(),
            special: self.tokenizer.is_control(id),
        };
        Ok(self.tokenizer.encode(&text.text).into_iter().map(token).collect())
    }
}

impl Local {
    /// Says one token. Returns why the answer ends, if it does.
    fn take(&self, id: u32, answer: &mut Answer, sink: &mut dyn Sink) -> Option<FinishReason> {
        if self.tokenizer.is_end(id) {
            return Some(FinishReason::Stop);
        }
        let bytes = self.tokenizer.token_bytes(id);
        // Some families make their section markers control tokens; others are no text.
        if self.tokenizer.is_control(id) && !answer.is_mark(bytes) {
            return None;
        }
        match answer.push(bytes, sink) {
            State::Going => None,
            State::Stopped => Some(FinishReason::StopString),
            State::Cancelled => Some(FinishReason::Cancelled),
        }
    }
}

/// A vector of length 1 in the same direction.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let by = if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) * by) as f32);
    vector
}

fn cancelled(flow: ControlFlow<()>) -> Option<FinishReason> {
    flow.is_break().then_some(FinishReason::Cancelled)
}

/// Says what was held back and puts the response together.
fn end(
    mut answer: Answer,
    finish: FinishReason,
    usage: Usage,
    tokens: Vec<TokenInfo>,
    sink: &mut dyn Sink,
) -> Response {
    let mut finish = finish;
    if finish == FinishReason::Stop || finish.is_limit() {
        match answer.finish(sink) {
            State::Going => {}
            State::Stopped => finish = FinishReason::StopString,
            State::Cancelled => finish = FinishReason::Cancelled,
        }
    }
    let (message, calls) = answer.into_message();
    if calls && finish == FinishReason::Stop {
        finish = FinishReason::ToolCalls;
    }
    Response { tokens, ..Response::new(message, finish, usage) }
}

/// Which limit ended an answer that the model did not end.
fn limit(request: &Request, usage: &Usage) -> FinishReason {
    match request.options.max_tokens {
        Some(max) if usage.completion_tokens >= max => FinishReason::MaxTokens,
        _ => FinishReason::ContextFull,
    }
}

/// Whether the family writes calls in a form that [`crate::stream`] reads.
fn calls_tools(template: &Template) -> bool {
    template.takes_tools() && stream::calls_of(template.source()).is_some()
}

/// A failure of the template, as callers see it.
fn text_error(error: wright_text::Error) -> Error {
    use wright_text::Error as E;
    let kind = match error {
        E::NoSystemRole | E::NoTools | E::Media(_) | E::NoSpans => ErrorKind::Unsupported,
        E::TemplateFailed(_) | E::TemplateTooMuch(_) => ErrorKind::BadModel,
        _ => ErrorKind::BadRequest,
    };
    let new = Error::new(kind, error.to_string());
    match error.hint() {
        Some(hint) => new.hint(hint),
        None => new,
    }
}

/// Whether the model writes text: no encoder does, and of a decoder that judges pairs the head that
/// it had for words is most likely gone.
fn writes(model: &Model) -> bool {
    model.config().family.kind == Kind::Decoder && model.pooling() != Pooling::Rank
}

fn describe(model: &Model, options: &LoadOptions, template: Option<&Template>) -> Description {
    let arch = model.metadata().str("general.architecture").unwrap_or("unknown");
    let writes = writes(model);
    let millions = model.n_parameters() as f64 / 1e6;
    Description {
        id: options.id.clone(),
        provider: Provider::Local,
        summary: format!("{arch} {millions:.0}M {}", model.main_format()),
        context_length: u32::try_from(options.n_ctx).ok(),
        embedding_length: u32::try_from(model.config().n_embd).ok(),
        licence: model.metadata().str("general.license").map(str::to_owned),
        capabilities: Capabilities {
            chat: template.is_some() && writes,
            score: writes,
            tokenize: true,
            embed: model.pooling() != Pooling::Rank,
            tools: template.is_some_and(calls_tools),
            ..Capabilities::default()
        },
    }
}
