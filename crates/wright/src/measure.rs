//! Verbs that measure a model, and the numbers that one makes of texts.

pub mod bench;
pub mod embed;
pub mod perplexity;
pub mod rerank;
pub mod tokenize;
