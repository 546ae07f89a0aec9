//! Rotary positions over many rows, forward and back. The gradient of a rotation is the rotation
//! the other way round.

use super::rows_a_task;
use crate::lanes::{Lanes, each_isa};
use crate::math::sin_cos;
use crate::{Pairing, Pool};

/// Which way to turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Forward,
    /// What a gradient needs.
    Back,
}

/// Cosines and sines of every position.
#[derive(Debug, Clone)]
pub struct RopeTable {
    pairing: Pairing,
    half: usize,
    /// (positions, half)
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// `inv_freq` are radians a position, one for each pair; rotated values are multiplied with
    /// `magnitude`.
    pub fn new(pairing: Pairing, inv_freq: &[f64], magnitude: f32, n_positions: usize) -> Self {
        let half = inv_freq.len();
        let mut table = RopeTable { pairing, half, cos: Vec::new(), sin: Vec::new() };
        for pos in 0..n_positions {
            for freq in inv_freq {
                let (sin, cos) = sin_cos(pos as f64 * freq);
                table.sin.push((sin * f64::from(magnitude)) as f32);
                table.cos.push((cos * f64::from(magnitude)) as f32);
            }
        }
        table
    }
}

/// Turns each head of each row of `x` (rows, cols) by its position, in place. The first
/// `2 * half` values of a head turn, the rest stay.
///
/// # Panics
/// If a position lies beyond the table, or lengths do not fit.
pub fn rotate(
    pool: &Pool,
    table: &RopeTable,
    direction: Direction,
    positions: &[u32],
    head_dim: usize,
    x: &mut [f32],
) {
    let rows = positions.len();
    if rows == 0 {
        return;
    }
    let cols = x.len() / rows;
    assert!(cols * rows == x.len() && cols.is_multiple_of(head_dim) && 2 * table.half <= head_dim);
    let a_task = rows_a_task(cols);
    pool.for_chunks(x, a_task * cols, |task, x| {
        let positions = &positions[task * a_task..];
        rotate_some(pool.isa(), table, direction, positions, head_dim, cols, x);
    });
}

each_isa! {
    fn rotate_some(
        table: &RopeTable,
        direction: Direction,
        positions: &[u32],
        head_dim: usize,
        cols: usize,
        x: &mut [f32],
    ) = rotate_body;
}

#[inline(always)]
fn rotate_body<V: Lanes>(
    table: &RopeTable,
    direction: Direction,
    positions: &[u32],
    head_dim: usize,
    cols: usize,
    x: &mut [f32],
) {
    let half = table.half;
    let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
    for (row, &pos) in x.chunks_exact_mut(cols).zip(positions) {
        let at = pos as usize * half;
        let (cos, sin) = (&table.cos[at..at + half], &table.sin[at..at + half]);
        for head in row.chunks_exact_mut(head_dim) {
            match table.pairing {
                Pairing::Interleaved => {
                    for ((pair, &c), &s) in head.chunks_exact_mut(2).zip(cos).zip(sin) {
                        (pair[0], pair[1]) = turn(pair[0], pair[1], c, s * sign);
                    }
                }
                Pairing::Halves => {
                    let (low, high) = head.split_at_mut(half);
                    let pairs = low.iter_mut().zip(high).zip(cos.iter().zip(sin));
                    for ((u, v), (&c, &s)) in pairs {
                        (*u, *v) = turn(*u, *v, c, s * sign);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn turn(u: f32, v: f32, c: f32, s: f32) -> (f32, f32) {
    (u.mul_add(c, -(v * s)), u.mul_add(s, v * c))
}
