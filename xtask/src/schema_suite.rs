//! `cargo xtask schema-suite`: our validator against the official JSON-Schema-Test-Suite.
//!
//! The suite comes out of the source package of the Python library `jsonschema`, which is fetched
//! once into the cache folder. A group (one schema with its tests) is *right* if every test in it
//! gets the verdict that the suite asks for, *refused* if the schema is refused by name, and
//! *wrong* otherwise. One wrong group of draft 2020-12 makes the chore fail.

use crate::Failure;
use crate::peers::Peers;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wright_chat::schema::Schema;

/// The package that ships the suite; `json/tests` in it.
const PACKAGE: &str = "jsonschema";
const VERSION: &str = "4.26.0";

/// What became of the groups of one file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    right: usize,
    refused: usize,
    wrong: usize,
}

impl Tally {
    fn n_groups(&self) -> usize {
        self.right + self.refused + self.wrong
    }

    fn add(&mut self, other: Tally) {
        self.right += other.right;
        self.refused += other.refused;
        self.wrong += other.wrong;
    }
}

/// What became of one group.
enum Verdict {
    Right,
    Refused(String),
    /// The tests that went wrong.
    Wrong(Vec<String>),
}

/// Runs the required part of the drafts that `args` name, or of all that are read.
///
/// # Errors
/// If the suite cannot be fetched or read.
pub fn run(args: &[String]) -> Result<bool, Failure> {
    let suite = fetch()?;
    let drafts = ["draft2020-12", "draft2019-09", "draft7", "draft6", "draft4"];
    let mut is_right = true;
    for draft in drafts {
        if !args.is_empty() && !args.iter().any(|arg| arg == draft) {
            continue;
        }
        let total = report(&suite.join(draft), draft)?;
        is_right &= draft != "draft2020-12" || total.wrong == 0;
    }
    Ok(is_right)
}

/// The folder of the suite's tests, fetched if it is not there.
pub fn fetch() -> Result<PathBuf, Failure> {
    let peers = Peers::locate()?;
    let tests = peers.path(&format!("{PACKAGE}-{VERSION}/json/tests"));
    if tests.is_dir() {
        return Ok(tests);
    }
    let downloads = peers.path("dl");
    fs::create_dir_all(&downloads)?;
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE, "--dest"])
        .arg(&downloads)
        .arg(format!("{PACKAGE}=={VERSION}"))
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("pip could not download {PACKAGE} {VERSION} ({status})").into());
    }
    let archive = downloads.join(format!("{PACKAGE}-{VERSION}.tar.gz"));
    let reader = flate2::read::GzDecoder::new(fs::File::open(&archive)?);
    tar::Archive::new(reader).unpack(peers.path(""))?;
    Ok(tests)
}

/// Prints one draft's table, and returns its total.
fn report(folder: &Path, draft: &str) -> Result<Tally, Failure> {
    println!("{draft}, required part\n{:26} right  refused  wrong", "");
    let mut total = Tally::default();
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in files(folder)? {
        let mut tally = Tally::default();
        for group in groups(&file)? {
            match judge(&group, draft) {
                Verdict::Right => tally.right += 1,
                Verdict::Refused(why) => {
                    tally.refused += 1;
                    *refusals.entry(why).or_default() += 1;
                }
                Verdict::Wrong(tests) => {
                    tally.wrong += 1;
                    wrong.extend(tests);
                }
            }
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        println!("{name:26} {:5}  {:7}  {:5}", tally.right, tally.refused, tally.wrong);
        total.add(tally);
    }
    let n = total.n_groups();
    println!("{:26} {:5}  {:7}  {:5}  of {n}", "all", total.right, total.refused, total.wrong);
    refusals.iter().for_each(|(why, n)| println!("refused {n:3}  {why}"));
    wrong.iter().for_each(|test| println!("wrong       {test}"));
    println!();
    Ok(total)
}

/// The suite's files of one draft, by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The groups of one file.
pub fn groups(file: &Path) -> Result<Vec<Value>, Failure> {
    let text = fs::read_to_string(file)?;
    match serde_json::from_str(&text)? {
        Value::Array(groups) => Ok(groups),
        _ => Err(format!("{} holds no list of groups", file.display()).into()),
    }
}

/// Judges one group. In the older drafts most schemas do not say which draft they are of.
fn judge(group: &Value, draft: &str) -> Verdict {
    let mut schema = group["schema"].clone();
    if let Some(keywords) = schema.as_object_mut() {
        keywords.entry("$schema").or_insert_with(|| dialect(draft).into());
    }
    let schema = match Schema::compile(&schema) {
        Ok(schema) => schema,
        Err(error) => return Verdict::Refused(kind(&error.to_string())),
    };
    let mut wrong = Vec::new();
    for test in group["tests"].as_array().into_iter().flatten() {
        let is_valid = schema.validate(&test["data"]).is_ok();
        if Value::Bool(is_valid) != test["valid"] {
            wrong.push(format!(
                "{} / {}: {}",
                group["description"], test["description"], test["data"]
            ));
        }
    }
    if wrong.is_empty() { Verdict::Right } else { Verdict::Wrong(wrong) }
}

/// The name of a draft in schemas.
fn dialect(draft: &str) -> String {
    let version = draft.trim_start_matches("draft");
    match version.len() {
        1 => format!("http://json-schema.org/draft-0{version}/schema#"),
        _ => format!("https://json-schema.org/draft/{version}/schema"),
    }
}

/// A refusal without what is particular to one schema: quoted text and pointers.
fn kind(message: &str) -> String {
    let mut kind = String::new();
    for (i, part) in message.split('"').enumerate() {
        kind.push_str(if i % 2 == 0 { part } else { "…" });
    }
    match kind.split_once(" at ") {
        Some((before, after)) => {
            let after = after.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{before} … {after}").replace("the top ", "")
        }
        None => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_group_is_right_refused_or_wrong() {
        let group = |schema: Value, valid: bool| {
            json!({"description": "g", "schema": schema, "tests": [
                {"description": "t", "data": 3, "valid": valid}
            ]})
        };
        assert!(matches!(judge(&group(json!({"maximum": 3}), true), "draft7"), Verdict::Right));
        assert!(matches!(
            judge(&group(json!({"maximum": 3}), false), "draft2020-12"),
            Verdict::Wrong(_)
        ));
        let remote = judge(&group(json!({"$ref": "http://a.b/c"}), true), "draft2020-12");
        let Verdict::Refused(why) = remote else { panic!("compiled") };
        assert_eq!(kind(&why), why, "a kind is its own kind");
        assert!(why.contains("another document") && !why.contains("a.b"), "{why}");
    }
}
