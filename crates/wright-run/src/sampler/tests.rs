//! The sampler against a plain reading of its own documentation, and its draws against the
//! probabilities that they should have.

use super::*;

const V: u32 = 300;

fn sampling() -> Sampling {
    Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..Sampling::default() }
}

/// Logits with many ties: multiples of a quarter between −8 and 8.
fn row(seed: u64) -> Vec<f32> {
    (0..u64::from(V)).map(|i| (uniform(seed, i) * 64.0).floor() as f32 / 4.0 - 8.0).collect()
}

/// The stages as documented, with a full sort, to hold the fast form to.
fn reference(sampling: &Sampling, recent: &[u32], logits: &[f32]) -> Vec<(u32, f64)> {
    let mut logits = logits.to_vec();
    for &(id, bias) in &sampling.logit_bias {
        logits[id as usize] += bias;
    }
    let start = recent.len().saturating_sub(sampling.penalty_window as usize);
    let recent = &recent[start..];
    for id in 0..V {
        let count = recent.iter().filter(|&&r| r == id).count();
        if count > 0 {
            let l = &mut logits[id as usize];
            let p = sampling.repetition_penalty;
            *l = if *l > 0.0 { *l / p } else { *l * p };
            *l -= sampling.presence_penalty + sampling.frequency_penalty * count as f32;
        }
    }
    let mut order: Vec<u32> = (0..V).collect();
    order.sort_by(|&a, &b| logits[b as usize].partial_cmp(&logits[a as usize]).unwrap());
    if sampling.temperature == 0.0 {
        return vec![(order[0], 1.0)];
    }
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k as usize);
    }
    let max = f64::from(logits[order[0] as usize]);
    let p1: Vec<f64> = order.iter().map(|&i| (f64::from(logits[i as usize]) - max).exp()).collect();
    let mass: f64 = p1.iter().sum();
    let (mut sum, mut n) = (0.0, if sampling.top_p == 1.0 { order.len() } else { 0 });
    while n < order.len() && (n == 0 || sum < f64::from(sampling.top_p) * mass - 1e-12) {
        sum += p1[n];
        n += 1;
    }
    let kept = (0..n).filter(|&i| p1[i] >= f64::from(sampling.min_p) - 1e-12);
    let t = f64::from(sampling.temperature);
    let mut left: Vec<(u32, f64)> = kept
        .map(|i| (order[i], ((f64::from(logits[order[i] as usize]) - max) / t).exp()))
        .collect();
    left.sort_by_key(|&(id, _)| id);
    let total: f64 = left.iter().map(|&(_, w)| w).sum();
    left.iter().map(|&(id, w)| (id, w / total)).collect()
}

/// What `sampler` would draw from, normalized.
fn distribution(sampler: &mut Sampler, logits: &[f32]) -> Vec<(u32, f64)> {
    let id = sampler.sample(logits).unwrap();
    if sampler.sampling.temperature == 0.0 {
        return vec![(id, 1.0)];
    }
    let total: f64 = sampler.weights.iter().sum();
    sampler.candidates.iter().zip(&sampler.weights).map(|(c, w)| (c.id, w / total)).collect()
}

/// One of `choices`, by a number of the test's own.
fn choose<T: Copy>(case: u64, n: u64, choices: &[T]) -> T {
    choices[(uniform(case ^ 0xABCD, n) * choices.len() as f64) as usize]
}

