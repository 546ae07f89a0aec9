//! The command line below the verbs: shared flags, failures with hints, exit codes.

pub mod exit;
pub mod failure;
pub mod flags;
pub mod sampler_flags;
pub mod suggest;
