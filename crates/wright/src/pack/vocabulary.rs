//! What turns text into ids: a tokenizer.json, plain bytes, or one trained on the text itself.

use crate::failure::Failure;
use crate::pack::Options;
use crate::shard;
use std::path::Path;
use wright_data::report::Tokenizer;
use wright_train::Vocabulary;

/// A vocabulary, and what the report says of it.
pub struct Chosen {
    pub vocabulary: Vocabulary,
    pub about: Tokenizer,
}

impl Chosen {
    fn new(vocabulary: Vocabulary, from: &str, trained_on_bytes: u64) -> Chosen {
        let about = Tokenizer {
            n_vocab: vocabulary.n_vocab(),
            hash: format!("{:016x}", vocabulary.hash()),
            from: from.to_owned(),
            trained_on_bytes,
        };
        Chosen { vocabulary, about }
    }
}

/// The vocabulary that the options name.
///
/// # Errors
/// If it cannot be used.
pub fn named(options: &Options) -> Result<Chosen, Failure> {
    let from = options.tokenizer.as_deref().unwrap_or("bytes");
    let vocabulary = match from {
        "bytes" => Vocabulary::Bytes,
        path => shard::vocabulary(Path::new(path), None)?,
    };
    Ok(Chosen::new(vocabulary, from, 0))
}
