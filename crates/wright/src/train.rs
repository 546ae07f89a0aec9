//! Verbs that make a model: from text to packed data, to a plan, to a training.

pub mod pack;
pub mod packed;
pub mod plan;
pub mod planning;
pub mod shard;
pub mod summary;
pub mod tally;
pub mod tokenizer;
pub mod training;
