//! Failures as users see them: what, why, and a hint how to fix it.

use crate::cli::exit::Exit;
use crate::cli::suggest;
use std::fmt::Display;
use std::io;
use std::path::Path;
use wright_chat::{ErrorKind, Remedy};

/// How to have something written elsewhere.
const ELSEWHERE: &str = "with -o if the command has it, or with WRIGHT_HOME for Wright's own files";

/// A failure on its way to the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub what: String,
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, what: impl Display) -> Self {
        Failure { exit, what: what.to_string(), hint: None }
    }

    pub fn usage(what: impl Display) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Ctrl-C. Nothing needs saying: the person knows.
    pub fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "")
    }

    /// The same failure with advice.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same failure, with the file that it was met in.
    pub fn in_file(self, path: &Path) -> Self {
        Failure { what: format!("{}: {}", path.display(), self.what), ..self }
    }

    /// `verb` (such as "read" or "write") failed on `path`.
    pub fn io(verb: &str, path: &Path, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Io,
        };
        let failure = Self::new(exit, format!("cannot {verb} {}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => failure.hint(format!(
                "free some space on that disk, or write to another one: {ELSEWHERE}"
            )),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => failure.hint(
                format!("check the permissions of that path, or choose another one: {ELSEWHERE}"),
            ),
            io::ErrorKind::NotFound => failure.hint("check the path: it does not exist"),
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                failure.hint("a file exists where a folder is needed")
            }
            _ => failure.hint("check the path and its disk"),
        }
    }

    /// Writing to standard output failed for another reason than a reader who left.
    pub fn output(error: &io::Error) -> Self {
        let failure = Self::new(Exit::Io, format!("cannot write the output: {error}"));
        failure.hint("check whether the disk is full")
    }
}

impl From<wright_host::Error> for Failure {
    fn from(error: wright_host::Error) -> Self {
        use wright_host::Error;
        let (exit, hint) = match &error {
            Error::Io { action, path, source } => return Failure::io(action, path, source),
            Error::NotAFile(_) => (Exit::BadInput, "name the .gguf file itself"),
            Error::Empty(_) => {
                (Exit::BadModel, "its download may have been interrupted: download it again")
            }
            Error::Changed(_) => (
                Exit::ModelChanged,
                "the last answer may be wrong: wait until the other program has finished writing \
                 the file, then ask again",
            ),
            Error::Exists(_) => {
                (Exit::Usage, "use --force to replace it, or -o FILE to write elsewhere")
            }
            Error::NoSpace { .. } => (
                Exit::Io,
                "free some space (`wright models du` shows what uses it), or choose a folder on \
                 another disk (WRIGHT_HOME for downloaded models)",
            ),
            _ => return Failure::new(Exit::Failed, error),
        };
        Failure::new(exit, error).hint(hint)
    }
}

impl From<wright_store::Error> for Failure {
    fn from(error: wright_store::Error) -> Self {
        use wright_store::Error;
        let (exit, hint) = match &error {
            Error::Open { .. } | Error::ReadOnly => (
                Exit::Io,
                "check who may write to the log's folder (`wright logs path`), or set WRIGHT_HOME",
            ),
            Error::Foreign { .. } => {
                (Exit::BadInput, "name another file, or set WRIGHT_HOME to another folder")
            }
            Error::LlmLog { .. } => (Exit::BadInput, "`wright logs import FILE` takes it over"),
            Error::Newer { .. } => (Exit::Unsupported, "use the newer version of Wright again"),
            Error::Corrupt(_) | Error::Malformed(_) => {
                (Exit::BadInput, "move the file away, and put a backup in its place")
            }
            Error::Busy => (Exit::Busy, "let the other process finish, then try again"),
            Error::Full => (Exit::Io, "free some space on the disk of the log"),
            Error::NotFound { .. } => (Exit::NotFound, "`wright logs --json` shows what there is"),
            Error::BadQuery { .. } => {
                (Exit::Usage, "quote a phrase as \"…\"; AND, OR and NOT stand between words")
            }
            Error::File { path, reason } => return Failure::io("use", path, reason),
            _ => return Failure::new(Exit::Failed, error),
        };
        Failure::new(exit, error).hint(hint)
    }
}

