//! Random numbers by counting: Philox 4×32-10.
//!
//! A counter-based generator has no state that could drift: the n-th number of a seed is a function
//! of the seed and n alone. A sampler that has drawn n times draws the same number next however it
//! came there, so an answer can be replayed from any token on.
//!
//! Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011),
//! and the known answers that its authors published. Not meant for secrets.

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEP: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: u32 = 10;

/// The block of four numbers at `counter` under `key`.
fn block(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let low = u64::from(MULTIPLIER[0]) * u64::from(counter[0]);
        let high = u64::from(MULTIPLIER[1]) * u64::from(counter[2]);
        counter = [
            (high >> 32) as u32 ^ counter[1] ^ key[0],
            high as u32,
            (low >> 32) as u32 ^ counter[3] ^ key[1],
            low as u32,
        ];
        key = [key[0].wrapping_add(KEY_STEP[0]), key[1].wrapping_add(KEY_STEP[1])];
    }
    counter
}

/// The number with index `n` of `seed`, uniform on [0, 1) in steps of 2⁻⁵³.
pub(crate) fn uniform(seed: u64, n: u64) -> f64 {
    let [a, b, ..] = block([n as u32, (n >> 32) as u32, 0, 0], [seed as u32, (seed >> 32) as u32]);
    let bits = (u64::from(b) << 32 | u64::from(a)) >> 11;
    bits as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_that_the_authors_published() {
        let zero = block([0; 4], [0; 2]);
        assert_eq!(zero, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = block([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi =
            block([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn numbers_fill_the_unit_interval_evenly() {
        let mut cells = [0u32; 64];
        let n = 64_000;
        for i in 0..n {
            let u = uniform(7, i);
            assert!((0.0..1.0).contains(&u));
            cells[(u * 64.0) as usize] += 1;
        }
        // Chi-squared with 63 degrees of freedom: 103.4 is passed once in a thousand seeds.
        let expected = n as f64 / 64.0;
        let chi2: f64 = cells.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        assert!(chi2 < 103.4, "{chi2}");
    }

    #[test]
    fn each_seed_and_index_has_its_own_number() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in [0, 1, 1 << 32, u64::MAX] {
            for n in [0, 1, 2, 1 << 32, u64::MAX] {
                assert!(seen.insert(uniform(seed, n).to_bits()));
            }
        }
    }
}
