//! Finds each part's tensors by the names that GGUF gives them.

use super::table::{Table, missing};
use super::{
    Attention, Block, Classifier, Experts, FeedForward, Gate, LatentProjections, Linear, Mlp,
    Network, Norm, Projections, WeightId,
};
use crate::Error;
use crate::config::{Config, Kind, Latent, LayerConfig};
use crate::gguf::TensorInfo;
use crate::rope::{Factors, Rope};

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
        for ahead in 0..config.n_layer_ahead {
            table.leave(&format!("blk.{}.", config.n_layer + ahead));
        }
        let half = config.ropes[0].n_rot / 2;
        let mut factors = |name: &str| Ok::<_, Error>(table.vector(name, half)?.map(&vector));
        let factors = Factors {
            all: factors("rope_freqs.weight")?,
            short: factors("rope_factors_short.weight")?,
            long: factors("rope_factors_long.weight")?,
        };
        let head = table.linear_if("output", n_embd, Some(n_vocab))?;
        let out_norm = match config.family.kind {
            Kind::Encoder => table.norm_if("output_norm", first, n_embd)?,
            Kind::Decoder => Some(norm(&mut table, config, first, "output_norm")?),
        };
        let network = Network {
            embed: embed.weight,
            embed_scale: config.embed_scale,
            positions: table.matrix_if("position_embd.weight", n_embd, None)?.map(|l| l.weight),
            token_types: table.matrix_if("token_types.weight", n_embd, None)?.map(|l| l.weight),
            embed_norm: table.norm_if("token_embd_norm", first, n_embd)?,
            ropes: config.ropes.iter().map(|r| Rope::new(r, &factors)).collect(),
            blocks,
            out_norm,
            head: head.unwrap_or(embed),
            tied: head.is_none(),
            classifier: bind_classifier(&mut table, n_embd)?,
            logit_scale: config.logit_scale,
            logit_soft_cap: config.logit_soft_cap,
            n_embd,
            n_vocab,
        };
        table.refuse_spare(config.arch)?;
        Ok(network)
    }
}

fn bind_classifier(table: &mut Table<'_>, n_embd: usize) -> Result<Option<Classifier>, Error> {
    let dense = table.linear_if("cls", n_embd, Some(n_embd))?;
    let out = table.linear_if("cls.output", n_embd, None)?;
    match (dense, out) {
        (dense, Some(out)) => Ok(Some(Classifier { dense, out })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing("cls.output.weight")),
    }
}

/// A norm over a row, which has no weights in families that have none.
fn norm(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    name: &str,
) -> Result<Norm, Error> {
    if config.family.plain_norms {
        return Ok(plain_norm(layer, config.n_embd));
    }
    table.norm(name, layer, config.n_embd)
}

fn plain_norm(layer: &LayerConfig, group: usize) -> Norm {
    Norm { kind: layer.norm, weight: None, bias: None, eps: layer.norm_eps, group }
}

fn bind_block(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    index: usize,
) -> Result<Block, Error> {
    Ok(Block {
        attention: bind_attention(table, config, layer, index)?,
        feed_forward: bind_feed_forward(table, config, layer, index)?,
        parallel: layer.parallel,
        residual_scale: config.residual_scale,
    })
}

fn bind_attention(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    index: usize,
) -> Result<Attention, Error> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let n_embd = config.n_embd;
    let heads = layer.heads;
    let (q, k) = (heads.q_width(), heads.k_width());
    let projections = match &layer.latent {
        Some(latent) => {
            let latent = bind_latent(table, config, layer, latent, index)?;
            Projections::Latent(Box::new(latent))
        }
        None => bind_projections(table, config, layer, index)?,
    };
    let reads_after = config.family.mlp_norm == "post_attention_norm";
    let post_norm = match reads_after {
        true => None,
        false => table.norm_if(&name("post_attention_norm"), layer, n_embd)?,
    };
    // Where each side of a parallel layer has a norm of its own, this is attention's.
    let own_norm = table.norm_if(&name("attn_norm_2"), layer, n_embd)?;
    let norm = match (post_norm, config.family.kind) {
        _ if own_norm.is_some() => own_norm,
        // Models that normalize after a part may not do so before.
        (Some(_), _) | (_, Kind::Encoder) => table.norm_if(&name("attn_norm"), layer, n_embd)?,
        _ => Some(norm(table, config, layer, &name("attn_norm"))?),
    };
    let mut q_norm = table.head_norm_if(&name("attn_q_norm"), layer, heads.key_dim, q)?;
    let mut k_norm = table.head_norm_if(&name("attn_k_norm"), layer, heads.key_dim, k)?;
    // Llama 4 Maverick, which alone of its kind has 128 experts, does not normalize heads.
    let is_large = config.routing.is_some_and(|r| r.n_expert == 128);
    if config.family.plain_head_norm && layer.rope.is_some() && !is_large {
        q_norm = Some(plain_norm(layer, heads.key_dim));
        k_norm = q_norm;
    }
    let out_width = layer.latent.map_or(heads.out_width(), |l| heads.n_head * l.value_dim);
    Ok(Attention {
        norm,
        projections,
        clamp: layer.qkv_clamp,
        q_norm,
        k_norm,
        norm_after_rope: config.family.norm_after_rope,
        rope: layer.rope,
        temperature: layer.temperature,
        heads,
        sinks: table.vector(&name("attn_sinks.weight"), heads.n_head)?,
        out: table.linear(&name("attn_output"), out_width, n_embd)?,
        post_norm,
        out_norm: table.norm_if(&name("attn_output_norm"), layer, n_embd)?,
    })
}