impl From<wright_store::SqlError> for Failure {
    fn from(error: wright_store::SqlError) -> Self {
        use wright_store::SqlError;
        let (exit, hint) = match &error {
            SqlError::Open { .. } => (Exit::NotFound, "name a SQLite file, or log something first"),
            SqlError::Time(_) => (Exit::Failed, "--timeout SECONDS gives it longer"),
            SqlError::Memory | SqlError::Value(_) => {
                (Exit::Failed, "ask for fewer or shorter rows")
            }
            SqlError::Corrupt(_) => {
                (Exit::BadInput, "the file is not an SQLite database, or is damaged")
            }
            SqlError::Empty | SqlError::Several => (Exit::Usage, "give one SELECT statement"),
            SqlError::NotReadOnly(_) => (Exit::Usage, "`wright sql` reads, and never writes"),
            _ => (Exit::Usage, "`SELECT sql FROM sqlite_schema` shows the tables"),
        };
        Failure::new(exit, error).hint(hint)
    }
}

impl From<wright_hub::Error> for Failure {
    fn from(error: wright_hub::Error) -> Self {
        use wright_hub::{Error, ErrorKind};
        let exit = match error.kind() {
            ErrorKind::Interrupted => return Failure::interrupted(),
            ErrorKind::NotFound => Exit::NotFound,
            ErrorKind::Unsupported => Exit::Unsupported,
            ErrorKind::BadInput => Exit::BadInput,
            ErrorKind::NameTaken => Exit::Usage,
            ErrorKind::BadModel => Exit::BadModel,
            ErrorKind::Download => Exit::Download,
            ErrorKind::WrongHash => Exit::WrongHash,
            ErrorKind::Io => Exit::Io,
            ErrorKind::Defect => Exit::Defect,
            _ => Exit::Failed,
        };
        match error {
            Error::Host(error) => error.into(),
            Error::Model { path, source } => Failure::from(source).in_file(&path),
            Error::Sources { message, worst } => Failure { what: message, ..Failure::from(*worst) },
            _ => {
                let hint = error.hint().map(hub_hint);
                Failure { exit, what: error.to_string(), hint }
            }
        }
    }
}

/// The hub's advice in terms of this program's verbs and flags.
fn hub_hint(hint: wright_hub::Hint) -> String {
    use wright_hub::Hint;
    match hint {
        Hint::Text(text) => text,
        Hint::Path => "check the path; `wright models` lists models by name".into(),
        Hint::Names { asked, known } => {
            match suggest::closest(&asked, known.iter().map(String::as_str), 3) {
                Some(close) => format!("did you mean {close}? `wright models` lists all models"),
                None => {
                    "`wright models` lists known names; you can also give a path to a .gguf file, \
                     or org/repo on Hugging Face"
                        .into()
                }
            }
        }
        Hint::Convert(Some(folder)) => {
            format!("convert it: wright convert {}", folder.display())
        }
        Hint::Convert(None) => "its weights are safetensors: download the folder (git or \
                                huggingface-cli) and use `wright convert`, or look for a \
                                repository with the same name ending in -GGUF"
            .into(),
        Hint::Folder => {
            "name a folder of .gguf files, or one with config.json and safetensors".into()
        }
        Hint::RemoveFirst => "use `wright models remove NAME` first, or rename the file".into(),
        Hint::OtherFile(text) => {
            format!("{text}; a model file from elsewhere works too: -m FILE.gguf")
        }
        Hint::OtherDisk => "free some space, or set WRIGHT_HOME to a folder on another disk".into(),
        _ => "`wright help pull` says what can be fetched".into(),
    }
}

