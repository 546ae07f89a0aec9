//! What can go wrong between a model's name and its file.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// A model that cannot be found, fetched or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Host(#[from] wright_host::Error),
    #[error("{}: {source}", path.display())]
    Model { path: PathBuf, source: wright_model::Error },
    /// None of several sources had the model; `worst` says what to do about it.
    #[error("{message}")]
    Sources { message: String, worst: Box<Error> },
    #[error("{message}")]
    Hub { kind: ErrorKind, message: String, hint: Option<Hint> },
}

/// Errors by what a program does about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    Interrupted,
    /// There is no such model, file or repository.
    NotFound,
    /// What is there holds no model that can be run.
    Unsupported,
    /// A folder or file that was named holds no model.
    BadInput,
    /// A file of that name is there already.
    NameTaken,
    BadModel,
    /// It could not be fetched.
    Download,
    /// What came is not what was asked for.
    WrongHash,
    /// The file system failed, or a disk is full.
    Io,
    /// The crate itself is damaged.
    Defect,
}

/// What may help. Advice that depends on the program around this crate is a variant of its own, so
/// that the program can name its own commands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Advice that holds for any program.
    Text(String),
    /// Check the path; models also go by names.
    Path,
    /// `asked` may be meant for one of the names that are known.
    Names { asked: String, known: Vec<String> },
    /// Weights in safetensors, in this folder if it is on this disk, have to be converted first.
    Convert(Option<PathBuf>),
    /// Name a folder of .gguf files, or one with safetensors.
    Folder,
    /// Remove the model of that name first, or give the file another name.
    RemoveFirst,
    /// This does not work here ("install pip"), but a model's file from elsewhere does.
    OtherFile(&'static str),
    /// Free some space, or keep models on another disk.
    OtherDisk,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Display) -> Error {
        Error::Hub { kind, message: message.to_string(), hint: None }
    }

    /// `action` (a verb such as "read") failed on `path`.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Error {
        wright_host::Error::io(action, path, source).into()
    }

    /// The same error with a hint.
    pub(crate) fn advise(mut self, advice: impl Into<Hint>) -> Error {
        if let Error::Hub { hint, .. } = &mut self {
            *hint = Some(advice.into());
        }
        self
    }

    /// The same error of another kind.
    pub(crate) fn of_kind(mut self, other: ErrorKind) -> Error {
        if let Error::Hub { kind, .. } = &mut self {
            *kind = other;
        }
        self
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Interrupted => ErrorKind::Interrupted,
            Error::Host(error) if error.is_not_found() => ErrorKind::NotFound,
            Error::Host(wright_host::Error::Empty(_)) | Error::Model { .. } => ErrorKind::BadModel,
            Error::Host(wright_host::Error::NotAFile(_)) => ErrorKind::BadInput,
            Error::Host(_) => ErrorKind::Io,
            Error::Sources { worst, .. } => worst.kind(),
            Error::Hub { kind, .. } => *kind,
        }
    }

    /// What may help, if this crate knows.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Error::Interrupted | Error::Host(_) => None,
            Error::Model { source, .. } => Some(Hint::Text(source.hint().to_owned())),
            Error::Sources { worst, .. } => worst.hint(),
            Error::Hub { hint, .. } => hint.clone(),
        }
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Hint {
        Hint::Text(text.to_owned())
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Hint {
        Hint::Text(text)
    }
}
