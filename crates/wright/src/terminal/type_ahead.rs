//! What is typed or pasted while an answer is written: neither echoed into the answer nor lost, but
//! kept for the next prompt.

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wright_host::{Interrupt, suspend};

const CTRL_C: u8 = 3;
const CTRL_Z: u8 = 26;
/// How long a read waits for a key, in tenths of a second.
const WAIT_TENTHS: u8 = 1;

/// Reads the keyboard until it is finished. Ctrl-C still interrupts and Ctrl-Z still suspends.
pub struct TypeAhead {
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<Vec<u8>>>,
    before: Termios,
}

impl TypeAhead {
    /// `None` where the terminal cannot be set up for it; typing is then echoed as usual.
    pub fn start(interrupt: &Interrupt, interrupted: u8) -> Option<TypeAhead> {
        let before = tcgetattr(io::stdin()).ok()?;
        set(&quiet(&before)).ok()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, interrupt, modes) = (Arc::clone(&stop), interrupt.clone(), before.clone());
        let read = move || {
            let mut typed = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                for key in keys() {
                    match key {
                        CTRL_C if interrupt.is_set() => {
                            let _ = set(&modes);
                            std::process::exit(i32::from(interrupted));
                        }
                        CTRL_C => interrupt.set(),
                        CTRL_Z => {
                            let _ = set(&modes).and_then(|()| suspend());
                            let _ = set(&quiet(&modes));
                        }
                        key => typed.push(key),
                    }
                }
            }
            typed
        };
        let reader = std::thread::Builder::new().name("keys".into()).spawn(read);
        // Dropping it puts the terminal back if there is no thread to be had.
        let mut started = TypeAhead { stop, reader: None, before };
        started.reader = Some(reader.ok()?);
        Some(started)
    }

    /// Ends the reading and returns the text that was typed.
    pub fn finish(mut self) -> String {
        text(&self.end())
    }

    fn end(&mut self) -> Vec<u8> {
        self.stop.store(true, Ordering::Relaxed);
        let typed = self.reader.take().and_then(|reader| reader.join().ok());
        let _ = set(&self.before);
        typed.unwrap_or_default()
    }
}

impl Drop for TypeAhead {
    fn drop(&mut self) {
        self.end();
    }
}

fn set(modes: &Termios) -> io::Result<()> {
    Ok(tcsetattr(io::stdin(), OptionalActions::Now, modes)?)
}

/// The same modes without echo, keys one by one, each read ended after a short wait.
fn quiet(modes: &Termios) -> Termios {
    let mut quiet = modes.clone();
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    quiet.special_codes[SpecialCodeIndex::VMIN] = 0;
    quiet.special_codes[SpecialCodeIndex::VTIME] = WAIT_TENTHS;
    quiet
}

/// The keys that came within the wait.
fn keys() -> Vec<u8> {
    let (mut keys, started) = ([0; 4096], Instant::now());
    let wait = Duration::from_millis(50 * u64::from(WAIT_TENTHS));
    match rustix::io::read(io::stdin(), &mut keys) {
        Ok(n) if n > 0 => return keys[..n].to_vec(),
        // Nobody is at the other end: no reason to ask again at once.
        _ if started.elapsed() < wait => std::thread::sleep(wait),
        _ => {}
    }
    Vec::new()
}

/// The text that keys make: line ends are newlines, backspace takes a character back, and other
/// control characters and escape sequences (such as arrow keys) are left out.
fn text(keys: &[u8]) -> String {
    let mut text = String::new();
    let all = String::from_utf8_lossy(keys);
    let mut chars = all.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' | '\n' => text.push('\n'),
            '\t' => text.push('\t'),
            '\u{8}' | '\u{7f}' => {
                text.pop();
            }
            '\u{1b}' => match chars.next() {
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some('O') => {
                    chars.next();
                }
                _ => {}
            },
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_text_whole() {
        assert_eq!(text(b"one\rtwo\nthree"), "one\ntwo\nthree");
        assert_eq!(text("h\u{e9}\x7fello".as_bytes()), "hello");
        assert_eq!(text(b"\x1b[200~pasted\ttext\x1b[201~\x1b[A\x1bOP\x04."), "pasted\ttext.");
        let paste: String = (0..200).map(|n| format!("line {n}\n")).collect();
        assert_eq!(text(paste.as_bytes()), paste);
    }
}
