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
            Exit::Done => "done (also when the reader of a pipe left early)",
            Exit::Failed => "failed in a way that has no code of its own",
            Exit::Usage => "a flag, an argument or an option is wrong",
            Exit::BadInput => "the text or file to work on cannot be used (not UTF-8, empty …)",
            Exit::NotFound => "no such model or file",
            Exit::BadModel => "the model file is damaged, cut short or contradicts itself",
            Exit::Unsupported => "sound, but this version or this model cannot do it",
            Exit::ContextOverflow => "the input is longer than the model's context",
            Exit::Download => "a model could not be fetched",
            Exit::WrongHash => "a fetched model is not the one that was asked for",
            Exit::Io => "reading or writing failed: full disk, no permission …",
            Exit::ModelChanged => "the model file changed while it was in use",
            Exit::Busy => "another training works in that folder",
            Exit::Diverged => "a training's loss ran away, and going back did not help",
            Exit::Defect => "a defect in Wright",
            Exit::Interrupted => "stopped by Ctrl-C",
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
