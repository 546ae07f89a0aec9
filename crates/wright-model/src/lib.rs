//! wright-model
