//! Rotary position embedding: pairs of channels turned by an angle that grows with the position.
//!
//! Angles are products in f64 and their sines and cosines are our own, so a far position is as
//! exact as a near one. They are computed once a pass into a [`RopeTable`] that all layers with
//! the same frequencies share.
//!
//! Source: Su et al., "RoFormer", 2021; YaRN: Peng et al., 2023.

use crate::lanes::{Lanes, each_isa};
use crate::math::{ln, pow, sin_cos};
use crate::{Isa, Pool};

/// Numbers worth one task of the pool.
const TASK_LEN: usize = 8192;

/// Which channels of a head form a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pairing {
    /// Neighbours: (0, 1), (2, 3), … (llama, mistral)
    Interleaved,
    /// Halves of the rotated part: (0, n/2), (1, n/2 + 1), … (neox, qwen, gemma, phi)
    Halves,
}

/// How a model trained on a short context is stretched by YaRN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    /// How many times longer the context became.
    pub factor: f64,
    /// Context length in training.
    pub n_ctx_orig: f64,
    pub beta_fast: f64,
    pub beta_slow: f64,
    /// Whether the ramp begins and ends at whole pairs; gpt-oss does not round.
    pub truncate: bool,
}

/// Radians a position for each pair of the `n_rot` rotated channels: `base^(-2i / n_rot)`,
/// divided by `factors[i]` where they are given (llama 3 and longrope write them in the file).
///
/// # Panics
/// If `n_rot` is odd or `factors` is not half of it.
pub fn frequencies(base: f64, n_rot: usize, factors: Option<&[f32]>) -> Vec<f64> {
    assert!(n_rot.is_multiple_of(2), "channels turn in pairs");
    let mut turns: Vec<f64> =
        (0..n_rot / 2).map(|i| pow(base, -((2 * i) as f64) / n_rot as f64)).collect();
    if let Some(factors) = factors {
        assert_eq!(factors.len(), turns.len(), "a factor for each pair");
        for (turn, &factor) in turns.iter_mut().zip(factors) {
            *turn /= f64::from(factor);
        }
    }
    turns
}

impl Yarn {
    /// Blends each frequency with its slowed-down self: those that turn more than `beta_fast`
    /// times over the old context stay, those below `beta_slow` turn `factor` times slower.
    pub fn stretch(&self, base: f64, frequencies: &mut [f64]) {
        let n_rot = 2.0 * frequencies.len() as f64;
        let pair_that_turns = |times: f64| {
            let turns = self.n_ctx_orig / (times * std::f64::consts::TAU);
            n_rot * ln(turns) / (2.0 * ln(base))
        };
        let last = (frequencies.len().max(1) * 2 - 1) as f64;
        let (mut low, mut high) =
            (pair_that_turns(self.beta_fast), pair_that_turns(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, high) = (low.max(0.0), high.min(last));
        for (i, frequency) in frequencies.iter_mut().enumerate() {
            let slowed = ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
            *frequency *= slowed / self.factor + (1.0 - slowed);
        }
    }

    /// What YaRN multiplies sines and cosines with: `1 + 0.1 ln factor`.
    pub fn magnitude(&self) -> f32 {
        (1.0 + 0.1 * ln(self.factor)) as f32
    }
}

/// Sines and cosines for the rows of one pass.
#[derive(Debug, Clone)]
pub struct RopeTable {
    /// Pairs of channels: n_rot / 2.
    n_pairs: usize,
    /// (T, 2, n_pairs): cosines, then sines.
    turns: Vec<f32>,
}

impl RopeTable {
    /// For row `t` at `positions[t]`. `magnitude` multiplies sines and cosines (1, but for YaRN
    /// and longrope).
    pub fn new(pool: &Pool, frequencies: &[f64], magnitude: f32, positions: &[u32]) -> RopeTable {
        let n_pairs = frequencies.len();
        let mut turns = vec![0.0; positions.len() * 2 * n_pairs];
        let isa = pool.isa();
        if n_pairs > 0 {
            let rows_a_task = 16;
            pool.for_chunks(&mut turns, rows_a_task * 2 * n_pairs, |chunk, rows| {
                let positions = &positions[chunk * rows_a_task..];
                fill_rows(isa, frequencies, magnitude, positions, rows);
            });
        }
        RopeTable { n_pairs, turns }
    }

