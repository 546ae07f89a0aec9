//! The tokenizer of a model: text to ids and back.
//!
//! Text is only ever text. [`Tokenizer::encode`] finds user-defined tokens and whatever the
//! algorithm makes, never a control token; those come from [`Tokenizer::encode_special`], for text
//! that the program itself wrote, and from [`Tokenizer::encode_rendered`], for what a chat template
//! made of a conversation.

use crate::bpe::{Bpe, spaced, unescape_spaces};
use crate::merge::{Merger, NO_ID};
use crate::pretokenizer::Pretokenizer;
use crate::spec::{SARVAM, WHITESPACE};
use crate::special::{self, Finder};
use crate::spm::Spm;
use crate::unigram::Unigram;
use crate::vocabulary::Vocabulary;
use crate::wordpiece::WordPiece;
use crate::{Algorithm, Error, Rendered, Spec, TokenKind, byte_level};
use std::borrow::Cow;
use std::sync::Arc;

/// A vocabulary and its algorithm. Immutable and usable from any number of threads.
///
/// ```
/// use wright_text::{Algorithm, Spec, Tokenizer};
///
/// let mut spec = Spec::new(Algorithm::ByteBpe);
/// spec.pre = "gpt-2";
/// spec.tokens = vec![b"l", b"o", b"w", b"lo", b"low"];
/// spec.merges = vec![b"l o", b"lo w"];
/// let tokenizer = Tokenizer::new(&spec)?;
/// assert_eq!(tokenizer.encode("lowlo"), [4, 3]);
/// assert_eq!(tokenizer.decode(&[4, 3]), b"lowlo");
/// # Ok::<(), wright_text::Error>(())
/// ```
#[derive(Debug)]
pub struct Tokenizer {
    engine: Engine,
    vocabulary: Vocabulary,
    /// (n_vocab)
    kinds: Vec<TokenKind>,
    /// Control and unknown tokens by text.
    controls: Arc<Finder>,
    /// User-defined tokens by text.
    user: Finder,
    /// Tokens that end generation, in order.
    ends: Vec<u32>,
    /// Tokens that swallow the white space after them, in order.
    strips: Vec<u32>,
    ids: Ids,
    add_bos: bool,
    add_eos: bool,
    add_space_prefix: bool,
}

#[derive(Debug)]
enum Engine {
    Bpe(Bpe),
    Spm(Spm),
    Unigram(Unigram),
    WordPiece(WordPiece),
}

/// Ids with a meaning.
#[derive(Debug, Clone, Copy)]
struct Ids {
    bos: Option<u32>,
    eos: Option<u32>,
    eot: Option<u32>,
    unk: Option<u32>,
    pad: Option<u32>,
    /// Between two texts, where one goes there besides the end of the first.
    sep: Option<u32>,
}

/// Tokens of two texts that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub ids: Vec<u32>,
    /// Where the second text begins, in vocabularies whose models are told (BERT's token types).
    pub second: Option<usize>,
}

/// Tokens of a rendered conversation, and whose words they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub ids: Vec<u32>,
    /// (ids): the message whose content the token's first byte belongs to; `None` for tokens of the
    /// template.
    pub owners: Vec<Option<usize>>,
}

