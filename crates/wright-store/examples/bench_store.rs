//! How fast the memory is when it is large.
//!
//! `bench_store generate MEMORY N` writes N turns, `bench_store log MEMORY` logs a thousand more
//! and tells what one takes, `bench_store search MEMORY` runs each of 140 searches in a process of
//! its own, and `bench_store find MEMORY WORDS` is such a process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use wright_chat::{FinishReason, Message, Request, Response, Usage};
use wright_store::{Filter, NewTurn, Place, SqliteStore, Store};

type Failure = Box<dyn std::error::Error>;

const START_MS: i64 = 1_700_000_000_000;
/// Words in the vocabulary; the first of them stand in many turns, the last ones in few.
const N_WORDS: u64 = 60_000;
const N_COMMON: u64 = 60;
const HAN: &str =
    "東京都大阪京神戸名古屋札幌福岡仙台広島今日天気明日昨日学生先生電車自転車図書館病院";

/// A small generator of numbers that are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A pronounceable word for a number.
fn word(mut number: u64) -> String {
    let mut word = String::new();
    loop {
        word.push(char::from(b"bdfgklmnprstvz"[(number % 14) as usize]));
        word.push(char::from(b"aeiou"[(number / 14 % 5) as usize]));
        number /= 70;
        if number == 0 {
            return word;
        }
    }
}

fn sentence(numbers: &mut Numbers, n_words: u64) -> String {
    let mut words = Vec::new();
    for _ in 0..n_words {
        let rank = match numbers.below(4) {
            0 | 1 => numbers.below(N_COMMON),
            2 => numbers.below(4000),
            // The square makes later words rarer.
            _ => numbers.below(N_WORDS) * numbers.below(N_WORDS) / N_WORDS,
        };
        words.push(word(rank + 70));
    }
    words.join(" ")
}

fn han(numbers: &mut Numbers) -> String {
    let chars: Vec<char> = HAN.chars().collect();
    (0..6).map(|_| chars[numbers.below(chars.len() as u64) as usize]).collect()
}

fn generate(path: &Path, n_turns: u64) -> Result<(), Failure> {
    let mut store = SqliteStore::open(path)?;
    let mut numbers = Numbers(1);
    let started = Instant::now();
    let mut place: Option<String> = None;
    let mut said: Vec<Message> = Vec::new();
    for turn in 0..n_turns {
        if numbers.below(3) == 0 || said.len() > 12 {
            (place, said) = (None, Vec::new());
        }
        let n_words = 5 + numbers.below(15);
        let mut prompt = sentence(&mut numbers, n_words);
        if numbers.below(20) == 0 {
            prompt = format!("{prompt} {}", han(&mut numbers));
        }
        if turn % 20_000 == 0 {
            prompt.push_str(&format!(" rareword{}", turn / 20_000 % 50));
        }
        said.push(Message::user(prompt));
        let n_words = 20 + numbers.below(40);
        let answer = Message::assistant(sentence(&mut numbers, n_words));
        let request = Request::chat(said.clone());
        let response = Response::new(answer.clone(), FinishReason::Stop, Usage::default());
        let time_ms = START_MS + turn as i64 * 30_000;
        let model = ["a-model", "b-model", "c-model"][numbers.below(3) as usize];
        let mut new = NewTurn::new(model, "local", &request, &response, time_ms);
        new.place = place.as_deref().map_or(Place::New, Place::In);
        place = Some(store.log(&new)?.conversation);
        said.push(answer);
        if (turn + 1) % 50_000 == 0 {
            eprintln!("{} turns, {:.0} s", turn + 1, started.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// Nanoseconds that this process has been on a processor.
fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

fn log(path: &Path) -> Result<(), Failure> {
    let mut store = SqliteStore::open(path)?;
    let mut numbers = Numbers(2);
    let mut each = Vec::new();
    for turn in 0..1000 {
        let request = Request::chat(vec![Message::user(sentence(&mut numbers, 15))]);
        let answer = Message::assistant(sentence(&mut numbers, 40));
        let response = Response::new(answer, FinishReason::Stop, Usage::default());
        let before = processor_ns();
        store.log(&NewTurn::new("a-model", "local", &request, &response, START_MS * 2 + turn))?;
        each.push(processor_ns() - before);
    }
    let mean_us = each.iter().sum::<u64>() as f64 / each.len() as f64 / 1e3;
    each.sort_unstable();
    let us = |at: usize| each[at] as f64 / 1e3;
    println!(
        "log a turn: {mean_us:.0} µs of processor time on average, median {:.0}, p95 {:.0}, most \
         {:.0}",
        us(500),
        us(950),
        us(999)
    );
    Ok(())
}

/// Searches of each kind.
fn searches() -> Vec<(&'static str, Vec<String>)> {
    let mut numbers = Numbers(3);
    let common = |at: u64| word(at % N_COMMON + 70);
    let han: Vec<char> = HAN.chars().collect();
    let pair = |at: usize| han[at % 40..at % 40 + 2].iter().collect::<String>();
    vec![
        ("rare", (0..50).map(|at| format!("rareword{at}")).collect()),
        ("common", (0..50).map(common).collect()),
        (
            "two",
            (0..10)
                .map(|at| format!("{} {}", common(at), common(at + 20)))
                .chain(
                    (0..10).map(|at| format!("{} {}", common(at), word(numbers.below(4000) + 70))),
                )
                .collect(),
        ),
        ("unspaced", (0..20).map(pair).collect()),
    ]
}

fn find(path: &Path, words: &str) -> Result<(), Failure> {
    let store = SqliteStore::open(path)?;
    let filter = Filter { limit: Some(10), ..Filter::words(words) };
    let turns = store.turns(&filter)?;
    println!("{}", turns.len());
    Ok(())
}

fn search(path: &Path) -> Result<(), Failure> {
    let store = SqliteStore::open(path)?;
    println!(
        "{} turns in {} MB",
        store.stats()?.iter().map(|day| day.n_turns).sum::<u64>(),
        std::fs::metadata(path)?.len() / 1_000_000
    );
    drop(store);
    let mut all = Vec::new();
    for (kind, queries) in searches() {
        let mut times = Vec::new();
        let mut n_rows = 0;
        for words in &queries {
            let started = Instant::now();
            let output = Command::new(std::env::current_exe()?)
                .args(["find".as_ref(), path.as_os_str(), words.as_ref()])
                .stderr(Stdio::inherit())
                .output()?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            n_rows += String::from_utf8_lossy(&output.stdout).trim().parse::<usize>()?;
        }
        all.extend_from_slice(&times);
        report(kind, &mut times, n_rows);
    }
    report("all", &mut all, 0);
    Ok(())
}

fn report(kind: &str, times: &mut [f64], n_rows: usize) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    println!(
        "{kind:9} {:3} searches: median {:6.1} ms, p95 {:6.1} ms, most {:6.1} ms, {n_rows} rows",
        times.len(),
        at(0.5),
        at(0.95),
        at(1.0)
    );
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["generate", path, n_turns] => generate(Path::new(path), n_turns.parse()?),
        ["log", path] => log(Path::new(path)),
        ["search", path] => search(Path::new(path)),
        ["find", path, words] => find(Path::new(path), words),
        _ => Err("usage: bench_store generate MEMORY N | log MEMORY | search MEMORY".into()),
    }
}
