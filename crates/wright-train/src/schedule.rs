//! The learning rate of each step, from its number alone.

use wright_kernels::math::sin_cos;

/// How the rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Along half a cosine, from the end of the warm-up to the last step.
    Cosine,
    /// Constant, then straight down over the last part of the steps.
    Linear,
    None,
}

/// A rate for each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    pub rate: f32,
    pub n_steps: u64,
    /// Steps over which the rate rises from 0.
    pub n_warmup: u64,
    pub decay: Decay,
    /// Part of the steps over which [`Decay::Linear`] falls.
    pub decay_part: f32,
    /// Where the rate ends, as a part of `rate`.
    pub end: f32,
}

impl Schedule {
    /// The rate of step `step`, which counts from 0.
    pub fn at(&self, step: u64) -> f32 {
        if step < self.n_warmup {
            return self.rate * (step + 1) as f32 / self.n_warmup as f32;
        }
        let left = match self.decay {
            Decay::None => 1.0,
            Decay::Cosine => {
                let n = self.n_steps.saturating_sub(self.n_warmup).max(1);
                let part = (step - self.n_warmup).min(n) as f64 / n as f64;
                (0.5 * (1.0 + sin_cos(part * std::f64::consts::PI).1)) as f32
            }
            Decay::Linear => {
                let n = (self.n_steps as f64 * f64::from(self.decay_part)).max(1.0);
                ((self.n_steps.saturating_sub(step) as f64 / n).min(1.0)) as f32
            }
        };
        self.rate * (self.end + (1.0 - self.end) * left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_stay_and_fall() {
        let plain = Schedule {
            rate: 2.0,
            n_steps: 100,
            n_warmup: 10,
            decay: Decay::Linear,
            decay_part: 0.5,
            end: 0.1,
        };
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-5, "{a} for {b}");
        near(plain.at(0), 0.2);
        near(plain.at(9), 2.0);
        near(plain.at(49), 2.0);
        near(plain.at(75), 2.0 * (0.1 + 0.9 * 0.5));
        near(plain.at(100), 0.2);
        let cosine = Schedule { decay: Decay::Cosine, end: 0.0, ..plain };
        near(cosine.at(10), 2.0);
        near(cosine.at(55), 1.0);
        near(cosine.at(100), 0.0);
    }
}
