//! From what `-m` says to a model that works: found, mapped, checked, ready to answer.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags::{AnswerFlags, EngineFlags, ModelFlags};
use crate::cli::sampler_flags;
use crate::open::context::Context;
use crate::open::locate;
use crate::open::prefix_cache::{self, PrefixCache};
use crate::open::vocabulary::FileVocabulary;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use wright_chat::Options;
use wright_host::{Mapped, machine};
use wright_hub::catalogue::Entry;
use wright_model::{Bytes, Model, Precision, SessionOptions};
use wright_run::{LoadOptions, LocalModel, Prefixes};
use wright_text::{Now, Tokenizer};

/// A context this long fits small machines; more must be asked for.
const CTX_DEFAULT_MAX: u32 = 8192;

/// Maps a model file and reads its header; no weight is touched.
///
/// # Errors
/// If the file cannot be mapped, or is not a model that can be run.
pub fn weights(path: &Path) -> Result<(Arc<Mapped>, Model), Failure> {
    let mapped = Arc::new(Mapped::open(path)?);
    let mut parts: Vec<Arc<dyn Bytes>> = vec![Arc::clone(&mapped) as Arc<dyn Bytes>];
    for path in other_parts(path) {
        let part = Mapped::open(&path).map_err(|error| match error.is_not_found() {
            true => Failure::from(error)
                .hint("the model is split into several files: download this part too"),
            false => error.into(),
        })?;
        parts.push(Arc::new(part));
    }
    match Model::from_parts(parts) {
        Ok(model) => Ok((mapped, model)),
        Err(_) if FileVocabulary::of(&mapped).is_some_and(|found| found.is_bare()) => {
            let what = format!("{} contains a vocabulary but no weights", path.display());
            Err(Failure::new(Exit::Unsupported, what).hint(
                "use it with `wright tokenize -m` or `wright inspect`; running needs a complete \
                 model",
            ))
        }
        Err(error) => Err(Failure::from(error).in_file(path)),
    }
}

/// The further parts of a split model whose first part this is, by their names.
fn other_parts(first: &Path) -> Vec<PathBuf> {
    let name = first.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let split = name.strip_suffix(".gguf").and_then(|stem| {
        let (stem, count) = stem.rsplit_once("-of-")?;
        let (stem, no) = stem.rsplit_once('-')?;
        let width = no.len();
        (no.parse() == Ok(1u32)).then_some((stem, width, count.parse::<u32>().ok()?))
    });
    // llama.cpp numbers parts with five digits.
    let Some((stem, width, count)) = split.filter(|&(_, _, n)| n < 100_000) else {
        return Vec::new();
    };
    let of = |no: u32| format!("{stem}-{no:0width$}-of-{count:0width$}.gguf");
    (2..=count).map(|no| first.with_file_name(of(no))).collect()
}

/// The context length to run with: what was asked for, or the model's own within reason.
///
/// # Errors
/// If more was asked for than the model was made for.
pub fn context_length(model: &Model, asked: Option<u32>) -> Result<u32, Failure> {
    let trained = model.n_ctx_train();
    match asked {
        None => Ok(trained.min(CTX_DEFAULT_MAX)),
        Some(n) if n <= trained => Ok(n),
        Some(n) => {
            let what = format!("--ctx {n}: this model supports at most {trained} tokens");
            Err(Failure::new(Exit::ContextOverflow, what).hint(format!("--ctx {trained}")))
        }
    }
}

/// A session for one sequence of `n_ctx` tokens.
///
/// # Errors
/// If the context is longer than the model's.
pub fn session_options(
    model: &Model,
    flags: &EngineFlags,
    n_ctx: u32,
) -> Result<SessionOptions, Failure> {
    let n_ctx = context_length(model, Some(n_ctx))?;
    Ok(SessionOptions {
        precision: precision(flags),
        threads: threads(flags),
        n_ctx: n_ctx as usize,
        unverified: flags.unverified,
        ..SessionOptions::default()
    })
}

fn precision(flags: &EngineFlags) -> Precision {
    if flags.exact { Precision::Exact } else { Precision::Fast }
}

/// As many threads as were asked for, or as the machine gives this program.
pub fn threads(flags: &EngineFlags) -> usize {
    flags.threads.map_or_else(machine::usable_processors, usize::from)
}

