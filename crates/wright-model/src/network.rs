//! The parts of a model, each with the weights it uses: what the forward pass walks over.
//!
//! Built once from a [`Config`] and the file's table of tensors. Every shape is checked here, and
//! a tensor that nothing uses is an error: it would be a part of the model that we leave out.

use crate::Error;
use crate::config::{Config, Heads, LayerConfig, NormKind};
use crate::gguf::{TensorInfo, shape};
use crate::rope::Rope;
use std::collections::HashMap;
use wright_kernels::Activation;

/// A tensor of the model: its index in [`crate::Model::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub(crate) u32);

impl WeightId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// y = W x + b
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// (n_out, n_in)
    pub weight: WeightId,
    /// (n_out)
    pub bias: Option<WeightId>,
    pub n_in: usize,
    pub n_out: usize,
}

/// A norm over each run of `group` values of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    pub kind: NormKind,
    /// (group), or as long as the row.
    pub weight: Option<WeightId>,
    pub bias: Option<WeightId>,
    pub eps: f32,
    /// The whole row, or one head.
    pub group: usize,
}

/// How queries, keys and values come out of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Projections {
    Split {
        q: Linear,
        k: Linear,
        v: Linear,
    },
    /// One matrix gives all three, side by side in this order.
    Fused(Linear),
}

/// One layer's attention.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Before the projections.
    pub norm: Option<Norm>,
    pub projections: Projections,
    pub q_norm: Option<Norm>,
    pub k_norm: Option<Norm>,
    /// Index into [`Network::ropes`].
    pub rope: Option<usize>,
    pub heads: Heads,
    /// One score a head that takes part in the softmax and has no value.
    pub sinks: Option<WeightId>,
    pub out: Linear,
    /// After the projection, before the residual.
    pub post_norm: Option<Norm>,
}

/// One layer's feed-forward part.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    /// None where a parallel layer shares attention's norm.
    pub norm: Option<Norm>,
    pub gate: Gate,
    pub up: Linear,
    pub down: Linear,
    pub activation: Activation,
    pub post_norm: Option<Norm>,
}

/// What the activation applies to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gate {
    /// down(act(up(x)))
    None,
    /// down(act(gate(x)) * up(x))
    Split(Linear),
    /// As `Split`; the first half of `up` is the gate.
    FusedWithUp,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub attention: Attention,
    pub mlp: Mlp,
    /// x + attention(x) + mlp(x) instead of one after the other.
    pub parallel: bool,
}

/// A whole model.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// (n_vocab, n_embd)
    pub embed: WeightId,
    pub embed_scale: f32,
    /// (n_ctx, n_embd): learned positions, added to the embeddings.
    pub positions: Option<WeightId>,
    pub embed_norm: Option<Norm>,
    pub ropes: Vec<Rope>,
    pub blocks: Vec<Block>,
    pub out_norm: Option<Norm>,
    pub head: Linear,
    /// Whether the head's matrix is the embedding's.
    pub tied: bool,
    pub logit_scale: f32,
    pub logit_soft_cap: Option<f32>,
    pub n_embd: usize,
    pub n_vocab: usize,
}

impl Network {
    /// Finds each part's tensors. `vector` gives the values of a small tensor.
    ///
    /// # Errors
    /// For a tensor that is missing, has the wrong shape, or has no place in the model.
    pub(crate) fn bind(
        config: &Config,
        tensors: &[TensorInfo],
        vector: impl Fn(WeightId) -> Vec<f32>,
    ) -> Result<Network, Error> {
        let mut table = Table::new(tensors);
        let n_embd = config.n_embd;
        let embed = table.matrix("token_embd.weight", n_embd, None)?;
        let n_vocab = embed.n_out;
        let first = &config.layers[0];
        let mut blocks = Vec::with_capacity(config.n_layer);
        for (index, layer) in config.layers.iter().enumerate() {
            blocks.push(bind_block(&mut table, config, layer, index)?);
        }
        let factors = table.vector("rope_freqs.weight", config.ropes[0].n_rot / 2)?.map(vector);
        let head = table.linear_if("output", n_embd, Some(n_vocab))?;
        let network = Network {
            embed: embed.weight,
            embed_scale: config.embed_scale,
            positions: table.matrix_if("position_embd.weight", n_embd, None)?.map(|l| l.weight),
            embed_norm: table.norm_if("token_embd_norm", first, n_embd)?,
            ropes: config.ropes.iter().map(|r| Rope::new(r, factors.as_deref())).collect(),
            blocks,
            out_norm: Some(table.norm("output_norm", first, n_embd)?),
            head: head.unwrap_or(embed),
            tied: head.is_none(),
            logit_scale: config.logit_scale,
            logit_soft_cap: config.logit_soft_cap,
            n_embd,
            n_vocab,
        };
        table.refuse_spare(config.arch)?;
        Ok(network)
    }
}