impl Tokenizer {
    /// Builds a tokenizer.
    ///
    /// # Errors
    /// For a `spec` that is inconsistent or names something unknown.
    pub fn new(spec: &Spec) -> Result<Self, Error> {
        spec.check()?;
        let kinds = effective_kinds(spec);
        let rule = match spec.algorithm {
            Algorithm::ByteBpe => Some(Pretokenizer::named(spec.pre)?),
            _ => None,
        };
        let rule_adds_bos = rule.as_ref().is_some_and(|rule| rule.add_bos);
        let (vocabulary, byte_tokens) = read_vocabulary(spec, &kinds)?;
        let engine = match spec.algorithm {
            Algorithm::Spm => Engine::Spm(Spm::new(spec, &vocabulary, &byte_tokens)),
            Algorithm::Unigram => Engine::Unigram(Unigram::new(spec, &kinds)?),
            Algorithm::WordPiece => Engine::WordPiece(word_piece(spec)),
            _ => Engine::Bpe(Bpe::new(spec, &vocabulary, &byte_tokens, rule)),
        };
        let finder = |wanted: &[TokenKind]| {
            let tokens = (0u32..).zip(&spec.tokens).zip(&kinds);
            Finder::new(
                tokens.filter(|(_, kind)| wanted.contains(kind)).map(|((id, text), _)| (*text, id)),
            )
        };
        let usual = Usual::of(spec.algorithm);
        let usable = |id: Option<u32>| id.filter(|&id| (id as usize) < spec.tokens.len());
        let bos = usable(spec.bos.or(usual.bos));
        let eos = usable(spec.eos.or(usual.eos));
        let add_bos = spec.add_bos.unwrap_or(usual.add_bos || rule_adds_bos);
        let add_bos = bos.is_some() && (always_begins(spec) || add_bos);
        // [SEP] ends each of BERT's texts, whatever flags say.
        let is_words = spec.algorithm == Algorithm::WordPiece;
        let sep = usable(spec.sep.or(eos)).filter(|_| separates(spec, add_bos));
        Ok(Tokenizer {
            controls: Arc::new(finder(&[TokenKind::Control, TokenKind::Unknown])),
            user: finder(&[TokenKind::UserDefined]),
            ends: ends(spec, &kinds, eos),
            strips: strips(spec, &kinds),
            ids: Ids { bos, eos, eot: spec.eot, unk: spec.unk, pad: spec.pad, sep },
            add_bos,
            add_eos: eos.is_some() && (is_words || spec.add_eos.unwrap_or(usual.add_eos)),
            add_space_prefix: usual.spaces && spec.add_space_prefix.unwrap_or(true),
            engine,
            vocabulary,
            kinds,
        })
    }

