//! Gradients that gather rows: of an embedding table, and of a bias.

use crate::Pool;
use crate::lanes::{Lanes, each_isa};
use crate::pool::Parts;

/// Columns that one task adds up.
const COLS_A_TASK: usize = 64;

/// Adds each row of `dy` (rows, cols), times `scale`, to the row of `table` (any, cols) that
/// `indices` names. Rows are added in their order; threads split columns.
///
/// # Panics
/// If an index lies outside of the table, or `dy` is not as long as the indices say.
pub fn embed_backward(
    pool: &Pool,
    indices: &[u32],
    dy: &[f32],
    scale: f32,
    table: &mut [f32],
    cols: usize,
) {
    assert_eq!(dy.len(), indices.len() * cols, "a row for each index");
    let table = Parts::new(table);
    pool.run(cols.div_ceil(COLS_A_TASK), &|task| {
        let start = task * COLS_A_TASK;
        let len = COLS_A_TASK.min(cols - start);
        for (&index, dy) in indices.iter().zip(dy.chunks_exact(cols)) {
            // SAFETY: no two tasks share a column, and one slice lives at a time.
            let row = unsafe { table.slice(index as usize * cols + start, len) };
            add_scaled(pool.isa(), &dy[start..start + len], scale, row);
        }
    });
}

/// Adds the rows of `dy` (rows, cols) to `sum` (cols), in their order.
///
/// # Panics
/// If `dy` is not whole rows.
pub fn sum_rows(pool: &Pool, dy: &[f32], sum: &mut [f32]) {
    let cols = sum.len();
    assert!(cols > 0 && dy.len().is_multiple_of(cols), "whole rows");
    pool.for_chunks(sum, COLS_A_TASK, |task, sum| {
        let start = task * COLS_A_TASK;
        for row in dy.chunks_exact(cols) {
            add_scaled(pool.isa(), &row[start..start + sum.len()], 1.0, sum);
        }
    });
}

each_isa! { fn add_scaled(x: &[f32], by: f32, y: &mut [f32]) = add_scaled_body; }

#[inline(always)]
fn add_scaled_body<V: Lanes>(x: &[f32], by: f32, y: &mut [f32]) {
    for (x, y) in x.chunks(16).zip(y.chunks_mut(16)) {
        V::load_some(x, 0.0).mul_add(V::splat(by), V::load_some(y, 0.0)).store_some(y);
    }
}
