//! config.json as metadata: the numbers of a model under GGUF's keys.

use super::changes::Rows;
use super::families::{Family, Number, Window};
use super::scaling;
use crate::Error;
use crate::gguf_writer::{Field, Plan};
use serde_json::Value;

/// What config.json calls a number, over the years.
const N_LAYER: &[&str] = &["num_hidden_layers", "n_layer", "n_layers"];
const N_EMBD: &[&str] = &["hidden_size", "n_embd", "d_model"];
const N_HEAD: &[&str] = &["num_attention_heads", "n_head", "n_heads"];
const N_KV_HEAD: &[&str] = &["num_key_value_heads", "num_kv_heads", "n_head_kv"];
const N_CTX: &[&str] =
    &["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"];
const N_FF: &[&str] = &["intermediate_size", "n_inner", "ffn_hidden_size"];
const N_EXPERT: &[&str] = &["num_local_experts", "num_experts", "n_routed_experts"];
const RMS_EPS: &[&str] = &["rms_norm_eps", "norm_eps"];
const LAYER_EPS: &[&str] = &["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"];
const ROTARY: &[&str] = &["partial_rotary_factor", "rotary_pct"];

/// config.json, read as one family says it.
pub struct Numbers<'a> {
    pub config: &'a Value,
    pub family: &'a Family,
}

