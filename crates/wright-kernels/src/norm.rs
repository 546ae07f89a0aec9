//! Root-mean-square and layer normalization, over rows or over the heads of a row.
//!
//! A row's sums have 16 lanes and one order, and rows share nothing, so a row's bytes depend on
//! the row alone.

use crate::Pool;
use crate::lanes::{Lanes, each_isa};

/// Numbers worth one task of the pool.
const TASK_LEN: usize = 8192;

/// What is normalized, and what it is multiplied with after.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// Numbers that are normalized together: n_embd, or head_dim for a norm per head.
    pub len: usize,
    /// Added to the mean square or the variance.
    pub eps: f32,
    /// (len), or (heads, len) where each head of a row has its own.
    pub weight: Option<&'a [f32]>,
    /// Shaped as `weight`.
    pub bias: Option<&'a [f32]>,
}

/// `out = x / sqrt(mean(x²) + eps) * weight + bias`, for each `len` numbers of `x`.
///
/// ```
/// use wright_kernels::{Norm, Pool, rms_norm};
///
/// let norm = Norm { len: 4, eps: 0.0, weight: None, bias: None };
/// let mut out = [0.0; 4];
/// rms_norm(&Pool::new(1), &norm, &[3.0, -3.0, 3.0, -3.0], &mut out);
/// assert_eq!(out, [1.0, -1.0, 1.0, -1.0]);
/// ```
///
/// Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
///
/// # Panics
/// If the lengths are not whole groups or differ.
pub fn rms_norm(pool: &Pool, norm: &Norm<'_>, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "normalized numbers");
    norm.check(x.len());
    let isa = pool.isa();
    norm.for_groups(pool, out, |group, at, out| {
        let x = &x[at..at + norm.len];
        let scale = rms_scale(isa, x, norm.eps);
        apply(isa, x, 0.0, scale, norm.weight(group), norm.bias(group), out);
    });
}

/// [`rms_norm`] onto itself.
pub fn rms_norm_in_place(pool: &Pool, norm: &Norm<'_>, x: &mut [f32]) {
    norm.check(x.len());
    let isa = pool.isa();
    norm.for_groups(pool, x, |group, _, x| {
        let scale = rms_scale(isa, x, norm.eps);
        apply_in_place(isa, x, 0.0, scale, norm.weight(group), norm.bias(group));
    });
}

/// `out = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias`, for each `len` numbers of `x`.
///
/// Source: Ba, Kiros and Hinton, "Layer Normalization", 2016.
///
/// # Panics
/// If the lengths are not whole groups or differ.
pub fn layer_norm(pool: &Pool, norm: &Norm<'_>, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "normalized numbers");
    norm.check(x.len());
    let isa = pool.isa();
    norm.for_groups(pool, out, |group, at, out| {
        let x = &x[at..at + norm.len];
        let (mean, scale) = mean_and_scale(isa, x, norm.eps);
        apply(isa, x, mean, scale, norm.weight(group), norm.bias(group), out);
    });
}

/// [`layer_norm`] onto itself.
pub fn layer_norm_in_place(pool: &Pool, norm: &Norm<'_>, x: &mut [f32]) {
    norm.check(x.len());
    let isa = pool.isa();
    norm.for_groups(pool, x, |group, _, x| {
        let (mean, scale) = mean_and_scale(isa, x, norm.eps);
        apply_in_place(isa, x, mean, scale, norm.weight(group), norm.bias(group));
    });
}

impl<'a> Norm<'a> {
    fn check(&self, n: usize) {
        assert!(self.len > 0 && n.is_multiple_of(self.len), "{n} is not groups of {}", self.len);
        for affine in [self.weight, self.bias].into_iter().flatten() {
            let whole = !affine.is_empty() && affine.len().is_multiple_of(self.len);
            assert!(whole, "a weight of {} for groups of {}", affine.len(), self.len);
        }
    }

    fn weight(&self, group: usize) -> Option<&'a [f32]> {
        self.weight.map(|w| cyclic(w, self.len, group))
    }

    fn bias(&self, group: usize) -> Option<&'a [f32]> {
        self.bias.map(|b| cyclic(b, self.len, group))
    }

    /// Calls `f(group, offset in data, numbers of the group)`.
    fn for_groups(
        &self,
        pool: &Pool,
        data: &mut [f32],
        f: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) {
        let groups_a_task = TASK_LEN.div_ceil(self.len);
        pool.for_chunks(data, groups_a_task * self.len, |chunk, piece| {
            for (i, numbers) in piece.chunks_exact_mut(self.len).enumerate() {
                let group = chunk * groups_a_task + i;
                f(group, group * self.len, numbers);
            }
        });
    }
}

/// The part of `affine` that belongs to `group`.
fn cyclic(affine: &[f32], len: usize, group: usize) -> &[f32] {
    let at = group % (affine.len() / len) * len;
    &affine[at..at + len]
}

each_isa! {
    fn rms_scale(x: &[f32], eps: f32) -> f32 = rms_scale_lanes;
}

#[inline(always)]
fn rms_scale_lanes<V: Lanes>(x: &[f32], eps: f32) -> f32 {
    let mut squares = V::splat(0.0);
    for x in x.chunks(16) {
        let x = V::load_some(x, 0.0);
        squares = x.mul_add(x, squares);
    }
    1.0 / (squares.sum() / x.len() as f32 + eps).sqrt()
}

