//! `wright imatrix`: how large each column's activations are over a text, for `wright quantize`.
//!
//! The text is cut into windows as `llama-imatrix` does: each is read from an empty cache, with
//! the beginning-of-text token in place of its first where the model wants one.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags::EngineFlags;
use crate::open::context::Context;
use crate::open::{load, locate};
use crate::terminal::progress::Progress;
use crate::terminal::{self, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wright_host::{AtomicFile, Count, units};
use wright_model::{Batch, Segment, SeqId, Session, Want};

const CTX_DEFAULT: u32 = 512;

/// Compute an importance matrix from a text, for `wright quantize --imatrix`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file with UTF-8 text that resembles the intended use; a few hundred kB are enough
    #[arg(value_name = "TEXT")]
    file: PathBuf,
    /// Model name from `wright models`, or path to a .gguf file
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Output file
    #[arg(
        short,
        long = "out",
        alias = "output",
        value_name = "FILE",
        default_value = "imatrix.gguf"
    )]
    output: PathBuf,
    /// Tokens per window [default: 512, or the model's context length if that is shorter]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..))]
    ctx: Option<u32>,
    #[command(flatten)]
    engine: EngineFlags,
    /// Process at most N windows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    windows: Option<u32>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let text = stdin::file(&args.file)?;
    let located = locate::model(args.model.as_deref(), context)?;
    let (mapped, model) = load::weights(&located.path)?;
    let tokenizer = load::tokenizer(&model)?;
    let ids = tokenizer.encode_document(&text);
    let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
    let n_ctx = args.ctx.unwrap_or(CTX_DEFAULT.min(model.n_ctx_train()));
    let options = load::session_options(&model, &args.engine, n_ctx)?;
    let most = args.windows.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let windows: Vec<&[u32]> = ids.chunks_exact(options.n_ctx).take(most).collect();
    if windows.is_empty() {
        let what = format!(
            "{} has only {} tokens; one window needs {n_ctx}",
            args.file.display(),
            ids.len()
        );
        return Err(Failure::new(Exit::BadInput, what)
            .hint("use a longer text, or shorter windows with --ctx"));
    }
    let model = Arc::new(model);
    let mut session =
        Session::releasing(Arc::clone(&model), options, &|range| mapped.forget(range))?;
    session.collect_importance();
    let mut progress =
        Progress::start("importance", windows.len() as u64, Count::Things("windows"));
    for (done, window) in (1..).zip(&windows) {
        if context.interrupt.is_set() {
            progress.finish();
            return Err(Failure::interrupted());
        }
        read(&mut session, window, bos)?;
        progress.set(done);
    }
    progress.finish();
    mapped.check_unchanged()?;
    write(args, &session, windows.len(), n_ctx)
}

/// Reads one window from an empty cache.
fn read(session: &mut Session, window: &[u32], bos: Option<u32>) -> Result<(), Failure> {
    let seq = SeqId(0);
    session.clear(seq)?;
    let mut ids = window.to_vec();
    if let Some(bos) = bos {
        ids[0] = bos;
    }
    let segment = Segment { seq, pos: 0, ids: &ids, want: Want::Last };
    session.forward(&Batch { segments: &[segment] })?;
    Ok(())
}

fn write(args: &Args, session: &Session, n_windows: usize, n_ctx: u32) -> Result<Exit, Failure> {
    let path: &Path = &args.output;
    let mut bytes = Vec::new();
    let dataset = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let collected = session.collected().filter(|c| !c.is_empty());
    let collected = collected.ok_or_else(|| {
        Failure::new(Exit::Unsupported, "no activations were recorded for this model")
    })?;
    let n_chunks = u32::try_from(n_windows).unwrap_or(u32::MAX);
    collected.write(session.model(), &dataset, n_chunks, n_ctx, &mut bytes).map_err(|error| {
        Failure::new(Exit::BadModel, error)
            .hint("its weights may be damaged: check the file's hash with `wright doctor --hash`")
    })?;
    let mut file = AtomicFile::with_space(path, bytes.len() as u64, args.force)?;
    std::io::Write::write_all(&mut file, &bytes).map_err(|e| Failure::io("write", path, &e))?;
    file.finish()?;
    let size = units::bytes(bytes.len() as u64);
    terminal::print(&format!(
        "{}: {size}, from {n_windows} windows of {n_ctx} tokens\n",
        path.display()
    ))?;
    Ok(Exit::Done)
}
