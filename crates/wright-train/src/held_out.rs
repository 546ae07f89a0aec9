//! How well a model predicts held-out text: in nats per token, and in bits per byte, which is
//! comparable across tokenizers.

use std::f64::consts::LN_2;

/// The loss on held-out text.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HeldOut {
    /// Sum over the predicted tokens.
    pub nats: f64,
    pub n_tokens: u64,
    /// Bytes of text that these tokens stand for. A token that ends a document has none, but its
    /// nats count.
    pub n_bytes: u64,
}

impl HeldOut {
    /// Nats per token.
    pub fn loss(&self) -> f64 {
        self.nats / self.n_tokens as f64
    }

    /// Bits per byte of text; None if it is not known which bytes the tokens stand for.
    pub fn bits_per_byte(&self) -> Option<f64> {
        (self.n_bytes > 0).then(|| self.nats / (LN_2 * self.n_bytes as f64))
    }

    /// Adds tokens with the loss of each; `token_bytes` has an entry for each id, or none at all.
    pub(crate) fn add(&mut self, targets: &[u32], losses: &[f32], token_bytes: &[u32]) {
        self.nats += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
        self.n_tokens += targets.len() as u64;
        let bytes = |id: &u32| token_bytes.get(*id as usize).copied().map_or(0, u64::from);
        self.n_bytes += targets.iter().map(bytes).sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_without_bytes_costs_bits_all_the_same() {
        let mut held_out = HeldOut::default();
        let bit = LN_2 as f32;
        held_out.add(&[0, 1, 2], &[bit, 4.0 * bit, bit], &[1, 2, 0]);
        assert!((held_out.loss() - 2.0 * LN_2).abs() < 1e-6);
        assert!((held_out.bits_per_byte().unwrap() - 2.0).abs() < 1e-6, "6 bits for 3 bytes");
        let mut unknown = HeldOut::default();
        unknown.add(&[0, 1], &[1.0, 2.0], &[]);
        assert_eq!((unknown.loss(), unknown.bits_per_byte()), (1.5, None));
    }
}