each_isa! {
    fn mean_and_scale(x: &[f32], eps: f32) -> (f32, f32) = mean_and_scale_lanes;
}

#[inline(always)]
fn mean_and_scale_lanes<V: Lanes>(x: &[f32], eps: f32) -> (f32, f32) {
    let mut sum = V::splat(0.0);
    for x in x.chunks(16) {
        sum = sum.add(V::load_some(x, 0.0));
    }
    let mean = sum.sum() / x.len() as f32;
    let mut squares = V::splat(0.0);
    for x in x.chunks(16) {
        let x = V::load_some(x, mean).sub(V::splat(mean));
        squares = x.mul_add(x, squares);
    }
    (mean, 1.0 / (squares.sum() / x.len() as f32 + eps).sqrt())
}

each_isa! {
    fn apply(x: &[f32], mean: f32, scale: f32, weight: Option<&[f32]>, bias: Option<&[f32]>,
        out: &mut [f32]) = apply_lanes;
}

#[inline(always)]
fn apply_lanes<V: Lanes>(
    x: &[f32],
    mean: f32,
    scale: f32,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    for (i, (x, out)) in x.chunks(16).zip(out.chunks_mut(16)).enumerate() {
        let affine = Affine { at: i * 16, weight, bias };
        affine.of(V::load_some(x, 0.0), mean, scale).store_some(out);
    }
}

each_isa! {
    fn apply_in_place(x: &mut [f32], mean: f32, scale: f32, weight: Option<&[f32]>,
        bias: Option<&[f32]>) = apply_in_place_lanes;
}

#[inline(always)]
fn apply_in_place_lanes<V: Lanes>(
    x: &mut [f32],
    mean: f32,
    scale: f32,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
) {
    for (i, x) in x.chunks_mut(16).enumerate() {
        let affine = Affine { at: i * 16, weight, bias };
        affine.of(V::load_some(x, 0.0), mean, scale).store_some(x);
    }
}

/// Weight and bias from number `at` on.
struct Affine<'a> {
    at: usize,
    weight: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
}

impl Affine<'_> {
    /// `(x - mean) * scale * weight + bias`
    #[inline(always)]
    fn of<V: Lanes>(&self, x: V, mean: f32, scale: f32) -> V {
        let mut y = x.sub(V::splat(mean)).mul(V::splat(scale));
        let bias = self.bias.map(|b| V::load_some(&b[self.at..], 0.0));
        if let Some(weight) = self.weight {
            let weight = V::load_some(&weight[self.at..], 0.0);
            return match bias {
                Some(bias) => y.mul_add(weight, bias),
                None => y.mul(weight),
            };
        }
        if let Some(bias) = bias {
            y = y.add(bias);
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::tests::{assert_close, assert_same, floats};

    /// The same in f64, written down as the papers have it.
    fn truth(norm: &Norm<'_>, centred: bool, x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        for (group, x) in x.chunks(norm.len).enumerate() {
            let n = norm.len as f64;
            let mean = if centred { x.iter().map(|&x| f64::from(x)).sum::<f64>() / n } else { 0.0 };
            let var = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
            for (i, &x) in x.iter().enumerate() {
                let at = |a: &[f32]| f64::from(a[(group * norm.len + i) % a.len()]);
                let y = (f64::from(x) - mean) / (var + f64::from(norm.eps)).sqrt();
                out.push((y * norm.weight.map_or(1.0, at) + norm.bias.map_or(0.0, at)) as f32);
            }
        }
        out
    }

    #[test]
    fn norms_agree_with_f64_and_forms_and_threads_agree_in_every_byte() {
        let (weight, bias) = (floats(3 * 640, 1), floats(3 * 640, 2));
        for len in [1, 7, 16, 64, 100, 576, 640] {
            let x = floats(len * 33, 3);
            for affine in [0, 1, 3] {
                let norm = Norm {
                    len,
                    eps: 1e-5,
                    weight: (affine > 0).then_some(&weight[..affine * len]),
                    bias: (affine > 1).then_some(&bias[..affine * len]),
                };
                let run = |centred: bool, pool: Pool| {
                    let mut out = vec![0.0; x.len()];
                    let mut same = x.clone();
                    if centred {
                        layer_norm(&pool, &norm, &x, &mut out);
                        layer_norm_in_place(&pool, &norm, &mut same);
                    } else {
                        rms_norm(&pool, &norm, &x, &mut out);
                        rms_norm_in_place(&pool, &norm, &mut same);
                    }
                    assert_same(&out, &same);
                    out
                };
                for centred in [false, true] {
                    let plain = run(centred, Pool::with_isa(1, Isa::Scalar));
                    assert_same(&plain, &run(centred, Pool::new(3)));
                    assert_close(&plain, &truth(&norm, centred, &x), 1e-5);
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_in_its_row() {
        let mut x = floats(48 * 3, 4);
        x[50] = f32::NAN;
        x[100] = f32::INFINITY;
        let norm = Norm { len: 48, eps: 1e-6, weight: None, bias: None };
        let run = |isa| {
            let mut out = vec![0.0; x.len()];
            rms_norm(&Pool::with_isa(1, isa), &norm, &x, &mut out);
            out
        };
        let out = run(Isa::detect());
        assert_same(&out, &run(Isa::Scalar));
        assert!(out[..48].iter().all(|x| x.is_finite()));
        assert!(out[48..96].iter().all(|x| x.is_nan()));
    }
}