    /// Rows it was made for.
    pub fn len(&self) -> usize {
        if self.n_pairs == 0 { 0 } else { self.turns.len() / (2 * self.n_pairs) }
    }

    /// Whether it turns nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// (cosines, sines) of row `t`.
    #[inline(always)]
    fn row(&self, t: usize) -> (&[f32], &[f32]) {
        let at = t * 2 * self.n_pairs;
        self.turns[at..at + 2 * self.n_pairs].split_at(self.n_pairs)
    }
}

each_isa! {
    fn fill_rows(frequencies: &[f64], magnitude: f32, positions: &[u32], rows: &mut [f32])
        = fill_rows_lanes;
}

#[inline(always)]
fn fill_rows_lanes<V: Lanes>(
    frequencies: &[f64],
    magnitude: f32,
    positions: &[u32],
    rows: &mut [f32],
) {
    let n_pairs = frequencies.len();
    for (&position, row) in positions.iter().zip(rows.chunks_exact_mut(2 * n_pairs)) {
        let (cosines, sines) = row.split_at_mut(n_pairs);
        for ((&f, cosine), sine) in frequencies.iter().zip(cosines).zip(sines) {
            let (sin, cos) = sin_cos(f64::from(position) * f);
            *cosine = (cos * f64::from(magnitude)) as f32;
            *sine = (sin * f64::from(magnitude)) as f32;
        }
    }
}

/// Turns the first channels of every head of `x`, (T, heads, head_dim), by the table's rows.
///
/// # Panics
/// If `x` is not as many rows of whole heads as the table has, or a head is shorter than the
/// part that turns.
pub fn rope(pool: &Pool, pairing: Pairing, table: &RopeTable, head_dim: usize, x: &mut [f32]) {
    if x.is_empty() || table.n_pairs == 0 {
        return;
    }
    assert!(2 * table.n_pairs <= head_dim, "a head has room for what turns");
    assert!(x.len().is_multiple_of(table.len() * head_dim), "rows of whole heads");
    let width = x.len() / table.len();
    let isa = pool.isa();
    let rows_a_task = TASK_LEN.div_ceil(width);
    pool.for_chunks(x, rows_a_task * width, |chunk, rows| {
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            rope_row(isa, pairing, table, chunk * rows_a_task + i, head_dim, row);
        }
    });
}

/// One row of [`rope`], on the caller's thread: `x` is (heads, head_dim), turned by row `t`.
pub(crate) fn rope_row(
    isa: Isa,
    pairing: Pairing,
    table: &RopeTable,
    t: usize,
    head_dim: usize,
    x: &mut [f32],
) {
    let (cosines, sines) = table.row(t);
    for head in x.chunks_exact_mut(head_dim) {
        match pairing {
            Pairing::Interleaved => turn_neighbours(isa, cosines, sines, head),
            Pairing::Halves => turn_halves(isa, cosines, sines, head),
        }
    }
}

each_isa! {
    fn turn_halves(cosines: &[f32], sines: &[f32], head: &mut [f32]) = turn_halves_lanes;
}

#[inline(always)]
fn turn_halves_lanes<V: Lanes>(cosines: &[f32], sines: &[f32], head: &mut [f32]) {
    let n = cosines.len();
    let (first, second) = head[..2 * n].split_at_mut(n);
    let pairs = first.chunks_mut(16).zip(second.chunks_mut(16));
    for ((a, b), (cos, sin)) in pairs.zip(cosines.chunks(16).zip(sines.chunks(16))) {
        let (cos, sin) = (V::load_some(cos, 0.0), V::load_some(sin, 0.0));
        let (x, y) = (V::load_some(a, 0.0), V::load_some(b, 0.0));
        let minus = V::splat(0.0).sub(y.mul(sin));
        x.mul_add(cos, minus).store_some(a);
        x.mul_add(sin, y.mul(cos)).store_some(b);
    }
}