impl From<wright_chat::Error> for Failure {
    fn from(error: wright_chat::Error) -> Self {
        let exit = match error.kind {
            ErrorKind::BadRequest | ErrorKind::TooLarge => Exit::Usage,
            ErrorKind::NotFound => Exit::NotFound,
            ErrorKind::ContextOverflow => Exit::ContextOverflow,
            ErrorKind::Unsupported => Exit::Unsupported,
            ErrorKind::BadModel => Exit::BadModel,
            ErrorKind::Cancelled => Exit::Interrupted,
            ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::QuotaExceeded
            | ErrorKind::RateLimited
            | ErrorKind::ContentRefused
            | ErrorKind::OutOfMemory
            | ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::BadResponse => Exit::Failed,
            ErrorKind::Internal => Exit::Defect,
        };
        let options = || "`wright help run` lists the options and their values".to_owned();
        let way = error.remedy.map(|remedy| match remedy {
            Remedy::LongerContext => "--ctx N",
            Remedy::RawPrompt => "--raw",
            Remedy::Embed => "`wright embed`",
            Remedy::Rank => "`wright rerank`",
        });
        let hint = match (error.hint, way) {
            (Some(hint), Some(way)) => Some(format!("{hint} ({way})")),
            (hint, way) => hint.or_else(|| way.map(str::to_owned)),
        };
        let hint = hint.or_else(|| (exit == Exit::Usage).then(options));
        Failure { exit, what: error.message, hint }
    }
}

impl From<wright_model::Error> for Failure {
    fn from(error: wright_model::Error) -> Self {
        use wright_model::ErrorKind;
        let exit = match error.kind() {
            ErrorKind::Unverified => {
                return Failure::new(Exit::Unsupported, &error)
                    .hint("its answers may be wrong; --unverified runs it anyway");
            }
            ErrorKind::BadFile | ErrorKind::BadModel | ErrorKind::NotFinite => Exit::BadModel,
            ErrorKind::Unsupported => Exit::Unsupported,
            ErrorKind::ContextFull => Exit::ContextOverflow,
            ErrorKind::Memory => Exit::Failed,
            ErrorKind::BadBatch => Exit::Defect,
        };
        Failure::new(exit, &error).hint(error.hint())
    }
}

impl From<wright_run::LoadError> for Failure {
    fn from(error: wright_run::LoadError) -> Self {
        use wright_run::LoadError;
        let hint = error.hint();
        let exit = match error {
            LoadError::Model(error) => return error.into(),
            LoadError::Missing(_) | LoadError::TokenKind { .. } | LoadError::Vocabulary { .. } => {
                Exit::BadModel
            }
            LoadError::Text(ref error) => text_exit(error),
            LoadError::Options(_) => Exit::Usage,
            LoadError::Thread(_) => Exit::Failed,
        };
        Failure { exit, what: error.to_string(), hint }
    }
}

fn text_exit(error: &wright_text::Error) -> Exit {
    use wright_text::Error;
    match error {
        Error::UnknownAlgorithm(_) | Error::UnknownPretokenizer(_) => Exit::Unsupported,
        _ => Exit::BadModel,
    }
}

impl From<wright_train::Error> for Failure {
    fn from(error: wright_train::Error) -> Self {
        use wright_train::Error;
        let (exit, hint) = match error {
            Error::Model(error) => return error.into(),
            Error::Shape(_) | Error::Config(_) => {
                (Exit::BadInput, "`wright help train` shows the configuration")
            }
            Error::Shard(_) => (Exit::BadInput, "recreate it with `wright shard`"),
            Error::Checkpoint(_) => {
                (Exit::BadInput, "remove it, or choose another folder with --out")
            }
            Error::Unsupported(_) => {
                (Exit::Unsupported, "llama, qwen3, gemma3 and gpt2 can be trained")
            }
            Error::Diverged(_) => (Exit::Diverged, "lower learning_rate or raise warmup"),
            Error::Write(_) => (Exit::Io, "check the disk it is written to"),
        };
        Failure::new(exit, error).hint(hint)
    }
}

