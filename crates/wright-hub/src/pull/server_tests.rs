//! Pulls over HTTP from a server on this machine that misbehaves in every way that is promised to
//! be survived.

use super::*;
use crate::catalogue::HttpFile;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use wright_host::Silent;
use wright_model::DType;
use wright_model::gguf_writer::{Field, GgufHeader, TensorHeader};

/// A request as the server saw it.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub number: usize,
    pub path: String,
    /// Where the range begins that was asked for.
    pub from: usize,
    pub if_range: Option<String>,
    pub authorization: Option<String>,
}

/// Answers a request on its connection, well or badly.
type Answer = dyn Fn(&Asked, &mut TcpStream) + Send + Sync;

/// A server that answers every request by one function, and remembers them.
pub(super) struct Server {
    pub address: String,
    pub seen: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer): (_, Arc<Answer>) = (Arc::clone(&seen), Arc::new(answer));
        let number = AtomicUsize::new(0);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = number.fetch_add(1, Ordering::SeqCst);
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let Some(asked) = read_request(&stream, number) else { return };
                    log.lock().unwrap().push(asked.clone());
                    answer(&asked, &mut stream);
                });
            }
        });
        Server { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream, number: usize) -> Option<Asked> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut asked = Asked { number, path, ..Asked::default() };
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let from = value.strip_prefix("bytes=").and_then(|v| v.strip_suffix('-'));
                asked.from = from.and_then(|n| n.parse().ok()).unwrap_or(0);
            }
            "if-range" => asked.if_range = Some(value.to_owned()),
            "authorization" => asked.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(asked)
}

pub(super) fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    // Whoever hung up need not be told.
    let _ = stream
        .write_all(format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n").as_bytes());
    let _ = stream.write_all(body);
}

/// As a sane server does it: the rest from where it was asked for, of this version of the file.
pub(super) fn serve(asked: &Asked, stream: &mut TcpStream, file: &[u8], tag: &str) {
    serve_some(asked, stream, file, tag, usize::MAX);
}

/// As [`serve`], but the connection ends after some bytes of the body.
pub(super) fn serve_some(
    asked: &Asked,
    stream: &mut TcpStream,
    file: &[u8],
    tag: &str,
    most: usize,
) {
    let same = asked.if_range.as_deref().is_none_or(|t| t == tag);
    let from = if same { asked.from } else { 0 };
    if from > 0 && from >= file.len() {
        return send(stream, "416 Range Not Satisfiable", "Content-Length: 0\r\n", b"");
    }
    let rest = &file[from..];
    let (status, range) = match from {
        0 => ("200 OK", String::new()),
        _ => {
            let (last, all) = (file.len() - 1, file.len());
            ("206 Partial Content", format!("Content-Range: bytes {from}-{last}/{all}\r\n"))
        }
    };
    let headers = format!("{range}Content-Length: {}\r\nETag: {tag}\r\n", rest.len());
    send(stream, status, &headers, &rest[..rest.len().min(most)]);
}

/// A sound little GGUF file.
pub(super) fn model() -> Vec<u8> {
    let mut plan = GgufHeader::new();
    plan.set("general.architecture", &Field::Str("llama".into()));
    let dims = vec![64, 40];
    plan.tensors.push(TensorHeader { name: "w".into(), dims, dtype: DType::F32 });
    let mut file = plan.encode().unwrap();
    file.extend((0..64 * 40).flat_map(|i| (i as f32).to_le_bytes()));
    file
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits that are short enough for a test.
const HASTY: Limits = Limits {
    connect: Duration::from_secs(2),
    answer: Duration::from_millis(1500),
    stall: Duration::from_millis(300),
    pause: Duration::from_millis(1),
    attempts: 3,
};

pub(super) fn means(server: &Server) -> Means<'static> {
    let places = Places {
        hub: server.address.clone(),
        token: Some("secret".into()),
        registry: server.address.clone(),
    };
    Means { pips: &[], client: Client::new(HASTY), places, reporter: &Silent }
}

