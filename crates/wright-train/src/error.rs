//! Errors of training, for the person who started the run.

/// Why a training run could not start or continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("invalid model shape: {0}")]
    Shape(String),
    #[error("invalid configuration: {0}")]
    Config(String),
    #[error("the shard cannot be used: {0}")]
    Shard(String),
    #[error("the checkpoint cannot be used: {0}")]
    Checkpoint(String),
    #[error("this model cannot be trained here: {0}")]
    Unsupported(String),
    #[error("training failed: {0}")]
    Diverged(String),
    #[error(transparent)]
    Model(#[from] wright_model::Error),
    #[error("cannot write the result: {0}")]
    Write(#[from] std::io::Error),
}
