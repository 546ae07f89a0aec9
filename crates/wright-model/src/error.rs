//! What can go wrong between a file's bytes and logits.
//!
//! Every variant says what is wrong and why; [`Error::hint`] says how to fix it, and
//! [`Error::kind`] is stable, so that a caller can act on a kind: an exit code, the name of an
//! option of its own that helps. No hint names an option of a program.

use thiserror::Error;

/// The kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The bytes are not a GGUF file, are cut short, or contradict themselves.
    BadFile,
    /// A sound GGUF file, with something in it that this version cannot run.
    Unsupported,
    /// An architecture that is not verified against a reference implementation. It runs where
    /// [`crate::SessionOptions::unverified`] allows it.
    Unverified,
    /// A readable GGUF file whose tensors or metadata do not make the model that it claims to be.
    BadModel,
    /// An invalid request: a wrong position, an unknown sequence or token.
    BadBatch,
    /// The context has no room left.
    ContextFull,
    /// The system did not provide the memory that was asked for.
    Memory,
    /// The model produced NaN or infinity.
    NotFinite,
}

/// Why a file cannot be read, or a model cannot be run.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Error {
    #[error("not a GGUF file: it starts with {begins}")]
    NotGguf { begins: String, hint: &'static str },
    #[error("the file ends at byte {len}, in the middle of {what}")]
    Truncated { what: String, len: usize },
    #[error("{what} is invalid: {why}")]
    Malformed { what: String, why: String },
    #[error("GGUF version {version} is not supported: {why}")]
    Version { version: u32, why: &'static str },
    #[error("this file is part {no} of {count}: the model is split over several files")]
    Split { no: u32, count: u32 },
    #[error("tensor {tensor} is stored as {dtype}, which {why}")]
    TensorType { tensor: String, dtype: String, why: &'static str },
    #[error("unknown architecture {arch:?}; known are {known}")]
    Architecture { arch: String, known: String, closest: Option<&'static str> },
    #[error("{what} and writes no text")]
    NotGenerative { what: String },
    #[error("architecture {family} is not verified against a reference implementation")]
    Unverified { family: &'static str },
    #[error("{what}, which this version does not support")]
    Feature { what: String },
    #[error("metadata {key} {why}")]
    Metadata { key: String, why: String },
    #[error("tensor {name} is missing")]
    MissingTensor { name: String },
    #[error("tensor {name} has shape {got}, expected {want}")]
    Shape { name: String, got: String, want: String },
    #[error("tensors that architecture {arch} does not use: {names}")]
    SpareTensors { arch: String, names: String },
    #[error("{what}")]
    Batch { what: String },
    #[error("the context is full: {what}")]
    ContextFull { what: String },
    #[error("not enough memory for {what}")]
    Memory { what: String },
    #[error("the model produced {n_bad} non-finite logits at position {pos}")]
    NotFinite { n_bad: usize, pos: u32 },
}

impl Error {
    /// The sort of failure; stable from version to version.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NotGguf { .. } | Error::Truncated { .. } | Error::Malformed { .. } => {
                ErrorKind::BadFile
            }
            Error::Version { .. }
            | Error::Split { .. }
            | Error::TensorType { .. }
            | Error::Architecture { .. }
            | Error::NotGenerative { .. }
            | Error::Feature { .. } => ErrorKind::Unsupported,
            Error::Unverified { .. } => ErrorKind::Unverified,
            Error::Metadata { .. }
            | Error::MissingTensor { .. }
            | Error::Shape { .. }
            | Error::SpareTensors { .. } => ErrorKind::BadModel,
            Error::Batch { .. } => ErrorKind::BadBatch,
            Error::ContextFull { .. } => ErrorKind::ContextFull,
            Error::Memory { .. } => ErrorKind::Memory,
            Error::NotFinite { .. } => ErrorKind::NotFinite,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Error::NotGguf { hint, .. } => (*hint).into(),
            Error::Truncated { .. } => {
                "the download is probably incomplete: compare its size and download it again".into()
            }
            Error::Malformed { .. } => "the file is damaged or was written by a faulty tool: \
                                        download it again, or convert the model again"
                .into(),
            Error::Version { why, .. } if why.contains("big-endian") => {
                "get the little-endian file, or convert the model again as little-endian".into()
            }
            Error::Version { .. } => "convert the model again with a current converter".into(),
            Error::Split { .. } => {
                "open the first part, with the others next to it under their original names \
                 (NAME-00001-of-00003.gguf), or merge them into one file"
                    .into()
            }
            Error::TensorType { .. } => {
                "get the model in another type, such as Q4_K_M, Q8_0 or F16".into()
            }
            Error::Architecture { closest: Some(name), .. } => {
                format!("the closest known name is {name:?}; a newer version may support this one")
            }
            Error::Architecture { .. } => "a newer version may support it".into(),
            Error::NotGenerative { .. } => {
                "use it for embeddings, or choose a model that generates text".into()
            }
            Error::Unverified { .. } => {
                "its answers may be wrong; it runs where that is allowed".into()
            }
            Error::Feature { .. } => "use another model, or a newer version".into(),
            Error::Metadata { .. } | Error::MissingTensor { .. } | Error::Shape { .. } => {
                "the file was not made for this architecture, or its converter is at fault: \
                 get it from another source or convert it again"
                    .into()
            }
            Error::SpareTensors { .. } => "ignoring them would give wrong answers; a newer \
                                           version may support this variant"
                .into(),
            Error::Batch { .. } => "this is a defect of the program, not of the model".into(),
            Error::ContextFull { .. } => "use a longer context, or shorten the input".into(),
            Error::Memory { .. } => "use a shorter context or fewer sequences".into(),
            Error::NotFinite { .. } => "the weights are damaged, or too large for f16 in the KV \
                                        cache: try the exact mode, or check the file's hash"
                .into(),
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Error::Malformed { what: what.into(), why: why.into() }
    }

    pub(crate) fn metadata(key: impl Into<String>, why: impl Into<String>) -> Self {
        Error::Metadata { key: key.into(), why: why.into() }
    }

    pub(crate) fn batch(what: impl Into<String>) -> Self {
        Error::Batch { what: what.into() }
    }
}
