//! `cargo xtask bench-story`: does Wright learn more from the same text in the same time?
//!
//! A text is packed once. Then Wright plans and trains for some minutes, and so does PyTorch with
//! AdamW, for llamas of three sizes, on the same tokens with the same number of threads, one after
//! the other. All of them are scored on the same held-out documents by one program, which is
//! neither's: transformers. What is finished is kept in the peers' cache folder, so that a
//! comparison that was cut goes on. Run it on a quiet machine.

use crate::Failure;
use crate::bench_peers::report::{date, processor};
use crate::peers::{Peers, must_exist};
use crate::wright::{self, said};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask bench-story [--minutes N] [--text FILE] [--threads N] [--fresh] [--write]

trains for N minutes each (10) on FILE (../shared/data/kids-stories.txt.xz) with N threads (2);
--fresh forgets what an earlier call finished, --write puts the result into bench/STORY.md";

/// Bits per byte that Wright is to need fewer of, as a part of the best peer's.
const WANTED: f64 = 0.05;

/// A llama that PyTorch trains.
struct Size {
    name: &'static str,
    /// Layers, width, heads, heads of keys, width of the MLP, tokens in a row, rows in a step.
    numbers: [usize; 7],
    /// The best of the rates that were tried for it: see LOG.md.
    rate: f64,
}

const SIZES: [Size; 3] = [
    Size { name: "small", numbers: [2, 64, 2, 1, 192, 256, 8], rate: 1.2e-2 },
    Size { name: "middle", numbers: [3, 96, 3, 1, 256, 256, 8], rate: 6e-3 },
    Size { name: "large", numbers: [4, 128, 4, 2, 352, 256, 8], rate: 6e-3 },
];

struct Options {
    minutes: f64,
    text: PathBuf,
    threads: usize,
    fresh: bool,
    write: bool,
}

/// Runs what is not finished yet and prints a table. False if the goal is missed.
///
/// # Errors
/// If the peers are not set up, a program fails, or what it writes is not understood.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    let options = parse(workspace, args)?;
    let peers = Peers::locate()?;
    let folder = peers.path(&format!("story-{}", options.minutes));
    if options.fresh && folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let python = peers.python()?;
    let examples = workspace.join("crates/wright-train/examples");
    let bench = Bench { wright: wright::build(workspace)?, python, examples, folder, options };
    bench.pack()?;
    let ours = bench.ours()?;
    let mut rows = vec![("Wright".to_owned(), ours)];
    for size in &SIZES {
        rows.push((format!("PyTorch, {}", size.name), bench.theirs(size)?));
    }
    let scores = bench.scores(&rows)?;
    let page = bench.page(&rows, &scores)?;
    println!("{page}");
    if bench.options.write {
        fs::write(workspace.join("bench/STORY.md"), &page)?;
    }
    Ok(gain(&scores) >= WANTED)
}

fn parse(workspace: &Path, args: &[String]) -> Result<Options, Failure> {
    let shared = workspace.parent().unwrap_or(workspace).join("shared/data");
    let mut options = Options {
        minutes: 10.0,
        text: shared.join("kids-stories.txt.xz"),
        threads: 2,
        fresh: false,
        write: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value\n\n{USAGE}"));
        match arg.as_str() {
            "--minutes" => options.minutes = value()?.parse()?,
            "--text" => options.text = PathBuf::from(value()?),
            "--threads" => options.threads = value()?.parse()?,
            "--fresh" => options.fresh = true,
            "--write" => options.write = true,
            _ => return Err(format!("`{arg}` is not known\n\n{USAGE}").into()),
        }
    }
    if !(0.1..=600.0).contains(&options.minutes) {
        return Err("--minutes wants 0.1 to 600".into());
    }
    options.text = must_exist(options.text)?;
    Ok(options)
}

