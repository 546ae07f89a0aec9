//! A model's configuration as data: the supported families, and hyperparameters read from metadata.
//!
//! A family is a row of [`FAMILIES`], never code of its own in the forward pass; what differs
//! between layers stands in each [`LayerConfig`]. Whether a bias, a norm, a fused projection or
//! experts exist follows from the tensors themselves (`network`).

mod experts;
mod families;
mod gating;
mod keys;
mod ropes;

pub use experts::Routing;
pub use families::{FAMILIES, Family, Kind};
pub use gating::Gating;

use crate::Error;
use crate::metadata::Metadata;
use crate::rope::RopeConfig;
use families::{LocalRope, RopeUse, ScoreScale};
use keys::Keys;
use wright_kernels::Activation;

/// The kind of a norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// x / sqrt(mean(x^2) + eps)
    Rms,
    /// (x - mean) / sqrt(var + eps)
    Layer,
}

/// The heads of one layer's attention and how they look back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    pub n_head: usize,
    pub n_kv_head: usize,
    /// Length of a query and key vector.
    pub key_dim: usize,
    pub value_dim: usize,
    /// Scores are multiplied with it.
    pub scale: f32,
    /// A query at position p sees positions above p - window, itself included.
    pub window: Option<u32>,
    /// The window's positions are those since the last multiple of it, instead.
    pub chunked: bool,
    /// A query sees nothing that comes after it; else it sees all of its sequence.
    pub causal: bool,
    /// Scores become cap * tanh(score / cap).
    pub soft_cap: Option<f32>,
    /// ALiBi: slopes start from this bias.
    pub alibi_max_bias: Option<f32>,
}

impl Heads {
    /// Query heads that share a key/value head.
    pub fn group(&self) -> usize {
        self.n_head / self.n_kv_head
    }

    /// Width of the queries of one token.
    pub fn q_width(&self) -> usize {
        self.n_head * self.key_dim
    }

    pub fn k_width(&self) -> usize {
        self.n_kv_head * self.key_dim
    }

    pub fn v_width(&self) -> usize {
        self.n_kv_head * self.value_dim
    }

    /// The first position that a query at `pos` sees.
    pub fn oldest(&self, pos: usize) -> usize {
        match self.window {
            None => 0,
            Some(chunk) if self.chunked => pos - pos % chunk.max(1) as usize,
            Some(window) => (pos + 1).saturating_sub(window as usize),
        }
    }

    /// ALiBi's slope of a head (Press et al. 2022, for any number of heads); 0 without ALiBi.
    pub fn alibi_slope(&self, head: usize) -> f64 {
        let Some(max_bias) = self.alibi_max_bias else { return 0.0 };
        // The largest power of two among the head counts up to n_head.
        let whole = 1usize << self.n_head.ilog2();
        let step = f64::from(max_bias) / whole as f64;
        let exponent = match head.checked_sub(whole) {
            None => step * (head + 1) as f64,
            Some(extra) => step / 2.0 * (2 * extra + 1) as f64,
        };
        (-exponent).exp2()
    }

    /// Width of attention's output before its projection.
    pub fn out_width(&self) -> usize {
        self.n_head * self.value_dim
    }
}

/// Keys and values kept compressed (multi-head latent attention, DeepSeek-V2, 2024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latent {
    /// Width of what is kept of keys and values.
    pub rank: usize,
    /// Width of compressed queries; None where they are not.
    pub q_rank: Option<usize>,
    /// Channels of a head that do not rotate, before they are compressed.
    pub n_plain: usize,
    /// Channels that rotate.
    pub n_rot: usize,
    /// Channels of a head's value, after it is decompressed.
    pub value_dim: usize,
}

/// Queries of far positions grow: 1 + scale ln(1 + floor((pos + 1) / length)) (Llama 4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    pub length: u32,
    pub scale: f32,
}

impl Temperature {
    /// What queries at a position are multiplied with.
    pub fn at(&self, pos: u32) -> f64 {
        let lengths = (u64::from(pos) + 1) / u64::from(self.length);
        1.0 + f64::from(self.scale) * wright_kernels::math::ln(1.0 + lengths as f64)
    }
}

