//! What is wanted of each comparison, so that a table says what is missed.

use super::measure::Measured;

/// A bound on a median.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Times better than the other, at least.
    Ratio(f64),
    /// Of our own value, at most.
    Most(f64),
}

impl Goal {
    pub fn is_met(self, ours: f64, ratio: f64) -> bool {
        match self {
            Goal::Ratio(least) => ratio >= least,
            Goal::Most(most) => ours <= most,
        }
    }
}

/// The goal of a comparison, if it has one.
pub fn goal(row: &Measured) -> Option<Goal> {
    let float = ["F16", "BF16"].iter().any(|format| row.model.ends_with(&format!(" {format}")));
    let ratio = match (row.model.as_str(), row.test.as_str()) {
        ("SmolLM2 Q4_1", "start to first token") => return Some(Goal::Most(150.0)),
        (_, "start to first token" | "load, and one token") => 1.0,
        ("SmolLM2 Q4_1", "2,000 tokens read before: first token") => {
            return Some(Goal::Most(150.0));
        }
        (_, "peak memory") => 0.8,
        (_, "prose, beside --no-drafts") => 0.97,
        (_, test) if test.ends_with("beside --no-drafts") => 2.0,
        ("SmolLM2 Q4_1", "pp512") => 4.0,
        ("SmolLM2 Q4_1", "tg128") => 1.8,
        ("Gemma 3 Q4_K_M", "pp512") => 2.5,
        ("Gemma 3 Q4_K_M", "tg128") => 1.3,
        ("7B shape Q4_K_M", "pp128") => 2.0,
        ("7B shape Q4_K_M", "tg16") => 1.05,
        (model, "pp128" | "tg32") if model.starts_with("110M shape") => 0.8,
        (_, "pp4096" | "tg128, 8 together") => 2.0,
        (_, "tg128@d4096") => 1.5,
        (_, "pp512" | "tg128") if float => 1.0,
        (_, "pp512") => 1.2,
        (_, "tg128") => 1.1,
        _ => return None,
    };
    Some(Goal::Ratio(ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_found_by_model_and_test() {
        let of = |model, test| goal(&Measured::new(model, test, "u", false));
        assert_eq!(of("SmolLM2 BF16", "tg128"), Some(Goal::Ratio(1.0)));
        assert_eq!(of("SmolLM2 Q6_K", "tg128"), Some(Goal::Ratio(1.1)));
        assert_eq!(of("SmolLM2 Q4_1", "tg128"), Some(Goal::Ratio(1.8)));
        assert_eq!(of("SmolLM2 Q4_1", "nothing"), None);
        assert!(Goal::Most(150.0).is_met(149.0, 0.1) && !Goal::Ratio(2.0).is_met(9.0, 1.9));
    }
}