    /// The tokens of `text`. Nothing is added, and text never becomes a control token, whatever it
    /// says. Time and memory are linear in the text.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut encoder = Encoder::new(self);
        encoder.text(text);
        encoder.ids
    }

    /// The tokens of `text` written by the program itself, in which control tokens are recognized
    /// by name. Not for text from other sources.
    pub fn encode_special(&self, text: &str) -> Vec<u32> {
        let mut encoder = Encoder::new(self);
        encoder.pieces(text, None, None);
        encoder.ids
    }

    /// The tokens of `text` as a document, with the beginning and end tokens that the model
    /// expects.
    pub fn encode_document(&self, text: &str) -> Vec<u32> {
        let mut encoder = Encoder::new(self);
        encoder.ids.extend(self.ids.bos.filter(|_| self.add_bos));
        encoder.text(text);
        encoder.ids.extend(self.ids.eos.filter(|_| self.add_eos));
        encoder.ids
    }

    /// Two texts as one document, with the tokens around and between them that models expect which
    /// were trained on pairs.
    pub fn encode_pair(&self, first: &str, second: &str) -> Pair {
        let mut ids = self.encode_document(first);
        ids.extend(self.ids.sep);
        let begins = ids.len();
        let document = self.encode_document(second);
        let n_begin = usize::from(self.add_bos);
        ids.extend(&document[n_begin..]);
        let tells = matches!(self.engine, Engine::WordPiece(_));
        Pair { ids, second: tells.then_some(begins) }
    }

    /// The tokens of a rendered conversation. The beginning-of-text token is added if the model
    /// expects one and the template omitted it.
    ///
    /// `rendered` must come from a template parsed for this tokenizer.
    pub fn encode_rendered(&self, rendered: &Rendered) -> Vec<u32> {
        self.encode_rendered_owned(rendered).ids
    }

    /// As [`Tokenizer::encode_rendered`], with the message that each token belongs to: of those
    /// that the render was asked to tell (`RenderOptions::spans`).
    pub fn encode_rendered_owned(&self, rendered: &Rendered) -> Encoded {
        let mut encoder = Encoder::new(self);
        let mut offsets = Vec::new();
        encoder.pieces(&rendered.marked, rendered.marker, Some(&mut offsets));
        let mut ids = encoder.ids;
        let mut spans = rendered.spans.iter().peekable();
        let mut owners: Vec<_> = offsets
            .iter()
            .map(|&offset| {
                while spans.next_if(|span| span.end <= offset).is_some() {}
                spans.peek().filter(|span| span.start <= offset).map(|span| span.message)
            })
            .collect();
        if let Some(bos) = self.ids.bos
            && self.add_bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
            owners.insert(0, None);
        }
        Encoded { ids, owners }
    }

    /// The bytes of token `id`, empty for an ID out of range; for a control token, its name. The
    /// bytes of one token need not be whole characters.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.vocabulary.bytes(id)
    }

    /// The text of `ids`, without control tokens and without the leading space that encoding adds.
    pub fn decode(&self, ids: &[u32]) -> Vec<u8> {
        let text = ids.iter().filter(|&&id| !self.is_control(id));
        let bytes: Vec<u8> = text.flat_map(|&id| self.token_bytes(id)).copied().collect();
        if self.add_space_prefix && bytes.first() == Some(&b' ') {
            return bytes[1..].to_vec();
        }
        bytes
    }

    /// Whether `id` is a control token, which text alone can never produce.
    pub fn is_control(&self, id: u32) -> bool {
        matches!(self.kind(id), Some(TokenKind::Control | TokenKind::Unknown))
    }

    /// The kind of token `id`, if it exists.
    pub fn kind(&self, id: u32) -> Option<TokenKind> {
        self.kinds.get(id as usize).copied()
    }

    /// Whether an answer ends at this token.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }

    /// All tokens at which an answer ends.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The token whose text is exactly `text`, control tokens included.
    pub fn find(&self, text: &str) -> Option<u32> {
        let whole = |finder: &Finder| {
            finder.prefix(text.as_bytes()).filter(|&(len, _)| len == text.len()).map(|(_, id)| id)
        };
        whole(&self.controls)
            .or_else(|| whole(&self.user))
            .or_else(|| self.vocabulary.find(text.as_bytes()))
    }

    /// The number of tokens.
    pub fn n_vocab(&self) -> usize {
        self.kinds.len()
    }

    /// Begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.ids.bos
    }

    /// Ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.ids.eos
    }

    /// Ends a turn.
    pub fn eot(&self) -> Option<u32> {
        self.ids.eot
    }

    /// The token that stands for what the vocabulary cannot represent.
    pub fn unk(&self) -> Option<u32> {
        self.ids.unk
    }

    /// The token that fills up a batch.
    pub fn pad(&self) -> Option<u32> {
        self.ids.pad
    }

    /// Whether a document begins with [`Tokenizer::bos`].
    pub fn adds_bos(&self) -> bool {
        self.add_bos
    }

    /// Whether a document ends with [`Tokenizer::eos`].
    pub fn adds_eos(&self) -> bool {
        self.add_eos
    }

    /// Control tokens by text.
    pub(crate) fn controls(&self) -> &Arc<Finder> {
        &self.controls
    }
}

/// Ids as they come.
struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    merger: Merger,
    /// Whether the next text comes first or follows a special token.
    fresh: bool,
}

impl<'a> Encoder<'a> {
    fn new(tokenizer: &'a Tokenizer) -> Self {
        Encoder { tokenizer, ids: Vec::new(), merger: Merger::default(), fresh: true }
    }

    /// Text in which control tokens count, but for those that `marker` breaks; markers vanish.
    /// `offsets` gets, for each id, where its first byte lies in the text without markers.
    fn pieces(&mut self, text: &str, marker: Option<char>, mut offsets: Option<&mut Vec<usize>>) {
        let mut at = 0;
        let mut offset = 0;
        loop {
            let found = self.tokenizer.controls.find_structure(text, at, marker);
            let end = found.map_or(text.len(), |(start, _, _)| start);
            let piece = match marker {
                Some(marker) if text[at..end].contains(marker) => {
                    Cow::Owned(text[at..end].replace(marker, ""))
                }
                _ => Cow::Borrowed(&text[at..end]),
            };
            let n = self.ids.len();
            let prefixed = self.text(&piece);
            if let Some(offsets) = &mut offsets {
                let mut position = offset;
                for (i, &id) in self.ids[n..].iter().enumerate() {
                    offsets.push(position.min(offset + piece.len()));
                    let len = self.tokenizer.token_bytes(id).len();
                    position += len - usize::from(i == 0 && prefixed && len > 0);
                }
            }
            offset += piece.len();
            let Some((start, end, id)) = found else { return };
            self.special(id);
            if let Some(offsets) = &mut offsets {
                offsets.push(offset);
            }
            offset += end - start;
            at = end;
        }
    }

