//! The memory of Wright: conversations, answers and what made them, in one SQLite file.
//!
//! [`SqliteStore`] is the file, [`Store`] the interface. A turn is one call of a model; its
//! messages are content-addressed, so that conversations that begin alike share what is alike. The
//! hashes are those of `llm` 0.36, from whose log one can import and to which one can export.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! use wright_chat::{FinishReason, Message, Request, Response, Usage};
//! use wright_store::{Filter, NewTurn, SqliteStore, Store};
//! let mut store = SqliteStore::open(&folder.path().join("logs.db"))?;
//! let request = Request::chat(vec![Message::user("What is the capital of France?")]);
//! let answer = Message::assistant("Paris.");
//! let response = Response::new(answer, FinishReason::Stop, Usage::default());
//! let turn = NewTurn::new("a-model", "local", &request, &response, 1_700_000_000_000);
//! let logged = store.log(&turn)?;
//! let found = store.turns(&Filter::words("capital"))?;
//! assert_eq!(found[0].id, logged.turn);
//! assert_eq!(found[0].answer[0].plain_text(), "Paris.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This is the one crate that knows SQL. It prints nothing, and its errors name no command.
#![forbid(unsafe_code)]

mod chat;
mod clock;
mod delete;
mod error;
mod export;
mod export_llm;
mod hash;
mod import_llm;
mod json;
mod library;
mod node;
mod open;
mod query;
mod record;
mod replay;
mod schema;
mod sql_runner;
mod store;
mod time;
mod tree;
mod turn;
mod words;

pub use delete::{DeleteReport, Doomed};
pub use error::Error;
pub use export::{ExportError, Format, turn_json};
pub use export_llm::{ExportReport, Scope};
pub use hash::{message_hash, schema_id, sha256_hex};
pub use import_llm::ImportReport;
#[doc(hidden)]
pub use import_llm::fuzzing;
pub use json::{Json, JsonError, Object};
pub use library::{Continuation, Conversation, DayStats, Fragment, Schema};
pub use open::SqliteStore;
pub use query::{Filter, Turn, UsedFragment};
pub use replay::{Change, FileStamp, FileUse, LoggedFile, Replay, Setup};
pub use schema::SCHEMA_VERSION;
pub use sql_runner::{Cell, SqlError, SqlLimits, SqlRunner, Table};
pub use store::Store;
pub use time::{format_day, format_time};
pub use turn::{FragmentKind, FragmentUse, Logged, NewTurn, Place};
