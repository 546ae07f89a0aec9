//! Training of byte-level BPE: which pairs of neighbours merge, and in which order.
//!
//! Text is cut to words by a pre-tokenizer; what is kept of it is each distinct word with its
//! count, so that memory grows with the language and not with the corpus. Training then merges the
//! most frequent pair of neighbours, again and again (Sennrich et al. 2016, "Neural Machine
//! Translation of Rare Words with Subword Units", over bytes as in GPT-2). Merges and ids are those
//! of Hugging Face's `tokenizers`: special tokens come first, then the 256 bytes in the order of
//! their letters, then merges; of equally frequent pairs that of the lower ids merges first.
//!
//! One thing is different on purpose: no merge ever spells a special token. Results depend neither
//! on the number of threads nor on the order of the texts.

mod cut;
mod json;
mod pairs;
mod words;

use crate::pretokenizer::Pretokenizer;
use crate::{Algorithm, Error, Spec, TokenKind, Tokenizer, byte_level};
use pairs::Pairs;
use std::sync::atomic::{AtomicUsize, Ordering};
use words::Words;

/// How text is cut unless something else is asked for: as Llama 3 does.
pub const DEFAULT_PRE: &str = "llama-bpe";

/// A pair that came less often merges only if [`BpeTrainer::min_frequency`] says so: a token that
/// was seen once teaches a model nothing.
pub const MIN_FREQUENCY: u64 = 2;

/// Text that is gathered before threads count its words, for each thread.
const BATCH_BYTES: usize = 1 << 20;

/// Most threads that count.
const THREADS_MAX: usize = 256;

/// Trains byte-level BPE: counts the words of a corpus, then finds the merges.
#[derive(Debug)]
pub struct BpeTrainer {
    pre: String,
    pretokenizer: Pretokenizer,
    min_frequency: u64,
    /// (n_threads): what each thread has counted.
    counts: Vec<Words>,
    /// Texts that wait to be counted, one after the other.
    pending: String,
    /// Where each of them ends.
    ends: Vec<usize>,
    n_bytes: u64,
}

impl BpeTrainer {
    /// A trainer that cuts text as `pre` says (a name that `tokenizer.ggml.pre` may have), on
    /// `n_threads` threads.
    ///
    /// # Errors
    /// [`Error::UnknownPretokenizer`].
    pub fn new(pre: &str, n_threads: usize) -> Result<Self, Error> {
        let mut counts = Vec::new();
        counts.resize_with(n_threads.clamp(1, THREADS_MAX), Words::default);
        Ok(BpeTrainer {
            pre: pre.to_owned(),
            pretokenizer: Pretokenizer::named(pre)?,
            min_frequency: MIN_FREQUENCY,
            counts,
            pending: String::new(),
            ends: Vec::new(),
            n_bytes: 0,
        })
    }

    /// Merges pairs that came at least `n` times, instead of [`MIN_FREQUENCY`]. 0 is as 1.
    pub fn min_frequency(mut self, n: u64) -> Self {
        self.min_frequency = n;
        self
    }

    /// Bytes of text so far.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Adds one text. No word spans two texts.
    ///
    /// Texts are counted in batches, so that small ones cost little, and a large one is cut where
    /// no word is harmed, so that all threads share it.
    pub fn feed(&mut self, text: &str) {
        self.n_bytes += text.len() as u64;
        let batch = self.counts.len() * BATCH_BYTES;
        if text.len() >= batch {
            self.count(&self.pieces(text));
            return;
        }
        self.pending.push_str(text);
        self.ends.push(self.pending.len());
        if self.pending.len() >= batch {
            self.count_pending();
        }
    }

