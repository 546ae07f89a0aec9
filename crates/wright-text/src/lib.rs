//! Text to token IDs and back, and conversations to prompts.
//!
//! A [`Tokenizer`] is built from a [`Spec`], which mirrors the metadata that model files carry but
//! knows no file format. A [`Template`] renders a conversation with the model's own Jinja template;
//! the result, [`Rendered`], records which parts were data, so that no message can form a control
//! token, alone or together with the template's text.
//!
//! Letters, digits and marks are those of Unicode [`UNICODE_VERSION`]; a reference with older
//! tables differs on the characters assigned since.
//!
//! This crate opens no files, reads no clock and knows nothing about models.
#![forbid(unsafe_code)]

mod bpe;
pub mod bpe_trainer;
mod byte_level;
mod error;
mod families;
mod merge;
mod pattern;
mod pretokenizer;
mod rendered;
mod spec;
mod special;
mod spm;
mod template;
mod tokenizer;
mod tokenizer_json;
mod unigram;
mod vocabulary;
mod wordpiece;

pub use error::Error;
pub use families::{BARE_LIST, BARE_OBJECT, CallFormat, CallSyntax, ReasoningFormat};
pub use rendered::{Rendered, Span};
pub use spec::{Algorithm, Spec, TokenKind};
pub use template::{Now, RankPrompt, RenderOptions, Template};
pub use tokenizer::{Encoded, Pair, Tokenizer};
pub use tokenizer_json::{Frame, Pieces, TokenizerJsonError, pretokenizer_of};
pub use unicode_properties::UNICODE_VERSION;
