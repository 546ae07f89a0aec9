//! Verbs that ask a model, and what was said.

pub mod chat;
pub mod logs;
pub mod run;
pub mod sql;