/// The hyperparameters of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerConfig {
    pub heads: Heads,
    pub latent: Option<Latent>,
    pub n_ff: usize,
    /// Index into [`Config::ropes`]; None for a layer without positions.
    pub rope: Option<usize>,
    pub temperature: Option<Temperature>,
    pub norm: NormKind,
    pub norm_eps: f32,
    pub activation: Activation,
    /// Whether the MLP has a gate.
    pub gated: bool,
    pub parallel: bool,
    /// Queries, keys and values are cut to this size.
    pub qkv_clamp: Option<f32>,
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The file does not say.
    #[default]
    None,
    Mean,
    /// The first token's.
    First,
    /// The last token's.
    Last,
    /// A head that gives a score.
    Rank,
}

/// A model's hyperparameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub arch: &'static str,
    pub family: &'static Family,
    /// `general.name`, or the architecture.
    pub name: String,
    pub n_layer: usize,
    /// Layers behind the last that guess further tokens, which are not run.
    pub n_layer_ahead: usize,
    pub n_embd: usize,
    /// The context length that the model was trained with.
    pub n_ctx_train: u32,
    /// Token embeddings are multiplied with it.
    pub embed_scale: f32,
    /// What a part adds to the residual is multiplied with it.
    pub residual_scale: f32,
    /// Logits become cap * tanh(logit / cap).
    pub logit_soft_cap: Option<f32>,
    /// Logits are multiplied with it.
    pub logit_scale: f32,
    pub pooling: Pooling,
    /// What a classifier's numbers stand for, if the file says it.
    pub labels: Vec<String>,
    /// Experts of the layers that have some.
    pub routing: Option<Routing>,
    pub layers: Vec<LayerConfig>,
    /// The rotations that layers refer to.
    pub ropes: Vec<RopeConfig>,
}

impl Config {
    /// Reads the hyperparameters of a model with `n_tensors` tensors.
    ///
    /// # Errors
    /// For an unknown architecture, and for a missing, wrong or impossible number, by its key.
    pub fn read(metadata: &Metadata, n_tensors: usize) -> Result<Config, Error> {
        let family = family(metadata)?;
        let keys = Keys { metadata, arch: family.name };
        let n_block = keys.size("block_count")?;
        if n_block > n_tensors {
            let why = format!("is {n_block}, but the file has only {n_tensors} tensors");
            return Err(Error::metadata(keys.name("block_count"), why));
        }
        let n_layer_ahead = keys.u32("nextn_predict_layers")?.unwrap_or(0) as usize;
        let Some(n_layer) = n_block.checked_sub(n_layer_ahead).filter(|&n| n > 0) else {
            let why = format!("is {n_layer_ahead}, of {n_block} layers");
            return Err(Error::metadata(keys.name("nextn_predict_layers"), why));
        };
        let n_embd = keys.size("embedding_length")?;
        let n_ctx_train = keys.u32("context_length")?.unwrap_or(2048).max(1);
        let layers = read_layers(&keys, family, n_layer, n_embd)?;
        let key_dim = layers[0].latent.map_or(layers[0].heads.key_dim, |l| l.n_rot);
        let ropes = ropes::read(&keys, family, key_dim, n_ctx_train)?;
        let mut config = Config {
            arch: family.name,
            family,
            name: metadata.str("general.name").unwrap_or(family.name).to_owned(),
            n_layer,
            n_layer_ahead,
            n_embd,
            n_ctx_train,
            embed_scale: embed_scale(&keys, family, n_embd)?,
            residual_scale: keys.f32("residual_scale")?.filter(|&s| s != 0.0).unwrap_or(1.0),
            logit_soft_cap: keys.f32("final_logit_softcapping")?.filter(|&cap| cap > 0.0),
            logit_scale: logit_scale(&keys, family)?,
            pooling: pooling(&keys)?,
            labels: labels(&keys),
            routing: experts::read(&keys, family)?,
            layers,
            ropes,
        };
        for layer in &mut config.layers {
            ropes::check(&keys, layer, &config.ropes)?;
            if let Some(latent) = &layer.latent {
                layer.heads.scale = ropes::latent_scale(&keys, latent, config.ropes[0].scaling)?;
            }
        }
        Ok(config)
    }
}