fn bind_block(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    index: usize,
) -> Result<Block, Error> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let n_embd = config.n_embd;
    let heads = layer.heads;
    let (q, k, v) = (heads.q_width(), heads.k_width(), heads.v_width());
    let projections = match table.linear_if(&name("attn_qkv"), n_embd, Some(q + k + v))? {
        Some(fused) => Projections::Fused(fused),
        None => Projections::Split {
            q: table.linear(&name("attn_q"), n_embd, q)?,
            k: table.linear(&name("attn_k"), n_embd, k)?,
            v: table.linear(&name("attn_v"), n_embd, v)?,
        },
    };
    let post_norm = table.norm_if(&name("post_attention_norm"), layer, n_embd)?;
    let attention = Attention {
        norm: match post_norm {
            // Models that normalise after a part may not do so before.
            Some(_) => table.norm_if(&name("attn_norm"), layer, n_embd)?,
            None => Some(table.norm(&name("attn_norm"), layer, n_embd)?),
        },
        projections,
        q_norm: table.head_norm_if(&name("attn_q_norm"), layer, heads.key_dim, q)?,
        k_norm: table.head_norm_if(&name("attn_k_norm"), layer, heads.key_dim, k)?,
        rope: layer.rope,
        heads,
        sinks: table.vector(&name("attn_sinks.weight"), heads.n_head)?,
        out: table.linear(&name("attn_output"), heads.out_width(), n_embd)?,
        post_norm,
    };
    let mlp = bind_mlp(table, config, layer, index)?;
    Ok(Block { attention, mlp, parallel: layer.parallel })
}

fn bind_mlp(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    index: usize,
) -> Result<Mlp, Error> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let n_embd = config.n_embd;
    let n_ff = layer.n_ff;
    if n_ff == 0 {
        let key = format!("{}.feed_forward_length", config.arch);
        return Err(Error::metadata(key, "is missing or 0"));
    }
    // An `up` of twice the width holds the gate, too.
    let fused = layer.gated && table.rows(&name("ffn_up.weight")) == Some(2 * n_ff);
    let up = table.linear(&name("ffn_up"), n_embd, if fused { 2 * n_ff } else { n_ff })?;
    let gate = match (layer.gated, fused) {
        (false, _) => Gate::None,
        (true, true) => Gate::FusedWithUp,
        (true, false) => Gate::Split(table.linear(&name("ffn_gate"), n_embd, n_ff)?),
    };
    let post_norm = table.norm_if(&name("post_ffw_norm"), layer, n_embd)?;
    Ok(Mlp {
        norm: match layer.parallel || post_norm.is_some() {
            true => table.norm_if(&name("ffn_norm"), layer, n_embd)?,
            false => Some(table.norm(&name("ffn_norm"), layer, n_embd)?),
        },
        gate,
        up,
        down: table.linear(&name("ffn_down"), n_ff, n_embd)?,
        activation: layer.activation,
        post_norm,
    })
}

/// The file's tensors by name, and which of them have found a use.
struct Table<'a> {
    tensors: &'a [TensorInfo],
    index: HashMap<&'a str, usize>,
    used: Vec<bool>,
}

impl<'a> Table<'a> {
    fn new(tensors: &'a [TensorInfo]) -> Self {
        let index = tensors.iter().enumerate().map(|(i, t)| (t.name.as_str(), i)).collect();
        Table { tensors, index, used: vec![false; tensors.len()] }
    }

    fn find(&mut self, name: &str) -> Option<(WeightId, &'a TensorInfo)> {
        let index = *self.index.get(name)?;
        self.used[index] = true;
        Some((WeightId(u32::try_from(index).ok()?), &self.tensors[index]))
    }

