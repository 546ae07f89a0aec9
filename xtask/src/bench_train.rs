//! `cargo xtask bench-train`: how fast is a step of training beside PyTorch?
//!
//! Both run in turn, on the same shapes with the same number of threads: whole steps (forward,
//! backward, clipping, AdamW) of a llama-shaped model in f32. PyTorch is the one of the peers'
//! environment, eager, with its fused attention. What counts is the median of the ratios of the
//! pairs, and the peak memory of the whole process. Run it on a quiet machine.
//!
//! Nothing is written unless `--write` asks for `bench/TRAINING.md`.

use crate::Failure;
use crate::bench_peers::report::{date, processor};
use crate::peers::{Peers, must_exist};
use crate::wright::said;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask bench-train [--pairs N] [--write] [SHAPE…]

shapes: 2m 7m 47m (all, if none is named)";
const PAIRS_MIN: usize = 5;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    pairs: usize,
    write: bool,
    shapes: Vec<String>,
}

/// A preset as both sides are told of it.
struct Shape {
    preset: &'static str,
    /// Layers, width, heads, heads of keys, width of the MLP, vocabulary, tokens in a row.
    numbers: [usize; 7],
    rows: usize,
    steps: usize,
    /// How many times PyTorch's rate is to be reached.
    wanted: f64,
}

const SHAPES: [Shape; 3] = [
    Shape {
        preset: "2m",
        numbers: [4, 192, 6, 2, 512, 2048, 256],
        rows: 16,
        steps: 8,
        wanted: 1.5,
    },
    Shape {
        preset: "7m",
        numbers: [6, 288, 9, 3, 768, 4096, 256],
        rows: 16,
        steps: 4,
        wanted: 1.35,
    },
    Shape {
        preset: "47m",
        numbers: [12, 576, 9, 3, 1536, 8192, 512],
        rows: 4,
        steps: 2,
        wanted: 1.25,
    },
];

/// What one run of one side told.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Told {
    tok_s: f64,
    peak_bytes: f64,
}

/// Runs the comparison and prints a table. False if a goal is missed.
///
/// # Errors
/// If the peers are not set up, a program fails, or what it writes is not understood.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    let Options { pairs, write, shapes } = parse(args)?;
    let python = Peers::locate()?.python()?;
    let ours = build(workspace)?;
    let script = workspace.join("crates/wright-train/examples/bench_train.py");
    let mut table = String::from(HEAD);
    print!("{HEAD}");
    let mut all = true;
    for shape in SHAPES.iter().filter(|s| shapes.is_empty() || shapes.iter().any(|n| n == s.preset))
    {
        let mut told = Vec::new();
        for pair in 0..pairs {
            eprint!("\rbench-train: {} pair {} of {pairs} ", shape.preset, pair + 1);
            let (rows, steps) = (shape.rows.to_string(), shape.steps.to_string());
            let wright = told_by(Command::new(&ours).args([shape.preset, &rows, &steps]))?;
            let mut torch = Command::new(&python);
            torch.arg(&script).args(shape.numbers.map(|n| n.to_string())).args([rows, steps]);
            told.push((wright, told_by(&mut torch)?));
        }
        eprintln!();
        let (line, reached) = line(shape, &told);
        print!("{line}");
        table.push_str(&line);
        all &= reached;
    }
    if write {
        fs::write(workspace.join("bench/TRAINING.md"), page(&table, pairs, &torch(&python)?)?)?;
    }
    Ok(all)
}

const HEAD: &str = "\
| model | Wright tok/s | PyTorch tok/s | ratio (least–most) | memory | pairs |
|---|---|---|---|---|---|
";

/// The whole of `bench/TRAINING.md`.
fn page(table: &str, pairs: usize, torch: &str) -> Result<String, Failure> {
    let shapes = SHAPES.iter().map(|s| {
        let [layers, width, heads, kv, ff, vocabulary, tokens] = s.numbers;
        let rows = s.rows;
        format!(
            "- {}: {layers} layers of {width}, {heads} heads ({kv} for keys), MLP of {ff}, \
             {vocabulary} tokens; {rows} rows of {tokens} a step\n",
            s.preset
        )
    });
    Ok(format!(
        "# Training beside PyTorch\n\n\
         {}, {}, 2 threads each.\n\
         Whole steps in f32 (forward, backward, clipping, AdamW) of a llama-shaped model, tied\n\
         head. PyTorch {torch} from PyPI with transformers, eager, fused attention. Medians of\n\
         {pairs} interleaved pairs; memory is the peak of the whole process. Written by\n\
         `cargo xtask bench-train --write`.\n\n{table}\n{}",
        date()?,
        processor(),
        shapes.collect::<String>()
    ))
}