fn embed_scale(keys: &Keys<'_>, family: &Family, n_embd: usize) -> Result<f32, Error> {
    let named = keys.f32("embedding_scale")?.filter(|&s| s != 0.0);
    let usual = if family.embed_scale { (n_embd as f32).sqrt() } else { 1.0 };
    Ok(named.unwrap_or(usual))
}

fn logit_scale(keys: &Keys<'_>, family: &Family) -> Result<f32, Error> {
    let scale = keys.f32("logit_scale")?.filter(|&s| s != 0.0).unwrap_or(1.0);
    Ok(if family.divides_logits { 1.0 / scale } else { scale })
}

/// Labels that are not text are passed over, as all are of a file that names none.
fn labels(keys: &Keys<'_>) -> Vec<String> {
    let key = keys.name("classifier.output_labels");
    let strings = keys.metadata.strings(&key);
    strings.into_iter().flatten().map(|s| String::from_utf8_lossy(s).into_owned()).collect()
}

fn pooling(keys: &Keys<'_>) -> Result<Pooling, Error> {
    const KEY: &str = "pooling_type";
    match keys.u32(KEY)? {
        None | Some(0) => Ok(Pooling::None),
        Some(1) => Ok(Pooling::Mean),
        Some(2) => Ok(Pooling::First),
        Some(3) => Ok(Pooling::Last),
        Some(4) => Ok(Pooling::Rank),
        Some(other) => {
            let why = format!("is {other}, but must be 0 to 4");
            Err(Error::metadata(keys.name(KEY), why))
        }
    }
}

fn family(metadata: &Metadata) -> Result<&'static Family, Error> {
    const KEY: &str = "general.architecture";
    let arch = metadata
        .str(KEY)
        .ok_or_else(|| Error::metadata(KEY, "is missing, so the architecture is unknown"))?;
    FAMILIES.iter().find(|f| f.name == arch).ok_or_else(|| Error::Architecture {
        arch: arch.chars().take(64).collect(),
        known: FAMILIES.iter().map(|f| f.name).collect::<Vec<_>>().join(", "),
        closest: closest(arch),
    })
}

/// The known name most like `arch`, if one is like it at all.
fn closest(arch: &str) -> Option<&'static str> {
    let arch: Vec<char> = arch.chars().take(64).collect();
    let distance = |name: &str| edit_distance(&arch, &name.chars().collect::<Vec<_>>());
    let best = FAMILIES.iter().min_by_key(|f| distance(f.name))?;
    (distance(best.name) <= best.name.len() / 2).then_some(best.name)
}

/// Levenshtein's distance.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let swap = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = swap.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn read_layers(
    keys: &Keys<'_>,
    family: &Family,
    n_layer: usize,
    n_embd: usize,
) -> Result<Vec<LayerConfig>, Error> {
    let default = family.chunked.then_some(8192);
    let window = keys.u32("attention.sliding_window")?.or(default).filter(|&w| w > 0);
    let full = match window {
        Some(_) => keys.full_layers(n_layer, family.full_every)?,
        None => vec![true; n_layer],
    };
    let mut layers = Vec::new();
    for (index, &full) in full.iter().enumerate() {
        let mut layer = read_layer(keys, family, index, n_layer, n_embd)?;
        layer.heads.window = if full { None } else { window };
        if full && window.is_some() && family.rope == RopeUse::Sliding {
            layer.rope = None;
        }
        if !full && family.local_rope != LocalRope::Same {
            layer.rope = layer.rope.map(|_| 1);
        }
        if layer.rope.is_none() && family.chunked {
            layer.temperature = Some(Temperature {
                length: keys.u32("attention.temperature_length")?.unwrap_or(8192).max(1),
                scale: keys.f32("attention.temperature_scale")?.unwrap_or(0.1),
            });
        }
        layers.push(layer);
    }
    Ok(layers)
}