/// An entry for one file at `path`, with what is known of it beforehand.
pub(super) fn entry(server: &Server, path: &str, known: Option<&[u8]>) -> Entry {
    let file = HttpFile {
        url: server.url(path),
        bytes: known.map(|bytes| bytes.len() as u64),
        sha256: known.map(hash),
        is_hub: false,
    };
    Entry {
        name: "tiny".into(),
        aliases: vec!["tiny".into()],
        title: "Tiny".into(),
        about: String::new(),
        chat: true,
        arch: String::new(),
        file: "tiny.gguf".into(),
        bytes: known.map_or(0, |bytes| bytes.len() as u64),
        sha256: known.map(hash).unwrap_or_default(),
        licence: "MIT".into(),
        licence_note: "free".into(),
        sampling: Default::default(),
        seen_in: String::new(),
        sources: vec![Source::Http { files: vec![file] }],
    }
}

pub(super) fn pull(server: &Server, entry: &Entry, models: &Path) -> Result<PathBuf, Error> {
    ensure(entry, models, &Interrupt::default(), &means(server))
}

pub(super) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Pulls a file of known hash from a server that answers so, and expects it whole.
fn expect_whole(answer: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Server {
    let server = Server::start(answer);
    let models = folder();
    let file = model();
    let path = pull(&server, &entry(&server, "/m.gguf", Some(&file)), models.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), file);
    assert!(!models.path().join(".partial-tiny").exists(), "what is done with is removed");
    server
}

/// Pulls from a server that answers so, and expects a failure that keeps nothing under the name.
fn expect_failure(
    known: Option<&[u8]>,
    answer: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static,
) -> (Error, Server) {
    let server = Server::start(answer);
    let models = folder();
    let failure = pull(&server, &entry(&server, "/m.gguf", known), models.path()).unwrap_err();
    assert!(!models.path().join("tiny.gguf").exists());
    assert!(failure.hint().is_some(), "{failure:?}");
    (failure, server)
}

#[test]
fn a_sane_server_serves_once() {
    let server = expect_whole(|asked, stream| serve(asked, stream, &model(), "\"1\""));
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.seen()[0].authorization, None, "no token for strangers");
}

#[test]
fn a_download_cut_off_at_any_byte_resumes_there() {
    for most in [1, 7, 1000, 5000, model().len() - 1] {
        // The first five answers are cut short, wherever they begin.
        let server = expect_whole(move |asked, stream| {
            let most = if asked.number < 5 { most } else { usize::MAX };
            serve_some(asked, stream, &model(), "\"1\"", most);
        });
        let asked = server.seen();
        assert!(asked.len() > 1 && asked.windows(2).all(|pair| pair[1].from > pair[0].from));
        assert_eq!((asked[1].from, asked[1].if_range.as_deref()), (most, Some("\"1\"")));
    }
}

#[test]
fn a_later_pull_goes_on_where_a_killed_one_ended() {
    let (models, file) = (folder(), model());
    let partial = models.path().join(".partial-tiny");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("0.part"), &file[..4000]).unwrap();
    fs::write(partial.join("0.part.tag"), "\"1\"").unwrap();
    let server = Server::start(|asked, stream| serve(asked, stream, &model(), "\"1\""));
    let path = pull(&server, &entry(&server, "/m.gguf", Some(&file)), models.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), file);
    assert_eq!(server.seen().iter().map(|a| a.from).collect::<Vec<_>>(), [4000]);
}

#[test]
fn another_version_on_the_server_is_fetched_from_its_beginning() {
    let (models, file) = (folder(), model());
    let partial = models.path().join(".partial-tiny");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("0.part"), vec![9; 4000]).unwrap();
    fs::write(partial.join("0.part.tag"), "\"old\"").unwrap();
    let server = Server::start(|asked, stream| serve(asked, stream, &model(), "\"new\""));
    let path = pull(&server, &entry(&server, "/m.gguf", Some(&file)), models.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), file);
}

#[test]
fn a_server_that_ignores_ranges_still_serves() {
    expect_whole(|asked, stream| {
        let most = if asked.number == 0 { 3000 } else { usize::MAX };
        serve_some(&Asked { from: 0, ..asked.clone() }, stream, &model(), "\"1\"", most);
    });
}

