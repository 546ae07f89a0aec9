//! The language spoken between the rooms of Wright.
//!
//! A conversation ([`Message`], [`Part`], [`Text`]), what is asked of a model ([`Request`]), what
//! comes back while it answers ([`Event`]) and when it is done ([`Response`]), and the one
//! interface to every model, local or hosted: [`Model`].
//!
//! This crate opens no file, talks to no network, runs no model and depends on no other room.
#![forbid(unsafe_code)]

mod error;
mod event;
mod message;
mod model;
mod request;
mod scripted;
mod sink;
mod tool;

pub use error::{Error, ErrorKind};
pub use event::{Event, FinishReason, Response, TokenInfo, TopToken, Usage};
pub use message::{Media, Message, Origin, Part, Role, Text};
pub use model::{Capabilities, Description, Model, Score, Token};
pub use request::{Options, Prompt, Request, Shape};
pub use scripted::{Scripted, Turn};
pub use sink::{Collect, Sink};
pub use tool::{Tool, ToolCall, ToolChoice, ToolResult};
