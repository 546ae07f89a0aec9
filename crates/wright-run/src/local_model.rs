//! A model file as a [`wright_chat::Model`]: tokenizer, chat template and engine together.

mod constrain;
mod embed;
mod generate;
mod pending;
mod prompt;
mod rank;
mod score;

use crate::capabilities;
use crate::engine::Engine;
use crate::fill_in_middle::FillInMiddle;
use crate::load::{LoadError, LoadOptions};
use crate::reranker::Reranker;
use crate::{ConstraintVocabulary, Sampling, vocabulary};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use wright_chat::{
    Cancel, Description, Error, ErrorKind, Options, Provider, Request, Response, Score, Sink, Text,
    Token,
};
use wright_model::config::Kind;
use wright_model::{Model, Session};
use wright_text::{Template, Tokenizer};

/// A model that runs in this process.
///
/// Calls block until their result is there; several threads may call at once, and up to
/// [`LoadOptions::n_seq`] requests share each pass. `examples/answer.rs` and `examples/embed.rs`
/// show complete programs.
pub struct LocalModel {
    options: LoadOptions,
    description: Description,
    tokenizer: Arc<Tokenizer>,
    /// The vocabulary as constraints need it: made for the first that there is.
    constraint_vocabulary: OnceLock<Result<Arc<ConstraintVocabulary>, String>>,
    template: Option<Template>,
    /// Of models that judge documents.
    reranker: Option<Reranker>,
    /// Tokens around a gap, in families that fill gaps.
    fill: Option<FillInMiddle>,
    n_ctx: usize,
    n_vocab: u32,
    /// Sampler options where a request sets none.
    sampling: Sampling,
    engine: Engine,
}

impl LocalModel {
    /// Repacks the weights for this processor and starts the engine.
    ///
    /// # Errors
    /// If the file has no usable tokenizer, its architecture is not supported, or there is not
    /// enough memory or no thread to be had.
    pub fn new(model: Arc<Model>, options: LoadOptions) -> Result<LocalModel, LoadError> {
        // Most of loading is repacking, which leaves time for the vocabulary.
        let (session, text) = std::thread::scope(|scope| {
            let session = scope.spawn(|| session(&model, &options));
            let text = text(&model, &options);
            (session.join(), text)
        });
        let (tokenizer, template) = text?;
        let session = session.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let n_vocab = model.n_vocab() as u32;
        let sampling = vocabulary::sampling(model.metadata()).with(&options.defaults, n_vocab)?;
        let n_ctx = session.n_ctx();
        let engine = Engine::start(session, options.speculative, options.prefixes.clone())
            .map_err(|e| LoadError::Thread(e.to_string()))?;
        Ok(LocalModel {
            description: describe(&model, &options, &tokenizer, template.as_ref()),
            reranker: Reranker::find(&model, &tokenizer),
            fill: FillInMiddle::find(model.metadata(), &tokenizer),
            n_ctx,
            n_vocab,
            sampling,
            options,
            tokenizer: Arc::new(tokenizer),
            constraint_vocabulary: OnceLock::new(),
            template,
            engine,
        })
    }

    /// The tokenizer that the model's file carries.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The sampler options where a request sets none.
    pub fn default_options(&self) -> Options {
        self.sampling.to_options()
    }

    /// The caller's clock, or 0 without one.
    fn seconds(&self) -> f64 {
        self.options.clock.as_ref().map_or(0.0, |clock| clock())
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::unsupported(&self.description.id, what)
    }
}

impl wright_chat::Model for LocalModel {
    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn respond(
        &self,
        request: &Request,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<Response, Error> {
        self.generate(request, cancel, sink)
    }

    fn score(&self, context: &Text, continuations: &[Text]) -> Result<Vec<Score>, Error> {
        self.score_texts(context, continuations)
    }

    /// Vectors of length 1, pooled as the model's metadata say.
    fn embed(&self, texts: &[Text]) -> Result<Vec<Vec<f32>>, Error> {
        self.embed_texts(texts)
    }

    fn rank(&self, query: &Text, texts: &[Text]) -> Result<Vec<f32>, Error> {
        self.rank_texts(query, texts)
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

/// The weights in the form that this processor is fastest with.
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

fn describe(
    model: &Model,
    options: &LoadOptions,
    tokenizer: &Tokenizer,
    template: Option<&Template>,
) -> Description {
    let arch = model.metadata().str("general.architecture").unwrap_or("unknown");
    let millions = model.n_parameters() as f64 / 1e6;
    Description {
        id: options.id.clone(),
        provider: Provider::Local,
        summary: format!("{arch} {millions:.0}M {}", model.main_format()),
        context_length: u32::try_from(options.n_ctx).ok(),
        embedding_length: u32::try_from(model.config().n_embd).ok(),
        licence: model.metadata().str("general.license").map(str::to_owned),
        capabilities: capabilities::of(model, tokenizer, template),
    }
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
