//! `wright perplexity`: how well a model predicts a text.
//!
//! The text is cut into windows of `--ctx` tokens, as `llama-perplexity` does: each window is read
//! from an empty cache, with the beginning-of-text token in place of its first token where the
//! model wants one, and the tokens after its first half are scored. What is left over at the end
//! is not scored.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags::EngineFlags;
use crate::open::context::Context;
use crate::open::{load, locate};
use crate::terminal::progress::Progress;
use crate::terminal::{self, stdin};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use wright_host::Count;
use wright_model::{Batch, Segment, SeqId, Session, Want};

const CTX_DEFAULT: u32 = 512;

/// Measure how well a model predicts a text
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file with UTF-8 text
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Model name from `wright models`, or path to a .gguf file
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Tokens per window [default: 512, or the model's context length if that is shorter]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..))]
    ctx: Option<u32>,
    #[command(flatten)]
    engine: EngineFlags,
    /// Score at most N windows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    windows: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
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
    let n_windows = (ids.len() / options.n_ctx).min(args.windows.map_or(usize::MAX, to_usize));
    if n_windows == 0 {
        let what = format!(
            "{} has only {} tokens; one window needs {n_ctx}",
            args.file.display(),
            ids.len()
        );
        return Err(Failure::new(Exit::BadInput, what)
            .hint("use a longer text, or shorter windows with --ctx"));
    }
    let n_ctx = options.n_ctx;
    let release = |range| mapped.forget(range);
    let mut session = Session::releasing(Arc::new(model), options, &release)?;
    let mut tally = Tally::default();
    let mut progress = Progress::start("perplexity", n_windows as u64, Count::Things("windows"));
    for (done, window) in (1..).zip(ids.chunks_exact(n_ctx).take(n_windows)) {
        if context.interrupt.is_set() {
            progress.finish();
            return Err(Failure::interrupted());
        }
        score(&mut session, window, bos, &mut tally)?;
        progress.set(done);
        progress.say(&format!("{:.4}", tally.perplexity()));
    }
    progress.finish();
    mapped.check_unchanged()?;
    terminal::print(&report(&tally, n_windows, n_ctx, args.json))?;
    Ok(Exit::Done)
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Reads one window and tallies the tokens after its first half.
fn score(
    session: &mut Session,
    window: &[u32],
    bos: Option<u32>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let seq = SeqId(0);
    session.clear(seq)?;
    let mut ids = window.to_vec();
    if let Some(bos) = bos {
        ids[0] = bos;
    }
    let first = ids.len() / 2;
    let segment = Segment { seq, pos: 0, ids: &ids, want: Want::From(first) };
    let logits = session.forward(&Batch { segments: &[segment] })?;
    // The row at position i predicts the token at i + 1; the last one's is in the next window.
    for (row, &next) in logits.rows().zip(&ids[first + 1..]) {
        tally.add(surprise(row, next as usize));
    }
    Ok(())
}

/// The negative natural log-probability of token `id`. (n_vocab)
fn surprise(logits: &[f32], id: usize) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    sum.ln() - f64::from(logits[id] - max)
}

/// Sums over scored tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    n: u64,
    sum: f64,
    squares: f64,
}

impl Tally {
    fn add(&mut self, surprise: f64) {
        self.n += 1;
        self.sum += surprise;
        self.squares += surprise * surprise;
    }

    fn mean(&self) -> f64 {
        self.sum / self.n as f64
    }

    fn perplexity(&self) -> f64 {
        self.mean().exp()
    }

    /// Standard error of the perplexity, as if tokens were independent.
    fn error(&self) -> f64 {
        if self.n < 2 {
            return 0.0;
        }
        let n = self.n as f64;
        let variance = (self.squares / n - self.mean().powi(2)).max(0.0);
        (variance / (n - 1.0)).sqrt() * self.perplexity()
    }
}

fn report(tally: &Tally, n_windows: usize, n_ctx: usize, as_json: bool) -> String {
    let (perplexity, error) = (tally.perplexity(), tally.error());
    if as_json {
        let object = json!({
            "perplexity": perplexity,
            "error": error,
            "nll": tally.mean(),
            "tokens": tally.n,
            "windows": n_windows,
            "ctx": n_ctx,
        });
        return format!("{object}\n");
    }
    format!(
        "perplexity {perplexity:.4} ± {error:.4} over {} tokens, {n_windows} windows of {n_ctx}\n",
        tally.n
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surprise_is_that_of_softmax() {
        let logits = [1.0, 2.0, 3.0];
        let sum: f64 = logits.iter().map(|&l: &f32| f64::from(l).exp()).sum();
        assert!((surprise(&logits, 1) - (sum.ln() - 2.0)).abs() < 1e-9);
        assert!((surprise(&[1e4, 0.0], 1) - 1e4).abs() < 1e-6, "no overflow");
    }

    #[test]
    fn equal_surprise_has_no_error() {
        let mut tally = Tally::default();
        (0..10).for_each(|_| tally.add(2.0));
        assert!((tally.perplexity() - 2f64.exp()).abs() < 1e-9);
        assert!(tally.error() < 1e-6);
        tally.add(4.0);
        assert!(tally.error() > 0.1);
    }
}
