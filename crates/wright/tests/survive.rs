//! What happens in the midst of the work: the program is killed while it fetches, or its model's
//! file is cut, written to or deleted while it answers. The real binary, against a server on this
//! machine.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wright-model/tests/golden/llama.gguf")
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wright"));
    command
        .args(arguments)
        .env("WRIGHT_HOME", home)
        .env_remove("WRIGHT_MODEL")
        .env("NO_PROXY", "127.0.0.1")
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Serves one file, honouring ranges; the first `cut.len()` answers end after so many bytes, and
/// then the connection stands still. Each answer is told of once its bytes are on their way.
fn server(file: Vec<u8>, cut: Vec<usize>) -> (String, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/model.gguf", listener.local_addr().unwrap());
    let (told, tells) = channel();
    std::thread::spawn(move || {
        let mut still_open = Vec::new();
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let most = cut.get(number).copied().unwrap_or(usize::MAX);
            let (from, stream) = answer(stream, &file, most);
            if most < file.len() {
                still_open.push(stream);
            }
            if told.send(from).is_err() {
                return;
            }
        }
    });
    (address, tells)
}

/// Answers one request with at most `most` bytes; where its range began, and the connection.
fn answer(mut stream: TcpStream, file: &[u8], most: usize) -> (usize, TcpStream) {
    let mut from = 0;
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let line = line.unwrap_or_default().to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    let (rest, all) = (&file[from.min(file.len())..], file.len());
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nETag: \"1\"\r\nContent-Length: {}\r\n\
         Content-Range: bytes {from}-{}/{all}\r\n\r\n",
        rest.len(),
        all - 1,
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&rest[..rest.len().min(most)]);
    let _ = stream.flush();
    (from, stream)
}

/// Bytes of the partial file of a pull, once there are at least `least`.
fn wait_for_partial(models: &Path, least: u64) -> u64 {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let len = fs::metadata(models.join(".partial-model/0.part")).map_or(0, |m| m.len());
        if len >= least {
            return len;
        }
        assert!(std::time::Instant::now() < deadline, "{len} of {least} bytes came");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_killed_pull_resumes_and_leaves_no_partial_model() {
    let (home, file) = (tempfile::tempdir().unwrap(), fs::read(golden()).unwrap());
    let models = home.path().join("models");
    let (first, second) = (file.len() / 3, file.len() / 4);
    let (url, tells) = server(file.clone(), vec![first, second]);
    let mut held = 0;
    for least in [first, second] {
        let mut child = command(home.path(), &["pull", &url]).spawn().unwrap();
        assert_eq!(tells.recv().unwrap() as u64, held, "it goes on where it was killed");
        held = wait_for_partial(&models, held + least as u64);
        // SIGKILL: the program cannot know.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!models.join("model.gguf").exists());
        let shown = command(home.path(), &["models", "--json"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&shown.stdout).contains("\"model\""), "{shown:?}");
    }
    let done = command(home.path(), &["pull", &url]).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(fs::read(models.join("model.gguf")).unwrap(), file);
    let left: Vec<String> = fs::read_dir(&models)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("partial") || name.contains("staging"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A talk whose first answer was read to its end, so that the model is in use.
struct Talk {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Talk {
    fn with(model: &Path, home: &Path) -> Talk {
        let model = model.to_str().unwrap();
        let mut child = command(home, &["chat", "-m", model]).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let mut talk = Talk { child, said };
        talk.say("/set max-tokens 2\nhello\n/save first.json\n");
        let file = home.join("first.json");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !file.exists() {
            assert!(std::time::Instant::now() < deadline, "no first answer");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        talk
    }

    fn say(&mut self, words: &str) {
        // Whoever has ended reads no more.
        let _ = self.child.stdin.as_mut().unwrap().write_all(words.as_bytes());
    }

    /// Says one thing more, and hears how it ends.
    fn end(mut self) -> (Option<i32>, String) {
        self.say("and again\n");
        drop(self.child.stdin.take());
        let (mut out, mut error) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.said.read_to_string(&mut error).unwrap();
        (self.child.wait().unwrap().code(), error)
    }
}

fn in_use(change: impl Fn(&Path)) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let model = home.path().join("own.gguf");
    fs::copy(golden(), &model).unwrap();
    let talk = Talk::with(&model, home.path());
    change(&model);
    talk.end()
}

#[cfg(unix)]
#[test]
fn a_model_modified_while_in_use_exits_with_11() {
    let cut = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(9).unwrap();
    let written = |path: &Path| {
        let mut file = fs::File::options().append(true).open(path).unwrap();
        file.write_all(b"more").unwrap();
    };
    let changes: [&dyn Fn(&Path); 2] = [&cut, &written];
    for change in changes {
        let (code, said) = in_use(change);
        assert_eq!(code, Some(11), "{said}");
        assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_model_deleted_or_replaced_while_in_use_keeps_working() {
    let deleted = |path: &Path| fs::remove_file(path).unwrap();
    let replaced = |path: &Path| {
        let other = path.with_extension("other");
        fs::write(&other, "another file").unwrap();
        fs::rename(&other, path).unwrap();
    };
    let changes: [&dyn Fn(&Path); 2] = [&deleted, &replaced];
    for change in changes {
        let (code, said) = in_use(change);
        assert_eq!(code, Some(0), "{said}");
    }
}
