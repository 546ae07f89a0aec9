//! config.json: the numbers of a model, whatever name each generation of configurations has for
//! them.

use super::families::{Family, Rows};
use crate::Error;
use serde_json::Value;

/// What config.json calls a number, over the years.
pub(super) const N_LAYER: &[&str] = &["num_hidden_layers", "n_layer", "n_layers"];
pub(super) const N_EMBD: &[&str] = &["hidden_size", "n_embd", "d_model"];
const N_HEAD: &[&str] = &["num_attention_heads", "n_head", "n_heads"];
const N_KV_HEAD: &[&str] = &["num_key_value_heads", "num_kv_heads", "n_head_kv"];
pub(super) const N_CTX: &[&str] =
    &["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"];
pub(super) const N_FF: &[&str] = &["intermediate_size", "n_inner", "ffn_hidden_size"];
pub(super) const N_EXPERT: &[&str] = &["num_local_experts", "num_experts", "n_routed_experts"];
pub(super) const RMS_EPS: &[&str] = &["rms_norm_eps", "norm_eps"];
pub(super) const LAYER_EPS: &[&str] =
    &["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"];
const ROTARY: &[&str] = &["partial_rotary_factor", "rotary_pct"];

/// config.json, read as one family says it.
pub struct Numbers<'a> {
    pub config: &'a Value,
    pub family: &'a Family,
}

impl Numbers<'_> {
    /// GGUF's key for a number of this architecture.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.family.arch)
    }

    /// The first of these keys that holds a whole number.
    pub(super) fn u32(&self, keys: &[&str]) -> Option<u32> {
        keys.iter().find_map(|key| u32::try_from(self.config[*key].as_u64()?).ok())
    }

    pub(super) fn needed(&self, keys: &[&str]) -> Result<u32, Error> {
        let wrong =
            || Error::metadata(format!("{} of config.json", keys[0]), "is missing or not a number");
        self.u32(keys).filter(|&n| n > 0).ok_or_else(wrong)
    }

    pub(super) fn f32(&self, keys: &[&str]) -> Option<f32> {
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

    pub(super) fn is_latent(&self) -> bool {
        self.u32(&["kv_lora_rank"]).is_some() && self.family.arch == "deepseek2"
    }

    /// What is said of RoPE, in the old place or the new one.
    pub fn rope(&self, key: &str) -> &Value {
        let new = &self.config["rope_parameters"];
        let of_full = &new["full_attention"];
        let places = [of_full, new, &self.config["rope_scaling"], self.config];
        places.into_iter().map(|place| &place[key]).find(|v| !v.is_null()).unwrap_or(&Value::Null)
    }
}