    /// A matrix of `n_in` columns and, if that is known, `n_out` rows.
    fn matrix_if(
        &mut self,
        name: &str,
        n_in: usize,
        n_out: Option<usize>,
    ) -> Result<Option<Linear>, Error> {
        let Some((weight, info)) = self.find(name) else { return Ok(None) };
        let rows = n_out.unwrap_or_else(|| info.n());
        // A trailing dimension of 1 was dropped by the parser.
        let want = if rows == 1 { vec![n_in] } else { vec![n_in, rows] };
        if info.dims != want {
            let want = match n_out {
                Some(n) => shape(&[n_in, n]),
                None => format!("{n_in} x any"),
            };
            return Err(Error::Shape { name: name.into(), got: info.shape(), want });
        }
        Ok(Some(Linear { weight, bias: None, n_in, n_out: rows }))
    }

    fn matrix(&mut self, name: &str, n_in: usize, n_out: Option<usize>) -> Result<Linear, Error> {
        self.matrix_if(name, n_in, n_out)?.ok_or_else(|| missing(name))
    }

    /// `name.weight` and, where it exists, `name.bias`.
    fn linear_if(
        &mut self,
        name: &str,
        n_in: usize,
        n_out: Option<usize>,
    ) -> Result<Option<Linear>, Error> {
        let Some(linear) = self.matrix_if(&format!("{name}.weight"), n_in, n_out)? else {
            return Ok(None);
        };
        let bias = self.vector(&format!("{name}.bias"), linear.n_out)?;
        Ok(Some(Linear { bias, ..linear }))
    }

    fn linear(&mut self, name: &str, n_in: usize, n_out: usize) -> Result<Linear, Error> {
        let found = self.linear_if(name, n_in, Some(n_out))?;
        found.ok_or_else(|| missing(&format!("{name}.weight")))
    }

    /// Rows of a matrix, if there is one of that name.
    fn rows(&self, name: &str) -> Option<usize> {
        self.index.get(name).map(|&i| self.tensors[i].n())
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Option<WeightId>, Error> {
        let Some((weight, info)) = self.find(name) else { return Ok(None) };
        if info.dims != [len] {
            let (got, want) = (info.shape(), len.to_string());
            return Err(Error::Shape { name: name.into(), got, want });
        }
        Ok(Some(weight))
    }

    fn norm_if(
        &mut self,
        name: &str,
        layer: &LayerConfig,
        len: usize,
    ) -> Result<Option<Norm>, Error> {
        let Some(weight) = self.vector(&format!("{name}.weight"), len)? else { return Ok(None) };
        let bias = self.vector(&format!("{name}.bias"), len)?;
        let (kind, eps) = (layer.norm, layer.norm_eps);
        Ok(Some(Norm { kind, weight: Some(weight), bias, eps, group: len }))
    }

    fn norm(&mut self, name: &str, layer: &LayerConfig, len: usize) -> Result<Norm, Error> {
        self.norm_if(name, layer, len)?.ok_or_else(|| missing(&format!("{name}.weight")))
    }

    /// A norm of each head by itself, or of all of them together, as its length tells.
    fn head_norm_if(
        &mut self,
        name: &str,
        layer: &LayerConfig,
        head_dim: usize,
        width: usize,
    ) -> Result<Option<Norm>, Error> {
        let len = self.index.get(format!("{name}.weight").as_str()).map(|&i| self.tensors[i].k());
        let len = if len == Some(width) { width } else { head_dim };
        self.norm_if(name, layer, len)
    }

    fn refuse_spare(&self, arch: &str) -> Result<(), Error> {
        let mut spare = self.tensors.iter().zip(&self.used).filter(|(_, used)| !**used);
        let shown: Vec<&str> = spare.by_ref().take(4).map(|(t, _)| t.name.as_str()).collect();
        if shown.is_empty() {
            return Ok(());
        }
        let n_more = spare.count();
        let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
        Err(Error::SpareTensors { arch: arch.into(), names: shown.join(", ") + &more })
    }
}

fn missing(name: &str) -> Error {
    Error::MissingTensor { name: name.into() }
}