#[test]
fn a_server_that_sends_another_range_is_not_believed() {
    expect_whole(|asked, stream| match (asked.number, asked.from) {
        (0, _) => serve_some(asked, stream, &model(), "\"1\"", 3000),
        (_, 0) => serve(asked, stream, &model(), "\"1\""),
        (_, from) => serve(&Asked { from: from - 5, ..asked.clone() }, stream, &model(), "\"1\""),
    });
}

#[test]
fn a_partial_file_that_is_too_long_is_restarted() {
    let (models, file) = (folder(), model());
    let partial = models.path().join(".partial-tiny");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("0.part"), vec![0; file.len() + 9]).unwrap();
    let server = Server::start(|asked, stream| serve(asked, stream, &model(), "\"1\""));
    let path = pull(&server, &entry(&server, "/m.gguf", Some(&file)), models.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), file);
}

#[test]
fn redirects_are_followed_but_not_in_a_loop() {
    let server = expect_whole(|asked, stream| match asked.path.as_str() {
        "/m.gguf" => send(stream, "302 Found", "Location: /x?sig=1\r\nContent-Length: 0\r\n", b""),
        _ => serve(asked, stream, &model(), "\"1\""),
    });
    assert_eq!(server.seen().len(), 2);
    let (failure, server) = expect_failure(None, |_, stream| {
        send(stream, "302 Found", "Location: /m.gguf\r\nContent-Length: 0\r\n", b"");
    });
    assert_eq!(failure.kind(), ErrorKind::Download);
    assert!(server.seen().len() < 40);
}

#[test]
fn a_stalled_download_ends_and_resumes() {
    let server = expect_whole(|asked, stream| {
        let stalls = asked.number == 0;
        serve_some(asked, stream, &model(), "\"1\"", if stalls { 2000 } else { usize::MAX });
        if stalls {
            std::thread::sleep(Duration::from_secs(5));
        }
    });
    assert_eq!(server.seen()[1].from, 2000);
    let (failure, _) = expect_failure(None, |_, _| std::thread::sleep(Duration::from_secs(20)));
    assert_eq!(failure.kind(), ErrorKind::Download);
}

#[test]
fn a_false_length_is_detected() {
    // Less comes than was said: it is asked for again, and never taken for whole.
    let (failure, server) = expect_failure(None, |_, stream| {
        send(stream, "200 OK", "Content-Length: 99999\r\n", &model());
    });
    assert_eq!(failure.kind(), ErrorKind::Download, "{failure:?}");
    assert!(server.seen().len() >= 3);
    // Another length than the hub told.
    let file = model();
    let (failure, _) = expect_failure(Some(&file), |_, stream| {
        send(stream, "200 OK", "Content-Length: 5\r\n", b"GGUF!");
    });
    assert_eq!(failure.kind(), ErrorKind::WrongHash);
    // No length, and far too much.
    let (failure, _) = expect_failure(Some(&file), |_, stream| {
        send(stream, "200 OK", "", &vec![7; 1 << 20]);
    });
    assert_eq!(failure.kind(), ErrorKind::WrongHash);
    // No length, and the file ends within a tensor.
    let (failure, _) = expect_failure(None, |_, stream| {
        send(stream, "200 OK", "", &model()[..5000]);
    });
    assert_eq!(failure.kind(), ErrorKind::BadModel);
}

#[test]
fn a_web_page_is_not_a_model() {
    for headers in ["Content-Type: text/html; charset=utf-8\r\n", ""] {
        let (failure, server) = expect_failure(None, move |_, stream| {
            send(stream, "200 OK", headers, b"<!DOCTYPE html><html>Please log in</html>");
        });
        assert_eq!(failure.kind(), ErrorKind::Download);
        assert!(failure.to_string().contains("web page"), "{}", failure.to_string());
        assert_eq!(server.seen().len(), 1, "no second attempt");
    }
}

