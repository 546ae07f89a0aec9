//! A tokenizer learned from files and folders of text.

use crate::Work;
use crate::error::Error;
use crate::ingest::ingest;
use crate::tally::{Found, Tally};
use crate::walk::Source;
use wright_data::{ReadOptions, duplicates};
use wright_host::{Count, units};
use wright_text::bpe_trainer::{BpeTrainer, DEFAULT_PRE, TrainedBpe};

/// Text that counts in full. Of what comes after only every second document does, from twice as
/// much on every fourth, and so on: more teaches little, and the table of words is to stay bounded.
const TEXT_BYTES_FULL: u64 = 1 << 30;
/// The token that ends a document.
pub(crate) const END: &str = "<|endoftext|>";

/// What tokenizer to train.
#[derive(Debug, Clone)]
pub struct TokenizerOptions {
    /// Tokens, `<|endoftext|>` and the 256 bytes included.
    pub n_vocab: usize,
    /// How text is cut to words, by the name that GGUF has for it.
    pub pre: String,
    /// Pairs that come more rarely are not merged.
    pub min_frequency: u64,
    pub reading: ReadOptions,
}

impl Default for TokenizerOptions {
    fn default() -> Self {
        TokenizerOptions {
            n_vocab: 4096,
            pre: DEFAULT_PRE.to_owned(),
            min_frequency: 2,
            reading: ReadOptions::default(),
        }
    }
}

/// A tokenizer, and what it was learned from.
pub struct LearnedTokenizer {
    pub trained: TrainedBpe,
    pub tally: Tally,
}

/// Trains a byte-level BPE tokenizer on all text of `sources`, in their order.
///
/// # Errors
/// If there is no text, too little for so many tokens, an option cannot be met, or the work was
/// interrupted.
pub fn train_tokenizer(
    sources: Vec<Source>,
    options: &TokenizerOptions,
    work: &Work<'_>,
) -> Result<LearnedTokenizer, Error> {
    let trainer = BpeTrainer::new(&options.pre, work.threads)?;
    let mut trainer = trainer.min_frequency(options.min_frequency);
    let tally = feed(sources, options, &mut trainer, work)?;
    if trainer.n_bytes() == 0 {
        return Err(Error::NoText { skipped: tally.skipped });
    }
    let mut progress =
        work.reporter.start("merging", options.n_vocab as u64, Count::Things("tokens"));
    let trained = trainer.train_watched(options.n_vocab, &[END], &mut |n_vocab| {
        progress.set(n_vocab as u64);
        !work.interrupt.is_set()
    });
    progress.finish();
    let trained = match trained {
        Err(wright_text::Error::Stopped) => return Err(Error::Interrupted),
        other => other?,
    };
    // A model's shape depends on the size of its vocabulary.
    if trained.n_vocab() != options.n_vocab {
        return Err(Error::TooFewPairs {
            wanted: options.n_vocab,
            n_vocab: trained.n_vocab(),
            min_frequency: options.min_frequency,
        });
    }
    Ok(LearnedTokenizer { trained, tally })
}

/// Hands the trainer all text that counts.
fn feed(
    sources: Vec<Source>,
    options: &TokenizerOptions,
    trainer: &mut BpeTrainer,
    work: &Work<'_>,
) -> Result<Tally, Error> {
    let mut seen = 0;
    let mut tally = ingest(sources, &options.reading, work, |batch| {
        for found in batch {
            let Found::Document(document) = found else { continue };
            if counts(&document.text, seen) {
                trainer.feed(&document.text);
            }
            seen += document.text.len() as u64;
        }
        Ok(())
    })?;
    if trainer.n_bytes() < seen {
        let (learnt, all) = (units::bytes(trainer.n_bytes()), units::bytes(seen));
        tally.note(format!(
            "learned from {learnt} of {all}: a sample of the documents, chosen by \
                            hash"
        ));
    }
    Ok(tally)
}

/// Whether a text is learned from, `seen` bytes having come before it.
fn counts(text: &str, seen: u64) -> bool {
    let halvings = (seen / TEXT_BYTES_FULL).checked_ilog2().map_or(0, |n| n + 1);
    halvings == 0 || {
        let hash = duplicates::text_hash(text);
        u64::from_le_bytes(std::array::from_fn(|at| hash[at])).trailing_zeros() >= halvings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ever_more_text_ever_fewer_documents_count() {
        let n = |seen: u64| (0..4000).filter(|n| counts(&format!("text {n}"), seen)).count();
        assert_eq!([n(0), n(TEXT_BYTES_FULL - 1)], [4000, 4000]);
        assert!((1800..2200).contains(&n(TEXT_BYTES_FULL)));
        assert!((800..1200).contains(&n(3 * TEXT_BYTES_FULL)));
        assert!((400..600).contains(&n(4 * TEXT_BYTES_FULL)));
    }
}