    fn pieces<'t>(&self, text: &'t str) -> Vec<&'t str> {
        match self.pretokenizer.joins_words {
            true => vec![text],
            false => cut::pieces(text),
        }
    }

    fn count_pending(&mut self) {
        let texts = std::mem::take(&mut self.pending);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let whole = starts.zip(&self.ends).map(|(start, &end)| &texts[start..end]);
        let pieces: Vec<&str> = whole.flat_map(|text| self.pieces(text)).collect();
        self.count(&pieces);
        self.ends.clear();
        self.pending = texts;
        self.pending.clear();
    }

    /// Counts the words of `pieces`, which the threads share out among themselves.
    fn count(&mut self, pieces: &[&str]) {
        let (pretokenizer, next) = (&self.pretokenizer, &AtomicUsize::new(0));
        let work = move |words: &mut Words| {
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                pretokenizer.split(piece, &mut |word| words.add(word.as_bytes(), 1));
            }
        };
        let [first, others @ ..] = self.counts.as_mut_slice() else { return };
        std::thread::scope(|scope| {
            for words in others.iter_mut().take(pieces.len().saturating_sub(1)) {
                scope.spawn(move || work(words));
            }
            work(first);
        });
    }

    /// Learns merges until there are `n_vocab` tokens, those of `special` and the 256 bytes
    /// included, or until no pair is frequent enough: the result may have fewer.
    ///
    /// # Errors
    /// If `n_vocab` has no room for a merge-less vocabulary, or a special token cannot be one.
    pub fn train(self, n_vocab: usize, special: &[&str]) -> Result<TrainedBpe, Error> {
        self.train_watched(n_vocab, special, &mut |_| true)
    }

    /// As [`BpeTrainer::train`]; `watch` is told the number of tokens before each merge, and ends
    /// the work by saying false.
    ///
    /// # Errors
    /// As there, and [`Error::Stopped`].
    pub fn train_watched(
        mut self,
        n_vocab: usize,
        special: &[&str],
        watch: &mut dyn FnMut(usize) -> bool,
    ) -> Result<TrainedBpe, Error> {
        check_special(special)?;
        let least = special.len() + 256;
        if n_vocab < least {
            return Err(Error::VocabularyTooSmall { n_vocab, least });
        }
        self.count_pending();
        let mut words = self.counts.pop().unwrap_or_default();
        for mut other in self.counts.drain(..) {
            if other.len() > words.len() {
                std::mem::swap(&mut words, &mut other);
            }
            other.iter().for_each(|(word, count)| words.add(word, count));
        }
        let mut trained = TrainedBpe {
            pre: self.pre,
            ignore_merges: self.pretokenizer.ignore_merges,
            special: special.iter().map(|&text| text.to_owned()).collect(),
            tokens: byte_level::ALPHABET.iter().map(|&byte| vec![byte]).collect(),
            merges: Vec::new(),
            n_bytes: self.n_bytes,
            n_words: words.iter().map(|(_, count)| count).sum(),
            n_distinct: words.len(),
            n_tokens: 0,
        };
        let mut pairs = Pairs::new(words, self.min_frequency.max(1));
        while trained.n_vocab() < n_vocab {
            if !watch(trained.n_vocab()) {
                return Err(Error::Stopped);
            }
            let Some((left, right)) = pairs.best() else { break };
            let token = trained.joined(left, right);
            if special.iter().any(|text| text.as_bytes() == token) {
                pairs.forget(left, right);
                continue;
            }
            pairs.merge(left, right, trained.tokens.len() as u32);
            trained.tokens.push(token);
            trained.merges.push((left, right));
        }
        trained.n_tokens = pairs.n_tokens();
        Ok(trained)
    }
}

/// Special tokens are found by their text: it must not be empty, come twice, or be a byte's letter.
fn check_special(special: &[&str]) -> Result<(), Error> {
    for (i, text) in special.iter().enumerate() {
        let is_letter =
            text.chars().count() == 1 && byte_level::decode(text.as_bytes(), &mut vec![]);
        if text.is_empty() || is_letter || special[..i].contains(text) {
            return Err(Error::SpecialToken((*text).to_owned()));
        }
    }
    Ok(())
}

/// A trained tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedBpe {
    pre: String,
    ignore_merges: bool,
    special: Vec<String>,
    /// Bytes of each token by symbol: the alphabet, then what merges made. The id of a symbol is
    /// the number of special tokens more.
    tokens: Vec<Vec<u8>>,
    /// Pairs of symbols, the first to merge first.
    merges: Vec<(u32, u32)>,
    n_bytes: u64,
    n_words: u64,
    n_distinct: usize,
    n_tokens: u64,
}

impl TrainedBpe {
    /// How many tokens there are, special ones included.
    pub fn n_vocab(&self) -> usize {
        self.special.len() + self.tokens.len()
    }

    /// Number of merges.
    pub fn n_merges(&self) -> usize {
        self.merges.len()
    }

    /// Name of the pre-tokenizer.
    pub fn pre(&self) -> &str {
        &self.pre
    }

    /// Bytes of the text that this was trained on.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Words of that text, as the pre-tokenizer cuts it.
    pub fn n_words(&self) -> u64 {
        self.n_words
    }

    /// Distinct words of that text.
    pub fn n_distinct(&self) -> usize {
        self.n_distinct
    }

    /// Tokens of that text, without those that end a document.
    pub fn n_tokens(&self) -> u64 {
        self.n_tokens
    }

    /// (id, bytes) of every token that is text.
    pub fn tokens(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.tokens.iter().enumerate().map(|(i, token)| (self.special.len() + i, token.as_slice()))
    }

    /// What turns text into these tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::new`].
    pub fn tokenizer(&self) -> Result<Tokenizer, Error> {
        let letters: Vec<String> = self.tokens.iter().map(|t| byte_level::encode(t)).collect();
        let letters_of = |symbol: u32| letters[symbol as usize].as_str();
        let merges: Vec<String> = self
            .merges
            .iter()
            .map(|&(left, right)| format!("{} {}", letters_of(left), letters_of(right)))
            .collect();
        let mut spec = Spec::new(Algorithm::ByteBpe);
        spec.pre = &self.pre;
        spec.tokens = self.special.iter().chain(&letters).map(|text| text.as_bytes()).collect();
        spec.kinds = vec![TokenKind::Control; self.special.len()];
        spec.kinds.resize(spec.tokens.len(), TokenKind::Normal);
        spec.merges = merges.iter().map(|merge| merge.as_bytes()).collect();
        spec.add_bos = Some(false);
        Tokenizer::new(&spec)
    }

    fn joined(&self, left: u32, right: u32) -> Vec<u8> {
        [self.tokens[left as usize].as_slice(), &self.tokens[right as usize]].concat()
    }
}

#[cfg(test)]
mod tests;
