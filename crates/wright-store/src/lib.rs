//! The memory of Wright: conversations, answers and what made them, in one SQLite file.
#![forbid(unsafe_code)]

mod clock;
mod error;
mod export_llm;
mod hash;
mod import_llm;
mod json;
mod node;
mod open;
mod record;
mod schema;
mod time;
mod tree;
mod words;

pub use error::Error;
pub use export_llm::{ExportReport, Scope};
pub use hash::{message_hash, schema_id, sha256_hex};
pub use import_llm::ImportReport;
pub use json::{Json, JsonError, Object};
pub use open::SqliteStore;
pub use schema::SCHEMA_VERSION;
pub use time::{format_day, format_time};
