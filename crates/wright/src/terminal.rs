//! Standard output and standard error: whether they are a terminal, how wide it is, and whether it
//! is still there.
//!
//! Data goes to stdout, everything else to stderr. A model's output is never trusted on a terminal:
//! its control characters are displayed, not executed.

pub mod answer;
pub mod progress;
pub mod stdin;
#[cfg(unix)]
pub mod type_ahead;
mod wrap;

use crate::cli::failure::Failure;
use indicatif::{MultiProgress, ProgressDrawTarget};
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
pub use wrap::{Wrapper, wrap};

/// Every progress bar of the program, so that several do not write over each other.
pub static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));

/// Whether stderr may be coloured and redrawn.
pub fn stderr_is_live() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn stderr_has_colour() -> bool {
    stderr_is_live() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `text` between an escape sequence and its end, if stderr shows colours.
fn painted(code: &str, text: &str) -> String {
    match stderr_has_colour() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// `text`, faint where stderr can show it so.
pub fn faint(text: &str) -> String {
    painted("2", text)
}

/// Information that is not an error.
pub fn note(text: &str) {
    // A note that cannot be printed is no reason to stop working.
    let line = faint(&wrapped(&format!("note: {}", shown(text))));
    BARS.suspend(|| {
        let _ = writeln!(io::stderr(), "{line}");
    });
}

/// Prints a failure as `error:` and `hint:` lines. A silent one (Ctrl-C) prints nothing.
pub fn report(failure: &Failure) {
    if failure.what.is_empty() {
        return;
    }
    let line = |code: &str, label: &str, text: &str| {
        let text = wrapped(&format!("{label} {}", shown(text)));
        let rest = text.strip_prefix(label).unwrap_or(&text).to_owned();
        format!("{}{rest}", painted(code, label))
    };
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{}", line("1;31", "error:", &failure.what));
    if let Some(hint) = &failure.hint {
        let _ = writeln!(stderr, "{}", line("1;36", "hint:", hint));
    }
}

/// `text` for stderr: wrapped where that is a terminal, as it is elsewhere.
pub fn wrapped(text: &str) -> String {
    match io::stderr().is_terminal() {
        true => wrap(text, width(&io::stderr()), ""),
        false => text.to_owned(),
    }
}

/// Columns of the terminal on stdout; 100 where it is none.
pub fn stdout_width() -> usize {
    if io::stdout().is_terminal() { width(&io::stdout()) } else { 100 }
}

/// Columns of a terminal.
#[cfg(unix)]
pub fn width(of: &impl std::os::fd::AsFd) -> usize {
    rustix::termios::tcgetwinsize(of).map_or(80, |size| usize::from(size.ws_col).max(20))
}

#[cfg(not(unix))]
pub fn width<T>(_: &T) -> usize {
    80
}

/// `text` with every control character but newline and tab replaced by its picture, so that no
/// text from a model or a file can move the cursor, set a title or forge what stands above it.
pub fn shown(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let picture = |c: char| match u32::from(c) {
        _ if harmless(c) => c,
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or('\u{fffd}'),
        0x7f => '\u{2421}',
        _ => '\u{fffd}',
    };
    Cow::Owned(text.chars().map(picture).collect())
}

/// Whether a write failed because nobody reads any more, as in `wright … | head -1`.
pub fn reader_left(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Writes text for people to stdout: on a terminal, lines are broken between words.
///
/// # Errors
/// As [`print`].
pub fn print_text(text: &str) -> Result<bool, Failure> {
    match io::stdout().is_terminal() {
        true => print(&wrap(text, stdout_width(), "")),
        false => print(text),
    }
}

/// Writes data to stdout. `Ok(false)`: the reader left, and the program should end quietly.
///
/// # Errors
/// If writing fails for any other reason, such as a full disk.
pub fn print(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if reader_left(&error) => Ok(false),
        Err(error) => Err(Failure::output(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_displayed_not_executed() {
        assert_eq!(shown("plain\n\ttext é"), "plain\n\ttext é");
        assert!(matches!(shown("plain"), Cow::Borrowed(_)));
        assert_eq!(shown("\x1b]0;title\x07"), "␛]0;title␇");
        assert_eq!(shown("over\rwrite\x7f"), "over␍write␡");
        assert_eq!(shown("\u{9b}31m"), "\u{fffd}31m");
    }
}