#[test]
fn other_bytes_are_a_wrong_hash_and_are_not_resumed() {
    let mut other = model();
    other[3000] ^= 1;
    let (failure, server) =
        expect_failure(Some(&model()), move |asked, stream| serve(asked, stream, &other, "\"1\""));
    assert_eq!(failure.kind(), ErrorKind::WrongHash);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn what_the_server_says_no_to_is_told_apart() {
    for (status, exit, times) in [
        ("404 Not Found", ErrorKind::NotFound, 1),
        ("401 Unauthorized", ErrorKind::Download, 1),
        ("403 Forbidden", ErrorKind::Download, 1),
        ("503 Service Unavailable", ErrorKind::Download, 3),
        ("429 Too Many Requests", ErrorKind::Download, 3),
    ] {
        let (failure, server) = expect_failure(None, move |_, stream| {
            send(stream, status, "Content-Length: 0\r\n", b"")
        });
        assert_eq!((failure.kind(), server.seen().len()), (exit, times), "{status}");
    }
    let (failure, _) = expect_failure(None, |_, stream| {
        let _ = stream.write_all(b"no HTTP at all\r\n\r\n");
    });
    assert_eq!(failure.kind(), ErrorKind::Download);
}

#[test]
fn a_server_that_is_not_there_is_a_failed_download() {
    let server = Server { address: "http://127.0.0.1:1".into(), seen: Arc::default() };
    let models = folder();
    let failure = pull(&server, &entry(&server, "/m.gguf", None), models.path()).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Download);
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let server = Server::start(|asked, stream| {
        std::thread::sleep(Duration::from_millis(200));
        serve(asked, stream, &model(), "\"1\"");
    });
    let models = folder();
    let entry = entry(&server, "/m.gguf", Some(&model()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| pull(&server, &entry, models.path()).unwrap());
        }
    });
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn ctrl_c_ends_a_pull_and_keeps_what_came() {
    let server = Server::start(|asked, stream| {
        serve_some(asked, stream, &model(), "\"1\"", 2000);
        std::thread::sleep(Duration::from_secs(5));
    });
    let (models, interrupt) = (folder(), Interrupt::default());
    let entry = entry(&server, "/m.gguf", Some(&model()));
    let failure = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(150));
            interrupt.set();
        });
        ensure(&entry, models.path(), &interrupt, &means(&server)).unwrap_err()
    });
    assert_eq!(failure.kind(), ErrorKind::Interrupted);
    let kept = fs::read(models.path().join(".partial-tiny/0.part")).unwrap();
    assert_eq!(kept, model()[..2000]);
}

/// A hub with one repository of two files, of which one is in two parts.
fn hub(asked: &Asked, stream: &mut TcpStream) {
    let file = model();
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    match path {
        "/api/models/org/repo/revision/main" => {
            assert_eq!(query, "blobs=true");
            let listing = format!(
                r#"{{"sha":"c0ffee","cardData":{{"license":"apache-2.0"}},"siblings":[
                {{"rfilename":"README.md","size":5}},
                {{"rfilename":"m-Q8_0.gguf","size":{0},"lfs":{{"sha256":"{1}","size":{0}}}}},
                {{"rfilename":"m-Q4_0.gguf","size":{0},"lfs":{{"sha256":"{2}","size":{0}}}}}]}}"#,
                file.len(),
                hash(&file),
                "0".repeat(64)
            );
            let headers = format!("Content-Length: {}\r\n", listing.len());
            send(stream, "200 OK", &headers, listing.as_bytes());
        }
        "/org/repo/resolve/c0ffee/m-Q8_0.gguf" | "/org/repo/resolve/c0ffee/m-Q4_0.gguf" => {
            serve(asked, stream, &file, "\"1\"");
        }
        _ => send(stream, "404 Not Found", "Content-Length: 0\r\n", b""),
    }
}

fn resolved(server: &Server, text: &str) -> Result<Entry, Error> {
    let means = means(server);
    resolve(&Reference::parse(text).unwrap(), &means.client, &means.places)
}

