//! wright-run
