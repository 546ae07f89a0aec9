//! Files over HTTP: resumed where they were cut, refused when they are not what was asked for.
//!
//! A server is not trusted to be sane. It may redirect, stall, close early, lie about a length,
//! ignore a range, or answer with a web page. Whatever it does, a call ends: each wait has a limit,
//! and an attempt that brings nothing is repeated only a few times. What came stays in a partial
//! file with the server's tag of its version beside it, so that the next attempt, or the next run
//! after a kill, asks for the rest alone. Only a caller that has checked the whole gives it a name.

use crate::error::{Error, ErrorKind};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use ureq::ResponseExt;
use ureq::http::{HeaderMap, Response};
use wright_host::Interrupt;

const CHUNK_BYTES: usize = 256 << 10;
/// Of answers that are read whole: listings and manifests.
const TEXT_BYTES_MAX: u64 = 32 << 20;
const REDIRECTS_MAX: u32 = 8;

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connect: Duration,
    /// For the head of an answer.
    pub answer: Duration,
    /// Without a single byte.
    pub stall: Duration,
    /// Before a repeated attempt; doubled each time.
    pub pause: Duration,
    /// In a row that brought nothing.
    pub attempts: u32,
}

impl Limits {
    pub const PATIENT: Limits = Limits {
        connect: Duration::from_secs(15),
        answer: Duration::from_secs(60),
        stall: Duration::from_secs(30),
        pause: Duration::from_secs(1),
        attempts: 5,
    };
}

/// Speaks HTTP and HTTPS, with the proxy that the environment names.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    limits: Limits,
}

/// A file to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote<'a> {
    pub url: &'a str,
    /// Sent as `Authorization: Bearer …` to this address, and not where it redirects to.
    pub token: Option<&'a str>,
    /// Its length, if it is known from elsewhere.
    pub bytes: Option<u64>,
}

/// What ended an attempt.
enum Ended {
    Whole,
    /// Some of it came, or may come next time.
    Cut(Error),
    Refused(Error),
}

impl Client {
    pub fn new(limits: Limits) -> Client {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(limits.connect))
            .timeout_recv_response(Some(limits.answer))
            .max_redirects(REDIRECTS_MAX)
            .http_status_as_error(false)
            .user_agent(concat!("wright/", env!("CARGO_PKG_VERSION")))
            .build();
        Client { agent: config.into(), limits }
    }

    /// A small text, such as a listing. `Ok(None)`: there is nothing at that address.
    ///
    /// # Errors
    /// If it cannot be had after some attempts.
    pub fn text(
        &self,
        url: &str,
        token: Option<&str>,
        accept: &str,
    ) -> Result<Option<String>, Error> {
        let mut pause = self.limits.pause;
        let mut last = None;
        for attempt in 0..self.limits.attempts {
            if attempt > 0 {
                std::thread::sleep(pause);
                pause *= 2;
            }
            match self.text_once(url, token, accept) {
                Ok(text) => return Ok(text),
                Err(Ended::Refused(error)) => return Err(error),
                Err(Ended::Cut(error)) => last = Some(error),
                Err(Ended::Whole) => {}
            }
        }
        Err(last.unwrap_or_else(|| download(url, "not tried")))
    }

    fn text_once(
        &self,
        url: &str,
        token: Option<&str>,
        accept: &str,
    ) -> Result<Option<String>, Ended> {
        let request = self.agent.get(url).header("Accept", accept);
        let request = request.config().timeout_global(Some(self.limits.answer * 2)).build();
        let request = match token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        };
        let mut answer = request.call().map_err(|error| cut(url, &error))?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(refused(url, status, answer.headers())),
        }
        let body = answer.body_mut().with_config().limit(TEXT_BYTES_MAX).read_to_string();
        body.map(Some).map_err(|error| cut(url, &error))
    }

    /// Fetches `remote` to `partial`, going on where an earlier attempt ended. `report` gets the
    /// bytes that are there and the length that is expected.
    ///
    /// # Errors
    /// If it is not there, not allowed, a web page, of another length than it should have, cannot
    /// be had after some attempts, or Ctrl-C. What came stays in `partial`, if it can be resumed.
    pub fn file(
        &self,
        remote: &Remote<'_>,
        partial: &Path,
        interrupt: &Interrupt,
        report: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), Error> {
        let mut pause = self.limits.pause;
        let mut fruitless = 0;
        if fs::read_to_string(tag_path(partial)).unwrap_or_default().is_empty() {
            forget(partial);
        }
        loop {
            let before = length(partial);
            match self.attempt(remote, partial, interrupt, report) {
                Ended::Whole => return Ok(()),
                Ended::Refused(error) => return Err(error),
                Ended::Cut(error) => {
                    let came = length(partial) > before;
                    fruitless = if came { 0 } else { fruitless + 1 };
                    pause = if came { self.limits.pause } else { pause * 2 };
                    if fruitless >= self.limits.attempts {
                        return Err(error);
                    }
                }
            }
            wait(pause, interrupt)?;
        }
    }

    fn attempt(
        &self,
        remote: &Remote<'_>,
        partial: &Path,
        interrupt: &Interrupt,
        report: &mut dyn FnMut(u64, Option<u64>),
    ) -> Ended {
        let have = length(partial);
        let tag = fs::read_to_string(tag_path(partial)).unwrap_or_default();
        let mut request = self.agent.get(remote.url).header("Accept-Encoding", "identity");
        if let Some(token) = remote.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
            if !tag.is_empty() {
                request = request.header("If-Range", tag.as_str());
            }
        }
        let answer = match request.call() {
            Ok(answer) => answer,
            Err(error) => return cut(remote.url, &error),
        };
        let body = match Body::of(remote, have, answer, partial) {
            Ok(Some(body)) => body,
            Ok(None) => return Ended::Whole,
            Err(ended) => return ended,
        };
        let ended = body.receive(remote, partial, self.limits.stall, interrupt, report);
        if let Ended::Refused(error) = &ended
            && error.kind() != ErrorKind::Interrupted
            && error.kind() != ErrorKind::Io
        {
            forget(partial);
        }
        ended
    }
}