    /// Text in which user-defined tokens count. True if a space was put before it.
    fn text(&mut self, text: &str) -> bool {
        let mut at = 0;
        let mut prefixed = false;
        loop {
            let found = self.tokenizer.user.find(text, at);
            let end = found.map_or(text.len(), |(start, _, _)| start);
            prefixed |= self.plain(&text[at..end]) && at == 0;
            let Some((_, end, id)) = found else { return prefixed };
            self.special(id);
            at = end;
        }
    }

    fn special(&mut self, id: u32) {
        self.ids.push(id);
        self.fresh = true;
    }

    /// Text in which no token counts by name. True if a space was put before it.
    fn plain(&mut self, text: &str) -> bool {
        let t = self.tokenizer;
        let text = match self.ids.last() {
            Some(last) if self.fresh && t.strips.binary_search(last).is_ok() => {
                text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
            }
            _ => text,
        };
        if text.is_empty() {
            return false;
        }
        let prefixed = t.add_space_prefix && self.fresh;
        self.fresh = false;
        match &t.engine {
            Engine::Bpe(bpe) => {
                bpe.encode(&t.vocabulary, text, &mut self.merger, &mut self.ids);
            }
            Engine::Spm(spm) => {
                let text = spaced(text, prefixed);
                spm.encode(&t.vocabulary, &text, &mut self.merger, &mut self.ids);
            }
            Engine::Unigram(unigram) => {
                unigram.encode(&t.vocabulary, text, prefixed, &mut self.ids);
            }
            Engine::WordPiece(words) => words.encode(&t.vocabulary, text, &mut self.ids),
        }
        prefixed
    }
}

/// What an algorithm's files leave unsaid, as llama.cpp has it.
struct Usual {
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
    add_eos: bool,
    /// Whether a space may go before a text.
    spaces: bool,
}

impl Usual {
    fn of(algorithm: Algorithm) -> Usual {
        let plain = Usual { bos: None, eos: None, add_bos: false, add_eos: false, spaces: false };
        match algorithm {
            Algorithm::ByteBpe | Algorithm::CharBpe => plain,
            Algorithm::Spm => {
                Usual { bos: Some(1), eos: Some(2), add_bos: true, spaces: true, ..plain }
            }
            Algorithm::Unigram => Usual { eos: Some(1), add_eos: true, spaces: true, ..plain },
            // [CLS] and [SEP].
            Algorithm::WordPiece => {
                Usual { bos: Some(101), eos: Some(102), add_bos: true, add_eos: true, ..plain }
            }
        }
    }
}

/// Whether a token stands between two texts besides the one that ends the first: so RoBERTa and
/// its kin have it (`<s> A </s></s> B </s>`), whose older files do not say so.
fn separates(spec: &Spec, add_bos: bool) -> bool {
    let usual = match spec.algorithm {
        Algorithm::Unigram => add_bos,
        Algorithm::ByteBpe => ["jina-v1-en", "jina-v2-code", "roberta-bpe"].contains(&spec.pre),
        _ => false,
    };
    spec.algorithm != Algorithm::WordPiece && spec.add_sep.unwrap_or(usual)
}

/// Gemma 4's texts begin with the beginning-of-text token, whatever its files say.
fn always_begins(spec: &Spec) -> bool {
    spec.algorithm == Algorithm::CharBpe && ![SARVAM, WHITESPACE].contains(&spec.pre)
}

fn word_piece(spec: &Spec) -> WordPiece {
    let lowercase = spec.lowercase.unwrap_or(true);
    WordPiece {
        lowercase,
        strip_accents: spec.strip_accents.unwrap_or(lowercase),
        unk: spec.unk.unwrap_or(100).min(spec.tokens.len() as u32 - 1),
    }
}

