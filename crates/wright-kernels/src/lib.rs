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

mod dequant;
mod dtype;
mod float16;
pub mod gemm;
mod isa;
mod lanes;
pub mod math;
mod pool;
pub mod quant;

pub use dequant::{dequantize, embed};
pub use dtype::{DType, Matrix};
pub use float16::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
pub use isa::Isa;
pub use pool::Pool;

#[cfg(test)]
mod tests;
