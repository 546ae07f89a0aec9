//! Errors of tokenizers and chat templates, with hints.

use thiserror::Error;

/// An invalid tokenizer, or a conversation that a template cannot render.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the tokenizer type `{0}` is not supported")]
    UnknownAlgorithm(String),
    #[error("the pre-tokenizer `{0}` is not known")]
    UnknownPretokenizer(String),
    #[error("a vocabulary of {0} tokens cannot be used")]
    VocabularySize(usize),
    #[error("`tokenizer.ggml.{field}` has {len} entries for {n_vocab} tokens")]
    LengthMismatch { field: &'static str, len: usize, n_vocab: usize },
    #[error("the vocabulary has no `tokenizer.ggml.{0}`")]
    Missing(&'static str),
    #[error("the {field} token is {id}, but there are only {n_vocab} tokens")]
    IdOutOfRange { field: &'static str, id: u32, n_vocab: usize },
    #[error("`tokenizer.ggml.precompiled_charsmap` is truncated")]
    Charsmap,
    #[error("the tokens have {0} bytes in total, which is too much")]
    VocabularyBytes(usize),
    #[error("a vocabulary of {n_vocab} tokens has no room for its {least} initial tokens")]
    VocabularyTooSmall { n_vocab: usize, least: usize },
    #[error("`{0}` cannot be a special token: it is empty, a single character, or a duplicate")]
    SpecialToken(String),
    #[error("tokenizer training was interrupted")]
    Stopped,
    /// The template's source does not parse.
    #[error("the chat template does not parse: {0}")]
    TemplateSyntax(String),
    /// The template called `raise_exception`.
    #[error("the chat template rejects this conversation: {0}")]
    TemplateRefused(String),
    /// The template failed while it ran.
    #[error("the chat template failed: {0}")]
    TemplateFailed(String),
    /// The template used up its budget of work or of output.
    #[error("the chat template does too much work: {0}")]
    TemplateTooMuch(String),
    #[error("this model's chat template ignores the system message")]
    NoSystemRole,
    #[error("this model's chat template ignores tools")]
    NoTools,
    #[error("chat templates accept text, but this message contains {0}")]
    Media(String),
    #[error("there is no built-in chat template named `{0}`")]
    UnknownTemplate(String),
    #[error("this text contains every character that could separate data from markup")]
    NoMarker,
    #[error("the chat template splits messages, so their spans cannot be determined")]
    NoSpans,
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        // tidy: circle: hints list the names that are known, which stand beside what has them
        use crate::{pretokenizer, template};
        Some(match self {
            Error::UnknownAlgorithm(_) => "supported types: gpt2 (byte-level BPE), llama \
                                           (SentencePiece), t5 (unigram), bert (WordPiece), \
                                           gemma4; convert the model with one of these"
                .to_owned(),
            Error::UnknownPretokenizer(_) => {
                format!("known pre-tokenizers: {}", pretokenizer::names().join(", "))
            }
            Error::VocabularySize(_)
            | Error::LengthMismatch { .. }
            | Error::Missing(_)
            | Error::IdOutOfRange { .. }
            | Error::Charsmap
            | Error::VocabularyBytes(_) => {
                "the file is damaged or was converted incorrectly: download or convert it again"
                    .to_owned()
            }
            Error::VocabularyTooSmall { least, .. } => format!(
                "use more than {least}: the 256 bytes and the special tokens are always included"
            ),
            Error::SpecialToken(_) => "special tokens look like `<|endoftext|>`".to_owned(),
            Error::Stopped => return None,
            Error::TemplateSyntax(_) | Error::TemplateFailed(_) | Error::TemplateTooMuch(_) => {
                format!(
                    "use a built-in template instead: {}",
                    template::builtin::names().join(", ")
                )
            }
            Error::TemplateRefused(_) => "change the conversation as described, or use another \
                                          template"
                .to_owned(),
            Error::NoSystemRole => {
                "put the instructions at the start of the first user message".to_owned()
            }
            Error::NoTools => "use a model that was trained to call tools".to_owned(),
            Error::Media(_) => "omit it, or use a model that accepts it".to_owned(),
            Error::UnknownTemplate(_) => {
                format!("built-in templates: {}", template::builtin::names().join(", "))
            }
            Error::NoMarker => "remove noncharacters (U+FDD0 to U+FDEF) from the text".to_owned(),
            Error::NoSpans => "use a template that prints messages unchanged".to_owned(),
        })
    }
}