/// The programs, and where their results go.
struct Bench {
    wright: PathBuf,
    python: PathBuf,
    examples: PathBuf,
    folder: PathBuf,
    options: Options,
}

impl Bench {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a part told when it was finished; it is done now if it was not.
    fn part(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        let path = self.at(&format!("{name}.json"));
        if let Ok(text) = fs::read_to_string(&path) {
            eprintln!("bench-story: {name} is finished already");
            return Ok(serde_json::from_str(&text)?);
        }
        eprintln!("bench-story: {name} …");
        let told = work()?;
        fs::write(&path, told.to_string())?;
        Ok(told)
    }

    fn wright(&self, args: &[&str]) -> Result<Value, Failure> {
        let (stdout, _) = said(Command::new(&self.wright).args(args).current_dir(&self.folder))?;
        let last = stdout.lines().rfind(|line| line.starts_with('{')).unwrap_or("{}");
        Ok(serde_json::from_str(last)?)
    }

    fn pack(&self) -> Result<Value, Failure> {
        self.part("pack", || {
            let _ = fs::remove_dir_all(self.at("data"));
            let text = fs::canonicalize(&self.options.text)?;
            let text = text.to_str().ok_or("the text's path is not UTF-8")?;
            self.wright(&["pack", text, "-o", "data", "--json"])
        })
    }

    /// Plans and trains; what the run and its plan told.
    fn ours(&self) -> Result<Value, Failure> {
        let minutes = self.options.minutes.to_string();
        let threads = self.options.threads.to_string();
        let plan = self.part("plan", || {
            let args = ["plan", "data", "--minutes", &minutes, "--threads", &threads];
            self.wright(&[&args[..], &["-o", "plan.toml", "--json"]].concat())
        })?;
        let run = self.part("wright", || {
            let _ = fs::remove_dir_all(self.at("wright"));
            let args = ["train", "plan.toml", "--threads", &threads, "-o", "wright", "--json"];
            self.wright(&args)
        })?;
        let sample = self.part("sample", || self.sample())?;
        let mut told = run.clone();
        told["folder"] = json!("wright/model");
        told["parameters"] = plan["parameters"].clone();
        told["tokens"] = plan["tokens"].clone();
        told["seconds"] = run["elapsed_s"].clone();
        told["plan"] = plan;
        told["sample"] = sample;
        Ok(told)
    }

    /// What the model writes by itself.
    fn sample(&self) -> Result<Value, Failure> {
        let args = ["-m", "wright/model.gguf", "--seed", "1", "-o", "max_tokens", "160"];
        let mut command = Command::new(&self.wright);
        let command = command.args(args).args(["--raw", "Once upon a time"]);
        let (text, _) = said(command.current_dir(&self.folder))?;
        Ok(json!(text.trim_end()))
    }

    fn theirs(&self, size: &Size) -> Result<Value, Failure> {
        let name = format!("torch-{}", size.name);
        let mut told = self.part(&name, || {
            let mut command = Command::new(&self.python);
            command.arg(self.examples.join("bench_story.py")).args(["data", &name]);
            command.args(size.numbers.map(|n| n.to_string())).arg(size.rate.to_string());
            command.arg((self.options.minutes * 60.0).to_string());
            command.arg(self.options.threads.to_string());
            let (stdout, _) = said(command.current_dir(&self.folder))?;
            Ok(serde_json::from_str(stdout.trim())?)
        })?;
        told["folder"] = json!(name);
        Ok(told)
    }

    /// Bits per byte of each, in order.
    fn scores(&self, rows: &[(String, Value)]) -> Result<Vec<f64>, Failure> {
        let told = self.part("scores", || {
            let mut command = Command::new(&self.python);
            command.arg(self.examples.join("bench_story_score.py")).arg("data");
            command.args(rows.iter().filter_map(|row| row.1["folder"].as_str()));
            let (stdout, _) = said(command.current_dir(&self.folder))?;
            let lines = stdout.lines().filter(|line| line.starts_with('{'));
            let scores = lines.map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
            Ok(json!(scores))
        })?;
        let bits = |row: &Value| row["bits_per_byte"].as_f64();
        let all: Option<Vec<f64>> = told.as_array().into_iter().flatten().map(bits).collect();
        let all = all.filter(|all| all.len() == rows.len());
        all.ok_or_else(|| format!("not a score for each model: {told}").into())
    }