fn read_layer(
    keys: &Keys<'_>,
    family: &Family,
    index: usize,
    n_layer: usize,
    n_embd: usize,
) -> Result<LayerConfig, Error> {
    let eps_key = match family.norm {
        NormKind::Rms => "attention.layer_norm_rms_epsilon",
        NormKind::Layer => "attention.layer_norm_epsilon",
    };
    let norm_eps = match keys.f32(eps_key)? {
        // phimoe's layer norms go by the other name.
        None => keys.f32("attention.layer_norm_rms_epsilon")?,
        found => found,
    };
    let norm_eps = norm_eps.filter(|&eps| eps >= 0.0);
    let heads = read_heads(keys, family, index, n_layer, n_embd)?;
    Ok(LayerConfig {
        heads,
        latent: read_latent(keys, &heads)?,
        n_ff: keys.size_at("feed_forward_length", index)?.unwrap_or(0),
        rope: match family.rope {
            RopeUse::All | RopeUse::Sliding => Some(0),
            RopeUse::None => None,
            RopeUse::NotEach(n) => (!(index + 1).is_multiple_of(n)).then_some(0),
        },
        temperature: None,
        norm: family.norm,
        norm_eps: norm_eps
            .ok_or_else(|| Error::metadata(keys.name(eps_key), "is missing or negative"))?,
        activation: family.activation,
        gated: family.gated,
        parallel: keys.bool("use_parallel_residual")?.unwrap_or(family.parallel),
        qkv_clamp: keys.f32("attention.clamp_kqv")?.filter(|&clamp| clamp > 0.0),
    })
}

fn read_heads(
    keys: &Keys<'_>,
    family: &Family,
    index: usize,
    n_layer: usize,
    n_embd: usize,
) -> Result<Heads, Error> {
    let n_head = keys.size_at("attention.head_count", index)?.unwrap_or(0);
    if n_head == 0 {
        return Err(Error::metadata(keys.name("attention.head_count"), "is missing or 0"));
    }
    let n_kv_head = keys.size_at("attention.head_count_kv", index)?.unwrap_or(n_head);
    if n_kv_head == 0 || !n_head.is_multiple_of(n_kv_head) {
        let why = format!("is {n_kv_head}, which does not divide {n_head} heads");
        return Err(Error::metadata(keys.name("attention.head_count_kv"), why));
    }
    let key_dim = keys.size_or("attention.key_length", n_embd / n_head)?;
    let scale_dim = match family.scores {
        ScoreScale::EmbdPerHeadAt { n_layer: n } if n == n_layer => n_embd / n_head,
        _ => key_dim,
    };
    let scale = keys.f32("attention.scale")?.filter(|&scale| scale > 0.0);
    let alibi = keys.f32("attention.max_alibi_bias")?.or(family.alibi_max_bias);
    Ok(Heads {
        n_head,
        n_kv_head,
        key_dim,
        value_dim: keys.size_or("attention.value_length", n_embd / n_head)?,
        scale: scale.unwrap_or(1.0 / (scale_dim as f32).sqrt()),
        window: None,
        chunked: family.chunked,
        causal: keys.bool("attention.causal")?.unwrap_or(family.kind == Kind::Decoder),
        soft_cap: keys.f32("attn_logit_softcapping")?.filter(|&cap| cap > 0.0),
        alibi_max_bias: alibi.filter(|&b| b > 0.0),
    })
}

/// The numbers of compressed keys and values, for a model that has them.
fn read_latent(keys: &Keys<'_>, heads: &Heads) -> Result<Option<Latent>, Error> {
    const RANK: &str = "attention.kv_lora_rank";
    let Some(rank) = keys.u32(RANK)?.filter(|&rank| rank > 0) else { return Ok(None) };
    let rank = rank as usize;
    const KEY: &str = "attention.key_length_mla";
    if keys.u32(KEY)?.is_none() {
        let what = format!("the file was made before {} was introduced", keys.name(KEY));
        return Err(Error::Feature { what });
    }
    let (key_dim, n_rot) = (keys.size(KEY)?, keys.size("rope.dimension_count")?);
    let n_plain = key_dim.checked_sub(n_rot).filter(|&n| n > 0);
    let fits = heads.n_kv_head == 1 && heads.key_dim == rank + n_rot && heads.value_dim == rank;
    let (Some(n_plain), true) = (n_plain, fits) else {
        let why = format!(
            "is {rank}, which does not fit heads of {} and {key_dim} with {n_rot} that rotate",
            heads.key_dim
        );
        return Err(Error::metadata(keys.name(RANK), why));
    };
    Ok(Some(Latent {
        rank,
        q_rank: keys.u32("attention.q_lora_rank")?.filter(|&n| n > 0).map(|n| n as usize),
        n_plain,
        n_rot,
        value_dim: keys.size("attention.value_length_mla")?,
    }))
}
