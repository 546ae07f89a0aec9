//! The vocabulary that all of Wright's crates share.
//!
//! A conversation ([`Message`], [`Part`], [`Text`]), what is asked of a model ([`Request`]), what
//! comes back while it answers ([`Event`]) and when it is done ([`Response`]), the one interface to
//! every model, local or hosted ([`Model`]) and to what finds one by name ([`ModelSource`]), and
//! tools ([`ToolRunner`]) with the loop that lets a model use them ([`ToolLoop`]). What arguments
//! and answers must look like is said in JSON schemas ([`schema`]).
//!
//! This crate opens no file, talks to no network, runs no model and depends on no other crate of
//! Wright.
#![forbid(unsafe_code)]

mod cancel;
mod error;
mod event;
mod fake;
mod media;
mod message;
mod model;
mod origin;
mod request;
pub mod schema;
mod sink;
mod text;
mod tool;
mod tool_loop;
mod usage;
mod versioned;

pub use cancel::{Cancel, OnCancel};
pub use error::{Error, ErrorKind, Remedy};
pub use event::{Event, FinishReason, Response, TokenInfo, TopToken};
pub use fake::{FakeModel, FakeReply};
pub use media::{Media, MediaKind, MediaSource};
pub use message::{Content, Message, Part, ProviderData, Role};
pub use model::{
    Capabilities, Description, Model, ModelEntry, ModelSource, Provider, Score, Token,
};
pub use origin::Origin;
pub use request::{
    Adapter, FormatKind, GrammarSyntax, Options, Prompt, ReasoningEffort, Request, ResponseFormat,
};
pub use sink::{Collect, Sink};
pub use text::Text;
pub use tool::{Tool, ToolCall, ToolChoice, ToolResult, ToolRunner};
pub use tool_loop::{
    Approval, ToolLoop, ToolLoopEnd, ToolLoopObserver, ToolLoopOutcome, ToolRound,
};
pub use usage::{Cost, Usage};
pub use versioned::{VersionError, Versioned, from_json, to_json};