/// The version of PyTorch.
fn torch(python: &Path) -> Result<String, Failure> {
    let (version, _) =
        said(Command::new(python).args(["-c", "import torch; print(torch.__version__)"]))?;
    Ok(version.trim().to_owned())
}

fn parse(args: &[String]) -> Result<Options, Failure> {
    let (mut pairs, mut write, mut shapes) = (PAIRS_MIN, false, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--pairs" => {
                let given = args.next().and_then(|n| n.parse().ok());
                pairs = given.filter(|&n| n >= PAIRS_MIN).ok_or("--pairs wants 5 or more")?;
            }
            "--write" => write = true,
            name if SHAPES.iter().any(|shape| shape.preset == name) => shapes.push(arg.clone()),
            _ => return Err(format!("`{arg}` is not known\n\n{USAGE}").into()),
        }
    }
    Ok(Options { pairs, write, shapes })
}

fn build(workspace: &Path) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--package", "wright-train", "--example"]);
    said(cargo.arg("bench_train").current_dir(workspace))?;
    let name = format!("examples/bench_train{}", std::env::consts::EXE_SUFFIX);
    must_exist(std::env::current_exe()?.with_file_name(name))
}

fn told_by(command: &mut Command) -> Result<Told, Failure> {
    let (stdout, _) = said(command)?;
    read(&stdout)
}

fn read(stdout: &str) -> Result<Told, Failure> {
    let object: Value = serde_json::from_str(stdout.trim())?;
    let number = |name: &str| object[name].as_f64().ok_or(format!("no {name} in {stdout}"));
    Ok(Told { tok_s: number("tok_s")?, peak_bytes: number("peak_bytes")? })
}

/// A row of the table, and whether the goals are reached: the rate, at half the memory or less.
fn line(shape: &Shape, told: &[(Told, Told)]) -> (String, bool) {
    let of = |f: &dyn Fn(&(Told, Told)) -> f64| sorted(told.iter().map(f).collect());
    let ratios = of(&|(a, b)| a.tok_s / b.tok_s);
    let memory = median(&of(&|(a, b)| a.peak_bytes / b.peak_bytes));
    let ratio = median(&ratios);
    let reached = ratio >= shape.wanted && memory <= 0.5;
    let text = format!(
        "| {} | {:.0} | {:.0} | {ratio:.2} ({:.2}–{:.2}), {} {} | \
         {:.0} of {:.0} MB, {memory:.2} | {} |\n",
        shape.preset,
        median(&of(&|(a, _)| a.tok_s)),
        median(&of(&|(_, b)| b.tok_s)),
        ratios[0],
        ratios[ratios.len() - 1],
        if ratio >= shape.wanted { "at least" } else { "below" },
        shape.wanted,
        median(&of(&|(a, _)| a.peak_bytes)) / 1e6,
        median(&of(&|(_, b)| b.peak_bytes)) / 1e6,
        told.len(),
    );
    (text, reached)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    (sorted[n / 2] + sorted[(n - 1) / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_answers_are_read() {
        let args = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let asked = Options { pairs: 7, write: true, shapes: vec!["47m".to_owned()] };
        assert_eq!(args("--pairs 7 --write 47m").expect("fine"), asked);
        assert!(args("--pairs 4").is_err() && args("3m").is_err());
        let told = read("{\"tok_s\": 10.5, \"peak_bytes\": 4}\n").expect("told");
        assert_eq!(told, Told { tok_s: 10.5, peak_bytes: 4.0 });
        assert!(read("{}").is_err());
    }

    #[test]
    fn a_goal_is_rate_and_memory() {
        let told = |a: f64, b: f64| Told { tok_s: a, peak_bytes: b };
        let pairs = [(told(30.0, 1e6), told(10.0, 4e6)); 5];
        let (text, reached) = line(&SHAPES[0], &pairs);
        assert!(reached && text.contains("3.00") && text.contains("0.25"), "{text}");
        assert!(!line(&SHAPES[0], &[(told(30.0, 3e6), told(10.0, 4e6)); 5]).1);
        assert!(!line(&SHAPES[0], &[(told(14.0, 1e6), told(10.0, 4e6)); 5]).1);
    }
}
