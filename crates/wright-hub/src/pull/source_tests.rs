//! Several sources of one model: tried in order, by a server on this machine that is all of them.

use super::server_tests::{
    Asked, Server, entry, folder, means, model, pull, send, serve, serve_some,
};
use super::*;
use crate::catalogue::HttpFile;
use std::fs;
use std::net::TcpStream;

/// An entry of the model with a source at each of these paths.
fn entry_at(server: &Server, paths: &[&str]) -> Entry {
    let source = |path: &&str| entry(server, path, None).sources.remove(0);
    Entry { sources: paths.iter().map(source).collect(), ..entry(server, "", Some(&model())) }
}

/// The model with one byte changed.
fn other() -> Vec<u8> {
    let mut other = model();
    other[3000] ^= 1;
    other
}

/// Answers by the path: a place that is gone, one with other bytes, one that lies about length,
/// one that serves a web page, one that cuts the connection, and one that is sane.
fn places(asked: &Asked, stream: &mut TcpStream) {
    match asked.path.as_str() {
        "/gone" => send(stream, "404 Not Found", "Content-Length: 0\r\n", b""),
        "/busy" => send(stream, "503 Service Unavailable", "Content-Length: 0\r\n", b""),
        "/other" => serve(asked, stream, &other(), "\"other\""),
        "/short" => send(stream, "200 OK", "Content-Length: 5\r\n", b"GGUF!"),
        "/page" => send(stream, "200 OK", "Content-Type: text/html\r\n", b"<html>log in"),
        "/cut" => {
            serve_some(asked, stream, &model(), "\"cut\"", if asked.from > 0 { 0 } else { 3000 })
        }
        _ => serve(asked, stream, &model(), "\"sane\""),
    }
}

fn paths_asked(server: &Server) -> Vec<String> {
    let mut paths: Vec<String> = server.seen().into_iter().map(|asked| asked.path).collect();
    paths.dedup();
    paths
}

#[test]
fn the_second_source_works_whatever_the_first_one_does() {
    for bad in ["/gone", "/busy", "/other", "/short", "/page", "/cut"] {
        let server = Server::start(places);
        let models = folder();
        let path = pull(&server, &entry_at(&server, &[bad, "/sane"]), models.path()).unwrap();
        assert_eq!(fs::read(path).unwrap(), model(), "{bad}");
        assert_eq!(paths_asked(&server), [bad, "/sane"]);
        let (about, _) = receipt::find(models.path(), "tiny").unwrap();
        assert!(about.source.ends_with("/sane"), "what is remembered is where it came from");
    }
}

#[test]
fn a_source_that_is_not_there_leads_to_the_next() {
    let server = Server::start(places);
    let mut entry = entry_at(&server, &["/sane"]);
    let nobody = HttpFile {
        url: "http://127.0.0.1:1/m.gguf".into(),
        bytes: None,
        sha256: None,
        is_hub: false,
    };
    entry.sources.insert(0, Source::Http { files: vec![nobody] });
    let models = folder();
    pull(&server, &entry, models.path()).unwrap();
}

#[test]
fn what_one_source_began_another_that_mixes_versions_does_not_spoil() {
    // The first is cut in the midst of other bytes; the second goes on from anywhere, whatever
    // version it is asked about.
    let server = Server::start(|asked, stream| match asked.path.as_str() {
        "/cut" => {
            let most = if asked.from > 0 { 0 } else { 4000 };
            serve_some(asked, stream, &other(), "\"cut\"", most);
        }
        _ => serve(&Asked { if_range: None, ..asked.clone() }, stream, &model(), "\"sane\""),
    });
    let models = folder();
    let path = pull(&server, &entry_at(&server, &["/cut", "/sane"]), models.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), model());
    let begun: Vec<usize> =
        server.seen().iter().filter(|a| a.path == "/sane").map(|a| a.from).collect();
    assert_eq!(begun, [4000, 0], "first the rest, then, as the whole was wrong, all of it");
}

#[test]
fn bytes_without_a_tag_of_their_version_are_not_gone_on_from() {
    let (server, models) = (Server::start(places), folder());
    let partial = models.path().join(".partial-tiny");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("0.part"), &other()[..4000]).unwrap();
    pull(&server, &entry_at(&server, &["/sane"]), models.path()).unwrap();
    assert_eq!(server.seen().iter().map(|a| a.from).collect::<Vec<_>>(), [0]);
}

#[test]
fn when_no_source_has_it_each_is_named_with_its_reason() {
    let server = Server::start(places);
    let models = folder();
    let entry = entry_at(&server, &["/gone", "/other", "/page"]);
    let failure = pull(&server, &entry, models.path()).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::WrongHash, "the worst sign");
    assert!(failure.hint().is_some());
    for word in ["any of its 3 sources", "/gone: ", "/other: ", "SHA-256", "/page: ", "web page"] {
        assert!(failure.to_string().contains(word), "{word}: {}", failure);
    }
    let left: Vec<_> = fs::read_dir(models.path()).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.file_name() != "tiny.gguf"));
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().contains("staging")));

    let gone = pull(&server, &entry_at(&server, &["/gone", "/busy"]), models.path()).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(gone.to_string().contains("/busy: "), "{}", gone.to_string());
}

#[test]
fn the_token_is_sent_to_the_hub_and_not_to_mirrors() {
    let server = Server::start(|asked, stream| match asked.path.as_str() {
        "/org/repo/resolve/c0ffee/tiny.gguf" => serve(asked, stream, &other(), "\"1\""),
        _ => serve(asked, stream, &model(), "\"1\""),
    });
    let mut entry = entry_at(&server, &["/mirror"]);
    let hub = Source::Hub {
        repository: "org/repo".into(),
        revision: "c0ffee".into(),
        file: "tiny.gguf".into(),
    };
    entry.sources.insert(0, hub);
    let models = folder();
    ensure(&entry, models.path(), &Interrupt::default(), &means(&server)).unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer secret"));
    assert_eq!(seen[1].path, "/mirror");
    assert_eq!(seen[1].authorization, None);
}
