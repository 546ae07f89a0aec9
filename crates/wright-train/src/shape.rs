//! The shape of a model to train: its hyperparameters, its tensors, and presets from 0.5 to 135
//! million parameters.
//!
//! Tensors are named and laid out as in GGUF. How the model is described, `gguf.rs` and
//! `hugging_face.rs` say.

use crate::Error;

/// Families that can be trained from scratch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Llama,
    /// As llama, with norms of queries and keys.
    Qwen3,
    Gemma3,
    /// Layer norms, learned positions, biases, and an MLP without a gate.
    Gpt2,
}

impl Family {
    pub const ALL: [Family; 4] = [Family::Llama, Family::Qwen3, Family::Gemma3, Family::Gpt2];

    /// `general.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Family::Llama => "llama",
            Family::Qwen3 => "qwen3",
            Family::Gemma3 => "gemma3",
            Family::Gpt2 => "gpt2",
        }
    }
}

/// The numbers of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelShape {
    pub family: Family,
    pub n_layer: usize,
    pub n_embd: usize,
    pub n_head: usize,
    pub n_kv_head: usize,
    pub head_dim: usize,
    pub n_ff: usize,
    pub n_vocab: usize,
    /// Tokens in a row of training, and the context that the model is made for.
    pub n_ctx: usize,
    /// Whether the head's matrix is the embedding's.
    pub tied: bool,
    pub rope_base: f32,
    pub norm_eps: f32,
}

/// (name, n_layer, n_embd, n_head, n_kv_head, n_ff, n_vocab)
type Preset = (&'static str, usize, usize, usize, usize, usize, usize);

/// Sizes that are known to train well, by their number of parameters.
pub const PRESETS: [Preset; 7] = [
    ("0.5m", 4, 96, 3, 1, 256, 1024),
    ("2m", 4, 192, 6, 2, 512, 2048),
    ("7m", 6, 288, 9, 3, 768, 4096),
    ("15m", 8, 384, 6, 2, 1024, 8192),
    ("30m", 10, 512, 8, 4, 1408, 8192),
    ("47m", 12, 576, 9, 3, 1536, 8192),
    ("135m", 30, 576, 9, 3, 1536, 49152),
];

/// A preset by name, in the llama family.
pub fn preset(name: &str) -> Option<ModelShape> {
    let found = PRESETS.iter().find(|p| p.0 == name.to_ascii_lowercase())?;
    let &(_, n_layer, n_embd, n_head, n_kv_head, n_ff, n_vocab) = found;
    Some(ModelShape {
        family: Family::Llama,
        n_layer,
        n_embd,
        n_head,
        n_kv_head,
        head_dim: n_embd / n_head,
        n_ff,
        n_vocab,
        n_ctx: if n_embd < 512 { 256 } else { 512 },
        tied: true,
        rope_base: 10_000.0,
        norm_eps: 1e-5,
    })
}

/// A tensor to create.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    pub name: String,
    /// GGUF order: the row's length first.
    pub dims: Vec<usize>,
    /// Standard deviation of the initial values, or None for ones.
    pub deviation: Option<f32>,
}

