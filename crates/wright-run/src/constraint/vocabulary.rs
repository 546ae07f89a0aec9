//! A model's vocabulary as the matcher takes it: a tree of the bytes of tokens.

use llguidance::ParserFactory;
use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use std::sync::Arc;
use wright_text::{TokenKind, Tokenizer};

/// Lexer states that one answer may need at most: each takes one to two kilobytes.
const LEXER_STATES_MAX: usize = 50_000;

/// The tokens of a model, prepared for constraints. Made once for each model.
pub struct ConstraintVocabulary {
    pub(super) factory: ParserFactory,
    pub(super) tokenizer: Arc<Tokenizer>,
    n_vocab: usize,
}

impl ConstraintVocabulary {
    /// Takes about a fifth of a second for 50,000 tokens. `n_vocab` is the number of logits, which
    /// can be larger than the tokenizer's vocabulary.
    ///
    /// # Errors
    /// If no token ends an answer, or the vocabulary is empty.
    pub fn new(tokenizer: Arc<Tokenizer>, n_vocab: usize) -> Result<ConstraintVocabulary, String> {
        let ends: Vec<u32> = tokenizer.ends().to_vec();
        let Some(&first) = ends.first() else {
            return Err("no token of its vocabulary ends an answer".into());
        };
        let words: Vec<Vec<u8>> = (0..n_vocab as u32).map(|id| word(&tokenizer, id)).collect();
        let info = TokRxInfo::new(n_vocab as u32, first);
        let trie = TokTrie::from(&info, &words).with_eos_tokens(&ends);
        let env: TokEnv = Arc::new(Environment { trie });
        let mut factory = ParserFactory::new_simple(&env).map_err(|error| error.to_string())?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.verbose_errors = false;
        limits.max_lexer_states = LEXER_STATES_MAX;
        Ok(ConstraintVocabulary { factory, tokenizer, n_vocab })
    }

    /// Number of logits of the model.
    pub fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// The bytes of a token of text.
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        let bytes = self.factory.tok_env().tok_trie().token(id);
        bytes.strip_prefix(&[TokTrie::SPECIAL_TOKEN_MARKER]).unwrap_or(bytes)
    }
}

/// The bytes of one token, marked where they are a name and no text. Nothing: never permitted.
fn word(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    let bytes = tokenizer.token_bytes(id);
    if tokenizer.is_end(id) || tokenizer.kind(id) == Some(TokenKind::Control) {
        let mut word = vec![TokTrie::SPECIAL_TOKEN_MARKER];
        word.extend_from_slice(bytes);
        return word;
    }
    match tokenizer.kind(id) {
        Some(TokenKind::Unknown) | None => Vec::new(),
        // A token of text that begins like a marked one would be taken for it.
        Some(_) if bytes.first() == Some(&TokTrie::SPECIAL_TOKEN_MARKER) => Vec::new(),
        Some(_) => bytes.to_vec(),
    }
}

struct Environment {
    trie: TokTrie,
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, text: &[u8]) -> Vec<TokenId> {
        self.trie.greedy_tokenize(text)
    }

    fn tokenize_is_canonical(&self) -> bool {
        false
    }
}
