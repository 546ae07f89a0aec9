//! The vocabulary of a tokenizer.json: pieces with ids, or a list of pieces with scores. It is read
//! as it comes, without a copy in a general form, which would take many times its length.

use super::TOKENS_MAX;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashMap;
use std::fmt;

pub(super) enum Vocab {
    /// Of BPE and WordPiece.
    Ids(HashMap<String, u32>),
    /// Of Unigram, by id.
    Scores(Vec<(String, f32)>),
}

impl Vocab {
    pub fn len(&self) -> usize {
        match self {
            Vocab::Ids(ids) => ids.len(),
            Vocab::Scores(scores) => scores.len(),
        }
    }
}

impl Vocab {
    /// Ids up to the last that is named.
    pub fn rows(&self) -> usize {
        match self {
            Vocab::Ids(ids) => ids.values().max().map_or(0, |&last| last as usize + 1),
            Vocab::Scores(scores) => scores.len(),
        }
    }
}

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Vocab;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("pieces with ids, or a list of pieces with scores")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
                let mut ids = HashMap::new();
                while let Some((text, id)) = map.next_entry::<String, u32>()? {
                    ids.insert(text, id);
                    enough(ids.len())?;
                }
                Ok(Vocab::Ids(ids))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vocab, A::Error> {
                let mut scores = Vec::new();
                while let Some(pair) = list.next_element::<(String, f32)>()? {
                    scores.push(pair);
                    enough(scores.len())?;
                }
                Ok(Vocab::Scores(scores))
            }
        }
        from.deserialize_any(Either)
    }
}

fn enough<E: Error>(n: usize) -> Result<(), E> {
    match n > TOKENS_MAX {
        true => Err(E::custom("it has too many tokens")),
        false => Ok(()),
    }
}
