//! What training needs beyond inference: gradients of each operation, by hand.
//!
//! Every function here is the derivative of an operation whose formula stands beside it; those
//! that a tape runs forward in f32 over many rows have their forward form here as well. Work is
//! split over rows where rows are the outputs, and over fixed blocks of rows, added up in
//! ascending order, where a gradient is a sum over rows; so no result depends on the number of
//! threads. Products of matrices are in [`crate::gemm`].

mod activation;
mod embed;
mod norm;
mod optimizer;
mod rope;

pub use activation::{Curve, activate, activate_backward, gated, gated_backward};
pub use embed::{embed_backward, sum_rows};
pub use norm::{NormKind, NormShape, norm, norm_backward};
pub use optimizer::{AdamW, adamw, axpy, scale, sum_of_squares};
pub use rope::{Direction, RopeTable, rotate};

/// Values that one task works on: some tens of microseconds.
const VALUES_A_TASK: usize = 32 * 1024;

/// Whole rows of `cols` values for one task.
fn rows_a_task(cols: usize) -> usize {
    VALUES_A_TASK.div_ceil(cols.max(1))
}

#[cfg(test)]
mod tests;
