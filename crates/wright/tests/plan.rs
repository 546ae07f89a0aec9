//! `wright plan` as a person runs it: the real binary.

use serde_json::Value;
use std::process::{Command, Output, Stdio};

fn wright(folder: &std::path::Path, arguments: &[&str]) -> Output {
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
fn what_cannot_be_planned_is_said_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["plan"][..], "DATA"),
        (&["plan", ".", "--minutes", "0"], "minutes"),
        (&["plan", "."], "packed data"),
        (&["plan", "--hardware", "9xAbacus"], "Abacus"),
        (&["train", ".", "--minutes", "1"], "not said"),
    ] {
        let output = wright(folder.path(), arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(told.contains("error: ") && told.contains("hint: "), "{told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
}
