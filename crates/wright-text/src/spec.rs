//! What a tokenizer is made from: the vocabulary as a model's metadata carry it.
//!
//! The fields are those of the `tokenizer.ggml.*` keys, but nothing here reads a file: whoever does
//! hands over borrowed pieces, so that a vocabulary of a quarter of a million tokens is not copied
//! string by string on its way in.

use crate::Error;

/// The algorithm that turns text to tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Byte-level BPE: text is cut to words by a pre-tokenizer, bytes are merged by rank (`gpt2`).
    ByteBpe,
    /// BPE over characters with `▁` for a space and byte fallback, no words (`gemma4`, and
    /// `gpt2` where the pre-tokenizer says so).
    CharBpe,
    /// Unigram: the most likely cut into pieces (`t5`).
    Unigram,
    /// WordPiece: words into the longest pieces from the left (`bert`).
    WordPiece,
    /// SentencePiece BPE: characters merge to the piece of the highest score (`llama`).
    Spm,
}

impl Algorithm {
    /// The algorithm that `tokenizer.ggml.model` and `tokenizer.ggml.pre` name.
    ///
    /// # Errors
    /// [`Error::UnknownAlgorithm`] for a name that is not built.
    pub fn named(name: &str, pre: &str) -> Result<Self, Error> {
        match name {
            "gpt2" if CHARACTERS.contains(&pre) => Ok(Algorithm::CharBpe),
            "gpt2" => Ok(Algorithm::ByteBpe),
            "gemma4" | WHITESPACE => Ok(Algorithm::CharBpe),
            "llama" => Ok(Algorithm::Spm),
            "t5" => Ok(Algorithm::Unigram),
            "bert" => Ok(Algorithm::WordPiece),
            other => Err(Error::UnknownAlgorithm(other.to_owned())),
        }
    }
}

/// Names of a pre-tokenizer that leave a text's characters to the merges.
pub(crate) const CHARACTERS: &[&str] = &["gemma4", "granite-embed-multi-311m", SARVAM, WHITESPACE];
/// Sarvam's: as Gemma 4's, but a run of newlines is merged like all else.
pub(crate) const SARVAM: &str = "sarvam-moe";
/// That of jina-embeddings-v2-base-zh: white space parts words and is dropped.
pub(crate) const WHITESPACE: &str = "whitespace";

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Text, made by the algorithm.
    Normal,
    /// Stands for what the vocabulary cannot say.
    Unknown,
    /// Structure: comes from templates and from the model, never from text.
    Control,
    /// Text that is found whole before the algorithm runs.
    UserDefined,
    /// In the table, used by nothing.
    Unused,
    /// One byte, written `<0xHH>`, for text that has no piece.
    Byte,
}

impl TokenKind {
    /// The kind that `tokenizer.ggml.token_type` numbers.
    pub fn from_ggml(kind: i32) -> Option<Self> {
        Some(match kind {
            1 => TokenKind::Normal,
            2 => TokenKind::Unknown,
            3 => TokenKind::Control,
            4 => TokenKind::UserDefined,
            5 => TokenKind::Unused,
            6 => TokenKind::Byte,
            _ => return None,
        })
    }
}

/// A tokenizer's data. `None` and empty fields take the algorithm's own default, as llama.cpp's do.
#[derive(Debug, Clone)]
pub struct Spec<'a> {
    /// `tokenizer.ggml.model`.
    pub algorithm: Algorithm,
    /// `tokenizer.ggml.pre`: the name of the pre-tokenizer; empty means `default`.
    pub pre: &'a str,
    /// `tokenizer.ggml.tokens`, in order of id.
    pub tokens: Vec<&'a [u8]>,
    /// `tokenizer.ggml.scores`; needed by [`Algorithm::Spm`].
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`; empty means all normal.
    pub kinds: Vec<TokenKind>,
    /// `tokenizer.ggml.merges`, best first, each two pieces with a space between.
    pub merges: Vec<&'a [u8]>,
    /// `tokenizer.ggml.bos_token_id`: begins a text.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`: ends a text.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`: ends a turn.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.eom_token_id`: ends a message.
    pub eom: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unk: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`.
    pub pad: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.seperator_token_id`: stands between two texts.
    pub sep: Option<u32>,
    /// `tokenizer.ggml.add_sep_token`.
    pub add_sep: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.ggml.remove_extra_whitespaces`, of [`Algorithm::Unigram`].
    pub merge_spaces: Option<bool>,
    /// `tokenizer.ggml.precompiled_charsmap`, of [`Algorithm::Unigram`].
    pub charsmap: Vec<u8>,
    /// `tokenizer.ggml.normalizer.lowercase`, of [`Algorithm::WordPiece`].
    pub lowercase: Option<bool>,
    /// `tokenizer.ggml.normalizer.strip_accents`, of [`Algorithm::WordPiece`].
    pub strip_accents: Option<bool>,
    /// `general.name`: one family (Phi-3) strips blanks after its special tokens, and says so
    /// nowhere else.
    pub model_name: &'a str,
}

impl<'a> Spec<'a> {
    /// An empty vocabulary of `algorithm`, to be filled in.
    pub fn new(algorithm: Algorithm) -> Self {
        Spec {
            algorithm,
            pre: "",
            tokens: Vec::new(),
            scores: Vec::new(),
            kinds: Vec::new(),
            merges: Vec::new(),
            bos: None,
            eos: None,
            eot: None,
            eom: None,
            unk: None,
            pad: None,
            add_bos: None,
            add_eos: None,
            sep: None,
            add_sep: None,
            add_space_prefix: None,
            merge_spaces: None,
            charsmap: Vec::new(),
            lowercase: None,
            strip_accents: None,
            model_name: "",
        }
    }

    /// Checks what the rest of the crate relies on.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let n = self.tokens.len();
        if n == 0 || n >= u32::MAX as usize / 4 {
            return Err(Error::VocabularySize(n));
        }
        let lengths = [("token_type", self.kinds.len()), ("scores", self.scores.len())];
        for (field, len) in lengths {
            if len != 0 && len != n {
                return Err(Error::LengthMismatch { field, len, n_vocab: n });
            }
        }
        let scored = [Algorithm::Spm, Algorithm::Unigram].contains(&self.algorithm);
        if scored && self.scores.is_empty() {
            return Err(Error::Missing("scores"));
        }
        // A vocabulary of single letters, such as plain bytes, merges nothing.
        let is_word = |id: usize| {
            let chars = std::str::from_utf8(self.tokens[id]).map_or(2, |text| text.chars().count());
            self.kind(id) == TokenKind::Normal && chars > 1
        };
        let lacks_merges = self.merges.is_empty() && (0..n).any(is_word);
        let merged = [Algorithm::ByteBpe, Algorithm::CharBpe].contains(&self.algorithm);
        if merged && lacks_merges {
            return Err(Error::Missing("merges"));
        }
        let ids = [
            ("bos", self.bos),
            ("eos", self.eos),
            ("eot", self.eot),
            ("eom", self.eom),
            ("unknown", self.unk),
            ("padding", self.pad),
            ("separator", self.sep),
        ];
        for (field, id) in ids {
            if let Some(id) = id
                && id as usize >= n
            {
                return Err(Error::IdOutOfRange { field, id, n_vocab: n });
            }
        }
        Ok(())
    }

    /// Kind of token `id`.
    pub(crate) fn kind(&self, id: usize) -> TokenKind {
        self.kinds.get(id).copied().unwrap_or(TokenKind::Normal)
    }
}
