//! `wright tokenizer train`, `tokenize` and `inspect` as a person runs them.

mod bench;

use bench::{Bench, stderr};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

const TALE: &str = "Once upon a time there was a fox who sang: \"grapes, grapes, grapes!\"\n";

impl Bench {
    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // Who fails early need not read.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, b"");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn train(&self, paths: &[&str], out: &str, input: &[u8]) -> Value {
        let with = ["--vocab", "280", "--json", "-o", out];
        let output = self.run(&[&["tokenizer", "train"], paths, &with].concat(), input);
        assert!(output.status.success(), "{paths:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(text.as_bytes()).unwrap();
    to.finish().unwrap()
}

#[test]
fn the_same_text_gives_the_same_tokenizer_in_whatever_it_comes() {
    let bench = Bench::new();
    let text = TALE.repeat(20);
    bench.file("plain/a.txt", &text);
    bench.file("gz/a.txt.gz", packed(&text));
    bench.file("jsonl/a.jsonl", serde_json::json!({ "text": text }).to_string());
    bench.file("page/a.html", format!("<nav>Home</nav><pre>{text}</pre><script>x</script>"));
    bench.file("mixed/a.txt", &text);
    bench.file("mixed/cut.gz", &packed(&TALE.repeat(500))[..10]);
    bench.file("mixed/photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    bench.file("mixed/empty.txt", "");
    bench.train(&["plain"], "plain.json", b"");
    let plain = fs::read(bench.path("plain.json")).unwrap();
    for name in ["gz", "jsonl", "page", "mixed"] {
        let out = format!("{name}.json");
        let said = bench.train(&[name], &out, b"");
        assert!(plain == fs::read(bench.path(&out)).unwrap(), "{name}: {said}");
    }
    bench.train(&["-"], "piped.json", &packed(&text));
    assert!(plain == fs::read(bench.path("piped.json")).unwrap(), "a pipe");
    let said = bench.train(&["mixed", "plain/a.txt"], "both.json", b"");
    let skipped = said["skipped"].as_array().unwrap();
    let skipped: Vec<&str> = skipped.iter().map(|s| s["reason"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["empty", "binary", "damaged"]);
    assert_eq!(said["documents"], 2);
}

#[test]
fn unsuitable_text_is_reported_and_nothing_is_written() {
    let bench = Bench::new();
    bench.file("b/x.bin", [0u8; 5000]);
    bench.file("small.txt", TALE);
    for (arguments, code, said) in [
        (&["nowhere"][..], 4, "nowhere"),
        (&["b"], 3, "binary (b/x.bin)"),
        (&["small.txt", "--vocab", "5000"], 3, "too short for 5000 tokens"),
        (&["small.txt", "--vocab", "100"], 2, "257"),
        (&["small.txt", "--pre", "none-such"], 2, "none-such"),
        (&["small.txt", "-o", "small.txt"], 2, "--force"),
        (&["small.txt", "-o", "b"], 2, "b is a folder"),
        (&["small.txt", "--gguf", "no/v.gguf"], 4, "folder not found: no"),
    ] {
        let output = bench.run(&[&["tokenizer", "train"], arguments].concat(), b"");
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(said) && told.contains("hint: "), "{arguments:?}: {told}");
        assert!(!bench.path("tokenizer.json").exists());
    }
    assert_eq!(fs::read(bench.path("small.txt")).unwrap(), TALE.as_bytes());
}

#[test]
fn a_vocabulary_alone_is_enough_for_all_that_needs_no_weights() {
    let bench = Bench::new();
    bench.file("a.txt", TALE.repeat(20));
    let with = ["--vocab", "290", "--gguf", "v.gguf", "--pre", "qwen2"];
    bench.says(&[&["tokenizer", "train", "a.txt"], &with[..]].concat());
    let text = "Once upon a fox, 1999 grapes\n<|endoftext|>é";
    let ids = bench.says(&["tokenize", "-m", "v.gguf", "--ids", text]);
    assert!(ids.split_whitespace().count() > 10, "{ids}");
    assert_eq!(ids, bench.says(&["tokenize", "-m", "tokenizer.json", "--ids", text]));
    assert_eq!(ids, bench.says(&["tokenize", "-m", "./tokenizer.json", "--ids", text]));
    for (file, form) in [("v.gguf", "GGUF"), ("tokenizer.json", "tokenizer.json")] {
        let said = bench.says(&["inspect", file]);
        assert!(said.contains("a vocabulary without weights"), "{said}");
        assert!(said.contains(form) && said.contains("pre-tokenizer qwen2"), "{said}");
        let said: Value = serde_json::from_str(&bench.says(&["inspect", file, "--json"])).unwrap();
        assert_eq!((&said["n_vocab"], &said["n_control"]), (&290.into(), &1.into()));
        assert_eq!(said["merges"], 290 - 257);
    }
    let output = bench.run(&["-m", "v.gguf", "Hello"], b"");
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains("a vocabulary but no weights"), "{}", stderr(&output));
}