#[test]
fn a_repository_of_the_hub_is_resolved_and_fetched_with_the_token() {
    let server = Server::start(hub);
    let models = folder();
    let entry = resolved(&server, "org/repo:q8_0").unwrap();
    assert_eq!((entry.file.as_str(), entry.licence.as_str()), ("m-Q8_0.gguf", "apache-2.0"));
    let path = pull(&server, &entry, models.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), model());
    assert!(server.seen().iter().all(|a| a.authorization.as_deref() == Some("Bearer secret")));
    let (about, _) = receipt::find(models.path(), "hf:org/repo:q8_0").unwrap();
    assert_eq!((about.sha256, about.licence), (hash(&model()), "apache-2.0".into()));

    let lying = resolved(&server, "org/repo:Q4_0").unwrap();
    assert_eq!(pull(&server, &lying, models.path()).unwrap_err().kind(), ErrorKind::WrongHash);
    assert_eq!(resolved(&server, "org/repo:Q2_K").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(resolved(&server, "org/other").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_model_of_ollamas_registry_is_resolved_and_fetched() {
    let digest = hash(&model());
    let manifest = format!(
        r#"{{"layers":[{{"mediaType":"application/vnd.ollama.image.model",
        "digest":"sha256:{digest}","size":{}}},
        {{"mediaType":"application/vnd.ollama.image.license","digest":"sha256:{}","size":9}}]}}"#,
        model().len(),
        "ab".repeat(32)
    );
    let server = Server::start(move |asked, stream| match asked.path.as_str() {
        "/v2/library/tiny/manifests/1b" => {
            let headers = format!("Content-Length: {}\r\n", manifest.len());
            send(stream, "200 OK", &headers, manifest.as_bytes());
        }
        path if path.ends_with(&"ab".repeat(32)) => {
            send(stream, "200 OK", "Content-Length: 9\r\n", b"Apache 2\n");
        }
        path if path.ends_with(&digest) => serve(asked, stream, &model(), "\"1\""),
        _ => send(stream, "404 Not Found", "Content-Length: 0\r\n", b""),
    });
    let models = folder();
    let entry = resolved(&server, "ollama://tiny:1b").unwrap();
    assert_eq!((entry.file.as_str(), entry.licence.as_str()), ("tiny-1b.gguf", "Apache 2"));
    let path = pull(&server, &entry, models.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), model());
    assert_eq!(resolved(&server, "ollama:none").unwrap_err().kind(), ErrorKind::NotFound);
}

/// One of two parts of a model with tensors `a` and `b`.
fn part_of_two(no: u16) -> Vec<u8> {
    let mut plan = GgufHeader::new();
    if no == 0 {
        plan.set("general.architecture", &Field::Str("llama".into()));
    }
    plan.set("split.no", &Field::U16(no));
    plan.set("split.count", &Field::U16(2));
    let name = ["a", "b"][usize::from(no)].to_owned();
    plan.tensors.push(TensorHeader { name, dims: vec![8], dtype: DType::F32 });
    let mut file = plan.encode().unwrap();
    file.extend([1; 32]);
    file
}

#[test]
fn a_split_model_is_fetched_and_joined() {
    let server = Server::start(|asked, stream| {
        let no = u16::from(asked.path.contains("00002-of"));
        serve(asked, stream, &part_of_two(no), "\"1\"");
    });
    let file = |no: u32| HttpFile {
        url: server.url(&format!("/m-0000{no}-of-00002.gguf")),
        bytes: None,
        sha256: None,
        is_hub: false,
    };
    let mut entry = entry(&server, "/", None);
    entry.sources = vec![Source::Http { files: vec![file(1), file(2)] }];
    let models = folder();
    let path = pull(&server, &entry, models.path()).unwrap();
    let (_, gguf) = crate::gguf_file::parse(&path).unwrap();
    let names: Vec<&str> = gguf.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);

    entry.sources = vec![Source::Http { files: vec![file(2), file(1)] }];
    entry.file = "other.gguf".into();
    assert_eq!(pull(&server, &entry, models.path()).unwrap_err().kind(), ErrorKind::BadModel);
}

#[test]
fn an_unwritable_folder_is_reported() {
    let server = Server::start(|asked, stream| serve(asked, stream, &model(), "\"1\""));
    let place = folder();
    let models = place.path().join("models");
    fs::write(&models, "a file in the place of the folder").unwrap();
    let failure = pull(&server, &entry(&server, "/m.gguf", None), &models).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Io);
    assert!(server.seen().is_empty(), "nothing is fetched that cannot be kept");
}
