//! Numbers that look random and are a function of their key alone, without any libm.

/// SplitMix64 (Steele, Lea and Flood, 2014): the `index`-th number of stream `seed`.
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// About normal, with variance 1: twelve uniform numbers less their mean (Irwin-Hall). Its tails
/// end at 6 deviations, which suits initial weights.
pub(crate) fn normal(seed: u64, index: u64) -> f32 {
    let sum: u64 = (0..3)
        .flat_map(|i| {
            let bits = mix(seed, index * 3 + i);
            [0, 16, 32, 48].map(|shift| (bits >> shift) & 0xffff)
        })
        .sum();
    ((sum as f64 + 6.0) / 65536.0 - 6.0) as f32
}

/// A permutation of `0..n` without a table: a Feistel network over the next power of four,
/// walked until it lands below n (Black and Rogaway, 2002).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permutation {
    n: u64,
    half_bits: u32,
    seed: u64,
}

impl Permutation {
    pub(crate) fn new(n: u64, seed: u64) -> Self {
        let bits = 64 - n.saturating_sub(1).leading_zeros();
        Permutation { n, half_bits: bits.div_ceil(2).max(1), seed }
    }

    pub(crate) fn at(&self, index: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let mut x = index;
        loop {
            let (mut left, mut right) = (x >> self.half_bits, x & mask);
            for round in 0..4 {
                let f = mix(self.seed ^ round, right) & mask;
                (left, right) = (right, left ^ f);
            }
            x = left << self.half_bits | right;
            if x < self.n {
                return x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_visits_everything_once_and_differs_by_seed() {
        for n in [1, 2, 3, 17, 100, 1025] {
            let all = |seed| (0..n).map(|i| Permutation::new(n, seed).at(i)).collect::<Vec<_>>();
            let mut sorted = all(5);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            assert!(n < 17 || all(5) != all(6));
        }
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let x: Vec<f64> = (0..100_000).map(|i| f64::from(normal(7, i))).collect();
        let mean = x.iter().sum::<f64>() / 1e5;
        let var = x.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.01 && (var - 1.0).abs() < 0.02, "{mean} {var}");
    }
}
