//! Verbs that handle model files: fetch, list, inspect, convert, shrink.

pub mod convert;
pub mod imatrix;
pub mod inspect;
pub mod manage;
pub mod pull;
pub mod quantize;
