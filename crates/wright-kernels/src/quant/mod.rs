//! Matrices in block formats times activations in 8 bits, with exact integer sums.
//!
//! A weight matrix is repacked once ([`Packed`]): eight rows lie interleaved, so that one lane of
//! a vector is one output. Activations are rounded once to 8 bits with a scale for each 32 values
//! ([`Activations`]) and serve any number of matrices. [`linear_packed`] multiplies the two.
//!
//! For one output, block after block of 32 along K:
//!
//! ```text
//! i   = Σ w·a                         exact, in integers
//! acc = fma(i, scale_w · scale_a, acc)
//! acc = fma(min_w, scale_a · Σ a, acc)     (formats with a minimum)
//! ```
//!
//! ```
//! use wright_kernels::quant::{Activations, Packed, linear_packed};
//! use wright_kernels::{DType, Isa, Matrix, Pool, quantize};
//!
//! let pool = Pool::new(2);
//! // A weight matrix of N = 2 outputs and K = 32 inputs, each block of 32 in 8 bits.
//! let weights: Vec<f32> = (0..64).map(|i| if i < 32 { 1.0 } else { -0.5 }).collect();
//! let mut bytes = vec![0; 2 * 34];
//! quantize(Isa::detect(), DType::Q8_0, 32, &weights, None, &mut bytes)?;
//! let matrix = Matrix::new(DType::Q8_0, 2, 32, &bytes).expect("whole rows");
//! let packed = Packed::new(&pool, matrix).expect("a format with an integer kernel");
//!
//! // One row of activations, M = 1: y is (M, N).
//! let x = Activations::quantize(&pool, &[0.25; 32], 1, 32);
//! let mut y = [0.0; 2];
//! linear_packed(&pool, &packed, &x, &mut y);
//! assert!((y[0] - 8.0).abs() < 0.05 && (y[1] + 4.0).abs() < 0.05);
//! # Ok::<(), wright_kernels::QuantizeError>(())
//! ```
//!
//! That is all there is, for one row of activations or a thousand, one thread or many, scalar,
//! AVX2, AVX-512 or NEON: the same bytes. Weights keep the file's bits per value; nothing is
//! rounded twice.
//!
//! This room knows no float matrices (`linear_f32` takes those, and every format as a fallback),
//! and decodes no weight to a float.

mod activations;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod formats;
mod layout;
mod linear;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod microkernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod packed;
mod scalar;
mod task;
#[cfg(test)]
mod tests;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vector;

pub use activations::Activations;
pub use layout::PackedError;
pub use linear::{PackedProduct, linear_packed, linear_packed_each};
pub use packed::Packed;
