//! Verbs that make a model: from text to packed data, to a plan, to a training.

pub mod packed;
pub mod plan;
pub mod planning;
pub mod training;

/// What a failure of training means here.
pub fn failure(error: wright_train::Error) -> crate::cli::failure::Failure {
    error.into()
}
