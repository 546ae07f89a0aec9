//! From the router's scores to the experts of each row and their weights.
//!
//! In f64 for all executors and for each row by itself, so that a row's experts and weights depend
//! on its scores alone.

use crate::config::{Gating, Routing};
use wright_kernels::math::exp_f64;

/// The least that weights are divided by when they are made to sum to one.
const SUM_MIN: f64 = 1e-20;

/// The rows that an expert meets, ascending, with its weight for each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Visit {
    pub expert: usize,
    pub rows: Vec<(usize, f64)>,
}

/// Which expert meets which rows, by ascending expert. `scores` are (R, n_expert).
pub(crate) fn visits(
    routing: &Routing,
    bias: Option<&[f32]>,
    scores: impl Iterator<Item = f64>,
) -> Vec<Visit> {
    let mut of: Vec<Vec<(usize, f64)>> = vec![Vec::new(); routing.n_expert];
    let mut row_scores = Vec::with_capacity(routing.n_expert);
    let mut row = 0;
    for score in scores {
        row_scores.push(score);
        if row_scores.len() == routing.n_expert {
            for (expert, weight) in choose(routing, bias, &row_scores) {
                of[expert].push((row, weight));
            }
            row_scores.clear();
            row += 1;
        }
    }
    let visits = of.into_iter().enumerate();
    visits
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(expert, rows)| Visit { expert, rows })
        .collect()
}

/// Scores of the sparse mixer that are less than the best by more than this part do not count.
const MIXER_REACH: f64 = 0.02;

/// The experts of one row and their weights.
fn choose(routing: &Routing, bias: Option<&[f32]>, scores: &[f64]) -> Vec<(usize, f64)> {
    if routing.gating == Gating::SparseMixer {
        return mix_sparsely(scores, routing.n_used, f64::from(routing.scale));
    }
    let probabilities = match routing.gating {
        Gating::Softmax => softmax(scores),
        Gating::Sigmoid => scores.iter().map(|&x| 1.0 / (1.0 + exp_f64(-x))).collect(),
        Gating::SoftmaxOfChosen | Gating::SparseMixer => scores.to_vec(),
    };
    let mut merits = probabilities.clone();
    if let Some(bias) = bias {
        merits.iter_mut().zip(bias).for_each(|(m, &b)| *m += f64::from(b));
    }
    if let Some((groups, used)) = routing.groups {
        keep_groups(&mut merits, groups, used);
    }
    let chosen = best(&merits, routing.n_used);
    let mut weights: Vec<f64> = chosen.iter().map(|&e| probabilities[e]).collect();
    if routing.gating == Gating::SoftmaxOfChosen {
        weights = softmax(&weights);
    }
    if routing.normalise {
        let sum = weights.iter().sum::<f64>().max(SUM_MIN);
        weights.iter_mut().for_each(|w| *w /= sum);
    }
    let scale = f64::from(routing.scale);
    chosen.into_iter().zip(weights).map(|(e, w)| (e, w * scale)).collect()
}

/// Chooses the best `n_used` one by one; see [`Gating::SparseMixer`].
fn mix_sparsely(scores: &[f64], n_used: usize, scale: f64) -> Vec<(usize, f64)> {
    let mut left = scores.to_vec();
    let mut chosen = Vec::with_capacity(n_used);
    for _ in 0..n_used {
        let Some(&expert) = best(&left, 1).first() else { break };
        let most = left[expert];
        // Of a score of 0 that is the best, the difference is 0 / 0.
        let is_near = |score: f64| {
            let less = (most - score) / score.abs().max(most);
            score > f64::NEG_INFINITY && (less.is_nan() || less <= MIXER_REACH)
        };
        let near = left.iter().filter(|&&score| is_near(score));
        let sum: f64 = near.map(|&score| exp_f64(score - most)).sum();
        chosen.push((expert, scale / sum));
        left[expert] = f64::NEG_INFINITY;
    }
    chosen
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
    let mut y: Vec<f64> = x.iter().map(|&x| exp_f64(x - max)).collect();
    let sum: f64 = y.iter().sum();
    y.iter_mut().for_each(|y| *y /= sum);
    y
}