each_isa! {
    fn turn_neighbours(cosines: &[f32], sines: &[f32], head: &mut [f32]) = turn_neighbours_lanes;
}

/// Left to the compiler, which shuffles neighbours apart; the operations are those of
/// [`turn_halves_lanes`].
#[inline(always)]
fn turn_neighbours_lanes<V: Lanes>(cosines: &[f32], sines: &[f32], head: &mut [f32]) {
    let (pairs, _) = head.as_chunks_mut::<2>();
    for (([a, b], &cos), &sin) in pairs.iter_mut().zip(cosines).zip(sines) {
        let (x, y) = (*a, *b);
        *a = x.mul_add(cos, 0.0 - y * sin);
        *b = x.mul_add(sin, y * cos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{assert_close, assert_same, floats};

    #[test]
    fn pairs_turn_by_position_times_frequency() {
        let positions = [0, 1, 2, 1000, 131_071, 1_000_003];
        for (head_dim, n_rot, heads) in [(64, 64, 3), (80, 20, 2), (256, 256, 1), (6, 2, 5)] {
            let turns = frequencies(10_000.0, n_rot, None);
            let x = floats(positions.len() * heads * head_dim, 1);
            for pairing in [Pairing::Interleaved, Pairing::Halves] {
                let run = |pool: Pool| {
                    let mut y = x.clone();
                    let table = RopeTable::new(&pool, &turns, 1.0, &positions);
                    rope(&pool, pairing, &table, head_dim, &mut y);
                    y
                };
                let y = run(Pool::with_isa(1, Isa::Scalar));
                assert_same(&y, &run(Pool::new(3)));
                assert_same(&y[..heads * head_dim], &x[..heads * head_dim]);
                let mut want = x.clone();
                for (t, row) in want.chunks_mut(heads * head_dim).enumerate() {
                    for head in row.chunks_mut(head_dim) {
                        for i in 0..n_rot / 2 {
                            let (a, b) = match pairing {
                                Pairing::Interleaved => (2 * i, 2 * i + 1),
                                Pairing::Halves => (i, i + n_rot / 2),
                            };
                            let power = 10_000_f64.powf(-2.0 * i as f64 / n_rot as f64);
                            let (sin, cos) = (f64::from(positions[t]) * power).sin_cos();
                            let (x, y) = (f64::from(head[a]), f64::from(head[b]));
                            head[a] = (x * cos - y * sin) as f32;
                            head[b] = (x * sin + y * cos) as f32;
                        }
                    }
                }
                assert_close(&y, &want, 3e-7);
            }
        }
    }

    #[test]
    fn factors_slow_their_pairs_and_magnitude_scales() {
        let turns = frequencies(500_000.0, 8, Some(&[1.0, 1.0, 4.0, 8.0]));
        let plain = frequencies(500_000.0, 8, None);
        assert_eq!(turns[1], plain[1]);
        assert_eq!(turns[3], plain[3] / 8.0);
        let table = RopeTable::new(&Pool::new(1), &turns, 0.5, &[0]);
        let mut x = vec![1.0; 8];
        rope(&Pool::new(1), Pairing::Halves, &table, 8, &mut x);
        assert_eq!(x, vec![0.5; 8]);
    }

    #[test]
    fn yarn_keeps_fast_pairs_and_slows_slow_ones() {
        let yarn = Yarn {
            factor: 4.0,
            n_ctx_orig: 4096.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            truncate: true,
        };
        let plain = frequencies(10_000.0, 128, None);
        let mut stretched = plain.clone();
        yarn.stretch(10_000.0, &mut stretched);
        assert_eq!(stretched[..20], plain[..20]);
        for (s, p) in stretched.iter().zip(&plain).skip(47) {
            assert!((s * 4.0 / p - 1.0).abs() < 1e-15);
        }
        assert!(stretched.windows(2).all(|w| w[0] > w[1]));
        assert!((yarn.magnitude() - 1.138_629_4).abs() < 1e-6);
    }
}
