//! Exit codes: one for each kind of ending that a script may want to tell apart.
//!
//! The table in `wright help exit-codes` is made from this enum, so it cannot drift.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    BadInput = 3,
    NotFound = 4,
    BadModel = 5,
    Unsupported = 6,
    ContextOverflow = 7,
    Download = 8,
    WrongHash = 9,
    Io = 10,
    ModelChanged = 11,
    Busy = 12,
    Diverged = 13,
    Defect = 101,
    Interrupted = 130,
}

impl Exit {
    pub const ALL: [Exit; 16] = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::BadInput,
        Exit::NotFound,
        Exit::BadModel,
        Exit::Unsupported,
        Exit::ContextOverflow,
        Exit::Download,
        Exit::WrongHash,
        Exit::Io,
        Exit::ModelChanged,
        Exit::Busy,
        Exit::Diverged,
        Exit::Defect,
        Exit::Interrupted,
    ];

    pub fn code(self) -> u8 {
        self as u8
    }

    /// When this code is given, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "success (also if the reader of the output closed the pipe early)",
            Exit::Failed => "a failure without a code of its own",
            Exit::Usage => "invalid flag, argument or option",
            Exit::BadInput => "the input text or file cannot be used (not UTF-8, empty, …)",
            Exit::NotFound => "no such model or file",
            Exit::BadModel => "the model file is damaged, truncated or inconsistent",
            Exit::Unsupported => "valid, but not supported by this version or this model",
            Exit::ContextOverflow => "the input is longer than the model's context",
            Exit::Download => "a download failed",
            Exit::WrongHash => "a downloaded model does not match its expected hash",
            Exit::Io => "reading or writing failed (disk full, permission denied, …)",
            Exit::ModelChanged => "the model file changed while in use",
            Exit::Busy => "another training run is using the folder",
            Exit::Diverged => "training diverged, and rolling back did not help",
            Exit::Defect => "internal error in Wright",
            Exit::Interrupted => "interrupted by Ctrl-C",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own() {
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert!(codes.is_sorted());
    }
}
