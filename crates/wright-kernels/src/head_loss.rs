//! The last matrix of a model and the loss in one pass over chunks of rows, forward and backward.
//!
//! For each row: logits = X Wᵀ (scaled, soft-capped), loss = logsumexp(logits) − logits[target],
//! and, with the row's weight, the gradients of X and W. Only one chunk of logits exists at a
//! time, so memory is some MiB whatever the batch and the vocabulary. A weight for each token
//! serves averages, masks and the losses of tuning alike; a row of weight 0 gives no gradient.

use crate::Pool;
use crate::gemm::{Into, Operand, gemm};
use crate::lanes::{Lanes, by_lanes, each_isa};
use crate::math::{exp_lanes, ln, tanh_lanes};
use crate::pool::Parts;

/// Logits held at a time: 16 MiB. The matrix is packed again for each chunk, so more is faster.
const CHUNK_VALUES: usize = 4 << 20;

/// The matrix that makes logits, and what happens to them.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// (n_vocab, n_embd)
    pub weight: &'a [f32],
    pub n_vocab: usize,
    pub n_embd: usize,
    /// Logits are multiplied with it.
    pub scale: f32,
    /// Then they become cap * tanh(logit / cap).
    pub soft_cap: Option<f32>,
}

/// Rows to score.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// The token that each row should predict.
    pub ids: &'a [u32],
    /// What each row's loss counts in the gradients.
    pub weights: &'a [f32],
}

/// Where gradients go: they are added.
#[derive(Debug)]
pub struct HeadGradients<'a> {
    /// (rows, n_embd); overwritten, not added to.
    pub dx: &'a mut [f32],
    /// (n_vocab, n_embd)
    pub dweight: &'a mut [f32],
}

/// Writes each row's loss in nats to `losses` and, if `gradients` are wanted, the gradients of
/// the sum of weight × loss. `scratch` is kept by the caller so that it is allocated once.
///
/// # Panics
/// If lengths do not fit, or a target is not an id of the vocabulary.
pub fn head_loss(
    pool: &Pool,
    head: &Head<'_>,
    x: &[f32],
    targets: Targets<'_>,
    losses: &mut [f32],
    mut gradients: Option<HeadGradients<'_>>,
    scratch: &mut Vec<f32>,
) {
    let (v, c, rows) = (head.n_vocab, head.n_embd, losses.len());
    assert!(x.len() == rows * c && head.weight.len() == v * c);
    assert!(targets.ids.len() == rows && targets.weights.len() == rows);
    assert!(targets.ids.iter().all(|&id| (id as usize) < v), "a target beyond the vocabulary");
    let chunk = chunk_rows(v).min(rows);
    if scratch.len() < chunk * v {
        scratch.resize(chunk * v, 0.0);
    }
    let weights = Operand::transposed(head.weight, c);
    for start in (0..rows).step_by(chunk.max(1)) {
        let n = chunk.min(rows - start);
        let x = Operand::new(&x[start * c..][..n * c], c);
        let logits = &mut scratch[..n * v];
        gemm(pool, (n, v, c), x, weights, logits, v, Into::Overwrite);
        let part = Targets {
            ids: &targets.ids[start..start + n],
            weights: &targets.weights[start..start + n],
        };
        let with_gradients = gradients.is_some();
        score(pool, head, logits, part, &mut losses[start..start + n], with_gradients);
        if let Some(HeadGradients { dx, dweight }) = &mut gradients {
            let dx = &mut dx[start * c..][..n * c];
            let dlogits = Operand::new(logits, v);
            gemm(pool, (n, c, v), dlogits, Operand::new(head.weight, c), dx, c, Into::Overwrite);
            gemm(pool, (v, c, n), Operand::transposed(logits, v), x, dweight, c, Into::Add);
        }
    }
}

/// Rows whose logits exist at a time; a function of the vocabulary alone, because gradients of
/// the matrix are summed chunk by chunk.
fn chunk_rows(n_vocab: usize) -> usize {
    (CHUNK_VALUES / n_vocab).clamp(64, 1024)
}

/// Losses of a chunk; its logits become their own gradients.
fn score(
    pool: &Pool,
    head: &Head<'_>,
    logits: &mut [f32],
    targets: Targets<'_>,
    losses: &mut [f32],
    with_gradients: bool,
) {
    const ROWS_A_TASK: usize = 8;
    let v = head.n_vocab;
    let losses = Parts::new(losses);
    pool.for_chunks(logits, ROWS_A_TASK * v, |task, logits| {
        for (i, row) in logits.chunks_exact_mut(v).enumerate() {
            let at = task * ROWS_A_TASK + i;
            let (id, weight) = (targets.ids[at] as usize, targets.weights[at]);
            // SAFETY: each row belongs to one task.
            let loss = unsafe { losses.slice(at, 1) };
            loss[0] = score_row(pool.isa(), head, row, id, weight, with_gradients);
        }
    });
}

each_isa! {
    fn score_row(
        head: &Head<'_>,
        row: &mut [f32],
        id: usize,
        weight: f32,
        with_gradient: bool,
    ) -> f32 = score_body;
}

/// d loss / d logit = weight (softmax − onehot), times the slope of scale and cap.
#[inline(always)]
fn score_body<V: Lanes>(
    head: &Head<'_>,
    row: &mut [f32],
    id: usize,
    weight: f32,
    with_gradient: bool,
) -> f32 {
    let mut highest = V::splat(f32::NEG_INFINITY);
    let (scale, cap) = (V::splat(head.scale), head.soft_cap);
    if head.scale != 1.0 || cap.is_some() {
        by_lanes!(row.len(), |at| {
            let mut z = V::load_some(&row[at.clone()], 0.0).mul(scale);
            if let Some(cap) = cap {
                z = tanh_lanes(z.div(V::splat(cap))).mul(V::splat(cap));
            }
            z.store_some(&mut row[at]);
        });
    }
    by_lanes!(row.len(), |at| {
        highest = V::load_some(&row[at], f32::NEG_INFINITY).max(highest);
    });
    let highest = highest.highest();
    let at_id = row[id];
    // The slope of a cap needs the capped logit, so only a plain head overwrites it already.
    let in_place = with_gradient && cap.is_none();
    let mut sum = V::splat(0.0);
    by_lanes!(row.len(), |at| {
        let x = &mut row[at];
        let e = exp_lanes(V::load_some(x, f32::NEG_INFINITY).sub(V::splat(highest)));
        sum = sum.add(e);
        if in_place {
            e.store_some(x);
        }
    });
    let sum = sum.sum();
    if in_place {
        let factor = V::splat(weight * head.scale / sum);
        by_lanes!(row.len(), |at| {
            let x = &mut row[at];
            V::load_some(x, 0.0).mul(factor).store_some(x);
        });
        row[id] -= weight * head.scale;
    } else if with_gradient {
        let factor = V::splat(weight * head.scale / sum);
        for (i, x) in row.chunks_mut(16).enumerate() {
            let z = V::load_some(x, f32::NEG_INFINITY);
            let mut d = exp_lanes(z.sub(V::splat(highest))).mul(factor);
            let start = i * 16;
            if (start..start + 16).contains(&id) {
                let mut lanes = d.to_array();
                lanes[id - start] -= weight * head.scale;
                d = V::load(&lanes);
            }
            if let Some(cap) = cap {
                let t = z.div(V::splat(cap));
                d = d.mul(V::splat(1.0).sub(t.mul(t)));
            }
            d.store_some(x);
        }
    }
    (ln(f64::from(sum)) + f64::from(highest) - f64::from(at_id)) as f32
}

#[cfg(test)]
mod tests;
