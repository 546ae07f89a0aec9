//! The options of a request: defaults, valid ranges, and errors that name the option.

use thiserror::Error;
use wright_chat::Options;

/// At most this many stop strings, and this many bytes in each.
pub const STOP_STRINGS_MAX: usize = 64;
pub const STOP_STRING_BYTES_MAX: usize = 4096;

/// An option with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("option `{name}` is {value}, but must be {range}")]
pub struct OptionError {
    /// The name of the field in [`Options`].
    pub name: String,
    pub value: String,
    /// The valid values, worded to follow "must be".
    pub range: String,
}

/// Sampler options with every default filled in and every range checked.
///
/// [`crate::Sampler`] says what each does and in which order. A model's own file may carry other
/// defaults (`general.sampling.*` in GGUF); a request overrides both.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    pub temperature: f32,
    pub top_k: u32,
    pub top_p: f32,
    pub min_p: f32,
    pub repetition_penalty: f32,
    pub penalty_window: u32,
    pub presence_penalty: f32,
    pub frequency_penalty: f32,
    /// In ascending order of id.
    pub logit_bias: Vec<(u32, f32)>,
    pub seed: u64,
}

impl Default for Sampling {
    /// Temperature 0.7, top-k 40, top-p 0.95, min-p 0.05; no penalties, with a window of 64 for
    /// when one is asked for; seed 0.
    fn default() -> Self {
        Sampling {
            temperature: 0.7,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.0,
            penalty_window: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// The options of a request over `self` as defaults, for a vocabulary of `n_vocab` tokens.
    ///
    /// # Errors
    /// For a value out of range, and for an option that only hosted models know.
    pub fn with(&self, options: &Options, n_vocab: u32) -> Result<Sampling, OptionError> {
        if let Some((name, value)) = options.extra.iter().next() {
            return Err(error(name, value.to_string(), "omitted: local models do not support it"));
        }
        check_stop(&options.stop)?;
        let mut logit_bias = Vec::with_capacity(options.logit_bias.len());
        for (&id, &bias) in &options.logit_bias {
            if id >= n_vocab {
                let range = format!("for token ids below {n_vocab}");
                return Err(error("logit_bias", format!("for token {id}"), &range));
            }
            logit_bias.push((id, within("logit_bias", Some(bias), 0.0, -100.0, 100.0)?));
        }
        let penalty = within(
            "repetition_penalty",
            options.repetition_penalty,
            self.repetition_penalty,
            0.01,
            100.0,
        )?;
        Ok(Sampling {
            temperature: within("temperature", options.temperature, self.temperature, 0.0, 100.0)?,
            top_k: options.top_k.unwrap_or(self.top_k),
            top_p: within("top_p", options.top_p, self.top_p, 0.0, 1.0)?,
            min_p: within("min_p", options.min_p, self.min_p, 0.0, 1.0)?,
            repetition_penalty: penalty,
            penalty_window: options.penalty_window.unwrap_or(self.penalty_window),
            presence_penalty: within(
                "presence_penalty",
                options.presence_penalty,
                self.presence_penalty,
                -100.0,
                100.0,
            )?,
            frequency_penalty: within(
                "frequency_penalty",
                options.frequency_penalty,
                self.frequency_penalty,
                -100.0,
                100.0,
            )?,
            logit_bias,
            seed: options.seed.unwrap_or(self.seed),
        })
    }

    /// The sampler options that a request would set for the same; without bias and seed, which
    /// belong to a request.
    pub fn to_options(&self) -> Options {
        Options {
            temperature: Some(self.temperature),
            top_k: Some(self.top_k),
            top_p: Some(self.top_p),
            min_p: Some(self.min_p),
            repetition_penalty: Some(self.repetition_penalty),
            penalty_window: Some(self.penalty_window),
            presence_penalty: Some(self.presence_penalty),
            frequency_penalty: Some(self.frequency_penalty),
            ..Options::default()
        }
    }

    /// Whether recent tokens change any logit.
    pub(crate) fn penalises(&self) -> bool {
        let quiet = self.repetition_penalty == 1.0
            && self.presence_penalty == 0.0
            && self.frequency_penalty == 0.0;
        self.penalty_window > 0 && !quiet
    }
}

fn error(name: &str, value: String, range: &str) -> OptionError {
    OptionError { name: name.into(), value, range: range.into() }
}

fn within(
    name: &str,
    value: Option<f32>,
    default: f32,
    low: f32,
    high: f32,
) -> Result<f32, OptionError> {
    let value = value.unwrap_or(default);
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(error(name, value.to_string(), &format!("between {low} and {high}")))
}

fn check_stop(stop: &[String]) -> Result<(), OptionError> {
    if stop.len() > STOP_STRINGS_MAX {
        let value = format!("a list of {}", stop.len());
        return Err(error("stop", value, &format!("at most {STOP_STRINGS_MAX} strings")));
    }
    for string in stop {
        if string.is_empty() || string.len() > STOP_STRING_BYTES_MAX {
            let value = format!("a string of {} bytes", string.len());
            let range = format!("strings of 1 to {STOP_STRING_BYTES_MAX} bytes");
            return Err(error("stop", value, &range));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        Sampling::default().with(&options, 100).unwrap_err().to_string()
    }

    #[test]
    fn an_option_out_of_range_is_refused_by_name_with_its_range() {
        assert_eq!(
            refused(|o| o.top_p = Some(1.5)),
            "option `top_p` is 1.5, but must be between 0 and 1"
        );
        assert!(
            refused(|o| o.temperature = Some(-0.1)).starts_with("option `temperature` is -0.1")
        );
        assert!(refused(|o| o.temperature = Some(f32::NAN)).contains("`temperature` is NaN"));
        assert!(refused(|o| o.min_p = Some(2.0)).contains("`min_p`"));
        assert!(refused(|o| o.repetition_penalty = Some(0.0)).contains("between 0.01 and 100"));
        assert!(refused(|o| o.presence_penalty = Some(f32::INFINITY)).contains("is inf"));
        assert!(refused(|o| o.frequency_penalty = Some(-101.0)).contains("`frequency_penalty`"));
        let bias = refused(|o| o.logit_bias = [(100, 1.0)].into());
        assert_eq!(
            bias,
            "option `logit_bias` is for token 100, but must be for token ids below 100"
        );
        assert!(refused(|o| o.logit_bias = [(1, 1e9)].into()).contains("between -100 and 100"));
        assert!(
            refused(|o| o.stop = vec![String::new()]).contains("`stop` is a string of 0 bytes")
        );
        assert!(refused(|o| o.stop = vec!["x".into(); 65]).contains("at most 64"));
        let extra = refused(|o| o.extra = [("top_a".to_string(), json!(1))].into());
        assert!(extra.contains("`top_a` is 1"), "{extra}");
    }

    #[test]
    fn a_request_overrides_the_model_and_the_model_overrides_us() {
        let model = Sampling { top_k: 5, temperature: 0.2, ..Sampling::default() };
        let options = Options { temperature: Some(0.0), seed: Some(9), ..Options::default() };
        let got = model.with(&options, 10).unwrap();
        assert_eq!(got, Sampling { top_k: 5, temperature: 0.0, seed: 9, ..Sampling::default() });
        let again = Sampling::default().with(&got.to_options(), 10).unwrap();
        assert_eq!(again, Sampling { seed: 0, ..got });
    }
}
