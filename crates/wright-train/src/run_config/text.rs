//! A configuration as text: every setting by name, so that nothing depends on defaults.

use super::{Forecast, RunConfig};
use crate::trainer::OptimizerKind;
use crate::{Decay, Error};
use std::fmt::{Debug, Write};

impl RunConfig {
    /// The configuration in TOML, with the model's numbers spelt out; [`RunConfig::parse`] reads
    /// the same run out of it.
    ///
    /// # Errors
    /// If the model's numbers do not fit each other.
    pub fn to_toml(&self) -> Result<String, Error> {
        let mut text = String::new();
        self.write_model(&mut text)?;
        let list = |names: &[String]| {
            let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            format!("[{}]", quoted.join(", "))
        };
        text.push_str("\n[data]\n");
        line(&mut text, "train", list(&self.data.train));
        line(&mut text, "validation", list(&self.data.validation));
        if let Some(tokenizer) = &self.data.tokenizer {
            line(&mut text, "tokenizer", quoted(tokenizer));
        }
        self.write_train(&mut text);
        if let Some(forecast) = &self.forecast {
            forecast.write(&mut text);
        }
        Ok(text)
    }

    fn write_model(&self, text: &mut String) -> Result<(), Error> {
        let shape = self.shape()?;
        text.push_str("[model]\n");
        line(text, "family", quoted(shape.family.name()));
        for (name, n) in [
            ("n_layer", shape.n_layer),
            ("n_embd", shape.n_embd),
            ("n_head", shape.n_head),
            ("n_kv_head", shape.n_kv_head),
            ("head_dim", shape.head_dim),
            ("n_ff", shape.n_ff),
            ("n_vocab", shape.n_vocab),
            ("n_ctx", shape.n_ctx),
        ] {
            line(text, name, n.to_string());
        }
        line(text, "tied", shape.tied.to_string());
        line(text, "rope_base", number(shape.rope_base));
        line(text, "norm_eps", number(shape.norm_eps));
        Ok(())
    }

    fn write_train(&self, text: &mut String) {
        let t = &self.train;
        text.push_str("\n[train]\n");
        line(text, "steps", t.steps.to_string());
        line(text, "batch", t.batch.to_string());
        line(text, "micro_batch", t.micro_batch.to_string());
        line(text, "seed", t.seed.to_string());
        line(text, "learning_rate", number(t.learning_rate));
        line(text, "warmup", t.warmup.to_string());
        let decay = match t.decay {
            Decay::Cosine => "cosine",
            Decay::Linear => "linear",
            Decay::None => "none",
        };
        line(text, "decay", quoted(decay));
        line(text, "decay_part", number(t.decay_part));
        line(text, "end_rate", number(t.end_rate));
        let optimizer = match t.optimizer {
            OptimizerKind::AdamW => "adamw",
            OptimizerKind::Muon => "muon",
        };
        line(text, "optimizer", quoted(optimizer));
        for (name, x) in [
            ("beta1", t.beta1),
            ("beta2", t.beta2),
            ("weight_decay", t.weight_decay),
            ("clip", t.clip),
            ("momentum", t.momentum),
            ("embedding_rate", t.embedding_rate),
            ("head_rate", t.head_rate),
            ("vector_rate", t.vector_rate),
        ] {
            line(text, name, number(x));
        }
        line(text, "momentum_warmup", t.momentum_warmup.to_string());
        line(text, "checkpoint_every", t.checkpoint_every.to_string());
        line(text, "validate_every", t.validate_every.to_string());
        if let Some(every) = t.sample_every {
            line(text, "sample_every", every.to_string());
        }
        let prompts: Vec<String> = t.sample_prompts.iter().map(|prompt| quoted(prompt)).collect();
        line(text, "sample_prompts", format!("[{}]", prompts.join(", ")));
        line(text, "sample_tokens", t.sample_tokens.to_string());
        line(text, "threads", t.threads.to_string());
        if let Some(recompute) = t.recompute {
            line(text, "recompute", recompute.to_string());
        }
    }
}

impl Forecast {
    fn write(&self, text: &mut String) {
        text.push_str("\n[forecast]\n");
        line(text, "seconds", number(self.seconds));
        line(text, "memory_bytes", self.memory_bytes.to_string());
        line(text, "flops", number(self.flops));
        if let Some(bits) = self.bits_per_byte {
            line(text, "bits_per_byte", number(bits));
        }
        if let Some(loss) = self.validation_loss {
            line(text, "validation_loss", number(loss));
        }
    }
}

fn line(text: &mut String, name: &str, value: String) {
    let _ = writeln!(text, "{name} = {value}");
}

/// A float that TOML takes for one, in as few digits as give it again.
fn number(x: impl Debug) -> String {
    format!("{x:?}")
}

/// JSON's escapes are among TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = "[model]\npreset = \"0.5m\"\nn_layer = 2\n\
                    [data]\ntrain = [\"a \\\"b\\\".shard\"]\ntokenizer = \"t.json\"\n\
                    [train]\nsteps = 10\nwarmup = 2\nrecompute = true\n\
                    learning_rate = 1e-7\ndecay = \"linear\"\noptimizer = \"muon\"\n\
                    [forecast]\nseconds = 12.5\nmemory_bytes = 7\nflops = 3e18\n\
                    bits_per_byte = 1.25\n";
        let config = RunConfig::parse(text).unwrap();
        let written = config.to_toml().unwrap();
        let again = RunConfig::parse(&written).unwrap();
        assert_eq!(again.shape().unwrap(), config.shape().unwrap());
        assert_eq!((&again.train, &again.data), (&config.train, &config.data));
        assert_eq!(again.forecast, config.forecast);
        assert_eq!(again.to_toml().unwrap(), written);
        assert!(super::super::differences(&written, &written).unwrap().is_empty());
    }
}