/// A model that answers.
pub struct Loaded {
    pub id: String,
    /// Whether the catalogue lists it as a base model, which continues text and does not answer.
    pub is_base: bool,
    pub chat: Box<dyn wright_chat::Model>,
    /// The sampler options where a request sets none.
    pub defaults: Options,
    mapped: Arc<Mapped>,
}

impl Loaded {
    /// # Errors
    /// If the model's file was written to since it was loaded.
    pub fn check_unchanged(&self) -> Result<(), Failure> {
        Ok(self.mapped.check_unchanged()?)
    }
}

/// The model that was asked for, ready to embed or rank texts.
///
/// # Errors
/// If it cannot be found, fetched, read or run.
pub fn model(flags: &ModelFlags, context: &Context) -> Result<Loaded, Failure> {
    load(flags, None, context)
}

/// The model that was asked for, ready to answer.
///
/// # Errors
/// If it cannot be found, fetched, read or run.
pub fn answering(
    flags: &ModelFlags,
    answer: &AnswerFlags,
    context: &Context,
) -> Result<Loaded, Failure> {
    load(flags, Some(answer), context)
}

fn load(
    flags: &ModelFlags,
    answer: Option<&AnswerFlags>,
    context: &Context,
) -> Result<Loaded, Failure> {
    let located = locate::model(flags.model.as_deref(), context)?;
    let (mapped, model) = weights(&located.path)?;
    let n_ctx = context_length(&model, flags.ctx)?;
    // Repacking reads it all, from the front: the disk may start now.
    mapped.will_need(0..usize::MAX);
    let started = Instant::now();
    let source = Arc::clone(&mapped);
    let options = LoadOptions {
        precision: precision(&flags.engine),
        release: Some(Arc::new(move |range| source.forget(range))),
        clock: Some(Arc::new(move || started.elapsed().as_secs_f64())),
        now: now(),
        unverified: flags.engine.unverified,
        speculative: answer.is_some_and(|answer| !answer.no_drafts),
        prefixes: answer
            .filter(|answer| !answer.no_prefix_cache)
            .and_then(|_| prefixes(&flags.engine, &mapped, context)),
        defaults: defaults(located.entry.as_ref())?,
        ..LoadOptions::new(located.id.clone(), n_ctx as usize, threads(&flags.engine))
    };
    let local = LocalModel::new(Arc::new(model), options)?;
    mapped.check_unchanged()?;
    let is_base = located.entry.is_some_and(|entry| !entry.chat);
    let defaults = local.default_options();
    Ok(Loaded { id: located.id, is_base, chat: Box::new(local), defaults, mapped })
}

/// The sampler options that the catalogue recommends for a model.
///
/// # Errors
/// If the catalogue names an option that does not exist.
fn defaults(entry: Option<&Entry>) -> Result<Options, Failure> {
    let mut options = Options::default();
    for (name, value) in entry.into_iter().flat_map(|entry| &entry.sampling) {
        sampler_flags::set(&mut options, name, value)?;
    }
    Ok(options)
}

/// Where prompts that were read before are found, beside the models.
fn prefixes(flags: &EngineFlags, mapped: &Mapped, context: &Context) -> Option<Prefixes> {
    let folder = context.home.models.parent()?;
    let store = Arc::new(PrefixCache::new(folder.join("prefixes")));
    let how = format!("{} {:?}", env!("CARGO_PKG_VERSION"), precision(flags));
    Some(Prefixes { store, model: prefix_cache::model_key(mapped, &how) })
}

/// The time, for templates that print the date: in UTC, whose offset is the only one that the
/// standard library knows.
fn now() -> Option<Now> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Now { unix_s: i64::try_from(since.as_secs()).ok()?, utc_offset_s: 0 })
}

/// The tokenizer that a model's file carries.
///
/// # Errors
/// If it carries none that can be used.
pub fn tokenizer(model: &Model) -> Result<Tokenizer, Failure> {
    Ok(wright_run::tokenizer(model)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_names_the_others() {
        let others = other_parts(Path::new("a/m-Q4-00001-of-00003.gguf"));
        let names = ["a/m-Q4-00002-of-00003.gguf", "a/m-Q4-00003-of-00003.gguf"];
        assert_eq!(others, names.map(PathBuf::from));
        for whole in ["m.gguf", "m-00002-of-00003.gguf", "m-of-3.gguf", "m-00001-of-x.gguf"] {
            assert_eq!(other_parts(Path::new(whole)), Vec::<PathBuf>::new(), "{whole}");
        }
    }
}