/// The kinds of `spec`, with names that can only be structure made so.
fn effective_kinds(spec: &Spec) -> Vec<TokenKind> {
    let kind = |(id, text): (usize, &&[u8])| {
        let kind = spec.kind(id);
        let is_text = matches!(kind, TokenKind::Normal | TokenKind::UserDefined);
        // `</s>` is also how HTML ends a struck-out passage.
        if is_text && special::is_structure(text) && *text != b"</s>" {
            TokenKind::Control
        } else {
            kind
        }
    };
    spec.tokens.iter().enumerate().map(kind).collect()
}

/// Tokens that end generation: those the metadata name, and those known by their text.
fn ends(spec: &Spec, kinds: &[TokenKind], eos: Option<u32>) -> Vec<u32> {
    let named = [eos, spec.eot, spec.eom].into_iter().flatten();
    let known = (0u32..).zip(&spec.tokens).zip(kinds).filter_map(|((id, text), kind)| {
        (*kind == TokenKind::Control && special::is_end(text)).then_some(id)
    });
    let mut ends: Vec<u32> = named.chain(known).collect();
    ends.sort_unstable();
    ends.dedup();
    // Where a turn ends in <|return|> or <|call|> (or <|flush|>), <|end|> only ends a part of it.
    let text = |id: u32| spec.tokens[id as usize];
    let has = |name: &[u8]| ends.iter().any(|&id| text(id) == name);
    let calls = has(b"<|call|>") || has(b"<|calls|>");
    if calls && (has(b"<|return|>") || has(b"<|flush|>")) {
        ends.retain(|&id| text(id) != b"<|end|>");
    }
    ends
}

/// Tokens that swallow the white space after them: Phi-3's, which nothing but its name tells.
fn strips(spec: &Spec, kinds: &[TokenKind]) -> Vec<u32> {
    let name = spec.model_name.to_lowercase();
    if !name.contains("phi-3") && !name.contains("phi3") {
        return Vec::new();
    }
    let special = |kind: &TokenKind| {
        matches!(kind, TokenKind::Control | TokenKind::Unknown | TokenKind::UserDefined)
    };
    let keeps: [&[u8]; 3] = [b"<unk>", b"<s>", b"<|endoftext|>"];
    let tokens = (0u32..).zip(&spec.tokens).zip(kinds);
    tokens
        .filter(|((_, text), kind)| special(kind) && !keeps.contains(text))
        .map(|((id, _), _)| id)
        .collect()
}

/// The tokens as bytes of text, and the tokens of single bytes ([`NO_ID`] where there is none).
fn read_vocabulary(
    spec: &Spec,
    kinds: &[TokenKind],
) -> Result<(Vocabulary, Box<[u32; 256]>), Error> {
    let n_bytes = spec.tokens.iter().map(|token| token.len()).sum();
    let mut vocabulary = Vocabulary::with_capacity(spec.tokens.len(), n_bytes)?;
    let mut byte_tokens = Box::new([NO_ID; 256]);
    for ((id, &text), kind) in (0u32..).zip(&spec.tokens).zip(kinds) {
        let mut is_text = false;
        vocabulary.push(|out| match (kind, spec.algorithm) {
            (TokenKind::Byte, _) => match byte_of(text) {
                Some(byte) => {
                    byte_tokens[usize::from(byte)] = id;
                    out.push(byte);
                }
                None => out.extend_from_slice(text),
            },
            (TokenKind::Control | TokenKind::Unknown, _) => out.extend_from_slice(text),
            (TokenKind::UserDefined, Algorithm::ByteBpe) => out.extend_from_slice(text),
            (_, Algorithm::ByteBpe) => {
                is_text = byte_level::decode(text, out);
                if !is_text {
                    out.extend_from_slice(text);
                }
            }
            (_, _) => {
                is_text = true;
                unescape_spaces(text, out);
            }
        });
        if is_text {
            vocabulary.register(id);
        }
    }
    Ok((vocabulary, byte_tokens))
}

/// The byte that `<0xHH>` names.
fn byte_of(text: &[u8]) -> Option<u8> {
    let hex = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    u8::from_str_radix(std::str::from_utf8(hex).ok().filter(|hex| hex.len() == 2)?, 16).ok()
}
