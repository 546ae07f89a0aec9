//! config.json as metadata: the numbers of a model under GGUF's keys.

use super::families::{Number, Window};
use super::numbers::{LAYER_EPS, N_CTX, N_EMBD, N_EXPERT, N_FF, N_LAYER, Numbers, RMS_EPS};
use super::scaling;
use crate::Error;
use crate::gguf_writer::{Field, GgufHeader};

/// Adds all numbers to `header`.
///
/// # Errors
/// If a required number is missing, or the model has a feature that GGUF cannot describe.
pub fn write(
    numbers: &Numbers<'_>,
    header: &mut GgufHeader,
    name: &str,
    n_vocab: usize,
) -> Result<(), Error> {
    MetadataWriter { numbers, header }.write(name, n_vocab)
}

struct MetadataWriter<'a> {
    numbers: &'a Numbers<'a>,
    header: &'a mut GgufHeader,
}

impl MetadataWriter<'_> {
    fn write(&mut self, name: &str, n_vocab: usize) -> Result<(), Error> {
        let arch = self.numbers.family.arch;
        self.header.set("general.architecture", &Field::Str(arch.into()));
        self.header.set("general.type", &Field::Str("model".into()));
        self.header.set("general.name", &Field::Str(name.into()));
        self.header.set("general.quantization_version", &Field::U32(2));
        let n_embd = self.numbers.needed(N_EMBD)?;
        self.set("block_count", &Field::U32(self.numbers.needed(N_LAYER)?));
        let n_ctx = match (self.numbers.u32(N_CTX), self.numbers.family.context) {
            (None, Some(n)) => n,
            _ => self.numbers.needed(N_CTX)?.saturating_sub(self.numbers.n_skipped() as u32),
        };
        self.set("context_length", &Field::U32(n_ctx));
        self.set("embedding_length", &Field::U32(n_embd));
        let four_times = self.numbers.family.four_times.then_some(n_embd.saturating_mul(4));
        let n_ff = match self.numbers.u32(N_FF).or(four_times) {
            Some(n) => n,
            None => self.numbers.needed(N_FF)?,
        };
        self.set("feed_forward_length", &Field::U32(n_ff));
        self.set("vocab_size", &Field::U32(n_vocab as u32));
        self.write_heads()?;
        self.write_norm()?;
        if self.numbers.family.rotates.is_some() {
            let base = self.numbers.rope("rope_theta").as_f64();
            let base = base
                .or_else(|| self.numbers.config["rotary_emb_base"].as_f64())
                .unwrap_or(10_000.0);
            self.set("rope.freq_base", &Field::F32(base as f32));
            scaling::write(self.numbers, self.header)?;
        }
        self.write_window()?;
        self.write_experts()?;
        self.write_odds()?;
        for (to, from, kind) in self.numbers.family.numbers {
            if let Some(field) = self.field(from, *kind)? {
                self.set(to, &field);
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, field: &Field) {
        self.header.set(&self.numbers.key(key), field);
    }

    /// A number that is handed on as it is; None if config.json does not have it.
    fn field(&self, key: &str, kind: Number) -> Result<Option<Field>, Error> {
        let value = &self.numbers.config[key];
        Ok(match kind {
            Number::U32 => self.numbers.u32(&[key]).map(Field::U32),
            Number::F32 => self.numbers.f32(&[key]).map(Field::F32),
            Number::Bool => value.as_bool().map(Field::Bool),
            Number::True => value.as_bool().filter(|&flag| flag).map(Field::Bool),
            Number::Gating => match value.as_str() {
                None => None,
                Some("softmax") => Some(Field::U32(1)),
                Some("sigmoid") => Some(Field::U32(2)),
                Some(other) => {
                    return Err(Error::Feature { what: format!("experts scored by {other}") });
                }
            },
        })
    }

    fn write_heads(&mut self) -> Result<(), Error> {
        let (n_head, n_kv_head) = (self.numbers.n_head()?, self.numbers.n_kv_head()?);
        self.set("attention.head_count", &Field::U32(n_head as u32));
        if self.numbers.is_latent() {
            // Compressed, all heads share one key and value.
            let (rank, n_rot) =
                (self.numbers.needed(&["kv_lora_rank"])?, self.numbers.n_rot()?.unwrap_or(0));
            self.set("attention.head_count_kv", &Field::U32(1));
            self.write_lengths(rank + n_rot as u32, rank);
            let keys = self.numbers.latent_heads()?.0 + n_rot;
            self.set("attention.key_length_mla", &Field::U32(keys as u32));
        } else {
            self.set("attention.head_count_kv", &Field::U32(n_kv_head as u32));
            let head = self.numbers.head_dim()? as u32;
            self.write_lengths(head, head);
        }
        if let Some(n_rot) = self.numbers.n_rot()? {
            self.set("rope.dimension_count", &Field::U32(n_rot as u32));
        }
        Ok(())
    }

    fn write_lengths(&mut self, keys: u32, values: u32) {
        self.set("attention.key_length", &Field::U32(keys));
        self.set("attention.value_length", &Field::U32(values));
    }

    fn write_norm(&mut self) -> Result<(), Error> {
        let missing =
            |keys: &[&str]| Error::metadata(format!("{} of config.json", keys[0]), "is missing");
        let (key, eps) = match self.numbers.family.layer_norm {
            Some(usual) => {
                let eps =
                    self.numbers.f32(LAYER_EPS).or(usual).ok_or_else(|| missing(LAYER_EPS))?;
                ("attention.layer_norm_epsilon", eps)
            }
            None => {
                let eps = self.numbers.f32(RMS_EPS).unwrap_or(1e-6);
                ("attention.layer_norm_rms_epsilon", eps)
            }
        };
        self.set(key, &Field::F32(eps));
        Ok(())
    }

    /// Sliding windows: how wide, and which layers have one.
    fn write_window(&mut self) -> Result<(), Error> {
        let is_used = self.numbers.config["use_sliding_window"].as_bool().unwrap_or(true);
        let types = self.numbers.config["layer_types"].as_array();
        let slides = types.is_none_or(|all| all.iter().any(|t| t == "sliding_attention"));
        let window = self.numbers.u32(&["sliding_window"]).filter(|_| is_used && slides);
        match (self.numbers.family.window, window) {
            (Window::Never, Some(_)) => {
                let what = format!("{} with a sliding window", self.numbers.family.arch);
                return Err(Error::Feature { what });
            }
            (Window::SaidOrZero, None) => {
                self.set("attention.sliding_window", &Field::U32(0));
            }
            (_, None) => {}
            (_, Some(window)) => {
                self.set("attention.sliding_window", &Field::U32(window));
                if let Some(types) = types {
                    let slides = types.iter().map(|t| t == "sliding_attention").collect();
                    self.set("attention.sliding_window_pattern", &Field::Bools(slides));
                }
            }
        }
        Ok(())
    }

    fn write_experts(&mut self) -> Result<(), Error> {
        let Some(n) = self.numbers.u32(N_EXPERT).filter(|&n| n > 0) else { return Ok(()) };
        self.set("expert_count", &Field::U32(n));
        let used = self.numbers.needed(&["num_experts_per_tok", "num_experts_per_token"])?;
        self.set("expert_used_count", &Field::U32(used));
        // Where only some layers have experts, the file could not say which.
        if self.numbers.u32(&["decoder_sparse_step"]).is_some_and(|n| n != 1) {
            return Err(Error::Feature { what: "experts in some layers only".into() });
        }
        Ok(())
    }

    /// What single families have.
    fn write_odds(&mut self) -> Result<(), Error> {
        let caps = ["attn_logit_softcapping", "final_logit_softcapping"];
        for key in caps {
            if let Some(cap) = self.numbers.f32(&[key]) {
                self.set(key, &Field::F32(cap));
            }
        }
        if let Some(base) = self.local_base() {
            self.set("rope.freq_base_swa", &Field::F32(base));
        }
        let attention = &self.numbers.config["attn_config"];
        if let Some(clamp) = attention["clip_qkv"].as_f64() {
            self.set("attention.clamp_kqv", &Field::F32(clamp as f32));
        }
        if self.numbers.family.arch == "mpt" {
            let alibi = attention["alibi"].as_bool().unwrap_or(true);
            let bias =
                if alibi { attention["alibi_bias_max"].as_f64().unwrap_or(8.0) } else { 0.0 };
            self.set("attention.max_alibi_bias", &Field::F32(bias as f32));
        }
        if self.numbers.family.encoder {
            self.set("attention.causal", &Field::Bool(false));
            let n = self.numbers.u32(&["type_vocab_size"]).unwrap_or(1);
            self.header.set("tokenizer.ggml.token_type_count", &Field::U32(n));
        }
        self.check_score_scale()
    }

    /// The base of RoPE in layers with a window, where it is another one.
    fn local_base(&self) -> Option<f32> {
        let new =
            self.numbers.config["rope_parameters"]["sliding_attention"]["rope_theta"].as_f64();
        new.or_else(|| self.numbers.config["rope_local_base_freq"].as_f64()).map(|base| base as f32)
    }

    /// Gemma's scale of scores is the family's own; another one could not be said.
    fn check_score_scale(&self) -> Result<(), Error> {
        let is_odd = matches!(
            (self.numbers.family.arch, self.numbers.n_layer()?),
            ("gemma2", 46) | ("gemma3", 62)
        );
        let usual = self.numbers.head_dim()? as u32;
        match self.numbers.u32(&["query_pre_attn_scalar"]) {
            Some(scalar) if scalar != usual && !is_odd => {
                Err(Error::Feature { what: format!("query_pre_attn_scalar of {scalar}") })
            }
            _ => Ok(()),
        }
    }
}