    fn page(&self, rows: &[(String, Value)], scores: &[f64]) -> Result<String, Failure> {
        let plan = &rows[0].1["plan"];
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let gain = gain(scores) * 100.0;
        let verdict = if gain >= WANTED * 100.0 { "reached" } else { "missed" };
        Ok(format!(
            "# Wright beside PyTorch: the same text, the same time\n\n{}, {}, {} threads. {} \
             minutes of training each on {}, the same tokens and the same\nheld-out documents, \
             scored by transformers. PyTorch: llamas in f32, eager,\nAdamW, with a rate for each \
             size (LOG.md). Written by\n`cargo xtask bench-story --write`.\n\n{}\nWright needs \
             {gain:.1} % fewer bits than the best of PyTorch's; the goal is {:.0} %: \
             {verdict}.\n\n`wright plan` predicted {:.3} bits per byte on the first held-out \
             rows (measured by its own count: {:.3}) and {:.0} s of training.\n\nWhat Wright's \
             model writes after \"Once upon a time\":\n\n{}\n",
            date()?,
            processor(),
            self.options.threads,
            self.options.minutes,
            self.options.text.file_name().unwrap_or_default().to_string_lossy(),
            table(rows, scores),
            WANTED * 100.0,
            number(&plan["bits_per_byte"]),
            number(&rows[0].1["bits_per_byte"]),
            number(&plan["seconds"]),
            quoted(rows[0].1["sample"].as_str().unwrap_or_default()),
        ))
    }
}

/// The part of the best peer's bits that the first row does without.
fn gain(scores: &[f64]) -> f64 {
    let best = scores[1..].iter().copied().fold(f64::INFINITY, f64::min);
    1.0 - scores[0] / best
}

fn table(rows: &[(String, Value)], scores: &[f64]) -> String {
    let mut text = String::from(
        "| | parameters | tokens learnt from | seconds | bits per byte |\n|---|---|---|---|---|\n",
    );
    for ((name, told), score) in rows.iter().zip(scores) {
        let millions = |key: &str| told[key].as_f64().unwrap_or(f64::NAN) / 1e6;
        text.push_str(&format!(
            "| {name} | {:.2} M | {:.2} M | {:.0} | {score:.4} |\n",
            millions("parameters"),
            millions("tokens"),
            millions("seconds") * 1e6,
        ));
    }
    text
}

fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gain_is_over_the_best_peer() {
        assert!((gain(&[1.8, 2.2, 2.0, 2.1]) - 0.1).abs() < 1e-9);
        assert!(gain(&[2.1, 2.2, 2.0, 2.1]) < 0.0);
        let rows =
            vec![("a".to_owned(), json!({ "parameters": 2e6, "tokens": 3e6, "seconds": 61.4 }))];
        let text = table(&rows, &[1.23456]);
        assert!(text.contains("| a | 2.00 M | 3.00 M | 61 | 1.2346 |"), "{text}");
        assert_eq!(quoted("a\nb"), "> a\n> b\n");
    }

    #[test]
    fn arguments_are_checked() {
        let args = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = here.join("Cargo.toml").display().to_string();
        let options = parse(here, &args(&format!("--minutes 2 --text {text}"))).expect("fine");
        assert_eq!((options.minutes, options.threads), (2.0, 2));
        for wrong in ["--minutes 0", "--minutes", "--pairs 3", "--text /none"] {
            assert!(parse(here, &args(wrong)).is_err(), "{wrong}");
        }
    }
}
