//! Numbers to test with, and what it means that two results are the same.

/// `n` floats around 0, mostly within (-4, 4), the same for the same seed.
pub(crate) fn floats(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..n).map(|_| (next() + next() + next() - 1.5) * 2.667).collect()
}

/// Bytes from the same generator.
pub(crate) fn bytes(n: usize, seed: u64) -> Vec<u8> {
    floats(n, seed).into_iter().map(|x| (x.to_bits() >> 9) as u8).collect()
}

/// The same bits everywhere; a NaN is the same as another.
#[track_caller]
pub(crate) fn assert_same(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        let same = x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
        assert!(same, "at {i}: {x:e} is not {y:e}");
    }
}

/// Within `tolerance` of each other, relative to the largest of `b`.
#[track_caller]
pub(crate) fn assert_close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() <= tolerance * scale, "at {i}: {x:e} is far from {y:e}");
    }
}
