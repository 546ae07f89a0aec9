//! `cargo xtask bench-quantize`: are Wright's quantized files what llama.cpp's are, and how fast
//! do they come?
//!
//! For each file type both programs make a file of the same F32 model. Compared are the type of
//! every tensor (they must be equal), perplexity by one judge (`llama-perplexity`), the time of
//! both (the best of some runs in turn) and the largest memory that each took.
//!
//! Time is told twice: until the program ends, and until its file is on the disk. Wright ends when
//! it is there; llama.cpp leaves that to the system.

use crate::Failure;
use crate::parity::{corpus, llama_perplexity};
use crate::peers::Peers;
use crate::wright;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wright_model::{Bytes, Gguf};

const USAGE: &str = "\
usage: cargo xtask bench-quantize [--runs N] [--threads N] [--windows N] [--imatrix] [TYPE…]";
const TYPES: &[&str] = &[
    "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1",
    "Q4_0", "IQ4_NL", "IQ4_XS", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K",
];

/// What was asked for.
struct Options {
    runs: usize,
    threads: usize,
    windows: usize,
    imatrix: bool,
    types: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, Failure> {
        let threads = wright_host::machine::usable_processors();
        let mut options =
            Options { runs: 3, threads, windows: 12, imatrix: false, types: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut number = || -> Result<usize, Failure> {
                let number = args.next().and_then(|value| value.parse().ok()).filter(|&n| n > 0);
                Ok(number.ok_or_else(|| format!("{arg} wants a number"))?)
            };
            match arg.as_str() {
                "--runs" => options.runs = number()?,
                "--threads" => options.threads = number()?,
                "--windows" => options.windows = number()?,
                "--imatrix" => options.imatrix = true,
                name if TYPES.contains(&name) => options.types.push(arg.clone()),
                _ => return Err(format!("`{arg}` is not known\n\n{USAGE}").into()),
            }
        }
        if options.types.is_empty() {
            options.types = TYPES.iter().map(|&name| name.to_owned()).collect();
        }
        Ok(options)
    }
}

/// One program's file and what it cost.
struct Made {
    path: PathBuf,
    /// Until the program ended.
    time: Duration,
    /// Until the file was on the disk.
    on_disk: Duration,
    /// The largest resident memory that was seen, in bytes.
    memory: u64,
}

struct Bench {
    options: Options,
    peers: Peers,
    wright: PathBuf,
    /// SmolLM2 in F32.
    source: PathBuf,
    corpus: PathBuf,
    imatrix: Option<PathBuf>,
}

/// Makes and compares the files.
///
/// # Errors
/// If the peers are not set up, or a program fails.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    let options = Options::parse(args)?;
    let peers = Peers::locate()?;
    let wright = wright::build(workspace)?;
    let folder = peers.path("quantize");
    std::fs::create_dir_all(&folder)?;
    let source = folder.join("smol-F32.gguf");
    if !source.is_file() {
        let from = peers.smol()?;
        wright::said(
            Command::new(&wright).arg("quantize").arg(from).args(["F32", "-o"]).arg(&source),
        )?;
    }
    let corpus = corpus::write(&peers)?;
    let mut bench = Bench { options, peers, wright, source, corpus, imatrix: None };
    if bench.options.imatrix {
        bench.imatrix = Some(bench.collect(&folder)?);
    }
    println!(
        "{:8}{:>8}{:>8}{:>7}{:>9}{:>8}{:>7}{:>9}{:>8}{:>10}{:>10}  types",
        "type",
        "s ours",
        "theirs",
        "ratio",
        "on disk",
        "theirs",
        "ratio",
        "MB ours",
        "theirs",
        "ppl ours",
        "theirs"
    );
    let mut all_equal = true;
    for name in bench.options.types.clone() {
        all_equal &= bench.compare(&folder, &name)?;
    }
    Ok(all_equal)
}

impl Bench {
    fn compare(&self, folder: &Path, name: &str) -> Result<bool, Failure> {
        let (ours, theirs) = self.make_both(folder, name)?;
        let differing = differing(&ours.path, &theirs.path)?;
        let (our_ppl, their_ppl) = (self.perplexity(&ours.path)?, self.perplexity(&theirs.path)?);
        let mb = [&ours, &theirs].map(|made| made.memory / 1_000_000);
        let verdict = match differing.as_slice() {
            [] => "equal".to_owned(),
            [first, ..] => format!("{} differ, such as {first}", differing.len()),
        };
        let times = |time: fn(&Made) -> Duration| {
            let [a, b] = [&ours, &theirs].map(|made| time(made).as_secs_f64());
            format!("{a:>8.2}{b:>8.2}{:>7.2}", b / a)
        };
        println!(
            "{name:8}{} {}{:>9}{:>8}{our_ppl:>10.4}{their_ppl:>10.4}  {verdict}",
            times(|made| made.time),
            times(|made| made.on_disk),
            mb[0],
            mb[1]
        );
        for made in [ours, theirs] {
            std::fs::remove_file(made.path)?;
        }
        Ok(differing.is_empty())
    }

