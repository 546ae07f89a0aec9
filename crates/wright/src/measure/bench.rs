//! `wright bench`: tokens per second for prompts (`pp`) and generation (`tg`).
//!
//! Each test runs once to warm up and then `--reps` times; the median is reported with the minimum
//! and maximum, since a machine is never quite idle. Sampling is excluded.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags::EngineFlags;
use crate::open::context::Context;
use crate::open::{load, locate};
use crate::terminal;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use wright_host::machine;
use wright_hub::find::Located;
use wright_model::{Batch, Model, Segment, SeqId, Session, Want};

/// Measure speed: tokens per second for prompts and for generation
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model name from `wright models`, or path to a .gguf file
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    #[command(flatten)]
    engine: EngineFlags,
    /// Prompt tokens to process; 0 skips the test
    #[arg(short = 'p', long = "prompt", value_name = "N", default_value_t = 512)]
    prompt: u32,
    /// Tokens to generate; 0 skips the test
    #[arg(short = 'n', long = "generate", value_name = "N", default_value_t = 128)]
    generate: u32,
    /// Tokens in the KV cache before each test
    #[arg(short = 'd', long, value_name = "N", default_value_t = 0)]
    depth: u32,
    /// Sequences to process at once
    #[arg(short, long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    batch: u32,
    /// Number of measurements of each test
    #[arg(short, long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    reps: u32,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Read(u32),
    Write(u32),
}

impl Test {
    /// `tg128@d4096@b8`: 128 tokens written, after 4,096, of 8 sequences each.
    fn name(self, depth: u32, batch: u32) -> String {
        let mut name = match self {
            Test::Read(n) => format!("pp{n}"),
            Test::Write(n) => format!("tg{n}"),
        };
        if depth > 0 {
            name += &format!("@d{depth}");
        }
        if batch > 1 {
            name += &format!("@b{batch}");
        }
        name
    }

    fn tokens(self) -> u32 {
        match self {
            Test::Read(n) | Test::Write(n) => n,
        }
    }
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let tests = [Test::Read(args.prompt), Test::Write(args.generate)];
    let tests: Vec<Test> = tests.into_iter().filter(|test| test.tokens() > 0).collect();
    let Some(longest) = tests.iter().map(|test| test.tokens()).max() else {
        return Err(Failure::usage("nothing to measure: -p and -n are both 0")
            .hint("set -p or -n to a positive number of tokens"));
    };
    let located = locate::model(args.model.as_deref(), context)?;
    let (mapped, model) = load::weights(&located.path)?;
    let model = Arc::new(model);
    let n_ctx = args.depth.saturating_add(longest);
    let mut options = load::session_options(&model, &args.engine, n_ctx)?;
    options.n_seq = args.batch as usize;
    let threads = options.threads;
    let mut session =
        Session::releasing(Arc::clone(&model), options, &|range| mapped.forget(range))?;
    if !args.json && !terminal::print(&header(&located.id))? {
        return Ok(Exit::Done);
    }
    for test in tests {
        let mut rates = Vec::new();
        for rep in 0..=args.reps {
            if context.interrupt.is_set() {
                return Err(Failure::interrupted());
            }
            let s = measure(&mut session, &model, test, args)?;
            if rep > 0 {
                rates.push(f64::from(test.tokens() * args.batch) / s.max(1e-9));
            }
        }
        let mut line = line(&test.name(args.depth, args.batch), threads, &mut rates, args.json);
        if args.json {
            line = with_subject(&line, &located);
        }
        if !terminal::print(&line)? {
            return Ok(Exit::Done);
        }
    }
    mapped.check_unchanged()?;
    Ok(Exit::Done)
}

/// Seconds that `test` takes after the tokens of `--depth`, for all sequences together.
fn measure(session: &mut Session, model: &Model, test: Test, args: &Args) -> Result<f64, Failure> {
    let (n_vocab, depth) = (model.n_vocab() as u32, args.depth);
    let ids =
        |from: u32, n: u32| -> Vec<u32> { (from..from + n).map(|i| id(i, n_vocab)).collect() };
    for seq in 0..args.batch {
        session.clear(SeqId(seq))?;
    }
    if depth > 0 {
        feed(session, 1, 0, &ids(0, depth))?;
    }
    for seq in 1..args.batch {
        session.copy_prefix(SeqId(0), SeqId(seq), depth as usize)?;
    }
    let started = Instant::now();
    match test {
        Test::Read(n) => feed(session, args.batch, depth, &ids(depth, n))?,
        Test::Write(n) => {
            for pos in depth..depth + n {
                feed(session, args.batch, pos, &[id(pos, n_vocab)])?;
            }
        }
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Computes the same `ids` for the first `n_seq` sequences.
fn feed(session: &mut Session, n_seq: u32, pos: u32, ids: &[u32]) -> Result<(), Failure> {
    let segment = |seq| Segment { seq: SeqId(seq), pos, ids, want: Want::Last };
    let segments: Vec<Segment<'_>> = (0..n_seq).map(segment).collect();
    let logits = session.forward(&Batch { segments: &segments })?;
    std::hint::black_box(logits.row(0)[0]);
    Ok(())
}

/// The token at a position: scattered over the vocabulary, the same in every run.
fn id(pos: u32, n_vocab: u32) -> u32 {
    let mixed = (pos.wrapping_add(1)).wrapping_mul(0x9e37_79b1);
    ((u64::from(mixed) * u64::from(n_vocab)) >> 32) as u32
}

fn header(id: &str) -> String {
    format!("{id}\n{:14} {:>7} {:>9} {:>9} {:>9}\n", "test", "threads", "tok/s", "min", "max")
}

/// The JSON object in `line` with what was measured, by what, on which processor.
fn with_subject(line: &str, located: &Located) -> String {
    let mut object: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    object["model"] = json!(located.id);
    object["file"] = json!(located.path);
    object["version"] = json!(env!("CARGO_PKG_VERSION"));
    object["processor"] = json!(machine::processor_name());
    format!("{object}\n")
}

fn line(test: &str, threads: usize, rates: &mut [f64], as_json: bool) -> String {
    rates.sort_by(f64::total_cmp);
    let (min, max) = (rates[0], rates[rates.len() - 1]);
    let middle = rates.len() / 2;
    let median = match rates.len() % 2 {
        0 => (rates[middle - 1] + rates[middle]) / 2.0,
        _ => rates[middle],
    };
    match as_json {
        true => {
            let object = json!({
                "test": test,
                "threads": threads,
                "tok_s": median,
                "tok_s_min": min,
                "tok_s_max": max,
            });
            format!("{object}\n")
        }
        false => format!("{test:14} {threads:>7} {median:>9.1} {min:>9.1} {max:>9.1}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_median_between_min_and_max() {
        let said = line("pp512", 2, &mut [30.0, 10.0, 20.0, 40.0], true);
        let object: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(object["test"], "pp512");
        assert_eq!(object["threads"], 2);
        assert_eq!(object["tok_s"], 25.0);
        assert_eq!(object["tok_s_min"], 10.0);
        assert_eq!(object["tok_s_max"], 40.0);
        assert!(line("tg8", 1, &mut [3.0], false).contains("3.0"));
    }

    #[test]
    fn ids_stay_inside_the_vocabulary() {
        assert!((0..10_000).all(|pos| id(pos, 97) < 97));
        assert_ne!(id(0, 49_152), id(1, 49_152));
    }

    #[test]
    fn names_tell_depth_and_batch() {
        assert_eq!(Test::Read(512).name(0, 1), "pp512");
        assert_eq!(Test::Write(128).name(4096, 8), "tg128@d4096@b8");
    }
}
