//! What an answer took: tokens, time and money.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;

/// An amount of money in units of 10⁻¹² US dollars, so that sums over many requests are exact.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cost(pub u64);

impl Cost {
    /// The price of `tokens` at `usd_per_million` US dollars for a million tokens.
    ///
    /// ```
    /// use wright_chat::Cost;
    /// assert_eq!(Cost::of_tokens(1_000, 0.15).to_string(), "$0.00015");
    /// ```
    pub fn of_tokens(tokens: u32, usd_per_million: f64) -> Self {
        // One token at a dollar a million costs 10⁶ units. Prices have a few decimal places.
        let per_token = (usd_per_million.max(0.0) * 1e6).round();
        Cost((per_token as u64).saturating_mul(u64::from(tokens)))
    }

    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(costs: I) -> Self {
        Cost(costs.fold(0, |sum, cost| sum.saturating_add(cost.0)))
    }
}

impl fmt::Display for Cost {
    /// Dollars with as many decimals as it takes to show two significant digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usd = self.usd();
        let digits = match usd {
            0.0 => 2,
            usd if usd >= 0.1 => 2,
            usd => (1 - usd.log10().floor() as i32).clamp(2, 12) as usize,
        };
        write!(f, "${usd:.digits$}")
    }
}

/// Tokens and time that an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All tokens of the prompt, those from a cache included.
    pub prompt_tokens: u32,
    /// Prompt tokens found in a cache.
    pub cached_tokens: u32,
    /// Prompt tokens that were written to a provider's cache, at a price of their own.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u32,
    /// All generated tokens, those of reasoning included.
    pub completion_tokens: u32,
    /// Generated tokens that were reasoning, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u32>,
    /// Draft tokens accepted by speculative decoding.
    pub accepted_draft_tokens: u32,
    /// Seconds until the first token; measured, so never part of a reproducible result.
    pub prefill_s: f64,
    /// Seconds from the first token to the last.
    pub decode_s: f64,
    /// What the provider charges for it. `None` is unknown, which is not the same as free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The day on which the prices behind `cost` were looked up, as the number `yyyymmdd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices_as_of: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_exact_and_readable() {
        let cost = Cost::of_tokens(1, 0.075);
        assert_eq!(cost, Cost(75_000));
        assert_eq!(cost.to_string(), "$0.000000075");
        assert_eq!((0..1_000_000).map(|_| cost).sum::<Cost>(), Cost::of_tokens(1_000_000, 0.075));
        assert_eq!(Cost::of_tokens(2_000_000, 1.25).to_string(), "$2.50");
        assert_eq!(Cost::default().to_string(), "$0.00");
        assert_eq!(Cost::of_tokens(u32::MAX, f64::NAN), Cost(0));
    }
}
