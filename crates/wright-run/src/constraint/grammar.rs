//! From a response format to a grammar, with limits on what is taken from outside.

use super::{Refusal, gbnf, schema};
use serde_json::{Value, json};
use thiserror::Error;
use wright_chat::schema::{Schema, SchemaError};
use wright_chat::{Error, ErrorKind, GrammarSyntax, ResponseFormat};

/// Bytes of a grammar or regular expression at most.
const SOURCE_MAX: usize = 256 << 10;
/// Bytes of a schema at most.
const SCHEMA_MAX: usize = 1 << 20;

/// Why a form cannot be enforced, or the answer cannot go on in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConstraintError {
    #[error("the schema cannot be used: {0}")]
    Schema(#[from] SchemaError),
    #[error("the schema cannot be enforced: {0}")]
    Refused(#[from] Refusal),
    #[error("the grammar cannot be used: {0}")]
    Grammar(String),
    #[error("the {what} is larger than {max} bytes")]
    TooLarge { what: &'static str, max: usize },
    #[error("the grammar takes too much work")]
    TooMuchWork,
    #[error("the response format permits no token here")]
    DeadEnd,
}

impl ConstraintError {
    /// A message of the matcher in its first line: what follows quotes the grammar.
    pub(super) fn from_matcher(message: &str) -> ConstraintError {
        let line = message.lines().next().unwrap_or_default();
        if line.contains("too complex") || line.contains("limit") || line.contains("fuel") {
            return ConstraintError::TooMuchWork;
        }
        ConstraintError::Grammar(line.to_owned())
    }
}

impl From<ConstraintError> for Error {
    fn from(error: ConstraintError) -> Error {
        let kind = match error {
            ConstraintError::TooLarge { .. } => ErrorKind::TooLarge,
            ConstraintError::Refused(_) => ErrorKind::Unsupported,
            _ => ErrorKind::BadRequest,
        };
        Error::new(kind, error.to_string())
    }
}

/// A grammar, checked and ready for any vocabulary.
#[derive(Debug, Clone)]
pub struct ConstraintGrammar {
    /// In the syntax of Lark.
    pub(super) lark: String,
    pub(super) has_free_keys: bool,
    pub(super) has_unique_items: bool,
}

impl ConstraintGrammar {
    /// The grammar of a response format.
    ///
    /// # Errors
    /// If the format is malformed, too large, or asks for what cannot be enforced.
    pub fn new(format: &ResponseFormat) -> Result<ConstraintGrammar, ConstraintError> {
        match format {
            ResponseFormat::Json => Self::of_schema(&json!({"type": "object"})),
            ResponseFormat::JsonSchema(schema) => Self::of_schema(schema),
            ResponseFormat::Regex(source) => Self::of_regex(source),
            ResponseFormat::Grammar { syntax, source } => Self::of_source(*syntax, source),
        }
    }

    fn of_schema(source: &Value) -> Result<ConstraintGrammar, ConstraintError> {
        if source.to_string().len() > SCHEMA_MAX {
            return Err(ConstraintError::TooLarge { what: "schema", max: SCHEMA_MAX });
        }
        let compiled = Schema::compile(source)?.asserting_formats();
        let grammar = schema::compile(&compiled, "")?;
        Ok(ConstraintGrammar {
            lark: format!("start: {}\n{}", grammar.start, grammar.rules),
            has_free_keys: grammar.has_free_keys,
            has_unique_items: grammar.has_unique_items,
        })
    }

    fn of_regex(source: &str) -> Result<ConstraintGrammar, ConstraintError> {
        bounded("regular expression", source)?;
        regex_syntax::parse(source).map_err(|error| {
            let message = error.to_string();
            let line = message.lines().last().unwrap_or_default();
            ConstraintError::Grammar(line.trim_start_matches("error: ").to_owned())
        })?;
        Ok(Self::of_lark(format!("start: {}\n", schema::lark_regex(source))))
    }

    fn of_source(
        syntax: GrammarSyntax,
        source: &str,
    ) -> Result<ConstraintGrammar, ConstraintError> {
        bounded("grammar", source)?;
        match syntax {
            GrammarSyntax::Gbnf => {
                gbnf::to_lark(source).map(Self::of_lark).map_err(ConstraintError::Grammar)
            }
            GrammarSyntax::Lark => {
                // These would let a grammar change what is enforced.
                let switches = ["%llguidance", "x-guidance"];
                if let Some(switch) = switches.iter().find(|switch| source.contains(**switch)) {
                    return Err(ConstraintError::Grammar(format!("`{switch}` is not permitted")));
                }
                Ok(Self::of_lark(source.to_owned()))
            }
        }
    }

    fn of_lark(lark: String) -> ConstraintGrammar {
        ConstraintGrammar { lark, has_free_keys: false, has_unique_items: false }
    }
}

fn bounded(what: &'static str, source: &str) -> Result<(), ConstraintError> {
    match source.len() > SOURCE_MAX {
        true => Err(ConstraintError::TooLarge { what, max: SOURCE_MAX }),
        false => Ok(()),
    }
}