impl Numbers<'_> {
    /// The first of these keys that holds a whole number.
    fn u32(&self, keys: &[&str]) -> Option<u32> {
        keys.iter().find_map(|key| u32::try_from(self.config[*key].as_u64()?).ok())
    }

    fn needed(&self, keys: &[&str]) -> Result<u32, Error> {
        let wrong =
            || Error::metadata(format!("{} of config.json", keys[0]), "is missing or no number");
        self.u32(keys).filter(|&n| n > 0).ok_or_else(wrong)
    }

    fn f32(&self, keys: &[&str]) -> Option<f32> {
        let finite = |key: &&str| self.config[*key].as_f64().map(|x| x as f32);
        keys.iter().filter_map(finite).find(|x| x.is_finite())
    }

    pub fn n_layer(&self) -> Result<usize, Error> {
        self.needed(N_LAYER).map(|n| n as usize)
    }

    pub fn n_head(&self) -> Result<usize, Error> {
        self.needed(N_HEAD).map(|n| n as usize)
    }

    /// Heads of keys and values, by the rules that old families have for them.
    pub fn n_kv_head(&self) -> Result<usize, Error> {
        let flag = |key: &str| self.config[key].as_bool();
        let one = match self.family.arch {
            "falcon" => {
                flag("multi_query").unwrap_or(true)
                    && !flag("new_decoder_architecture").unwrap_or(false)
            }
            "starcoder" => flag("multi_query").unwrap_or(true),
            _ => false,
        };
        if one {
            return Ok(1);
        }
        let nested = self.config["attn_config"]["kv_n_heads"].as_u64();
        let nested = nested.and_then(|n| u32::try_from(n).ok());
        match self.u32(N_KV_HEAD).or(nested) {
            Some(n) => Ok(n as usize),
            None => self.n_head(),
        }
    }

    /// Length of a head: even, as far as it rotates.
    pub fn head_dim(&self) -> Result<usize, Error> {
        let usual = self.needed(N_EMBD)? / self.needed(N_HEAD)?;
        match self.u32(&["head_dim"]).unwrap_or(usual) {
            0 => Err(Error::metadata("head_dim of config.json", "is 0")),
            n if n % 2 == 1 && self.family.rotates.is_some() => {
                Err(Error::metadata("head_dim of config.json", "is odd"))
            }
            n => Ok(n as usize),
        }
    }

    /// Channels of a head that rotate.
    pub fn n_rot(&self) -> Result<Option<usize>, Error> {
        let Some(usual) = self.family.rotates else { return Ok(None) };
        if let Some(n) = self.u32(&["qk_rope_head_dim"]) {
            return Ok(Some(n as usize));
        }
        let said = ROTARY.iter().find_map(|key| self.rope(key).as_f64());
        let share = said.unwrap_or(f64::from(usual));
        let n = (share * self.head_dim()? as f64) as usize;
        match n {
            0 => Err(Error::metadata("partial_rotary_factor of config.json", "leaves nothing")),
            n => Ok(Some(n)),
        }
    }

    /// Widths of a head's keys that do not rotate and of its values, before they are compressed.
    pub fn latent_heads(&self) -> Result<(usize, usize), Error> {
        let keys = self.needed(&["qk_nope_head_dim"])?;
        Ok((keys as usize, self.needed(&["v_head_dim"])? as usize))
    }

    /// Positions at the beginning that no token has (RoBERTa counts on from the padding token).
    pub fn n_skipped(&self) -> usize {
        match self.family.changes.iter().any(|(_, c)| c.first == Rows::AfterPadding) {
            true => self.u32(&["pad_token_id"]).map_or(0, |pad| pad as usize + 1),
            false => 0,
        }
    }

    fn is_latent(&self) -> bool {
        self.u32(&["kv_lora_rank"]).is_some() && self.family.arch == "deepseek2"
    }

    /// What is said of RoPE, in the old place or the new one.
    pub fn rope(&self, key: &str) -> &Value {
        let new = &self.config["rope_parameters"];
        let of_full = &new["full_attention"];
        let places = [of_full, new, &self.config["rope_scaling"], self.config];
        places.into_iter().map(|place| &place[key]).find(|v| !v.is_null()).unwrap_or(&Value::Null)
    }

    /// Adds all numbers to `plan`.
    ///
    /// # Errors
    /// If one that must be there is not, or there is a feature that GGUF could not say.
    pub fn write(&self, plan: &mut Plan, name: &str, n_vocab: usize) -> Result<(), Error> {
        let arch = self.family.arch;
        plan.set("general.architecture", &Field::Str(arch.into()));
        plan.set("general.type", &Field::Str("model".into()));
        plan.set("general.name", &Field::Str(name.into()));
        plan.set("general.quantization_version", &Field::U32(2));
        let n_embd = self.needed(N_EMBD)?;
        self.set(plan, "block_count", &Field::U32(self.needed(N_LAYER)?));
        let n_ctx = match (self.u32(N_CTX), self.family.context) {
            (None, Some(n)) => n,
            _ => self.needed(N_CTX)?.saturating_sub(self.n_skipped() as u32),
        };
        self.set(plan, "context_length", &Field::U32(n_ctx));
        self.set(plan, "embedding_length", &Field::U32(n_embd));
        let four_times = self.family.four_times.then_some(n_embd.saturating_mul(4));
        let n_ff = match self.u32(N_FF).or(four_times) {
            Some(n) => n,
            None => self.needed(N_FF)?,
        };
        self.set(plan, "feed_forward_length", &Field::U32(n_ff));
        self.set(plan, "vocab_size", &Field::U32(n_vocab as u32));
        self.write_heads(plan)?;
        self.write_norm(plan)?;
        if self.family.rotates.is_some() {
            let base = self.rope("rope_theta").as_f64();
            let base = base.or_else(|| self.config["rotary_emb_base"].as_f64()).unwrap_or(10_000.0);
            self.set(plan, "rope.freq_base", &Field::F32(base as f32));
            scaling::write(self, plan)?;
        }
        self.write_window(plan)?;
        self.write_experts(plan)?;
        self.write_odds(plan)?;
        for (to, from, kind) in self.family.numbers {
            if let Some(field) = self.field(from, *kind)? {
                self.set(plan, to, &field);
            }
        }
        Ok(())
    }

    pub fn set(&self, plan: &mut Plan, key: &str, field: &Field) {
        plan.set(&format!("{}.{key}", self.family.arch), field);
    }

    /// A number that is handed on as it is; None if config.json does not have it.
    fn field(&self, key: &str, kind: Number) -> Result<Option<Field>, Error> {
        let value = &self.config[key];
        Ok(match kind {
            Number::U32 => self.u32(&[key]).map(Field::U32),
            Number::F32 => self.f32(&[key]).map(Field::F32),
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

    fn write_heads(&self, plan: &mut Plan) -> Result<(), Error> {
        let (n_head, n_kv_head) = (self.n_head()?, self.n_kv_head()?);
        self.set(plan, "attention.head_count", &Field::U32(n_head as u32));
        let lengths = |plan: &mut Plan, keys: u32, values: u32| {
            self.set(plan, "attention.key_length", &Field::U32(keys));
            self.set(plan, "attention.value_length", &Field::U32(values));
        };
        if self.is_latent() {
            // Compressed, all heads share one key and value.
            let (rank, n_rot) = (self.needed(&["kv_lora_rank"])?, self.n_rot()?.unwrap_or(0));
            self.set(plan, "attention.head_count_kv", &Field::U32(1));
            lengths(plan, rank + n_rot as u32, rank);
            let keys = self.latent_heads()?.0 + n_rot;
            self.set(plan, "attention.key_length_mla", &Field::U32(keys as u32));
        } else {
            self.set(plan, "attention.head_count_kv", &Field::U32(n_kv_head as u32));
            let head = self.head_dim()? as u32;
            lengths(plan, head, head);
        }
        if let Some(n_rot) = self.n_rot()? {
            self.set(plan, "rope.dimension_count", &Field::U32(n_rot as u32));
        }
        Ok(())
    }

    fn write_norm(&self, plan: &mut Plan) -> Result<(), Error> {
        let missing =
            |keys: &[&str]| Error::metadata(format!("{} of config.json", keys[0]), "is missing");
        let (key, eps) = match self.family.layer_norm {
            Some(usual) => {
                let eps = self.f32(LAYER_EPS).or(usual).ok_or_else(|| missing(LAYER_EPS))?;
                ("attention.layer_norm_epsilon", eps)
            }
            None => {
                let eps = self.f32(RMS_EPS).unwrap_or(1e-6);
                ("attention.layer_norm_rms_epsilon", eps)
            }
        };
        self.set(plan, key, &Field::F32(eps));
        Ok(())
    }

    /// Sliding windows: how wide, and which layers have one.
    fn write_window(&self, plan: &mut Plan) -> Result<(), Error> {
        let is_used = self.config["use_sliding_window"].as_bool().unwrap_or(true);
        let types = self.config["layer_types"].as_array();
        let slides = types.is_none_or(|all| all.iter().any(|t| t == "sliding_attention"));
        let window = self.u32(&["sliding_window"]).filter(|_| is_used && slides);
        match (self.family.window, window) {
            (Window::Never, Some(_)) => {
                let what = format!("{} with a sliding window", self.family.arch);
                return Err(Error::Feature { what });
            }
            (Window::SaidOrZero, None) => {
                self.set(plan, "attention.sliding_window", &Field::U32(0));
            }
            (_, None) => {}
            (_, Some(window)) => {
                self.set(plan, "attention.sliding_window", &Field::U32(window));
                if let Some(types) = types {
                    let slides = types.iter().map(|t| t == "sliding_attention").collect();
                    self.set(plan, "attention.sliding_window_pattern", &Field::Bools(slides));
                }
            }
        }
        Ok(())
    }

    fn write_experts(&self, plan: &mut Plan) -> Result<(), Error> {
        let Some(n) = self.u32(N_EXPERT).filter(|&n| n > 0) else { return Ok(()) };
        self.set(plan, "expert_count", &Field::U32(n));
        let used = self.needed(&["num_experts_per_tok", "num_experts_per_token"])?;
        self.set(plan, "expert_used_count", &Field::U32(used));
        // Where only some layers have experts, the file could not say which.
        if self.u32(&["decoder_sparse_step"]).is_some_and(|n| n != 1) {
            return Err(Error::Feature { what: "experts in some layers only".into() });
        }
        Ok(())
    }

    /// What single families have.
    fn write_odds(&self, plan: &mut Plan) -> Result<(), Error> {
        let caps = ["attn_logit_softcapping", "final_logit_softcapping"];
        for key in caps {
            if let Some(cap) = self.f32(&[key]) {
                self.set(plan, key, &Field::F32(cap));
            }
        }
        if let Some(base) = self.local_base() {
            self.set(plan, "rope.freq_base_swa", &Field::F32(base));
        }
        let attention = &self.config["attn_config"];
        if let Some(clamp) = attention["clip_qkv"].as_f64() {
            self.set(plan, "attention.clamp_kqv", &Field::F32(clamp as f32));
        }
        if self.family.arch == "mpt" {
            let alibi = attention["alibi"].as_bool().unwrap_or(true);
            let bias =
                if alibi { attention["alibi_bias_max"].as_f64().unwrap_or(8.0) } else { 0.0 };
            self.set(plan, "attention.max_alibi_bias", &Field::F32(bias as f32));
        }
        if self.family.encoder {
            self.set(plan, "attention.causal", &Field::Bool(false));
            let n = self.u32(&["type_vocab_size"]).unwrap_or(1);
            plan.set("tokenizer.ggml.token_type_count", &Field::U32(n));
        }
        self.check_score_scale()
    }

    /// The base of RoPE in layers with a window, where it is another one.
    fn local_base(&self) -> Option<f32> {
        let new = self.config["rope_parameters"]["sliding_attention"]["rope_theta"].as_f64();
        new.or_else(|| self.config["rope_local_base_freq"].as_f64()).map(|base| base as f32)
    }

    /// Gemma's scale of scores is the family's own; another one could not be said.
    fn check_score_scale(&self) -> Result<(), Error> {
        let is_odd = matches!((self.family.arch, self.n_layer()?), ("gemma2", 46) | ("gemma3", 62));
        let usual = self.head_dim()? as u32;
        match self.u32(&["query_pre_attn_scalar"]) {
            Some(scalar) if scalar != usual && !is_odd => {
                Err(Error::Feature { what: format!("query_pre_attn_scalar of {scalar}") })
            }
            _ => Ok(()),
        }
    }
}
