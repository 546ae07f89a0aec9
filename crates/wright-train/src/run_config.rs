//! The configuration of a run: a TOML file in which a typo is answered with the right name.

use crate::Error;
use crate::schedule::{Decay, Schedule};
use crate::shape::{Family, ModelShape, PRESETS, preset};
use crate::trainer::{OptimizerKind, OptimizerOptions};
use serde::{Deserialize, Serialize};

mod text;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RunConfig {
    #[serde(default)]
    pub model: ModelConfig,
    pub data: DataConfig,
    pub train: TrainConfig,
    /// A plan's prediction, for comparison; the run does not depend on it.
    #[serde(default)]
    pub forecast: Option<Forecast>,
}

/// The predicted time, memory and loss of a run.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct Forecast {
    /// Seconds of all steps, without checkpoints and validation.
    pub seconds: f64,
    /// Memory of the process at its peak.
    pub memory_bytes: u64,
    /// Operations of all steps.
    pub flops: f64,
    /// Of held-out text, at the end.
    pub bits_per_byte: Option<f64>,
    /// The same in nats per token.
    pub validation_loss: Option<f64>,
}

/// The model: a preset, and numbers that differ from it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ModelConfig {
    pub preset: Option<String>,
    pub family: Option<String>,
    pub n_layer: Option<usize>,
    pub n_embd: Option<usize>,
    pub n_head: Option<usize>,
    pub n_kv_head: Option<usize>,
    pub head_dim: Option<usize>,
    pub n_ff: Option<usize>,
    pub n_vocab: Option<usize>,
    pub n_ctx: Option<usize>,
    pub tied: Option<bool>,
    pub rope_base: Option<f32>,
    pub norm_eps: Option<f32>,
}

/// Shards, by path, from the configuration's folder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DataConfig {
    pub train: Vec<String>,
    #[serde(default)]
    pub validation: Vec<String>,
    /// A Hugging Face tokenizer.json that goes into the exports.
    pub tokenizer: Option<String>,
}

/// Steps and rates.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct TrainConfig {
    pub steps: u64,
    /// Rows in one step.
    pub batch: usize,
    /// Rows in one pass; 0 is all of a step's.
    pub micro_batch: usize,
    pub seed: u64,
    pub learning_rate: f32,
    pub warmup: u64,
    pub decay: Decay,
    pub decay_part: f32,
    pub end_rate: f32,
    pub optimizer: OptimizerKind,
    pub beta1: f32,
    pub beta2: f32,
    pub weight_decay: f32,
    pub clip: f32,
    pub momentum: f32,
    pub momentum_warmup: u64,
    /// Rates of the embedding, of a head of its own, and of norms and biases, as multiples of
    /// that of the matrices.
    pub embedding_rate: f32,
    pub head_rate: f32,
    pub vector_rate: f32,
    pub checkpoint_every: u64,
    pub validate_every: u64,
    /// Steps between samples; 0: never. Default: ten samples per run.
    pub sample_every: Option<u64>,
    /// Prompts of the samples. Default: the first words of held-out documents.
    pub sample_prompts: Vec<String>,
    /// Tokens in a sample at most.
    pub sample_tokens: u32,
    /// 0: one per core.
    pub threads: usize,
    /// Recompute activations in the backward pass, which takes a third more time and far less
    /// memory, with the same result. By default this is done if memory is short.
    pub recompute: Option<bool>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        let plain = OptimizerOptions::default();
        TrainConfig {
            steps: 1000,
            batch: 16,
            micro_batch: 0,
            seed: 1,
            learning_rate: 3e-3,
            warmup: 50,
            decay: Decay::Cosine,
            decay_part: 0.65,
            end_rate: 0.05,
            optimizer: OptimizerKind::AdamW,
            beta1: plain.beta1,
            beta2: plain.beta2,
            weight_decay: plain.weight_decay,
            clip: plain.clip,
            momentum: plain.momentum,
            momentum_warmup: plain.momentum_warmup,
            embedding_rate: plain.embedding_rate,
            head_rate: plain.head_rate,
            vector_rate: plain.vector_rate,
            checkpoint_every: 200,
            validate_every: 200,
            sample_every: None,
            sample_prompts: Vec::new(),
            sample_tokens: 80,
            threads: 0,
            recompute: None,
        }
    }
}

