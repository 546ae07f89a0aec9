//! `wright plan` as a person runs it: the real binary.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn wright(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wright"));
    command.args(arguments).env("WRIGHT_HOME", folder).current_dir(folder);
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_bill_of_hardware_needs_no_data() {
    let folder = tempfile::tempdir().unwrap();
    let two_weeks = ["plan", "--hardware", "96xA100", "--minutes", "20160"];
    let said = wright(folder.path(), &two_weeks);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("32256 device hours") && text.contains("about $35482"), "{text}");
    let said = wright(folder.path(), &[&two_weeks[..], &["--json", "--price", "2"]].concat());
    let object: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(object["hardware"]["dollars"], 64_512.0);
    assert_eq!(object["hardware"]["kwh"], 12_902.4);
    assert!(!folder.path().join("plan.toml").exists(), "nothing was planned");
}

#[test]
fn failed_planning_is_reported_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["plan"][..], "DATA"),
        (&["plan", ".", "--minutes", "0"], "minutes"),
        (&["plan", "."], "report.json"),
        (&["plan", "--hardware", "9xAbacus"], "Abacus"),
        (&["train", ".", "--minutes", "1"], "no output folder"),
    ] {
        let output = wright(folder.path(), arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(told.contains("error: ") && told.contains("hint: "), "{told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
}

/// Text with some variety: sentences of words that a generator chose.
fn stories(folder: &Path) {
    let words = "the a fox crow hen king child river wood stone came went saw said old small proud \
                 never often under over with bread milk gold door night and then but because";
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    fs::create_dir(folder.join("stories")).unwrap();
    for story in 0..24 {
        let mut text = format!("# Story {story}\n\n");
        for sentence in 0..120 {
            let n = 5 + random(9);
            let chosen: Vec<&str> = (0..n).map(|_| words[random(words.len())]).collect();
            text.push_str(&format!("Then {} {}. ", sentence + story, chosen.join(" ")));
        }
        fs::write(folder.join(format!("stories/{story}.txt")), text).unwrap();
    }
}

/// Bytes of memory that a plan predicted, and what its run's log says that it was.
fn memory(plan: &str, log: &str) -> (f64, f64) {
    let predicted = plan.lines().find_map(|line| line.strip_prefix("memory_bytes = "));
    let mut log = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let was = log.find_map(|line| line["peak_memory_bytes"].as_f64());
    (predicted.unwrap().parse().unwrap(), was.unwrap())
}

#[test]
fn one_command_trains_from_text_and_resumes_by_stage() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    stories(folder.path());
    let run = |arguments: &[&str]| {
        let output = wright(folder.path(), arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), told)
    };
    let all = ["train", "stories", "--minutes", "0.05", "--out", "me"];
    let (done, told) = run(&all);
    assert!(done, "{told}");
    assert!(told.contains("packed") && told.contains("planned"), "{told}");
    let plan = fs::read_to_string(at("me/plan.toml")).unwrap();
    assert!(plan.contains("\"data/train-00000.shard\"") && plan.contains("[forecast]"), "{plan}");
    let model = fs::read(at("me/model.gguf")).unwrap();
    if cfg!(target_os = "linux") {
        let (predicted, was) = memory(&plan, &fs::read_to_string(at("me/log.jsonl")).unwrap());
        assert!((was / predicted - 1.0).abs() < 0.1, "{was} for {predicted}: planning is in it");
    }
    // Again: refused, but for --resume, which finds everything done.
    let (done, told) = run(&all);
    assert!(!done && told.contains("--resume"), "{told}");
    fs::remove_file(at("me/model.gguf")).unwrap();
    let (done, told) = run(&[&all[..], &["--resume"]].concat());
    assert!(done, "{told}");
    assert!(told.contains("already packed") && !told.contains("measuring"), "{told}");
    assert!(model == fs::read(at("me/model.gguf")).unwrap(), "the same bytes");
    // The plan and the data alone give them, too.
    let (done, told) = run(&["train", "me/data", "--plan", "me/plan.toml", "--out", "you"]);
    assert!(done, "{told}");
    assert!(model == fs::read(at("you/model.gguf")).unwrap());
    let said =
        wright(folder.path(), &["-m", "me/", "--seed", "1", "-o", "max_tokens", "8", "Then"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}
