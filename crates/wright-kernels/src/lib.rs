//! The numeric kernels of Wright: slices in, slices out.
//!
//! Block formats, the float and integer kernels that a transformer needs, and the thread pool
//! that runs them. Each kernel's file holds its scalar form, which is the reference, and a form per
//! instruction set, which gives the same bytes; which one runs is decided when the program runs.
//!
//! # The same bytes, always
//! - The operations behind one output depend on the length of its sum, the format and the
//!   absolute position; never on the number of threads, the other rows, or a chunk's border.
//! - Threads split outputs, never a sum.
//! - A sum of floats has 16 virtual lanes, reduced by one fixed tree, however wide a vector is.
//! - Multiply-adds are fused and written out; `exp`, `sin`, `cos` and `tanh` are our own.
//!
//! This crate knows nothing about models: no tensor names, no layers, no files, no clock.

mod activation;
pub mod attention;
pub mod attention_train;
pub mod backward;
mod dequant;
mod dtype;
pub mod elementwise;
mod float16;
pub mod gemm;
pub mod head_loss;
mod isa;
mod lanes;
mod linear;
pub mod math;
mod norm;
mod pool;
pub mod quant;
mod quantize;
mod rope;
mod scratch;
mod softmax;

pub use activation::{Activation, activate, gated, gated_rows};
pub use dequant::{decoded, dequantize, embed};
pub use dtype::{DType, Matrix};
pub use float16::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
pub use isa::Isa;
pub use linear::{Product, linear_f32, linear_f32_each};
pub use norm::{Norm, layer_norm, layer_norm_in_place, rms_norm, rms_norm_in_place};
pub use pool::Pool;
pub use quantize::{QuantizeError, quantize};
pub use rope::{Pairing, RopeTable, Yarn, frequencies, rope};
pub use softmax::{log_softmax, log_sum_exp, softmax, sum_exp_f64};

#[cfg(test)]
mod tests;