/// Every name that may stand in a section.
const NAMES: [(&str, &[&str]); 4] = [
    (
        "model",
        &[
            "preset",
            "family",
            "n_layer",
            "n_embd",
            "n_head",
            "n_kv_head",
            "head_dim",
            "n_ff",
            "n_vocab",
            "n_ctx",
            "tied",
            "rope_base",
            "norm_eps",
        ],
    ),
    ("data", &["train", "validation", "tokenizer"]),
    (
        "train",
        &[
            "steps",
            "batch",
            "micro_batch",
            "seed",
            "learning_rate",
            "warmup",
            "decay",
            "decay_part",
            "end_rate",
            "optimizer",
            "beta1",
            "beta2",
            "weight_decay",
            "clip",
            "momentum",
            "momentum_warmup",
            "embedding_rate",
            "head_rate",
            "vector_rate",
            "checkpoint_every",
            "validate_every",
            "sample_every",
            "sample_prompts",
            "sample_tokens",
            "threads",
            "recompute",
        ],
    ),
    ("forecast", &["seconds", "memory_bytes", "flops", "bits_per_byte", "validation_loss"]),
];

/// Settings of `[train]` that do not change the result, so that a run may go on with others.
const FREE: [&str; 6] =
    ["validate_every", "sample_every", "sample_prompts", "sample_tokens", "threads", "recompute"];

/// Settings that change the result and differ between two configurations, as `section.name`.
///
/// # Errors
/// If one of them cannot be read.
pub fn differences(a: &str, b: &str) -> Result<Vec<String>, Error> {
    let table = |text: &str| -> Result<toml::Table, Error> {
        RunConfig::parse(text)?;
        toml::from_str(text).map_err(|e| Error::Config(e.to_string()))
    };
    let (a, b) = (table(a)?, table(b)?);
    let mut all = Vec::new();
    for (section, names) in NAMES.into_iter().filter(|s| s.0 != "forecast") {
        for name in names.iter().filter(|name| section != "train" || !FREE.contains(name)) {
            let value = |t: &toml::Table| t.get(section).and_then(|s| s.get(*name)).cloned();
            if value(&a) != value(&b) {
                all.push(format!("{section}.{name}"));
            }
        }
    }
    Ok(all)
}

impl ModelConfig {
    /// Every number of `shape`, spelt out.
    pub fn of(shape: &ModelShape) -> ModelConfig {
        ModelConfig {
            preset: None,
            family: Some(shape.family.name().to_owned()),
            n_layer: Some(shape.n_layer),
            n_embd: Some(shape.n_embd),
            n_head: Some(shape.n_head),
            n_kv_head: Some(shape.n_kv_head),
            head_dim: Some(shape.head_dim),
            n_ff: Some(shape.n_ff),
            n_vocab: Some(shape.n_vocab),
            n_ctx: Some(shape.n_ctx),
            tied: Some(shape.tied),
            rope_base: Some(shape.rope_base),
            norm_eps: Some(shape.norm_eps),
        }
    }
}