/// Indices of the `n` largest, the largest first; of equals the first.
fn best(x: &[f64], n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[b].total_cmp(&x[a]).then(a.cmp(&b)));
    order.truncate(n);
    order
}

/// Leaves only the experts of the best groups, by the sum of a group's best two.
fn keep_groups(merits: &mut [f64], groups: usize, used: usize) {
    let size = merits.len() / groups;
    let of_group = |group: &[f64]| best(group, 2).into_iter().map(|i| group[i]).sum::<f64>();
    let sums: Vec<f64> = merits.chunks_exact(size).map(of_group).collect();
    let kept = best(&sums, used);
    for (group, merits) in merits.chunks_exact_mut(size).enumerate() {
        if !kept.contains(&group) {
            merits.fill(f64::NEG_INFINITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Routing = Routing {
        n_expert: 4,
        n_used: 2,
        gating: Gating::Softmax,
        normalise: false,
        scale: 1.0,
        groups: None,
        weighs_input: false,
        clamped_gates: false,
    };

    #[test]
    fn the_best_are_chosen_and_of_equals_the_first() {
        let scores = [0.0, 1.0, 1.0, 1.0];
        let chosen = choose(&Routing { normalise: true, ..PLAIN }, None, &scores);
        assert_eq!(chosen, [(1, 0.5), (2, 0.5)]);
        let sum: f64 = choose(&PLAIN, None, &scores).iter().map(|(_, w)| w).sum();
        let e = std::f64::consts::E;
        assert!((sum - 2.0 * e / (1.0 + 3.0 * e)).abs() < 1e-12);
    }

    #[test]
    fn a_bias_chooses_but_does_not_weigh() {
        let routing = Routing { gating: Gating::Sigmoid, n_used: 1, scale: 2.0, ..PLAIN };
        let chosen = choose(&routing, Some(&[0.0, 0.0, 9.0, 0.0]), &[5.0, 5.0, 0.0, 5.0]);
        assert_eq!(chosen, [(2, 1.0)]);
    }

    #[test]
    fn only_the_best_groups_stay() {
        let routing = Routing { groups: Some((2, 1)), gating: Gating::SoftmaxOfChosen, ..PLAIN };
        let chosen = choose(&routing, None, &[3.0, -9.0, 2.0, 2.0]);
        assert_eq!(chosen, [(2, 0.5), (3, 0.5)], "3 alone is more, but not with its neighbour");
    }

    #[test]
    fn the_sparse_mixer_shares_a_weight_only_with_scores_that_are_near() {
        let routing = Routing { gating: Gating::SparseMixer, ..PLAIN };
        let chosen = choose(&routing, None, &[3.0, 4.0, 1.0, -4.0]);
        assert_eq!(chosen, [(1, 1.0), (0, 1.0)]);
        let chosen = choose(&routing, None, &[4.0, 4.0, 3.95, 1.0]);
        assert_eq!((chosen[0].0, chosen[1].0), (0, 1));
        let less = (-0.05f64).exp();
        assert!((chosen[0].1 - 1.0 / (2.0 + less)).abs() < 1e-12);
        assert!((chosen[1].1 - 1.0 / (1.0 + less)).abs() < 1e-12);
    }

    #[test]
    fn visits_are_by_expert_and_then_by_row() {
        let scores = [1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 2.0];
        let visits = visits(&PLAIN, None, scores.into_iter());
        let rows = |v: &Visit| v.rows.iter().map(|(row, _)| *row).collect::<Vec<_>>();
        let seen: Vec<_> = visits.iter().map(|v| (v.expert, rows(v))).collect();
        assert_eq!(seen, [(0, vec![0]), (2, vec![1]), (3, vec![0, 1])]);
    }
}