impl ModelShape {
    /// # Errors
    /// For numbers that do not fit each other.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |why: String| Err(Error::Shape(why));
        let numbers = [
            ("n_layer", self.n_layer, 1000),
            ("n_embd", self.n_embd, 1 << 16),
            ("n_head", self.n_head, 1 << 12),
            ("n_kv_head", self.n_kv_head, 1 << 12),
            ("head_dim", self.head_dim, 1 << 12),
            ("n_ff", self.n_ff, 1 << 18),
            ("n_vocab", self.n_vocab, 1 << 20),
            ("n_ctx", self.n_ctx, 1 << 20),
        ];
        if let Some((name, n, most)) = numbers.into_iter().find(|&(_, n, most)| n == 0 || n > most)
        {
            return fail(format!("{name} is {n}; it must be from 1 to {most}"));
        }
        if !self.n_head.is_multiple_of(self.n_kv_head) {
            return fail(format!(
                "{} kv heads do not divide {} heads",
                self.n_kv_head, self.n_head
            ));
        }
        let whole = self.n_head == self.n_kv_head && self.n_head * self.head_dim == self.n_embd;
        if self.family == Family::Gpt2 && !(whole && self.tied) {
            return fail(
                "gpt2 needs as many kv heads as heads, n_head * head_dim = n_embd, and a tied head"
                    .into(),
            );
        }
        if !self.head_dim.is_multiple_of(2) {
            return fail(format!("head_dim is {}; it must be even", self.head_dim));
        }
        Ok(())
    }

    /// Parameters in all.
    pub fn n_parameters(&self) -> usize {
        self.tensors().iter().map(|t| t.dims.iter().product::<usize>()).sum()
    }

    /// Every tensor, in the order of the file. Matrices start with deviation 0.02, those that
    /// write into the residual with 0.02 / sqrt(2 n_layer) (Radford et al. 2019, section 2.3).
    pub fn tensors(&self) -> Vec<TensorSpec> {
        if self.family == Family::Gpt2 {
            return self.gpt2_tensors();
        }
        let mut all = Vec::new();
        let mut push = |name: String, dims: &[usize], deviation: Option<f32>| {
            all.push(TensorSpec { name, dims: dims.to_vec(), deviation });
        };
        let (c, d) = (self.n_embd, self.head_dim);
        let (q, kv) = (self.n_head * d, self.n_kv_head * d);
        let (plain, out) = (Some(0.02), Some(0.02 / (2.0 * self.n_layer as f32).sqrt()));
        push("token_embd.weight".into(), &[c, self.n_vocab], plain);
        for layer in 0..self.n_layer {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            push(name("attn_norm"), &[c], None);
            push(name("attn_q"), &[c, q], plain);
            push(name("attn_k"), &[c, kv], plain);
            push(name("attn_v"), &[c, kv], plain);
            if self.family != Family::Llama {
                push(name("attn_q_norm"), &[d], None);
                push(name("attn_k_norm"), &[d], None);
            }
            push(name("attn_output"), &[q, c], out);
            if self.family == Family::Gemma3 {
                push(name("post_attention_norm"), &[c], None);
            }
            push(name("ffn_norm"), &[c], None);
            push(name("ffn_gate"), &[c, self.n_ff], plain);
            push(name("ffn_up"), &[c, self.n_ff], plain);
            push(name("ffn_down"), &[self.n_ff, c], out);
            if self.family == Family::Gemma3 {
                push(name("post_ffw_norm"), &[c], None);
            }
        }
        push("output_norm.weight".into(), &[c], None);
        if !self.tied {
            push("output.weight".into(), &[c, self.n_vocab], plain);
        }
        all
    }

    fn gpt2_tensors(&self) -> Vec<TensorSpec> {
        let (c, ff) = (self.n_embd, self.n_ff);
        let (plain, out) = (Some(0.02), Some(0.02 / (2.0 * self.n_layer as f32).sqrt()));
        let spec = |name: String, dims: &[usize], deviation| TensorSpec {
            name,
            dims: dims.to_vec(),
            deviation,
        };
        // A weight and its bias: of a norm where it has one dimension, else of a matrix.
        let both = |name: String, dims: &[usize], deviation| {
            let bias = [dims[dims.len() - 1]];
            [
                spec(format!("{name}.weight"), dims, deviation),
                spec(format!("{name}.bias"), &bias, Some(0.0)),
            ]
        };
        let mut all = vec![
            spec("token_embd.weight".into(), &[c, self.n_vocab], plain),
            spec("position_embd.weight".into(), &[c, self.n_ctx], plain),
        ];
        for layer in 0..self.n_layer {
            let name = |part: &str| format!("blk.{layer}.{part}");
            all.extend(both(name("attn_norm"), &[c], None));
            all.extend(both(name("attn_qkv"), &[c, 3 * c], plain));
            all.extend(both(name("attn_output"), &[c, c], out));
            all.extend(both(name("ffn_norm"), &[c], None));
            all.extend(both(name("ffn_up"), &[c, ff], plain));
            all.extend(both(name("ffn_down"), &[ff, c], out));
        }
        all.extend(both("output_norm".into(), &[c], None));
        all
    }
}
