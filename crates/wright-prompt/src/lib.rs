//! Text around prompts: templates in the YAML of `llm` ([`Template`]), fenced code in answers
//! ([`fenced_code`]), and the short notation for schemas ([`schema_dsl`]).
//!
//! ```
//! use std::collections::BTreeMap;
//! use wright_prompt::{Template, Templates};
//! let template = Template::parse("prompt: 'Translate to $language: $input'")?;
//! let parameters = BTreeMap::from([("language".to_owned(), "French".to_owned())]);
//! let templates = Templates::new(vec![("translate".to_owned(), template)]);
//! let filled = templates.fill("Good morning", &parameters)?;
//! assert_eq!(filled.prompt, "Translate to French: Good morning");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate opens no file, and what it reads is bounded in depth and size.
#![forbid(unsafe_code)]

mod fence;
pub mod schema_dsl;
mod template;
mod variables;

pub use fence::{Which, fenced_code};
pub use template::{AttachmentType, Filled, Template, TemplateError, Templates};
pub use variables::{VariableError, names, substitute};
