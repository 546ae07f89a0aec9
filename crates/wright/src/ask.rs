//! Verbs that ask a model.

pub mod chat;
pub mod run;
