//! The prompt with which a generative model judges how well a document answers a query.
//!
//! No Jinja: `{query}` and `{document}` are replaced, as llama.cpp does with the template that
//! files call `rerank`. What a query or a document says is data, as in conversations (`guard.rs`).

use super::guard::{Mode, Names, free_noncharacters};
use super::names;
use crate::rendered::Rendered;
use crate::{Error, Tokenizer};

/// A prompt with places for a query and a document, for one tokenizer.
#[derive(Debug)]
pub struct RankPrompt {
    parts: Vec<Part>,
    source: String,
    names: Names,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Query,
    Document,
}

const PLACES: [(&str, Part); 2] = [("{query}", Part::Query), ("{document}", Part::Document)];

impl RankPrompt {
    /// Reads a template; `None` if it has no place for a query or none for a document.
    pub fn parse(source: &str, tokenizer: &Tokenizer) -> Option<RankPrompt> {
        let parts = parts(source);
        let is_whole = parts.contains(&Part::Query) && parts.contains(&Part::Document);
        is_whole.then(|| RankPrompt { parts, source: source.to_owned(), names: names(tokenizer) })
    }

    /// Puts both in their places.
    ///
    /// # Errors
    /// [`Error::NoMarker`] if the texts hold every character that could mark them.
    pub fn render(&self, query: &str, document: &str) -> Result<Rendered, Error> {
        let free = free_noncharacters(&[query, document, &self.source]);
        let &marker = free.first().ok_or(Error::NoMarker)?;
        let write = |text| self.names.write(text, Mode::Guarded, marker);
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Query => write(query),
            Part::Document => write(document),
        });
        Ok(Rendered { marked: parts.collect(), marker: Some(marker), spans: Vec::new() })
    }
}

/// The template cut at its places.
fn parts(source: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = source;
    loop {
        let found = PLACES.iter().filter_map(|place| Some((rest.find(place.0)?, place)));
        let Some((at, (name, part))) = found.min_by_key(|(at, _)| *at) else {
            parts.push(Part::Literal(rest.to_owned()));
            return parts;
        };
        parts.push(Part::Literal(rest[..at].to_owned()));
        parts.push(part.clone());
        rest = &rest[at + name.len()..];
    }
}
