//! What turns text into ids: a tokenizer.json, plain bytes, or one trained on the text itself.

use crate::Work;
use crate::error::Error;
use crate::pack::collect::Collected;
use crate::pack::holdout::{self, Held};
use crate::pack::options::PackOptions;
use crate::pack::spool::Texts;
use crate::tokenizer::END;
use crate::vocabulary::read_vocabulary;
use std::path::Path;
use wright_data::holdout::parts;
use wright_data::report::Tokenizer;
use wright_host::Count;
use wright_text::bpe_trainer::{BpeTrainer, DEFAULT_PRE};
use wright_train::Vocabulary;

/// More text teaches a tokenizer little.
const TEXT_BYTES_MAX: u64 = 256 << 20;
/// Documents after which pages that were read are handed back.
const FORGET_EVERY: usize = 1024;

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

/// The vocabulary that the options name, if they name one.
///
/// # Errors
/// If it cannot be used.
pub fn named(options: &PackOptions) -> Result<Option<Chosen>, Error> {
    let Some(from) = options.tokenizer.as_deref() else { return Ok(None) };
    let vocabulary = match from {
        "bytes" => Vocabulary::Bytes,
        path => read_vocabulary(Path::new(path), None)?,
    };
    Ok(Some(Chosen::new(vocabulary, from, 0)))
}

/// As many tokens as suit so much text: a model's size goes with it, and the vocabulary's part
/// of a small model is to stay small.
fn suitable(bytes: u64) -> usize {
    match bytes >> 20 {
        0 => 1024,
        1..4 => 2048,
        4..32 => 4096,
        32..256 => 8192,
        256..2048 => 16_384,
        _ => 32_768,
    }
}

/// A vocabulary trained on what is not held out: on all of it, or on documents chosen by their
/// hashes where that is more than [`TEXT_BYTES_MAX`].
///
/// # Errors
/// If a text cannot be read, or the person stopped it.
pub fn trained(
    options: &PackOptions,
    collected: &mut Collected,
    texts: &Texts,
    held: &Held,
    work: &Work<'_>,
) -> Result<Chosen, Error> {
    let n_vocab = options.vocab.unwrap_or_else(|| suitable(collected.kept_bytes));
    let mut trainer = BpeTrainer::new(DEFAULT_PRE, work.threads)?;
    let sampled = TEXT_BYTES_MAX as f64 / collected.kept_bytes.max(1) as f64;
    let mut progress = work.reporter.start("words", collected.kept_bytes, Count::Bytes);
    let mut done = 0;
    for (number, record) in collected.records.iter().enumerate() {
        work.check()?;
        let place = holdout::place(record);
        let order = u64::from_be_bytes(std::array::from_fn(|at| record.hash[at]));
        if order as f64 / u64::MAX as f64 <= sampled {
            let text = texts.get(place.clone())?;
            let held = held.get(&(number as u32)).map(Vec::as_slice).unwrap_or_default();
            for part in parts(text.len(), held).iter().filter(|part| !part.held_out) {
                trainer.feed(&text[part.from..part.to]);
            }
        }
        done += u64::from(record.len);
        progress.set(done);
        if number.is_multiple_of(FORGET_EVERY) {
            texts.forget(0..place.end);
        }
    }
    progress.finish();
    let n_bytes = trainer.n_bytes();
    let mut progress = work.reporter.start("tokenizer", n_vocab as u64, Count::Things("tokens"));
    let mut watch = |n: usize| {
        progress.set(n as u64);
        !work.interrupt.is_set()
    };
    let trained = trainer.train_watched(n_vocab, &[END], &mut watch);
    progress.finish();
    let trained = match trained {
        Err(_) if work.interrupt.is_set() => return Err(Error::Interrupted),
        other => other?,
    };
    if trained.n_vocab() < n_vocab {
        let has = trained.n_vocab();
        collected.tally.note(format!(
            "tokenizer: {has} tokens instead of {n_vocab}: no other pair occurs twice in this text"
        ));
    }
    let vocabulary = Vocabulary::from_json(&trained.json().to_string(), usize::MAX)?;
    Ok(Chosen::new(vocabulary, "trained", n_bytes))
}
