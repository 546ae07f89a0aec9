//! `wright pack` as a person runs it: the real binary over folders of good and bad files.

mod bench;

use bench::{Bench, stderr};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::Stdio;

/// A story that no other number gives.
fn story(number: u64) -> String {
    let word = |at: u64| {
        let mut z = (number * 1000 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z ^= z >> 29;
        format!("{}{}", ["fox", "crow", "wolf", "grape"][(z % 4) as usize], z >> 8 & 0xfff)
    };
    (0..120).map(word).collect::<Vec<_>>().join(" ") + ".\n"
}

impl Bench {
    #[track_caller]
    fn pack(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[&["pack", "--json"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Ended with `code`, an `error:` that says `said`, and a `hint:`; and no folder `data`.
    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32, said: &str) {
        let output = self.command(&[&["pack", "-o", "data"], arguments].concat()).output().unwrap();
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains("error: ") && told.contains("hint: "), "{told}");
        assert!(told.contains(said), "{told}");
        assert!(!self.path("data").exists() && !self.path("data.partial").exists());
    }

    /// Lines of the manifest.
    fn manifest(&self, folder: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(folder).join("manifest.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn a_mixed_folder_is_packed_and_everything_is_accounted_for() {
    let bench = Bench::new();
    for number in 0..40 {
        bench.file(&format!("in/stories/{number:02}.txt"), story(number));
    }
    bench.file("in/stories/LICENSE", "Permission is hereby granted, free of charge … \"AS IS\"");
    bench.file("in/copy.txt", story(3));
    let near = story(5).replacen("fox", "vixen", 1);
    bench.file("in/near.md", format!("---\ntitle: Near\nlicense: ISC\n---\n{near}"));
    bench.file("in/page.html", format!("<nav>Menu</nav><p>{}</p><script>x</script>", story(50)));
    let lines: String = (60..62)
        .map(|n| serde_json::json!({ "text": story(n), "license": "CC0-1.0" }).to_string() + "\n")
        .collect();
    bench.file("in/more.jsonl", lines + "not json\n");
    bench.file("in/photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    bench.file("in/empty.txt", "");
    bench.file("in/short.txt", "Hi.");
    bench.file(
        "in/latin.txt",
        format!("{} caf\u{e9}", story(70)).chars().map(|c| c as u8).collect::<Vec<u8>>(),
    );
    bench.file("in/.hidden", "x");
    let report = bench.pack(&["in", "-o", "data", "-t", "bytes", "--licence", "CC-BY-4.0"]);
    assert_eq!(report["found"]["documents"], 40 + 7);
    let dropped = report["dropped"].as_array().unwrap();
    let dropped: Vec<(&str, u64)> = dropped
        .iter()
        .map(|d| (d["reason"].as_str().unwrap(), d["documents"].as_u64().unwrap()))
        .collect();
    assert_eq!(dropped, [("exact-duplicate", 1), ("near-duplicate", 1), ("too-short", 1)]);
    let skipped = report["skipped"].as_array().unwrap();
    let mut skipped: Vec<&str> = skipped.iter().map(|s| s["reason"].as_str().unwrap()).collect();
    skipped.sort_unstable();
    assert_eq!(skipped, ["bad-line", "binary", "empty", "hidden"]);
    assert_eq!(report["encodings"]["windows-1252"], 1);
    let kept = report["train"]["documents"].as_u64().unwrap()
        + report["validation"]["documents"].as_u64().unwrap();
    assert_eq!(kept, 44);
    assert!(report["validation"]["documents"].as_u64().unwrap() >= 1);
    let manifest = bench.manifest("data");
    assert_eq!(manifest.len(), 44);
    let licence = |source: &str| {
        let entry = manifest.iter().find(|entry| entry["source"] == source).unwrap();
        entry["licence"].as_str().unwrap().to_owned()
    };
    assert_eq!(licence("in/stories/07.txt"), "MIT");
    assert_eq!(licence("in/more.jsonl"), "CC0-1.0");
    assert_eq!(licence("in/page.html"), "CC-BY-4.0");
    for name in ["train-00000.shard", "validation.shard", "tokenizer.json", "report.json"] {
        assert!(bench.path("data").join(name).is_file(), "{name}");
    }
}

#[test]
fn what_many_documents_have_stays_in_the_first_and_short_lines_stay() {
    let bench = Bench::new();
    let notice = "This text is free for everyone to read, to keep and to hand on, in part or \
                  whole, as long as this notice stays with it and nobody is told that it was \
                  written by somebody else than by its author, who would like to hear what you \
                  think of it.";
    let refrain = "\"Who are you, and why do you seek me?\"";
    for number in 0..6 {
        let text = format!("{notice}\n\n{refrain}\n\n{}\n{refrain}\n", story(number));
        bench.file(&format!("in/{number}.txt"), text);
    }
    bench.file("in/7.txt", format!("{notice}\n\nThe end.\n"));
    let all = ["in", "-t", "bytes", "-o"];
    let report = bench.pack(&[&all[..], &["data", "--threads", "1"]].concat());
    let gone = &report["boilerplate"];
    assert_eq!((gone["paragraphs"].as_u64(), gone["documents"].as_u64()), (Some(1), Some(6)));
    assert_eq!(gone["bytes"].as_u64().unwrap() as usize, 6 * (notice.len() + 2));
    assert_eq!(gone["examples"][0]["source"], "in/0.txt");
    assert_eq!(report["dropped"][0]["reason"], "boilerplate");
    let manifest = bench.manifest("data");
    let lost = manifest.iter().filter(|entry| entry["boilerplate_bytes"].is_u64());
    assert_eq!((lost.count(), manifest.len()), (5, 6));
    let packed: Vec<u8> = fs::read(bench.path("data/train-00000.shard")).unwrap();
    let times = |text: &str| {
        let ids: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0]).collect();
        packed.windows(ids.len()).filter(|window| *window == ids).count()
    };
    assert!(times(notice) <= 1 && times(refrain) >= 2 * 5, "a shard holds ids of two bytes");
    bench.pack(&[&all[..], &["three", "--threads", "3"]].concat());
    let [one, three] = ["data", "three"].map(|f| fs::read(bench.path(f).join("manifest.jsonl")));
    assert!(one.unwrap() == three.unwrap(), "threads change a byte");
    let kept = bench.pack(&[&all[..], &["kept", "--keep-boilerplate"]].concat());
    assert_eq!(kept["boilerplate"]["documents"], 0);
    assert_eq!(bench.manifest("kept").len(), 7);
}

#[test]
fn threads_do_not_affect_results_and_folders_are_replaced_only_with_force() {
    let bench = Bench::new();
    for number in 0..30 {
        bench.file(&format!("in/{number:02}.txt"), story(number));
    }
    bench.pack(&["in", "-o", "one", "-t", "bytes", "--threads", "1"]);
    bench.pack(&["in", "-o", "four", "-t", "bytes", "--threads", "4"]);
    for entry in fs::read_dir(bench.path("one")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let [one, four] = ["one", "four"].map(|f| fs::read(bench.path(f).join(&name)).unwrap());
        assert!(one == four, "{name} differs");
    }
    let again = bench.command(&["pack", "in", "-o", "one", "-t", "bytes"]).output().unwrap();
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    assert!(stderr(&again).contains("--force"));
    bench.pack(&["in", "-o", "one", "-t", "bytes", "--force"]);
    assert_eq!(fs::read_dir(bench.path("")).unwrap().count(), 3, "nothing half written");
    // A packed folder within the input is not packed again.
    bench.pack(&[".", "-o", "all", "-t", "bytes"]);
    assert!(bench.manifest("all").iter().all(|e| !e["source"].as_str().unwrap().contains("one")));
}

#[test]
fn books_are_told_apart_and_held_out_by_sections_and_nothing_is_lost() {
    let bench = Bench::new();
    let book = |from: u64| (from..from + 60).map(|n| story(n) + "\n").collect::<String>();
    let books = [book(0), book(100), book(200)];
    let text: String =
        books.iter().enumerate().map(|(n, text)| format!("# Title: Book {n}\n\n{text}")).collect();
    let mut child = bench
        .command(&["pack", "-", "-o", "data", "-t", "bytes", "--json"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["found"]["documents"], 3);
    assert!(report["split"]["sections"].as_u64().unwrap() >= 1, "{report}");
    let manifest = bench.manifest("data");
    let bytes: u64 = manifest.iter().map(|entry| entry["bytes"].as_u64().unwrap()).sum();
    assert_eq!(bytes, report["found"]["bytes"].as_u64().unwrap());
    let parts: Vec<&Value> = manifest.iter().filter(|e| e["part_of"].is_object()).collect();
    assert!(parts.len() >= 2);
    assert!(manifest.iter().any(|entry| entry["title"] == "Book 1"));
    // A token a byte, and one that ends each document.
    let tokens: u64 = manifest.iter().map(|entry| entry["tokens"].as_u64().unwrap()).sum();
    assert_eq!(tokens, bytes + manifest.len() as u64);
}

#[test]
fn failed_packing_says_why_and_leaves_nothing() {
    let bench = Bench::new();
    bench.fails(&["nowhere"], 4, "nowhere");
    bench.file("empty/x.txt", "");
    bench.fails(&["empty"], 3, "no text to train on");
    bench.file("binary/x.bin", [0u8; 5000]);
    bench.fails(&["binary"], 3, "binary");
    bench.file("small.txt", "A single line of a few words, and no more than that.");
    bench.fails(&["small.txt"], 3, "not enough");
    bench.file("same.txt", "The same line again.\n".repeat(500));
    bench.fails(&["same.txt"], 3, "repeated-lines");
    bench.file("good.txt", story(1).repeat(3));
    bench.fails(&["good.txt", "-t", "nothing.json", "--no-filters"], 4, "nothing.json");
    bench.fails(&["good.txt", "--holdout", "90"], 2, "--holdout");
    // Neither a file nor a folder of something else is replaced.
    bench.file("other/x", "mine");
    let output = bench.command(&["pack", "good.txt", "-o", "other", "--force"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(fs::read(bench.path("other/x")).unwrap(), b"mine");
}
