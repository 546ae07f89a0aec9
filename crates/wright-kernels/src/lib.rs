//! The arithmetic of Wright: slices in, slices out.
//!
//! Block formats, the float and integer kernels that a transformer needs, and the thread pool
//! that runs them. Each kernel's file holds its scalar form, which is the truth, and a form per
//! instruction set, which gives the same bytes; which one runs is decided when the program runs.
//!
//! # The same bytes, always
//! - The operations behind one output depend on the length of its sum, the format and the
//!   absolute position; never on the number of threads, the other rows, or a chunk's border.
//! - Threads split outputs, never a sum.
//! - A sum of floats has 16 virtual lanes, reduced by one fixed tree, however wide a vector is.
//! - Multiply-adds are fused and written out; `exp`, `sin`, `cos` and `tanh` are our own.
//!
//! This crate knows no model: no tensor names, no layers, no files, no clock.

mod dtype;
pub mod gemm;
mod isa;
mod pool;
pub mod quant;

pub use dtype::{DType, Matrix};
pub use isa::Isa;
pub use pool::Pool;