impl From<wright_corpus::Error> for Failure {
    fn from(error: wright_corpus::Error) -> Self {
        use wright_corpus::Error;
        let (exit, hint) = match error {
            Error::Host(error) => return error.into(),
            Error::Shard(error) => return error.into(),
            Error::Tokenizer(error) => return training_of_tokenizer(error),
            Error::Interrupted => return Failure::interrupted(),
            // The panic itself was reported when it happened.
            Error::ReaderPanicked => return Failure::new(Exit::Defect, ""),
            Error::NotPacked(path) => return not_packed(&path),
            Error::NoReport(ref path) => {
                let at = path.display();
                let hint =
                    format!("it is not packed data; to pack its text: wright pack {at} -o data");
                return Failure::new(Exit::BadInput, &error).hint(hint);
            }
            Error::TooFewPairs { n_vocab, .. } => {
                let hint =
                    format!("use --vocab {n_vocab}, more text, or a smaller --min-frequency");
                return Failure::new(Exit::BadInput, error).hint(hint);
            }
            Error::BadTokenizer { .. } => (
                Exit::BadInput,
                "use a Hugging Face tokenizer.json with byte-level BPE (as in GPT-2), or `bytes`",
            ),
            Error::NoText { .. } => (Exit::BadInput, "name files or folders that contain text"),
            Error::TooLittleText { ref dropped, .. } => match dropped.is_empty() {
                true => (Exit::BadInput, "name files or folders with at least 1 kB of text"),
                false => (
                    Exit::BadInput,
                    "use --no-filters, --keep-duplicates or --keep-boilerplate to keep more text",
                ),
            },
            Error::NotUtf8 { .. } => {
                (Exit::BadInput, "convert it first, for example with iconv -f latin1 -t utf-8 FILE")
            }
            Error::TooLarge { .. } => (Exit::BadInput, "split it into smaller pieces"),
            Error::NoFolderName(_) => (Exit::Usage, "name the folder to create, such as -o data"),
            Error::Exists { is_packed: true, .. } => {
                (Exit::Usage, "use --force to replace it, or -o to choose another folder")
            }
            Error::Exists { is_packed: false, .. } => {
                (Exit::Usage, "it was not created by `wright pack`: choose another folder with -o")
            }
            Error::InTheWay(_) => (Exit::Usage, "move the file, or choose another folder"),
            Error::Busy(_) => {
                (Exit::Busy, "wait for it to finish, or choose another folder with -o")
            }
            Error::BadReport { .. } | Error::MissingFile { .. } => {
                (Exit::BadInput, "recreate it with `wright pack … --force`")
            }
            _ => return Failure::new(Exit::Failed, error),
        };
        Failure::new(exit, error).hint(hint)
    }
}

fn not_packed(path: &Path) -> Failure {
    let exit = if path.exists() { Exit::BadInput } else { Exit::NotFound };
    let at = path.display();
    Failure::new(exit, format!("{at} is not a folder of packed data"))
        .hint(format!("create one: wright pack TEXT… -o {at}"))
}

/// A tokenizer that cannot be trained as it was asked for.
fn training_of_tokenizer(error: wright_text::Error) -> Failure {
    use wright_text::Error;
    let hint = error.hint();
    let exit = match error {
        Error::UnknownPretokenizer(_) | Error::VocabularyTooSmall { .. } => Exit::Usage,
        _ => Exit::BadInput,
    };
    Failure { hint, ..Failure::new(exit, error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_missing_file_have_different_codes() {
        let path = Path::new("x");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let missing = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(Failure::io("write", path, &full).exit, Exit::Io);
        assert_eq!(Failure::io("read", path, &missing).exit, Exit::NotFound);
    }

    #[test]
    fn a_model_error_keeps_its_hint() {
        let error = wright_chat::Error::new(ErrorKind::ContextOverflow, "long").hint("shorter");
        let failure = Failure::from(error);
        assert_eq!(failure.exit, Exit::ContextOverflow);
        assert_eq!(failure.hint.as_deref(), Some("shorter"));
        let error = wright_chat::Error::new(ErrorKind::ContextOverflow, "long").hint("shorten it");
        let failure = Failure::from(error.remedy(Remedy::LongerContext));
        assert_eq!(failure.hint.as_deref(), Some("shorten it (--ctx N)"));
    }
}
