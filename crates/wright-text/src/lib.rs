//! wright-text