/// The part of a file that an answer carries.
struct Body {
    reader: ureq::BodyReader<'static>,
    /// Where in the file it begins.
    start: u64,
    /// Length of the whole file, if anyone said.
    total: Option<u64>,
}

impl Body {
    /// Reads the head of an answer. `None`: the file was whole already.
    fn of(
        remote: &Remote<'_>,
        have: u64,
        answer: Response<ureq::Body>,
        partial: &Path,
    ) -> Result<Option<Body>, Ended> {
        let status = answer.status().as_u16();
        let headers = answer.headers();
        if remote.url.starts_with("https:") && answer.get_uri().scheme_str() == Some("http") {
            return Err(Ended::Refused(download(
                remote.url,
                "it redirects to an address without TLS",
            )));
        }
        let range = text(headers, "content-range").and_then(content_range);
        let length = text(headers, "content-length").and_then(|n| n.parse::<u64>().ok());
        let (start, total) = match (status, range) {
            (200, _) => (0, length),
            (206, Some((start, total))) if start == have => (start, total),
            (416, _) if remote.bytes.is_some_and(|bytes| bytes == have) => return Ok(None),
            (206 | 416, _) => {
                // Another range than was asked for, or a partial file that is too long.
                forget(partial);
                return Err(Ended::Cut(download(
                    remote.url,
                    "the server does not support resuming",
                )));
            }
            _ => return Err(refused(remote.url, status, headers)),
        };
        if text(headers, "content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(Ended::Refused(web_page(remote.url)));
        }
        if let (Some(total), Some(bytes)) = (total, remote.bytes)
            && total != bytes
        {
            let why = format!("the server has {total} bytes, expected {bytes}");
            return Err(Ended::Refused(download(remote.url, why).of_kind(ErrorKind::WrongHash)));
        }
        let tag = text(headers, "etag").filter(|tag| !tag.starts_with("W/")).unwrap_or_default();
        // Without the tag a later run cannot tell one version from another: it starts again.
        let _ = fs::write(tag_path(partial), tag);
        let total = total.or(remote.bytes);
        Ok(Some(Body { reader: answer.into_body().into_reader(), start, total }))
    }

    /// Writes what comes, until the end or a stall.
    fn receive(
        self,
        remote: &Remote<'_>,
        partial: &Path,
        stall: Duration,
        interrupt: &Interrupt,
        report: &mut dyn FnMut(u64, Option<u64>),
    ) -> Ended {
        let (start, total) = (self.start, self.total);
        let write_failed = |error| Ended::Refused(Error::io("write", partial, error));
        let mut file = match open_at(partial, start) {
            Ok(file) => file,
            Err(error) => return write_failed(error),
        };
        let chunks = read_aside(self.reader);
        let mut at = start;
        loop {
            report(at, total);
            let chunk = match next(&chunks, stall, interrupt) {
                Next::Chunk(chunk) => chunk,
                Next::End => break,
                Next::Interrupted => return Ended::Refused(Error::Interrupted),
                Next::Broken(why) => return Ended::Cut(download(remote.url, why)),
            };
            if at == 0 && is_web_page(&chunk) {
                return Ended::Refused(web_page(remote.url));
            }
            at += chunk.len() as u64;
            if let Some(bytes) = remote.bytes.filter(|&bytes| at > bytes) {
                let why = format!("more than the expected {bytes} bytes arrived");
                return Ended::Refused(download(remote.url, why).of_kind(ErrorKind::WrongHash));
            }
            if let Err(error) = file.write_all(&chunk) {
                return write_failed(error);
            }
        }
        if let Err(error) = file.sync_all() {
            return write_failed(error);
        }
        match total {
            Some(total) if at < total => Ended::Cut(download(
                remote.url,
                format!("the transfer was cut off at byte {at} of {total}"),
            )),
            None if at == 0 => Ended::Cut(download(remote.url, "no data arrived")),
            _ => Ended::Whole,
        }
    }
}

