//! What can go wrong, in words for the person who started the run.

/// Why a training could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the model's shape does not work: {0}")]
    Shape(String),
    #[error("the run's configuration does not work: {0}")]
    Config(String),
    #[error("the shard cannot be used: {0}")]
    Shard(String),
    #[error("the checkpoint cannot be used: {0}")]
    Checkpoint(String),
    #[error("this model cannot be trained here: {0}")]
    Unsupported(String),
    #[error("training went wrong: {0}")]
    Diverged(String),
    #[error(transparent)]
    Model(#[from] wright_model::Error),
    #[error("the result could not be written: {0}")]
    Write(#[from] std::io::Error),
}
