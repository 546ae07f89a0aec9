//! `cargo xtask bench-tokenizer`: are trained vocabularies those of Hugging Face's `tokenizers`,
//! and how fast do they come?
//!
//! Both sides have the same texts in memory, the same number of threads, and run in turn. Timed are
//! training (from texts to merges) and encoding of the same texts with the result. The merges and
//! the number of tokens must be equal; what counts of the times is the median of the ratios. Run it
//! on a quiet machine.

mod corpus;

use crate::Failure;
use crate::peers::Peers;
use crate::wright::said;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use wright_text::bpe_trainer::{BpeTrainer, DEFAULT_PRE, MIN_FREQUENCY};

const USAGE: &str = "\
usage: cargo xtask bench-tokenizer [--pairs N] [--threads N] [--vocab N] [--pre NAME]
                                   [--text FILE] [CORPUS…]

corpora: stories (12 MB of books; docs/training.md says how to get the file for --text), packages
(100 MB of documentation and sources from the Rust toolchain, cargo's registry and the peers' Python
packages); default: both";
const CORPORA: &[&str] = &["stories", "packages"];
/// How many times the peer's rate is to be reached.
const WANTED: f64 = 2.0;

/// What was asked for.
struct Options {
    pairs: usize,
    threads: usize,
    /// None: several for each corpus.
    vocab: Option<usize>,
    pre: String,
    /// The file of the corpus `stories`.
    text: PathBuf,
    corpora: Vec<&'static str>,
}

impl Options {
    fn parse(workspace: &Path, args: &[String]) -> Result<Self, Failure> {
        let threads = wright_host::machine::usable_processors();
        let pre = DEFAULT_PRE.to_owned();
        let text = workspace.join("../shared/data/kids-stories.txt.xz");
        let corpora = Vec::new();
        let mut options = Options { pairs: 3, threads, vocab: None, pre, text, corpora };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--pairs" => options.pairs = number(arg, value()?)?,
                "--threads" => options.threads = number(arg, value()?)?,
                "--vocab" => options.vocab = Some(number(arg, value()?)?),
                "--pre" => value()?.clone_into(&mut options.pre),
                "--text" => options.text = PathBuf::from(value()?),
                name => match CORPORA.iter().find(|corpus| **corpus == name) {
                    Some(corpus) => options.corpora.push(corpus),
                    None => return Err(format!("`{arg}` is not known\n\n{USAGE}").into()),
                },
            }
        }
        if options.corpora.is_empty() {
            options.corpora = CORPORA.to_vec();
        }
        Ok(options)
    }
}

fn number(arg: &str, value: &str) -> Result<usize, Failure> {
    let number = value.parse().ok().filter(|&n| n > 0);
    Ok(number.ok_or_else(|| format!("{arg} wants a number"))?)
}

/// What one run of one side took and gave.
struct Run {
    /// The part `model` of the tokenizer.json.
    model: Value,
    train_s: f64,
    encode_s: f64,
    n_ids: u64,
}

struct Bench<'a> {
    options: &'a Options,
    workspace: &'a Path,
    peers: Peers,
    /// Texts of the corpus, and the file that has them for the peer.
    texts: Vec<String>,
}

/// Trains and compares.
///
/// # Errors
/// If the peers are not set up, or a corpus cannot be put together.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    let options = Options::parse(workspace, args)?;
    let peers = Peers::locate()?;
    fs::create_dir_all(peers.path("tokenizer"))?;
    println!(
        "{:10}{:>7}{:>8}{:>9}{:>9}{:>19}{:>9}{:>9}{:>19}  merges and tokens",
        "corpus", "MB", "vocab", "train s", "peer", "ratio", "encode s", "peer", "ratio"
    );
    let mut is_fine = true;
    for name in &options.corpora {
        let texts = match *name {
            "stories" => corpus::stories(&options.text)?,
            _ => corpus::packages(&peers)?,
        };
        let Some(texts) = texts else {
            println!("{name:10} skipped: {} does not exist; use --text", options.text.display());
            continue;
        };
        let bench = Bench { options: &options, workspace, peers: peers.clone(), texts };
        bench.write_corpus()?;
        let usual: &[usize] = if *name == "stories" { &[1024, 4096, 16384] } else { &[32768] };
        for vocab in options.vocab.map_or(usual.to_vec(), |vocab| vec![vocab]) {
            is_fine &= bench.compare(name, vocab)?;
        }
    }
    Ok(is_fine)
}