    /// Both files, made in turn; of each the best time.
    fn make_both(&self, folder: &Path, name: &str) -> Result<(Made, Made), Failure> {
        let (our_path, their_path) = (folder.join("ours.gguf"), folder.join("theirs.gguf"));
        let threads = self.options.threads.to_string();
        let mut best: Option<(Made, Made)> = None;
        for _ in 0..self.options.runs {
            let mut ours = Command::new(&self.wright);
            ours.arg("quantize").arg(&self.source).args([name, "--threads", &threads]);
            ours.arg("-o").arg(&our_path);
            let mut theirs = Command::new(self.peers.program("llama-quantize")?);
            if let Some(imatrix) = &self.imatrix {
                ours.arg("--imatrix").arg(imatrix);
                theirs.arg("--imatrix").arg(imatrix);
            }
            theirs.arg(&self.source).arg(&their_path).args([name, &threads]);
            let ours = watched(ours, &our_path)?;
            let theirs = watched(theirs, &their_path)?;
            best = Some(match best {
                None => (ours, theirs),
                Some((a, b)) => (a.better(ours), b.better(theirs)),
            });
        }
        best.ok_or_else(|| "at least one run".into())
    }

    fn perplexity(&self, path: &Path) -> Result<f64, Failure> {
        let windows = Some(self.options.windows);
        llama_perplexity(&self.peers, &self.corpus, self.options.threads, path, windows)
    }

    /// An importance matrix by Wright, which both programs then read.
    fn collect(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let path = folder.join("imatrix.gguf");
        let mut command = Command::new(&self.wright);
        command.arg("imatrix").arg(&self.corpus).arg("-m").arg(&self.source);
        wright::said(command.args(["--windows", "40", "--force", "-o"]).arg(&path))?;
        Ok(path)
    }
}

impl Made {
    fn better(self, other: Made) -> Made {
        let memory = self.memory.max(other.memory);
        let (time, on_disk) = (self.time.min(other.time), self.on_disk.min(other.on_disk));
        Made { time, on_disk, memory, path: self.path }
    }
}

/// Runs a program that makes the file `path`, and looks at its memory until it ends.
fn watched(mut command: Command, path: &Path) -> Result<Made, Failure> {
    // Neither is to give the system the pages of an older file back.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut memory = 0;
    let status = loop {
        memory = memory.max(resident(child.id()).unwrap_or(0));
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let time = started.elapsed();
    if !status.success() {
        return Err(format!("{} failed: {status}", command.get_program().display()).into());
    }
    File::open(path)?.sync_all()?;
    Ok(Made { path: path.to_owned(), time, on_disk: started.elapsed(), memory })
}

/// The most memory that a process ever held, in bytes, where the system says so.
fn resident(process: u32) -> Option<u64> {
    let said = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = said.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Tensors whose type or shape is not the same in both files.
fn differing(ours: &Path, theirs: &Path) -> Result<Vec<String>, Failure> {
    let [ours, theirs] = [table(ours)?, table(theirs)?];
    let names = ours.keys().chain(theirs.keys());
    let mut differing: Vec<String> =
        names.filter(|name| ours.get(*name) != theirs.get(*name)).cloned().collect();
    differing.dedup();
    Ok(differing)
}

fn table(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let bytes: Arc<dyn Bytes> = Arc::new(std::fs::read(path)?);
    let gguf = Gguf::parse(&bytes)?;
    Ok(gguf
        .tensors
        .iter()
        .map(|t| (t.name.clone(), format!("{} {}", t.dtype, t.shape())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let parse = |line: &str| {
            Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        let options = parse("--runs 2 Q4_K_M --imatrix --threads 1").expect("fine");
        assert_eq!((options.runs, options.threads, options.imatrix), (2, 1, true));
        assert_eq!(options.types, ["Q4_K_M"]);
        assert_eq!(parse("").expect("fine").types.len(), TYPES.len());
        assert!(parse("--runs 0").is_err() && parse("Q9").is_err());
    }

    #[test]
    fn the_memory_of_a_process_is_found() {
        if cfg!(target_os = "linux") {
            assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        }
    }
}