impl RunConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// For text that is not a TOML, unknown names (with the nearest known one), and numbers that
    /// make no sense.
    pub fn parse(text: &str) -> Result<RunConfig, Error> {
        let fail = |e: toml::de::Error| Error::Config(e.to_string().trim_end().to_owned());
        let table: toml::Table = toml::from_str(text).map_err(fail)?;
        for (section, value) in &table {
            let known = NAMES.map(|(name, _)| name);
            let names = NAMES.iter().find(|(name, _)| name == section);
            let Some((_, names)) = names else { return Err(unknown("section", section, &known)) };
            for name in value.as_table().into_iter().flat_map(|t| t.keys()) {
                if !names.contains(&name.as_str()) {
                    return Err(unknown(&format!("[{section}] setting"), name, names));
                }
            }
        }
        let config: RunConfig = toml::from_str(text).map_err(fail)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let t = &self.train;
        let is_scale = |x: f32| (0.0..=1000.0).contains(&x);
        let parts = [
            (t.steps == 0, "steps is 0"),
            (t.batch == 0, "batch is 0"),
            (self.data.train.is_empty(), "data.train lists no shards"),
            (!(t.learning_rate > 0.0 && t.learning_rate < 10.0), "learning_rate is not in (0, 10)"),
            (!(0.0..1.0).contains(&t.beta1), "beta1 is not in [0, 1)"),
            (!(0.0..1.0).contains(&t.beta2), "beta2 is not in [0, 1)"),
            (!(0.0..1.0).contains(&t.momentum), "momentum is not in [0, 1)"),
            (!(0.0..=1.0).contains(&t.decay_part), "decay_part is not in [0, 1]"),
            (!(0.0..=1.0).contains(&t.end_rate), "end_rate is not in [0, 1]"),
            (!(t.weight_decay >= 0.0 && t.weight_decay.is_finite()), "weight_decay is negative"),
            (!(t.clip >= 0.0 && t.clip.is_finite()), "clip is negative"),
            (!is_scale(t.embedding_rate), "embedding_rate is not in [0, 1000]"),
            (!is_scale(t.head_rate), "head_rate is not in [0, 1000]"),
            (!is_scale(t.vector_rate), "vector_rate is not in [0, 1000]"),
            (t.warmup > t.steps, "warmup is longer than steps"),
            (t.checkpoint_every == 0, "checkpoint_every is 0"),
            (t.validate_every == 0, "validate_every is 0"),
            (t.sample_tokens == 0, "sample_tokens is 0; to disable samples, set sample_every = 0"),
            (t.sample_prompts.len() > 16, "sample_prompts has more than 16 prompts"),
            (t.threads > 1024, "threads is more than 1024"),
        ];
        match parts.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, why)) => Err(Error::Config(why.to_owned())),
            None => self.shape().and_then(|shape| shape.check()),
        }
    }

    /// The model's numbers.
    ///
    /// # Errors
    /// For an unknown preset or family, or if a number is missing.
    pub fn shape(&self) -> Result<ModelShape, Error> {
        let m = &self.model;
        let name = m.preset.as_deref().unwrap_or("2m");
        let names = PRESETS.map(|p| p.0);
        let mut shape = preset(name).ok_or_else(|| unknown("preset", name, &names))?;
        if let Some(family) = &m.family {
            let families = Family::ALL.map(Family::name);
            let found = Family::ALL.into_iter().find(|f| f.name() == family);
            shape.family = found.ok_or_else(|| unknown("family", family, &families))?;
        }
        let head_dim = shape.head_dim;
        // Every head its own keys, unless it is said or the preset's.
        let gpt2 = (shape.family == Family::Gpt2).then_some(shape.n_head);
        let all_heads = m.n_head.or(gpt2);
        let numbers = [
            (&mut shape.n_layer, m.n_layer),
            (&mut shape.n_embd, m.n_embd),
            (&mut shape.n_head, m.n_head),
            (&mut shape.n_kv_head, m.n_kv_head.or(all_heads)),
            (&mut shape.n_ff, m.n_ff),
            (&mut shape.n_vocab, m.n_vocab),
            (&mut shape.n_ctx, m.n_ctx),
        ];
        for (number, given) in numbers {
            *number = given.unwrap_or(*number);
        }
        let changed = m.n_embd.is_some() || m.n_head.is_some();
        let default = if changed { shape.n_embd / shape.n_head.max(1) } else { head_dim };
        shape.head_dim = m.head_dim.unwrap_or(default);
        shape.tied = m.tied.unwrap_or(shape.tied);
        shape.rope_base = m.rope_base.unwrap_or(shape.rope_base);
        shape.norm_eps = m.norm_eps.unwrap_or(shape.norm_eps);
        Ok(shape)
    }

    /// Steps between samples, if there are to be any.
    pub fn sample_every(&self) -> Option<u64> {
        let every = self.train.sample_every.unwrap_or(self.train.steps.div_ceil(10));
        (every > 0).then_some(every)
    }

    pub fn schedule(&self) -> Schedule {
        let t = &self.train;
        Schedule {
            rate: t.learning_rate,
            n_steps: t.steps,
            n_warmup: t.warmup,
            decay: t.decay,
            decay_part: t.decay_part,
            end: t.end_rate,
        }
    }

    pub fn optimizer(&self) -> OptimizerOptions {
        let t = &self.train;
        OptimizerOptions {
            kind: t.optimizer,
            beta1: t.beta1,
            beta2: t.beta2,
            weight_decay: t.weight_decay,
            clip: t.clip,
            momentum: t.momentum,
            momentum_warmup: t.momentum_warmup,
            embedding_rate: t.embedding_rate,
            head_rate: t.head_rate,
            vector_rate: t.vector_rate,
            ..OptimizerOptions::default()
        }
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Error {
    let nearest = known.iter().min_by_key(|k| edit_distance(name, k));
    let likely = nearest.filter(|k| edit_distance(name, k) <= (k.len() / 2).max(2));
    let hint = match likely {
        Some(k) => format!("; did you mean {k:?}?"),
        None => format!("; known are {}", known.join(", ")),
    };
    Error::Config(format!("unknown {what} {name:?}{hint}"))
}

/// Levenshtein's distance.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &cb) in b.iter().enumerate() {
            let swap = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = swap.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[model]\npreset = \"0.5m\"\nn_layer = 2\n[data]\ntrain = [\"a.shard\"]\n\
                        [train]\nsteps = 10\nwarmup = 2\noptimizer = \"muon\"\n";

    #[test]
    fn a_preset_may_be_changed() {
        let config = RunConfig::parse(GOOD).unwrap();
        let shape = config.shape().unwrap();
        assert_eq!((shape.n_layer, shape.n_embd, shape.n_vocab), (2, 96, 1024));
        assert_eq!(config.optimizer().kind, OptimizerKind::Muon);
        assert_eq!(config.schedule().n_steps, 10);
        assert_eq!(config.sample_every(), Some(1), "ten in a run");
        let never = RunConfig::parse(&format!("{GOOD}sample_every = 0")).unwrap();
        assert_eq!(never.sample_every(), None);
    }

    #[test]
    fn only_settings_that_change_the_result_count_as_different() {
        let other = GOOD.replace("steps = 10", "steps = 12\nthreads = 2\nrecompute = true");
        let other = other.replace("n_layer = 2", "n_layer = 3 # more");
        assert_eq!(differences(GOOD, &other).unwrap(), ["model.n_layer", "train.steps"]);
        assert_eq!(differences(GOOD, GOOD).unwrap(), [""; 0]);
        assert!(differences(GOOD, "nothing").is_err());
    }

    #[test]
    fn a_typo_is_answered_with_the_right_name() {
        for (typo, right) in [
            (GOOD.replace("warmup", "warmpu"), "did you mean \"warmup\"?"),
            (GOOD.replace("n_layer", "n_layers"), "did you mean \"n_layer\"?"),
            (GOOD.replace("[train]", "[trian]"), "did you mean \"train\"?"),
            (GOOD.replace("0.5m", "05m"), "did you mean \"0.5m\"?"),
            (GOOD.replace("steps = 10", "steps = 0"), "steps is 0"),
            (GOOD.replace("\"muon\"", "\"mun\""), "unknown variant"),
            (GOOD.replace("warmup = 2", "warmup = 20"), "warmup is longer"),
        ] {
            let error = RunConfig::parse(&typo).unwrap_err().to_string();
            assert!(error.contains(right), "{error}");
        }
    }
}
