//! Packed weights times quantized activations: checks, and the split into tasks.
//!
//! A task is a span of groups, worked on in pieces whose weights stay in the second cache while all
//! rows of activations pass by, so that weights come from memory once. Where spans give too few
//! tasks, rows are split too. No split changes a byte of the result.

use super::activations::Activations;
use super::layout::Layout;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::packed::Packed;
use super::scalar;
use super::task::{Out, Task};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::isa::by_isa;
use crate::pool::Region;
use crate::{Isa, Pool};
use std::ops::Range;

/// Bytes of weights that all rows of a task pass before the next ones.
const PIECE_BYTES: usize = 128 << 10;

/// Bytes of weights in a task of one row: less is not worth a task.
const SPAN_BYTES_MIN: usize = 32 << 10;

/// Rows of activations that a task has at least, where there are more; fewer take about as long as
/// their weights take to come from memory.
const TASK_ROWS_MIN: usize = 16;

/// What rows are split at, a multiple of the rows that tiles have: 5 with AVX2, 4 elsewhere.
const ROWS_OF_TILES: usize = 20;

/// Tasks for each thread, so that an uneven split evens out.
const TASKS_PER_THREAD: usize = 4;

/// Tasks for each thread that what is left would make, where few rows share it.
const TASKS_OF_REST: usize = 2;

/// A matrix and where its product goes.
pub struct PackedProduct<'a> {
    pub weights: &'a Packed,
    /// (M, N)
    pub y: &'a mut [f32],
}

/// `y = x · Wᵀ`: `y` is (M, N) for M rows of activations and N outputs.
///
/// # Panics
/// If the activations are not rows of K values, or `y` is not (M, N).
pub fn linear_packed(pool: &Pool, weights: &Packed, x: &Activations, y: &mut [f32]) {
    linear_packed_each(pool, &mut [PackedProduct { weights, y }], x);
}

/// Several matrices that read the same activations, in one call of the pool: Q, K and V, or gate
/// and up. Each output is what [`linear_packed`] gives.
///
/// # Panics
/// If the activations are not rows of K values, or a `y` is not (M, N).
pub fn linear_packed_each(pool: &Pool, parts: &mut [PackedProduct<'_>], x: &Activations) {
    let (m, threads) = (x.m(), pool.threads());
    let mut tasks = Vec::new();
    // Bytes of weights that no task has yet.
    let mut left: usize = parts.iter().map(|part| part.weights.groups().len()).sum();
    for part in parts {
        let layout = part.weights.layout();
        assert_eq!(layout.k, x.k(), "weights and activations have the same K");
        if layout.k == 0 {
            part.y.fill(0.0);
        }
        let out = Out::new(part.y, m, layout.n);
        if m == 0 || layout.n == 0 || layout.k == 0 {
            continue;
        }
        let weights = part.weights.groups();
        let per_rows = rows_of_task(layout, m, threads);
        let mut first = 0;
        while first < layout.groups() {
            let span = span(layout, m, threads, left);
            let groups = first..layout.groups().min(first + span);
            left = left.saturating_sub(groups.len() * layout.group_bytes);
            first = groups.end;
            for row in (0..m).step_by(per_rows) {
                tasks.push(Task {
                    layout,
                    weights,
                    activations: x.blocks(),
                    groups: groups.clone(),
                    rows: row..m.min(row + per_rows),
                    out,
                });
            }
        }
    }
    let isa = pool.isa();
    if m < TASK_ROWS_MIN {
        pool.prefetch_next(tasks.iter().map(|task| region(isa, task)));
    }
    pool.run(tasks.len(), &|i| pieces(&tasks[i]).for_each(|piece| run(isa, &piece)));
}

/// Where a task begins to read, see `microkernel::columns`.
fn region(isa: Isa, task: &Task<'_>) -> Region {
    let streams = streams(isa).get(task.rows.len() - 1).copied().unwrap_or(1);
    let each = task.groups.len() / streams * task.layout.group_bytes;
    let first = task.groups.start * task.layout.group_bytes;
    Region::new(task.weights[first..].as_ptr(), streams, each)
}

/// A task in pieces of its groups.
fn pieces<'a>(task: &'a Task<'a>) -> impl Iterator<Item = Task<'a>> {
    let Range { start, end } = task.groups;
    // One or two do not come back to weights that they have passed.
    let each = match task.rows.len() {
        1 | 2 => task.groups.len(),
        _ => groups_of_piece(task.layout),
    };
    (start..end).step_by(each).map(move |first| Task {
        groups: first..end.min(first + each),
        rows: task.rows.clone(),
        ..*task
    })
}

fn run(isa: Isa, task: &Task<'_>) {
    #[cfg(target_arch = "x86_64")]
    if isa.has_avx512() {
        // SAFETY: the processor has what `Isa::Avx512` lists; shapes were checked.
        return unsafe { avx512::run(task) };
    }
    #[cfg(target_arch = "aarch64")]
    if isa.has_neon() {
        // SAFETY: `dotprod` is there if it is said; shapes were checked.
        return unsafe { neon::run(isa.has_dotprod(), task) };
    }
    by_isa!(isa, avx2::run(task), scalar::run(task));
}

/// Streams of weights that one row of activations takes, and that two rows take.
fn streams(isa: Isa) -> [usize; 2] {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512::STREAMS,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::STREAMS,
        #[cfg(target_arch = "aarch64")]
        isa if isa.has_neon() => neon::STREAMS,
        _ => [1, 1],
    }
}

/// Groups of the next task, where `left` bytes of weights are to be handed out.
///
/// A few rows take no longer than their weights take to come from memory, and these come fastest
/// in long pieces: a task gets a fixed part of what is left ("guided self-scheduling",
/// Polychronopoulos and Kuck 1987), so that the first are long and the last end together.
fn span(layout: &Layout, m: usize, threads: usize, left: usize) -> usize {
    if threads == 1 {
        return layout.groups();
    }
    let least = (SPAN_BYTES_MIN / m).max(1).div_ceil(layout.group_bytes).max(2);
    if m < TASK_ROWS_MIN {
        let part = left.div_ceil(TASKS_OF_REST * threads).div_ceil(layout.group_bytes);
        return part.max(least).next_multiple_of(4);
    }
    let even = layout.groups().div_ceil(threads * TASKS_PER_THREAD);
    even.max(least).min(groups_of_piece(layout)).next_multiple_of(2)
}

/// Groups that stay in the second cache together.
fn groups_of_piece(layout: &Layout) -> usize {
    (PIECE_BYTES / layout.group_bytes).max(2).next_multiple_of(2)
}

/// Rows of a task: all, but where that gives too few tasks.
fn rows_of_task(layout: &Layout, m: usize, threads: usize) -> usize {
    if threads == 1 || m < 2 * TASK_ROWS_MIN {
        return m;
    }
    let spans = layout.groups().div_ceil(span(layout, m, threads, 0));
    let parts = (threads * TASKS_PER_THREAD).div_ceil(spans).min(m / TASK_ROWS_MIN).max(1);
    m.div_ceil(parts).next_multiple_of(ROWS_OF_TILES)
}