impl Bench<'_> {
    fn write_corpus(&self) -> Result<(), Failure> {
        let lines: Result<Vec<String>, _> = self.texts.iter().map(serde_json::to_string).collect();
        Ok(fs::write(self.peers.path("tokenizer/corpus.jsonl"), lines?.join("\n"))?)
    }

    fn compare(&self, name: &str, vocab: usize) -> Result<bool, Failure> {
        let mut pairs = Vec::new();
        for _ in 0..self.options.pairs {
            pairs.push((self.ours(vocab)?, self.theirs(vocab)?));
        }
        let is_equal = pairs.iter().all(|(ours, theirs)| {
            ours.n_ids == theirs.n_ids
                && ours.model["merges"] == theirs.model["merges"]
                && ours.model["vocab"] == theirs.model["vocab"]
        });
        let train = Ratio::of(pairs.iter().map(|(a, b)| (a.train_s, b.train_s)).collect());
        let encode = Ratio::of(pairs.iter().map(|(a, b)| (a.encode_s, b.encode_s)).collect());
        let n_bytes: usize = self.texts.iter().map(String::len).sum();
        let n_vocab = pairs[0].0.model["vocab"].as_object().map_or(0, serde_json::Map::len);
        println!(
            "{name:10}{:>7.1}{n_vocab:>8}{train}{encode}  {}",
            n_bytes as f64 / 1e6,
            if is_equal { "equal" } else { "DIFFERENT" }
        );
        Ok(is_equal && train.median >= WANTED)
    }

    fn ours(&self, vocab: usize) -> Result<Run, Failure> {
        let start = Instant::now();
        let mut trainer = BpeTrainer::new(&self.options.pre, self.options.threads)?;
        self.texts.iter().for_each(|text| trainer.feed(text));
        let trained = trainer.train(vocab, &["<|endoftext|>"])?;
        let train_s = start.elapsed().as_secs_f64();
        let tokenizer = trained.tokenizer()?;
        let start = Instant::now();
        let (next, n_ids) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            while let Some(text) = self.texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                n_ids.fetch_add(tokenizer.encode(text).len(), Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| (0..self.options.threads).for_each(|_| _ = scope.spawn(work)));
        let encode_s = start.elapsed().as_secs_f64();
        let mut json = trained.json();
        let model = json["model"].take();
        Ok(Run { model, train_s, encode_s, n_ids: n_ids.into_inner() as u64 })
    }

    fn theirs(&self, vocab: usize) -> Result<Run, Failure> {
        let path = |name: &str| self.peers.path("tokenizer").join(name);
        let mut skeleton = BpeTrainer::new(&self.options.pre, 1)?.train(257, &["<|x|>"])?.json();
        skeleton["added_tokens"] = json!([]);
        fs::write(path("skeleton.json"), skeleton.to_string())?;
        let mut command = Command::new(self.peers.python()?);
        command
            .arg(self.workspace.join("xtask/peers/bpe_training.py"))
            .args([path("corpus.jsonl"), path("skeleton.json")])
            .args([vocab.to_string(), MIN_FREQUENCY.to_string()])
            .arg(path("theirs.json"))
            .env("RAYON_NUM_THREADS", self.options.threads.to_string())
            .env("TOKENIZERS_PARALLELISM", "true");
        let told: Value = serde_json::from_str(&said(&mut command)?.0)?;
        let mut json: Value = serde_json::from_str(&fs::read_to_string(path("theirs.json"))?)?;
        let number = |name: &str| told[name].as_f64().ok_or(format!("no {name} in {told}"));
        Ok(Run {
            model: json["model"].take(),
            train_s: number("train_s")?,
            encode_s: number("encode_s")?,
            n_ids: number("n_ids")? as u64,
        })
    }
}

/// Seconds of both sides, and how many times as fast ours is.
struct Ratio {
    ours: f64,
    theirs: f64,
    least: f64,
    median: f64,
    most: f64,
}

impl Ratio {
    fn of(pairs: Vec<(f64, f64)>) -> Self {
        let mut ratios: Vec<f64> = pairs.iter().map(|(ours, theirs)| theirs / ours).collect();
        ratios.sort_by(f64::total_cmp);
        let best = |side: fn(&(f64, f64)) -> f64| pairs.iter().map(side).fold(f64::MAX, f64::min);
        let n = ratios.len();
        Ratio {
            ours: best(|pair| pair.0),
            theirs: best(|pair| pair.1),
            least: ratios[0],
            median: (ratios[n / 2] + ratios[(n - 1) / 2]) / 2.0,
            most: ratios[n - 1],
        }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ratio = format!("{:.1} ({:.1}–{:.1})", self.median, self.least, self.most);
        write!(f, "{:>9.2}{:>9.2}{ratio:>19}", self.ours, self.theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_ratios() {
        let parse = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            Options::parse(Path::new(""), &words)
        };
        let options = parse("--pairs 5 stories --vocab 512").expect("fine");
        assert_eq!((options.pairs, options.vocab), (5, Some(512)));
        assert_eq!(options.corpora, ["stories"]);
        assert_eq!(parse("").expect("fine").corpora, CORPORA);
        assert!(parse("--pairs 0").is_err() && parse("novels").is_err());
        let ratio = Ratio::of(vec![(1.0, 4.0), (2.0, 4.0), (1.0, 9.0)]);
        assert_eq!((ratio.least, ratio.median, ratio.most), (2.0, 4.0, 9.0));
        assert_eq!((ratio.ours, ratio.theirs), (1.0, 4.0));
    }
}
