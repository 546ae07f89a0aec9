//! Whole outputs: every help text, and typical runs and errors, word for word.
//!
//! A change of words is made on purpose: run this test with `INSTA_UPDATE=always`, look at the
//! difference, and commit it.

mod bench;

use bench::{Bench, stderr};
use insta::{assert_snapshot, with_settings};
use std::path::{Path, PathBuf};
use std::process::Output;

/// Every command, and every subcommand of one.
const COMMANDS: &[&str] = &[
    "run",
    "chat",
    "logs",
    "logs list",
    "logs path",
    "logs status",
    "logs on",
    "logs off",
    "logs backup",
    "logs rm",
    "logs export",
    "logs import",
    "logs stats",
    "sql",
    "models",
    "models list",
    "models catalogue",
    "models show",
    "models check",
    "models remove",
    "models default",
    "models alias",
    "models du",
    "pull",
    "inspect",
    "embed",
    "rerank",
    "tokenize",
    "perplexity",
    "bench",
    "tokenizer",
    "tokenizer train",
    "pack",
    "shard",
    "plan",
    "train",
    "convert",
    "quantize",
    "imatrix",
    "doctor",
    "help",
];

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wright-model/tests/golden/llama.gguf")
}

/// Runs `wright` as on a terminal of 80 columns, without colour.
fn wright(bench: &Bench, arguments: &[&str]) -> Output {
    let mut command = bench.command(arguments);
    command.env("COLUMNS", "80").env_remove("WRIGHT_MODEL");
    command.output().unwrap()
}

/// The command, its exit code and what it printed, without paths of this machine.
fn transcript(bench: &Bench, arguments: &[&str]) -> String {
    let output = wright(bench, arguments);
    let mut text = format!("$ wright {}\n", arguments.join(" "));
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            text += &format!("--- {name}\n{}", String::from_utf8_lossy(bytes));
        }
    }
    text += &format!("--- exit code {}\n", output.status.code().unwrap_or(-1));
    let home = bench.path("");
    let home = home.to_str().unwrap().trim_end_matches('/');
    text.replace(tiny().to_str().unwrap(), "tiny.gguf").replace(home, "HOME")
}

/// Compares with the file of this name in `snapshots/`.
#[track_caller]
fn snapshot(name: &str, text: &str) {
    with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        assert_snapshot!(name, text);
    });
}

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    // A description that is wrapped goes on farther to the right.
    let names = lines.filter(|line| !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn every_command_has_its_help() {
    let bench = Bench::new();
    let help = |path: &str| {
        let words: Vec<&str> = std::iter::once("help").chain(path.split_whitespace()).collect();
        let output = wright(&bench, &words);
        assert!(output.status.success(), "{path}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let all = help("");
    snapshot("help", &all);
    for name in listed(&all) {
        assert!(COMMANDS.contains(&name.as_str()), "`{name}` is missing in COMMANDS");
    }
    for path in COMMANDS {
        let text = help(path);
        snapshot(&format!("help {path}").replace(' ', "-"), &text);
        for name in listed(&text) {
            let path = format!("{path} {name}");
            assert!(COMMANDS.contains(&path.as_str()), "`{path}` is missing in COMMANDS");
        }
    }
    snapshot("help-exit-codes", &help("exit-codes"));
    snapshot("no-arguments", &transcript(&bench, &[]));
}

#[test]
fn typical_runs_print_the_same_words() {
    let bench = Bench::new();
    let tiny = tiny();
    let tiny = tiny.to_str().unwrap();
    let story = "Once there was a fox. It lived in a wood, and it liked the wood. One day it \
                 met a hen, who asked the fox what it wanted. Nothing, said the fox.\n";
    let stories: Vec<String> =
        (0..40).map(|n| format!("Tale {n} of {}.\n{story}", n * n)).collect();
    bench.file("stories.txt", stories.join("<|endoftext|>\n"));
    let runs: &[(&str, &[&str])] = &[
        ("run-inspect", &["inspect", tiny]),
        ("run-tokenize", &["tokenize", "-m", tiny, "Hello, world"]),
        ("run-models-show", &["models", "show", "smollm2"]),
        ("run-models-default", &["models", "default", "qwen3-0.6b"]),
        ("run-models-alias", &["models", "alias", "small", "smollm2"]),
        ("run-models-du", &["models", "du"]),
        ("run-pack", &["pack", "stories.txt", "-t", "bytes", "--no-filters", "-o", "data"]),
        ("run-shard", &["shard", "stories.txt", "-t", "bytes", "-o", "stories.shard"]),
        ("run-quantize", &["quantize", tiny, "F16", "--dry-run"]),
        ("run-plan-hardware", &["plan", "--hardware", "96xA100", "--minutes", "60"]),
    ];
    for (name, arguments) in runs {
        let text = transcript(&bench, arguments);
        assert!(text.ends_with("--- exit code 0\n"), "{text}");
        snapshot(name, &text);
    }
}

#[test]
fn typical_errors_say_what_why_and_how_to_fix_it() {
    let bench = Bench::new();
    let tiny = tiny();
    let tiny = tiny.to_str().unwrap();
    bench.file("letter.txt", "Dear Sir,\n");
    bench.file("latin1.txt", b"caf\xe9\n");
    bench.file("empty.txt", "\n");
    bench.file("not-a-model.gguf", "<!DOCTYPE html>");
    bench.file("bad.toml", "[train]\nstep = 10\n");
    let long = "word ".repeat(5000);
    let runs: &[(&str, &[&str])] = &[
        ("error-unknown-command", &["chatt"]),
        ("error-unknown-flag", &["chat", "--thread", "2"]),
        ("error-bad-number", &["train", "stories.txt", "--minutes", "x"]),
        ("error-unknown-model", &["-m", "smolm2", "Hello"]),
        ("error-no-such-file", &["-m", "missing.gguf", "Hello"]),
        ("error-not-a-model", &["inspect", "not-a-model.gguf"]),
        ("error-not-utf8", &["perplexity", "latin1.txt", "-m", tiny]),
        ("error-text-too-short", &["perplexity", "letter.txt", "-m", tiny]),
        ("error-context-too-short", &["-m", tiny, "--raw", "--ctx", "8", &long[..200]]),
        ("error-context-too-long", &["-m", tiny, "--ctx", "100000", "Hello"]),
        ("error-no-reranker", &["rerank", "-m", tiny, "query", "document"]),
        ("error-no-gap", &["run", "-m", tiny, "--fim", "no gap"]),
        ("error-bad-option", &["-m", tiny, "-o", "temprature", "1", "Hello"]),
        ("error-nothing-to-pack", &["pack", "empty.txt", "-o", "data"]),
        ("error-no-output", &["train", "letter.txt"]),
        ("error-bad-configuration", &["train", "bad.toml", "-o", "model"]),
        ("error-unknown-hardware", &["plan", "--hardware", "8xFOO"]),
        ("error-file-exists", &["quantize", tiny, "F16", "-o", "letter.txt"]),
        ("error-no-packed-data", &["plan", "letter.txt"]),
        ("error-holdout", &["pack", "letter.txt", "--holdout", "99", "-o", "data"]),
        ("error-help-topic", &["help", "models", "chek"]),
    ];
    for (name, arguments) in runs {
        let text = transcript(&bench, arguments);
        assert!(text.contains("\nerror: ") && text.contains("\nhint: "), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        snapshot(name, &text.replace(&long[..200], "(200 bytes)"));
    }
}
