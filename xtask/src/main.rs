//! The project's own chores: `cargo xtask CHORE`.
//!
//! Nothing here is part of what a user installs. `tidy` reads the tree and runs no program but
//! `git ls-files`; `peers`, `parity` and `bench-peers` run other people's programs, and keep
//! everything that they fetch or build in a cache folder outside the repository.
#![forbid(unsafe_code)]

mod bench_peers;
mod bench_quantize;
mod bench_store;
mod bench_story;
mod bench_tokenizer;
mod bench_train;
mod fuzz;
mod llm_log;
mod neon;
mod parity;
mod peers;
mod schema_suite;
mod tidy;
mod wright;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// What a chore can fail with: it is only ever printed.
type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "\
usage: cargo xtask CHORE

  tidy          check the house rules: crate edges, lengths, names, absences
  parity        compare results with llama.cpp, Jinja2 and tokenizers (or only: tokens,
                templates, fuzz, perplexity, divergence, exports, convert)
  bench-peers   compare speed with llama.cpp (--pairs N, --threads N, --write; or only: models,
                formats, depth, batch, start)
  fuzz          try a million hostile inputs for each reader of files (--inputs N, --from N;
                --guided keeps inputs that reach new code; or only: gguf, safetensors, tokenizer,
                config, template, llm-log, html, jsonl, pdf, parquet, archive)
  bench-quantize  compare quantized files with llama.cpp's: types, perplexity, time, memory
  bench-tokenizer  compare a tokenizer's training with Hugging Face's: merges, tokens, time
                (--pairs N, --threads N, --vocab N, --pre NAME; or only: stories, packages)
  bench-train   compare training's speed and memory with PyTorch (--pairs N, --write; or only: 2m,
                7m, 47m)
  bench-story   train on the same text for the same time as PyTorch, and compare held-out loss
                (--minutes N, --text FILE, --threads N, --fresh, --write)
  bench-store   speed of the memory with a million turns, beside `llm` (--turns N, --without-llm)
  llm-log       import and export a log of `llm`, and let `llm` itself compare and verify it
  neon          run the kernels' tests for AArch64 under emulation (arguments go to the tests)
  schema-suite  check the validator of JSON schemas against the official test suite (or only:
                draft2020-12, draft2019-09, draft7, draft6, draft4)
  peers         set up the programs and models to compare with (--torch: PyTorch too)";

/// The root of the workspace that this program was built in.
fn workspace_root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map(PathBuf::from).unwrap_or(xtask)
}

/// Runs this program again as a release build: the chore computes with Wright's own crates.
fn in_release(args: &[String]) -> Result<bool, Failure> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--package", "xtask", "--"])
        .args(args)
        .current_dir(workspace_root())
        .status()?;
    Ok(status.success())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = match args.split_first() {
        Some((chore, rest)) => (chore.as_str(), rest),
        None => ("help", &[][..]),
    };
    let done = match chore {
        _ if fuzz::guided::is_wrapper() => fuzz::guided::wrap(&args),
        "tidy" => tidy::run(&workspace_root(), rest),
        "parity" | "bench-peers" | "bench-train" | "bench-story" | "bench-quantize"
        | "bench-tokenizer"
            if cfg!(debug_assertions) =>
        {
            in_release(&args)
        }
        "bench-peers" => bench_peers::run(&workspace_root(), rest),
        "fuzz" => fuzz::run(rest),
        "bench-train" => bench_train::run(&workspace_root(), rest),
        "bench-story" => bench_story::run(&workspace_root(), rest),
        "bench-quantize" => bench_quantize::run(&workspace_root(), rest),
        "bench-store" => bench_store::run(&workspace_root(), rest),
        "llm-log" => llm_log::run(&workspace_root(), rest),
        "bench-tokenizer" => bench_tokenizer::run(&workspace_root(), rest),
        "parity" => parity::run(&workspace_root(), rest),
        "neon" => neon::run(rest),
        "schema-suite" => schema_suite::run(rest),
        "peers" => peers::run(&workspace_root(), rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(true)
        }
        other => Err(format!("no chore is called `{other}`\n\n{USAGE}").into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}