fn bind_projections(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    index: usize,
) -> Result<Projections, Error> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let (n_embd, heads) = (config.n_embd, layer.heads);
    let (q, k, v) = (heads.q_width(), heads.k_width(), heads.v_width());
    Ok(match table.linear_if(&name("attn_qkv"), n_embd, Some(q + k + v))? {
        Some(fused) => Projections::Fused(fused),
        None => Projections::Split {
            q: table.linear(&name("attn_q"), n_embd, q)?,
            k: table.linear(&name("attn_k"), n_embd, k)?,
            v: table.linear(&name("attn_v"), n_embd, v)?,
        },
    })
}

fn bind_latent(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    latent: &Latent,
    index: usize,
) -> Result<LatentProjections, Error> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let (n_embd, n_head) = (config.n_embd, layer.heads.n_head);
    let Latent { rank, q_rank, n_plain, n_rot, value_dim } = *latent;
    let q_width = n_head * (n_plain + n_rot);
    let q_a = match q_rank {
        Some(q_rank) => Some((
            table.linear(&name("attn_q_a"), n_embd, q_rank)?,
            table.norm(&name("attn_q_a_norm"), layer, q_rank)?,
        )),
        None => None,
    };
    let q = match q_rank {
        Some(q_rank) => table.linear(&name("attn_q_b"), q_rank, q_width)?,
        None => table.linear(&name("attn_q"), n_embd, q_width)?,
    };
    Ok(LatentProjections {
        shape: *latent,
        q_a,
        q,
        kv_a: table.linear(&name("attn_kv_a_mqa"), n_embd, rank + n_rot)?,
        kv_norm: table.norm(&name("attn_kv_a_norm"), layer, rank)?,
        k_b: table.bank(&name("attn_k_b"), n_head, n_plain, Some(rank))?,
        v_b: table.bank(&name("attn_v_b"), n_head, rank, Some(value_dim))?,
    })
}

fn bind_feed_forward(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    index: usize,
) -> Result<FeedForward, Error> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let n_embd = config.n_embd;
    let post_norm = table.norm_if(&name("post_ffw_norm"), layer, n_embd)?;
    let before = name(config.family.mlp_norm);
    let may_lack = layer.parallel || post_norm.is_some() || config.family.kind == Kind::Encoder;
    let mut norm = match may_lack {
        true => table.norm_if(&before, layer, n_embd)?,
        false => Some(norm(table, config, layer, &before)?),
    };
    if norm.is_none() && table.has(&name("attn_norm_2.weight")) {
        norm = table.norm_if(&name("attn_norm"), layer, n_embd)?;
    }
    let experts = match table.has(&name("ffn_gate_inp.weight")) {
        true => Some(bind_experts(table, config, layer, index)?),
        false => None,
    };
    let (mlp, mlp_gate) = match &experts {
        None => (Some(bind_mlp(table, config, layer, index)?), None),
        Some(_) if table.has(&name("ffn_up_shexp.weight")) => {
            let parts = ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"].map(name);
            let mlp = bind_gated(table, layer, n_embd, parts)?;
            let gate = table.linear_if(&name("ffn_gate_inp_shexp"), n_embd, Some(1))?;
            (Some(mlp), gate)
        }
        Some(_) => (None, None),
    };
    let out_norm = table.norm_if(&name("layer_output_norm"), layer, n_embd)?;
    Ok(FeedForward { norm, mlp, mlp_gate, experts, post_norm, out_norm })
}

fn bind_gated(
    table: &mut Table<'_>,
    layer: &LayerConfig,
    n_embd: usize,
    [gate, up, down]: [String; 3],
) -> Result<Mlp, Error> {
    let up = table.linear_of(&up, n_embd, None)?;
    Ok(Mlp {
        gate: Gate::Split(table.linear(&gate, n_embd, up.n_out)?),
        up,
        down: table.linear(&down, up.n_out, n_embd)?,
        activation: layer.activation,
    })
}

fn bind_experts(
    table: &mut Table<'_>,
    config: &Config,
    layer: &LayerConfig,
    index: usize,
) -> Result<Experts, Error> {
    let name = |part: &str| format!("blk.{index}.{part}");
    let n_embd = config.n_embd;
    let Some(routing) = config.routing else {
        let key = format!("{}.expert_count", config.arch);
        return Err(Error::metadata(key, "is missing, but there are experts"));
    };
    let n = routing.n_expert;
    let up = table.bank(&name("ffn_up_exps"), n, n_embd, None)?;
    let gate = match table.has(&name("ffn_gate_exps.weight")) {
        true => Some(table.bank(&name("ffn_gate_exps"), n, n_embd, Some(up.n_out))?),
        false => None,
    };
    Ok(Experts {
        routing,
        router: table.linear(&name("ffn_gate_inp"), n_embd, n)?,
        choice_bias: table.vector(&name("exp_probs_b.bias"), n)?,
        gate,
        up,
        down: table.bank(&name("ffn_down_exps"), n, up.n_out, Some(n_embd))?,
        activation: layer.activation,
    })
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
    let down: Linear = table.linear(&name("ffn_down"), n_ff, n_embd)?;
    Ok(Mlp { gate, up, down, activation: layer.activation })
}
