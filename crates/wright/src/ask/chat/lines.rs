//! Where a chat's messages come from: a terminal with editing and history, or a pipe.
//!
//! A message is a line; it goes on over a `\` at the end of a line, and everything between two
//! `"""` is one message.

use crate::cli::failure::Failure;
use crate::terminal;
#[cfg(unix)]
use crate::terminal::type_ahead::TypeAhead;
use reedline::{
    EditCommand, Emacs, FileBackedHistory, KeyCode, KeyModifiers, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, Signal, ValidationResult, Validator,
    default_emacs_keybindings,
};
use std::borrow::Cow;
use std::fs;
use std::io::{self, BufRead};
use std::path::Path;
use wright_host::Interrupt;

const HISTORY_LINES: usize = 5000;

/// What came of asking for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    Message(String),
    /// Ctrl-C at the prompt.
    Interrupt,
    End,
}

/// Something that messages come from.
pub trait Lines {
    /// # Errors
    /// If reading fails.
    fn read(&mut self) -> Result<Read, Failure>;

    /// Keeps what is typed from now on for the next [`Lines::read`], without showing it.
    fn keep_typing(&mut self, interrupt: &Interrupt) {
        let _ = interrupt;
    }
}

/// Whether `text` is a message yet, or more must come.
fn is_whole(text: &str) -> bool {
    let text = text.trim_end_matches([' ', '\t']);
    match text.trim_start().strip_prefix("\"\"\"") {
        Some(rest) => rest.contains("\"\"\""),
        None => !text.ends_with('\\'),
    }
}

/// The message in what was typed: quotes and line ends with `\` taken away.
fn message(text: &str) -> String {
    match text.trim_start().strip_prefix("\"\"\"") {
        Some(rest) => match rest.split_once("\"\"\"") {
            Some((inside, after)) => format!("{inside}{after}").trim_matches('\n').to_owned(),
            None => rest.trim_matches('\n').to_owned(),
        },
        None => text.replace("\\\n", "\n"),
    }
}

/// A pipe or a file.
pub struct Piped<R> {
    pub from: R,
}

impl<R: BufRead> Lines for Piped<R> {
    fn read(&mut self) -> Result<Read, Failure> {
        let mut text = String::new();
        loop {
            let read = self.from.read_line(&mut text).map_err(|error| {
                let failure =
                    Failure::new(crate::cli::exit::Exit::BadInput, format!("input: {error}"));
                failure.hint("chat input must be lines of UTF-8 text")
            })?;
            match (read, text.trim().is_empty()) {
                (0, true) => return Ok(Read::End),
                (0, false) => break,
                (_, true) => text.clear(),
                (_, false) if is_whole(text.trim_end_matches(['\n', '\r'])) => break,
                (_, false) => {}
            }
        }
        Ok(Read::Message(message(text.trim_end_matches(['\n', '\r']))))
    }
}

/// A terminal.
pub struct Terminal {
    editor: Reedline,
    #[cfg(unix)]
    type_ahead: Option<TypeAhead>,
}

impl Terminal {
    /// With the history of earlier chats, if its file can be used.
    pub fn new(history: &Path) -> Self {
        let mut keys = default_emacs_keybindings();
        let newline = ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
        keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, newline);
        let suspend = ReedlineEvent::ExecuteHostCommand("suspend".to_owned());
        keys.add_binding(KeyModifiers::CONTROL, KeyCode::Char('z'), suspend);
        let mut editor = Reedline::create()
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_validator(Box::new(Whole))
            .use_bracketed_paste(true);
        match history_file(history) {
            Ok(history) => editor = editor.with_history(Box::new(history)),
            Err(why) => {
                terminal::note(&format!("the history of this chat will not be saved: {why}"))
            }
        }
        Terminal {
            editor,
            #[cfg(unix)]
            type_ahead: None,
        }
    }
}

/// The history, in a file that nobody else may read.
fn history_file(path: &Path) -> Result<FileBackedHistory, String> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| error.to_string())?;
    FileBackedHistory::with_file(HISTORY_LINES, path.to_owned()).map_err(|e| e.to_string())
}

impl Lines for Terminal {
    fn read(&mut self) -> Result<Read, Failure> {
        #[cfg(unix)]
        if let Some(typed) = self.type_ahead.take().map(TypeAhead::finish) {
            self.editor.run_edit_commands(&[EditCommand::InsertString(typed)]);
        }
        let mut signal = self.editor.read_line(&Mark);
        while let Ok(Signal::HostCommand(_)) = signal {
            // Ctrl-Z: the line that was begun is there again when the program goes on.
            let _ = wright_host::suspend();
            signal = self.editor.read_line(&Mark);
        }
        match signal {
            Ok(Signal::Success(text)) => Ok(Read::Message(message(&text))),
            Ok(Signal::CtrlC) => Ok(Read::Interrupt),
            Ok(Signal::CtrlD) => Ok(Read::End),
            // The editor was given no other way to end.
            Ok(_) => Ok(Read::End),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Read::End),
            Err(error) => {
                let what = format!("cannot read the terminal: {error}");
                Err(Failure::new(crate::cli::exit::Exit::Io, what))
            }
        }
    }

    #[cfg(unix)]
    fn keep_typing(&mut self, interrupt: &Interrupt) {
        self.type_ahead = TypeAhead::start(interrupt, crate::cli::exit::Exit::Interrupted.code());
    }
}

struct Whole;

impl Validator for Whole {
    fn validate(&self, text: &str) -> ValidationResult {
        match is_whole(text) {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}

/// What stands before the cursor.
struct Mark;

impl Prompt for Mark {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "  ".into()
    }

    fn render_prompt_history_search_indicator(&self, _: PromptHistorySearch) -> Cow<'_, str> {
        "search: ".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut lines = Piped { from: text.as_bytes() };
        let mut messages = Vec::new();
        while let Read::Message(message) = lines.read().unwrap() {
            messages.push(message);
        }
        messages
    }

    #[test]
    fn lines_are_messages() {
        assert_eq!(all("one\n\n  \ntwo\r\nthree"), ["one", "two", "three"]);
        assert!(all("").is_empty());
    }

    #[test]
    fn a_message_may_have_many_lines() {
        assert_eq!(all("one\\\ntwo\nthree\n"), ["one\ntwo", "three"]);
        assert_eq!(all("\"\"\"\none\n\ntwo\n\"\"\"\nthree\n"), ["one\n\ntwo", "three"]);
        assert_eq!(all("\"\"\"never closed\nit ends"), ["never closed\nit ends"]);
    }

    #[test]
    fn bytes_that_are_not_text_are_rejected() {
        let mut lines = Piped { from: &b"ab\xff\n"[..] };
        assert_eq!(lines.read().unwrap_err().exit, crate::cli::exit::Exit::BadInput);
    }
}
