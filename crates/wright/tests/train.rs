//! `wright shard` and `wright train` as a person runs them: the real binary, killed, interrupted,
//! out of disk space, and with invalid requests.

mod bench;

use bench::{Bench, stderr};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

/// A model of some thousand weights, on plain bytes.
const CONFIG: &str = "\
[model]
n_layer = 2
n_embd = 32
n_head = 2
n_kv_head = 1
n_ff = 48
n_ctx = 24
[data]
train = [\"text.shard\"]
validation = [\"text.shard\"]
tokenizer = \"bytes\"
[train]
steps = 60
batch = 4
micro_batch = 2
warmup = 5
checkpoint_every = 7
validate_every = 30
threads = 1
";

impl Bench {
    /// With a text, its shard and a configuration.
    fn ready() -> Self {
        let bench = Bench::new();
        let rhyme = "The cat sat on the mat.\nThe rat sat on the cat.\n--\nA hat, a bat!\n";
        bench.file("text.txt", rhyme.repeat(40).as_bytes());
        let made = bench.wright(&["shard", "text.txt", "-t", "bytes", "-o", "text.shard"]);
        assert!(made.status.success(), "{}", stderr(&made));
        bench.file("run.toml", CONFIG.as_bytes());
        bench
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn wright(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn train(&self, arguments: &[&str]) -> Output {
        let output = self.wright(&[&["train"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        output
    }

    /// Ended with `code`, an `error:` that says `said`, and a `hint:`.
    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32, said: &str) {
        let output = self.wright(arguments);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains("error: ") && told.contains("hint: "), "{told}");
        assert!(told.contains(said), "{told}");
        assert!(output.stdout.is_empty(), "no work was done");
    }
}

/// The lines of a log that steps wrote, without what depends on the clock.
fn losses(bytes: &[u8]) -> Vec<(u64, String)> {
    let text = String::from_utf8_lossy(bytes);
    let objects = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let steps = objects.filter(|object| object.get("rate").is_some());
    steps.map(|object| (object["step"].as_u64().unwrap(), object["loss"].to_string())).collect()
}

#[test]
fn kill_9_and_resume_give_the_bytes_of_an_uninterrupted_run() {
    let bench = Bench::ready();
    bench.train(&["run.toml", "--out", "whole"]);
    // Moments that a generator chose: after so many more steps, and a part of the next.
    let mut state = 12345u64;
    let mut random = |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    let log_len = || bench.path("killed/log.jsonl").metadata().map_or(0, |log| log.len());
    let mut killed = 0;
    for _ in 0..10 {
        let arguments = ["train", "run.toml", "--out", "killed", "--resume", "--threads", "2"];
        let mut child = bench.command(&arguments).spawn().unwrap();
        let (start, more) = (log_len(), random(14) * 150);
        while log_len() < start + more && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(Duration::from_micros(random(4000)));
        // SIGKILL: the program cannot know.
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
    }
    assert!(killed >= 3, "the run is too short to be killed: {killed}");
    bench.train(&["run.toml", "--out", "killed", "--resume"]);
    for name in ["checkpoint", "model.gguf", "model/model.safetensors"] {
        let [whole, killed] = ["whole", "killed"].map(|run| bench.bytes(&format!("{run}/{name}")));
        assert!(whole == killed, "{name} differs");
    }
    let [whole, killed] = ["whole", "killed"].map(|run| bench.bytes(&format!("{run}/log.jsonl")));
    assert_eq!(losses(&whole), losses(&killed), "each step is in the log once");
    assert_eq!(losses(&whole).len(), 60);
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_how_to_resume() {
    let bench = Bench::ready();
    let long = CONFIG.replace("steps = 60", "steps = 100000");
    bench.file("long.toml", long.as_bytes());
    let child = bench.command(&["train", "long.toml"]).spawn().unwrap();
    let begun = || bench.path("long/log.jsonl").metadata().is_ok_and(|log| log.len() > 2000);
    while !begun() {
        thread::sleep(Duration::from_millis(5));
    }
    let said = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(said.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("wright train long.toml --resume"), "{}", stderr(&output));
    assert!(bench.path("long/interrupted").is_file());
    bench.fails(&["train", "long.toml"], 2, "contains a training run at step");
    let shorter = long.replace("100000", "100001");
    bench.file("long.toml", shorter.as_bytes());
    bench.fails(&["train", "long.toml", "--resume"], 3, "train.steps");
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_that_was_saved() {
    let bench = Bench::ready();
    bench.train(&["run.toml", "--out", "whole"]);
    // Files may grow to some KiB, which the log keeps to and a checkpoint does not.
    let shell = |limit: u32, rest: &str| {
        let program = env!("CARGO_BIN_EXE_wright");
        let script = format!("trap '' XFSZ; ulimit -f {limit}; exec {program} {rest}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(bench.path(""));
        command.env("WRIGHT_HOME", bench.path("")).output().unwrap()
    };
    let first = bench.command(&["train", "run.toml", "--out", "full"]).spawn().unwrap();
    while !bench.path("full/checkpoint").is_file() {
        thread::sleep(Duration::from_millis(2));
    }
    let mut first = first;
    first.kill().unwrap();
    first.wait().unwrap();
    let before = bench.bytes("full/checkpoint");
    let output = shell(64, "train run.toml --out full --resume");
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(10), "{told}");
    assert!(told.contains("was not saved") && told.contains("hint: "), "{told}");
    assert!(bench.bytes("full/checkpoint") == before, "what was saved is as it was");
    assert!(!bench.path("full/checkpoint.partial").exists());
    bench.train(&["run.toml", "--out", "full", "--resume"]);
    assert!(bench.bytes("full/model.gguf") == bench.bytes("whole/model.gguf"));
}

#[test]
fn two_trainings_in_one_folder_are_refused() {
    let bench = Bench::ready();
    let long = CONFIG.replace("steps = 60", "steps = 100000");
    bench.file("long.toml", long.as_bytes());
    let mut child = bench.command(&["train", "long.toml"]).spawn().unwrap();
    while !bench.path("long/log.jsonl").is_file() {
        thread::sleep(Duration::from_millis(2));
    }
    bench.fails(&["train", "long.toml", "--resume"], 12, "another training run is using long");
    child.kill().unwrap();
    child.wait().unwrap();
    bench.train(&["run.toml", "--out", "other"]);
}

#[test]
fn mistakes_are_reported_before_training_starts() {
    let bench = Bench::ready();
    let with = |from: &str, to: &str| {
        assert!(CONFIG.contains(from));
        bench.file("bad.toml", CONFIG.replace(from, to).as_bytes());
    };
    for (from, to, said) in [
        ("warmup", "warmpu", "did you mean \"warmup\"?"),
        ("n_layer", "n_layers", "did you mean \"n_layer\"?"),
        ("[train]", "[trian]", "did you mean \"train\"?"),
        ("n_layer = 2", "preset = \"3m\"", "did you mean \"2m\"?"),
        ("n_layer = 2", "n_vocab = 300", "vocabulary of 257 tokens, and the model has 300"),
        ("n_head = 2", "n_head = 3\nn_kv_head = 2", "duplicate key"),
        ("warmup = 5", "learning_rate = nan", "learning_rate"),
        ("steps = 60", "steps = 0", "steps is 0"),
        ("n_embd = 32", "n_embd = -1", "n_embd"),
    ] {
        with(from, to);
        bench.fails(&["train", "bad.toml"], 3, said);
    }
    assert!(!bench.path("bad").exists(), "nothing was begun");
    with("\"text.shard\"", "\"none.shard\"");
    bench.fails(&["train", "bad.toml"], 4, "none.shard");
    bench.fails(&["train", "none.toml"], 4, "none.toml");
    let mut shard = bench.bytes("text.shard");
    shard[8] = 9;
    bench.file("newer.shard", &shard);
    with("train = [\"text.shard\"]", "train = [\"newer.shard\"]");
    bench.fails(&["train", "bad.toml"], 3, "version 9; this program reads version 1");
    (shard[8], shard[100]) = (1, shard[100] ^ 1);
    bench.file("newer.shard", &shard);
    bench.fails(&["train", "bad.toml"], 3, "damaged");
    bench.file("newer.shard", b"hello");
    bench.fails(&["train", "bad.toml"], 3, "not a shard");
    let tokenizer = r#"{"added_tokens":[{"id":256,"content":"<|endoftext|>","special":true}],
        "pre_tokenizer":{"type":"ByteLevel"},
        "model":{"type":"BPE","vocab":{"a":0},"merges":[]}}"#;
    bench.file("other.json", tokenizer.as_bytes());
    with("\"bytes\"", "\"other.json\"");
    bench.fails(&["train", "bad.toml"], 3, "another tokenizer");
    bench.file("other.json", b"{}");
    bench.fails(&["train", "bad.toml"], 3, "other.json");
    bench.file("taken", b"");
    bench.fails(&["train", "run.toml", "--out", "taken"], 10, "taken");
    bench.fails(&["shard", "text.txt", "-t", "none.json", "-o", "x"], 4, "none.json");
    bench.file("blank.txt", b" \n");
    bench.fails(&["shard", "blank.txt", "-t", "bytes", "-o", "x"], 3, "no text");
}

#[test]
fn costs_and_steps_are_reported_and_the_result_generates() {
    let bench = Bench::ready();
    let planned = bench.train(&["run.toml", "--dry-run"]);
    let text = String::from_utf8(planned.stdout).unwrap();
    for word in ["parameters", "times the data", "memory", "a checkpoint"] {
        assert!(text.contains(word), "{text}");
    }
    assert!(!bench.path("run").exists(), "--dry-run makes nothing");
    let told = String::from_utf8(bench.train(&["run.toml", "--json"]).stdout).unwrap();
    let objects: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = &objects[0];
    let names = ["step", "loss", "rate", "gradient_norm", "tok_s", "gflop_s", "peak_share"];
    for name in names.into_iter().chain(["elapsed_s", "left_s"]) {
        assert!(first[name].is_number(), "{name} in {first}");
    }
    let last = objects.last().unwrap();
    assert_eq!((&last["done"], &last["step"]), (&true.into(), &60.into()));
    let loss = last["validation_loss"].as_f64().unwrap();
    assert!(loss < 5.0);
    // Each token is a byte but for those that end documents, of which this text has one.
    let bits = last["bits_per_byte"].as_f64().unwrap();
    let all = objects.iter().find(|object| object["all"] == true).unwrap();
    let [tokens, bytes] =
        ["validation_tokens", "validation_bytes"].map(|n| all[n].as_f64().unwrap());
    assert_eq!(tokens, bytes + 1.0);
    assert!((bits - loss * tokens / bytes / std::f64::consts::LN_2).abs() < 1e-9);
    if cfg!(target_os = "linux") {
        assert!(last["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    }
    let log = String::from_utf8(bench.bytes("run/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), objects.len(), "the log has what --json tells");
    assert_eq!(log.lines().last(), told.lines().last());
    assert!(bench.train(&["run.toml", "--resume"]).stdout.ends_with(b"model.gguf\n"), "again");
    let arguments = ["-m", "run/model.gguf", "--raw", "--max-tokens", "4", "The cat"];
    let answer = bench.wright(&arguments);
    assert!(answer.status.success() && !answer.stdout.is_empty(), "{}", stderr(&answer));
    let tokens = bench.wright(&["tokenize", "-m", "run/model.gguf", "--ids", "cat"]);
    assert_eq!(String::from_utf8_lossy(&tokens.stdout).trim(), "99 97 116");
    assert!(Path::new(&bench.path("run/model/tokenizer.json")).is_file());
}

#[test]
fn samples_show_what_is_learnt_and_change_nothing() {
    let bench = Bench::ready();
    let often = CONFIG.replace("threads = 1", "sample_every = 5\nsample_prompts = [\"The \"]");
    bench.file("often.toml", often.as_bytes());
    bench.file("never.toml", CONFIG.replace("threads = 1", "sample_every = 0").as_bytes());
    let samples = |run: &str, more: &[&str]| {
        let told = bench.train(&[&[run, "--json"], more].concat()).stdout;
        let told = String::from_utf8(told).unwrap();
        let objects = told.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        let samples = objects.filter(|object| object["samples"].is_array());
        samples.collect::<Vec<_>>()
    };
    let seen = samples("often.toml", &["--threads", "2"]);
    assert_eq!(seen.len(), 12);
    assert_eq!((&seen[1]["step"], &seen[1]["samples"][0]["prompt"]), (&10.into(), &"The ".into()));
    assert_ne!(seen[0]["samples"], seen[11]["samples"], "the model learns");
    let again = samples("often.toml", &["--threads", "1", "--out", "again"]);
    assert_eq!(seen, again, "the seed is always the same");
    assert!(samples("never.toml", &[]).is_empty());
    assert!(
        bench.bytes("often/model/model.safetensors")
            == bench.bytes("never/model/model.safetensors")
    );
    // What it wrote last is what the result writes.
    let arguments =
        ["-m", "often/model.gguf", "--raw", "--max-tokens", "80", "--seed", "1", "The "];
    let answer = bench.wright(&arguments);
    let last = seen[11]["samples"][0]["text"].as_str().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout).trim_end(), last.trim_end());
    // Without a prompt, the beginning of a held-out document serves.
    bench.file("run.toml", CONFIG.as_bytes());
    let own = samples("run.toml", &[]);
    assert_eq!(own[9]["samples"][0]["prompt"], "The cat sat");
}

#[test]
fn the_report_is_self_contained_and_exists_during_the_run() {
    let bench = Bench::ready();
    let evil = "sample_prompts = [\"<script>alert(1)</script>\"]\nsample_tokens = 4";
    bench.file("run.toml", CONFIG.replace("threads = 1", evil).as_bytes());
    bench.train(&["run.toml"]);
    let page = String::from_utf8(bench.bytes("run/report.html")).unwrap();
    for word in ["finished after 60 steps", "What went in", "GFLOP/s", "SHA-256", "n_layer = 2"] {
        assert!(page.contains(word), "{word}");
    }
    for outside in ["<script", "<link", "<img", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)"), "it says what the prompt was");
    assert!(String::from_utf8(bench.bytes("run/curve.svg")).unwrap().starts_with("<svg"));
    let long = CONFIG.replace("steps = 60", "steps = 100000");
    bench.file("long.toml", long.as_bytes());
    let mut child = bench.command(&["train", "long.toml"]).spawn().unwrap();
    while !bench.path("long/report.html").is_file() {
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let page = String::from_utf8(bench.bytes("long/report.html")).unwrap();
    assert!(page.contains("in progress: step 7 of 100000"));
}