enum Next {
    Chunk(Vec<u8>),
    End,
    Interrupted,
    Broken(String),
}

/// Waits for the next chunk, for at most `stall` and no longer than until Ctrl-C.
fn next(
    chunks: &Receiver<Result<Vec<u8>, String>>,
    stall: Duration,
    interrupt: &Interrupt,
) -> Next {
    let deadline = Instant::now() + stall;
    loop {
        if interrupt.is_set() {
            return Next::Interrupted;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match chunks.recv_timeout(left.min(Duration::from_millis(100))) {
            Ok(Ok(chunk)) if chunk.is_empty() => return Next::End,
            Ok(Ok(chunk)) => return Next::Chunk(chunk),
            Ok(Err(why)) => return Next::Broken(why),
            Err(RecvTimeoutError::Disconnected) => {
                return Next::Broken("the transfer was interrupted".into());
            }
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                return Next::Broken(format!("no data arrived for {} s", stall.as_secs()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Reads on a thread of its own, so that a stalled connection stalls nobody else. The thread ends
/// with the connection; an abandoned one holds a chunk or two.
fn read_aside(mut reader: ureq::BodyReader<'static>) -> Receiver<Result<Vec<u8>, String>> {
    let (send, chunks) = sync_channel(4);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let result = match reader.read(&mut chunk) {
                Ok(n) => {
                    chunk.truncate(n);
                    Ok(chunk)
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(format!("the connection broke: {error}")),
            };
            let is_last = result.as_ref().map_or(true, Vec::is_empty);
            if send.send(result).is_err() || is_last {
                return;
            }
        }
    });
    chunks
}

fn wait(pause: Duration, interrupt: &Interrupt) -> Result<(), Error> {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        if interrupt.is_set() {
            return Err(Error::Interrupted);
        }
        std::thread::sleep(pause.min(Duration::from_millis(50)));
    }
    Ok(())
}

/// The partial file, cut to `start` bytes and ready for more.
fn open_at(partial: &Path, start: u64) -> std::io::Result<File> {
    if start == 0 {
        return File::create(partial);
    }
    let file = OpenOptions::new().append(true).open(partial)?;
    file.set_len(start)?;
    Ok(file)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn tag_path(partial: &Path) -> PathBuf {
    let mut name = partial.file_name().unwrap_or_default().to_owned();
    name.push(".tag");
    partial.with_file_name(name)
}

/// Removes a partial file that is of no use.
pub fn forget(partial: &Path) {
    let _ = fs::remove_file(partial);
    let _ = fs::remove_file(tag_path(partial));
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes 5-9/10`: where the part begins, and the length of the whole if it is told.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn is_web_page(begin: &[u8]) -> bool {
    let begin = begin.trim_ascii_start();
    let starts = |text: &str| {
        begin.get(..text.len()).is_some_and(|b| b.eq_ignore_ascii_case(text.as_bytes()))
    };
    starts("<!doctype") || starts("<html")
}

fn web_page(url: &str) -> Error {
    let hint = "open the URL in a browser: it may require a login, or be the page about the file \
                instead of the file itself";
    download(url, "the server sent a web page instead of a file").advise(hint)
}

fn download(url: &str, why: impl std::fmt::Display) -> Error {
    // What stands after `?` may be a signature that is nobody else's business.
    let shown = url.split(['?', '#']).next().unwrap_or(url);
    let error = Error::new(ErrorKind::Download, format!("cannot download {shown}: {why}"));
    error.advise(
        "check the network (and the proxy, if any), then try again: the download resumes where it \
         stopped",
    )
}

fn cut(url: &str, error: &ureq::Error) -> Ended {
    let failed = download(url, error);
    match error {
        ureq::Error::BadUri(_) | ureq::Error::TooManyRedirects => Ended::Refused(failed),
        _ => Ended::Cut(failed),
    }
}

/// What a status other than success means.
fn refused(url: &str, status: u16, headers: &HeaderMap) -> Ended {
    let error = download(url, format!("the server answered {status}"));
    match status {
        401 | 403 => Ended::Refused(error.advise(
            "it requires a login: accept the model's terms on its page, then set HF_TOKEN to an \
             access token (huggingface.co/settings/tokens)",
        )),
        404 | 410 => Ended::Refused(
            error.of_kind(ErrorKind::NotFound).advise("check the name: it does not exist"),
        ),
        408 | 425 | 429 | 500..=599 => {
            if let Some(seconds) = text(headers, "retry-after").and_then(|s| s.parse::<u64>().ok())
            {
                std::thread::sleep(Duration::from_secs(seconds.min(20)));
            }
            Ended::Cut(error)
        }
        _ => Ended::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_understood() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(content_range("bytes */10"), None);
        assert!(is_web_page(b"\n <!DOCTYPE html>") && is_web_page(b"<html lang"));
        assert!(!is_web_page(b"GGUF") && !is_web_page(b""));
    }

    #[test]
    fn a_signature_is_not_shown() {
        assert!(!download("http://x/y?sig=secret", "z").to_string().contains("secret"));
    }
}