#[test]
fn every_mix_of_options_gives_the_documented_distribution() {
    for case in 0..1500u64 {
        let sampling = Sampling {
            temperature: choose(case, 0, &[0.0, 0.3, 0.7, 1.0, 1.8, 100.0]),
            top_k: choose(case, 1, &[0, 1, 2, 7, 40, 200, 299, 300, 5000]),
            top_p: choose(case, 2, &[0.0, 0.1, 0.5, 0.9, 0.99, 1.0]),
            min_p: choose(case, 3, &[0.0, 0.0, 0.01, 0.05, 0.3, 1.0]),
            repetition_penalty: choose(case, 4, &[1.0, 1.0, 1.3, 0.8]),
            penalty_window: choose(case, 5, &[0, 1, 5, 64]),
            presence_penalty: choose(case, 6, &[0.0, 0.0, 0.5, -1.0]),
            frequency_penalty: choose(case, 7, &[0.0, 0.0, 0.25]),
            logit_bias: choose(case, 8, &[&[][..], &[(3, 4.5), (17, -50.0)]]).to_vec(),
            seed: case,
        };
        let mut sampler = Sampler::new(sampling.clone(), V);
        let recent: Vec<u32> =
            (0..20).map(|i| choose(case, 100 + i, &[1, 2, 3, 50, 299])).collect();
        for &id in &recent {
            sampler.accept(id);
        }
        let logits = row(case);
        let want = reference(&sampling, &recent, &logits);
        let got = distribution(&mut sampler, &logits);
        let ids = |d: &[(u32, f64)]| d.iter().map(|&(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(&got), ids(&want), "case {case}: {sampling:?}");
        for (g, w) in got.iter().zip(&want) {
            assert!((g.1 - w.1).abs() < 1e-12, "case {case}: {g:?} {w:?}");
        }
    }
}

#[test]
fn the_head_of_a_flat_row_is_found_beyond_the_first_sorted_piece() {
    let mut sampler = Sampler::new(Sampling { top_p: 0.9, ..sampling() }, V);
    sampler.sample(&[1.0; V as usize]).unwrap();
    let ids: Vec<u32> = sampler.candidates.iter().map(|c| c.id).collect();
    assert_eq!(ids, (0..270).collect::<Vec<_>>());
}

#[test]
fn draws_follow_the_probabilities() {
    let sampling = Sampling { temperature: 0.8, top_k: 30, seed: 42, ..sampling() };
    let logits = row(5);
    let want = reference(&sampling, &[], &logits);
    let mut sampler = Sampler::new(sampling, V);
    let n = 50_000;
    let mut counts = BTreeMap::new();
    for _ in 0..n {
        *counts.entry(sampler.sample(&logits).unwrap()).or_insert(0u32) += 1;
    }
    assert!(counts.keys().all(|id| want.iter().any(|(w, _)| w == id)));
    let chi2: f64 = want
        .iter()
        .map(|&(id, p)| {
            let expected = p * f64::from(n);
            (f64::from(counts.get(&id).copied().unwrap_or(0)) - expected).powi(2) / expected
        })
        .sum();
    // 29 degrees of freedom: 58.3 is passed once in a thousand seeds.
    assert!(chi2 < 58.3, "{chi2}");
}

#[test]
fn the_same_seed_gives_the_same_ids_and_another_seed_others() {
    let ids = |seed| -> Vec<u32> {
        let mut sampler = Sampler::new(Sampling { seed, ..sampling() }, V);
        (0..50).map(|i| sampler.sample(&row(i)).unwrap()).collect()
    };
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
}

#[test]
fn a_row_that_is_no_distribution_is_an_error() {
    let mut sampler = Sampler::new(sampling(), 4);
    assert_eq!(sampler.sample(&[0.0; 3]), Err(SampleError::Width { got: 3, n_vocab: 4 }));
    for bad in [f32::NAN, f32::INFINITY] {
        assert_eq!(sampler.sample(&[0.0, bad, 0.0, 1.0]), Err(SampleError::NotFinite));
    }
    assert_eq!(sampler.sample(&[f32::NEG_INFINITY; 4]), Err(SampleError::NotFinite));
    let ninf = f32::NEG_INFINITY;
    for _ in 0..20 {
        assert_eq!(sampler.sample(&[ninf, ninf, 3.0, ninf]), Ok(2));
    }
}

#[test]
fn a_penalty_strong_enough_forbids_what_was_just_said() {
    let sampling = Sampling { presence_penalty: 100.0, penalty_window: 3, ..sampling() };
    let mut sampler = Sampler::new(sampling, 4);
    let mut said = Vec::new();
    for _ in 0..40 {
        let id = sampler.sample(&[0.0; 4]).unwrap();
        sampler.accept(id);
        said.push(id);
    }
    // With a window of three of four tokens, each token must be the one that is not in it.
    for four in said.windows(4) {
        let distinct: std::collections::BTreeSet<_> = four.iter().collect();
        assert_eq!(distinct.len(), 4, "{said:?}");
    }
}
