//! The memory of everything said: where it is, whether it is kept, and a turn on its way into it.

use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use wright_chat::{Request, Response};
use wright_store::{NewTurn, Place, SqliteStore, Store};

/// Whether a turn is logged, as far as flags say: `--log` and `--no-log`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub struct LogFlags {
    /// Log this even if logging is off
    #[arg(long, conflicts_with = "no_log")]
    pub log: bool,
    /// Do not log this
    #[arg(long)]
    pub no_log: bool,
}

/// The file that says by being there that logging is off.
fn off_file(context: &Context) -> PathBuf {
    context.home.memory.with_file_name("logs-off")
}

/// Whether answers are kept.
pub fn is_on(context: &Context) -> bool {
    !off_file(context).exists()
}

/// Turns logging on or off.
///
/// # Errors
/// If the file that says so cannot be written or removed.
pub fn set_on(context: &Context, on: bool) -> Result<(), Failure> {
    let file = off_file(context);
    match on {
        false => Ok(wright_host::atomic_file::write(&file, b"")?),
        true if file.exists() => {
            fs::remove_file(&file).map_err(|error| Failure::io("remove", &file, &error))
        }
        true => Ok(()),
    }
}

/// Opens the memory, and creates it if it is not there.
///
/// # Errors
/// If it cannot be opened.
pub fn open(context: &Context) -> Result<SqliteStore, Failure> {
    Ok(SqliteStore::open(&context.home.memory)?)
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// A turn that has been answered.
pub struct Answered<'a> {
    pub request: &'a Request,
    pub response: &'a Response,
    pub model: &'a str,
    pub started_ms: i64,
    /// The conversation that it continues.
    pub conversation: Option<&'a str>,
}

/// Logs a turn where that is wanted, and gives its conversation. An answer that was shown is not
/// taken back because it cannot be kept: then a note says why.
pub fn keep(answered: &Answered<'_>, flags: LogFlags, context: &Context) -> Option<String> {
    if flags.no_log || !(flags.log || is_on(context)) {
        return None;
    }
    match try_keep(answered, context) {
        Ok(conversation) => Some(conversation),
        Err(failure) => {
            terminal::note(&format!("not logged: {}", failure.what));
            None
        }
    }
}

fn try_keep(answered: &Answered<'_>, context: &Context) -> Result<String, Failure> {
    let mut store = open(context)?;
    let (request, response) = (answered.request, answered.response);
    let mut turn = NewTurn::new(answered.model, "local", request, response, answered.started_ms);
    turn.duration_ms = now_ms() - answered.started_ms;
    turn.place = answered.conversation.map_or(Place::New, Place::In);
    let logged = store.log(&turn)?;
    if store.is_first_time("logging")? {
        terminal::note(&format!(
            "answers are kept in {}; `wright logs` shows them, `wright logs off` stops it",
            context.home.memory.display()
        ));
    }
    Ok(logged.conversation)
}
