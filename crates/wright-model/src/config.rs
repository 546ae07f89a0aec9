//! What a model is, as data: the families known here and the numbers read from metadata.
//!
//! A family is a row of [`FAMILIES`], never code of its own in the forward pass; what differs
//! between layers stands in each [`LayerConfig`]. Whether a bias, a norm or a fused projection is
//! there is not asked here: the tensors themselves tell (`network`).

use crate::Error;
use crate::metadata::{Metadata, Value};
use crate::rope::{RopeConfig, Scaling};
use wright_kernels::{Activation, Pairing};

/// How a norm is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// x / sqrt(mean(x^2) + eps)
    Rms,
    /// (x - mean) / sqrt(var + eps)
    Layer,
}

/// What the scores of attention are multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScoreScale {
    /// 1 / sqrt(head_dim)
    HeadDim,
    /// 1 / sqrt(n_embd / n_head) for a model of this many layers, else by head_dim.
    EmbdPerHeadAt { n_layer: usize },
}

/// A family of models: what its files do not say, because its name says it.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// `general.architecture`.
    pub name: &'static str,
    norm: NormKind,
    activation: Activation,
    pairing: Pairing,
    /// Embeddings are multiplied with sqrt(n_embd).
    embed_scale: bool,
    /// Attention and MLP read the same input and are added together, unless the metadata say not.
    parallel: bool,
    /// The MLP has a gate.
    gated: bool,
    scores: ScoreScale,
    /// With a sliding window in the metadata: each n-th layer sees everything; None if all slide.
    full_every: Option<usize>,
    /// Base of RoPE in layers that slide, if it is another one.
    local_rope_base: Option<f32>,
    rope: RopeUse,
}

/// Which layers rotate queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RopeUse {
    All,
    None,
    /// All but each n-th.
    NotEach(usize),
}

const LLAMA: Family = Family {
    name: "llama",
    norm: NormKind::Rms,
    activation: Activation::Silu,
    pairing: Pairing::Norm,
    embed_scale: false,
    parallel: false,
    gated: true,
    scores: ScoreScale::HeadDim,
    full_every: None,
    local_rope_base: None,
    rope: RopeUse::All,
};

const GEMMA: Family = Family {
    name: "gemma",
    activation: Activation::GeluTanh,
    pairing: Pairing::Neox,
    embed_scale: true,
    ..LLAMA
};

/// Layer norms, biases and an MLP without a gate.
const GPT: Family = Family {
    name: "gpt2",
    norm: NormKind::Layer,
    activation: Activation::GeluTanh,
    pairing: Pairing::Neox,
    gated: false,
    rope: RopeUse::None,
    ..LLAMA
};

/// The families that run; each has a tiny model with golden logits in the tests.
pub const FAMILIES: &[Family] = &[
    LLAMA,
    Family { name: "qwen2", pairing: Pairing::Neox, ..LLAMA },
    Family { name: "qwen3", pairing: Pairing::Neox, ..LLAMA },
    Family { name: "olmo2", pairing: Pairing::Neox, ..LLAMA },
    Family { name: "smollm3", rope: RopeUse::NotEach(4), ..LLAMA },
    GEMMA,
    Family {
        name: "gemma2",
        scores: ScoreScale::EmbdPerHeadAt { n_layer: 46 },
        full_every: Some(2),
        ..GEMMA
    },
    Family {
        name: "gemma3",
        scores: ScoreScale::EmbdPerHeadAt { n_layer: 62 },
        full_every: Some(6),
        local_rope_base: Some(10_000.0),
        ..GEMMA
    },
    GPT,
    Family { name: "starcoder2", rope: RopeUse::All, ..GPT },
    Family { name: "phi2", rope: RopeUse::All, parallel: true, ..GPT },
    Family {
        name: "gptneox",
        rope: RopeUse::All,
        parallel: true,
        activation: Activation::GeluErf,
        ..GPT
    },
];

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
        self.window.map_or(0, |w| (pos + 1).saturating_sub(w as usize))
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

/// One layer's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerConfig {
    pub heads: Heads,
    pub n_ff: usize,
    /// Index into [`Config::ropes`]; None for a layer without positions.
    pub rope: Option<usize>,
    pub norm: NormKind,
    pub norm_eps: f32,
    pub activation: Activation,
    /// Whether the MLP has a gate.
    pub gated: bool,
    pub parallel: bool,
}

/// A model's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub arch: &'static str,
    /// `general.name`, or the architecture.
    pub name: String,
    pub n_layer: usize,
    pub n_embd: usize,
    /// The longest context the model was made for.
    pub n_ctx_train: u32,
    /// Token embeddings are multiplied with it.
    pub embed_scale: f32,
    /// Logits become cap * tanh(logit / cap).
    pub logit_soft_cap: Option<f32>,
    /// Logits are multiplied with it.
    pub logit_scale: f32,
    pub layers: Vec<LayerConfig>,
    /// The rotations that layers refer to.
    pub ropes: Vec<RopeConfig>,
}

impl Config {
    /// Reads the numbers of a model with `n_tensors` tensors.
    ///
    /// # Errors
    /// For an unknown architecture, and for a missing, wrong or impossible number, by its key.
    pub fn read(metadata: &Metadata, n_tensors: usize) -> Result<Config, Error> {
        let family = family(metadata)?;
        let keys = Keys { metadata, arch: family.name };
        let n_layer = keys.size("block_count")?;
        if n_layer > n_tensors {
            let why = format!("is {n_layer}, but the file has {n_tensors} tensors in all");
            return Err(Error::metadata(keys.name("block_count"), why));
        }
        refuse_features(&keys)?;
        let n_embd = keys.size("embedding_length")?;
        let n_ctx_train = keys.u32("context_length")?.unwrap_or(2048).max(1);
        let window = keys.u32("attention.sliding_window")?.filter(|&w| w > 0);
        let full = match window {
            Some(_) => keys.full_layers(n_layer, family.full_every)?,
            None => vec![true; n_layer],
        };
        let mut layers = Vec::new();
        for (index, &full) in full.iter().enumerate() {
            let mut layer = read_layer(&keys, family, index, n_layer, n_embd)?;
            layer.heads.window = if full { None } else { window };
            if !full && family.local_rope_base.is_some() {
                layer.rope = Some(1);
            }
            layers.push(layer);
        }
        let ropes = read_ropes(&keys, family, layers[0].heads.key_dim, n_ctx_train)?;
        for layer in &layers {
            check_rope(&keys, layer, &ropes)?;
        }
        Ok(Config {
            arch: family.name,
            name: metadata.str("general.name").unwrap_or(family.name).to_owned(),
            n_layer,
            n_embd,
            n_ctx_train,
            embed_scale: if family.embed_scale { (n_embd as f32).sqrt() } else { 1.0 },
            logit_soft_cap: keys.f32("final_logit_softcapping")?.filter(|&cap| cap > 0.0),
            logit_scale: keys.f32("logit_scale")?.filter(|&s| s != 0.0).unwrap_or(1.0),
            layers,
            ropes,
        })
    }
}

/// Numbers in the metadata that change the computation and are not computed here.
fn refuse_features(keys: &Keys<'_>) -> Result<(), Error> {
    if keys.u32("expert_count")?.is_some_and(|n| n > 0) {
        return Err(Error::Feature { what: format!("{} has a mixture of experts", keys.arch) });
    }
    let scaled = ["embedding_scale", "residual_scale", "attention.scale"];
    if let Some(key) = scaled.iter().find(|key| keys.metadata.get(&keys.name(key)).is_some()) {
        return Err(Error::Feature { what: format!("metadata has {}", keys.name(key)) });
    }
    Ok(())
}

fn family(metadata: &Metadata) -> Result<&'static Family, Error> {
    const KEY: &str = "general.architecture";
    let arch = metadata
        .str(KEY)
        .ok_or_else(|| Error::metadata(KEY, "is missing: nothing says what model this is"))?;
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

fn read_layer(
    keys: &Keys<'_>,
    family: &Family,
    index: usize,
    n_layer: usize,
    n_embd: usize,
) -> Result<LayerConfig, Error> {
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
    let heads = Heads {
        n_head,
        n_kv_head,
        key_dim,
        value_dim: keys.size_or("attention.value_length", n_embd / n_head)?,
        scale: 1.0 / (scale_dim as f32).sqrt(),
        window: None,
        soft_cap: keys.f32("attn_logit_softcapping")?.filter(|&cap| cap > 0.0),
        alibi_max_bias: keys.f32("attention.max_alibi_bias")?.filter(|&b| b > 0.0),
    };
    let eps_key = match family.norm {
        NormKind::Rms => "attention.layer_norm_rms_epsilon",
        NormKind::Layer => "attention.layer_norm_epsilon",
    };
    let norm_eps = keys.f32(eps_key)?.filter(|&eps| eps >= 0.0);
    Ok(LayerConfig {
        heads,
        n_ff: keys.size_at("feed_forward_length", index)?.unwrap_or(0),
        rope: match family.rope {
            RopeUse::All => Some(0),
            RopeUse::None => None,
            RopeUse::NotEach(n) => (!(index + 1).is_multiple_of(n)).then_some(0),
        },
        norm: family.norm,
        norm_eps: norm_eps
            .ok_or_else(|| Error::metadata(keys.name(eps_key), "is missing or negative"))?,
        activation: family.activation,
        gated: family.gated,
        parallel: keys.bool("use_parallel_residual")?.unwrap_or(family.parallel),
    })
}

/// Rope 0 is that of full layers; rope 1, if there is one, that of sliding layers.
fn read_ropes(
    keys: &Keys<'_>,
    family: &Family,
    key_dim: usize,
    n_ctx_train: u32,
) -> Result<Vec<RopeConfig>, Error> {
    let n_rot = keys.size_or("rope.dimension_count", key_dim)?;
    let base = keys.f32("rope.freq_base")?.unwrap_or(10_000.0);
    let global = RopeConfig {
        pairing: family.pairing,
        n_rot,
        base,
        scaling: read_scaling(keys, n_ctx_train)?,
        // Factors of llama 3 are a tensor of the file.
        uses_factors: true,
    };
    let mut ropes = vec![global];
    if let Some(local) = family.local_rope_base {
        let base = keys.f32("rope.freq_base_swa")?.unwrap_or(local);
        let scaling = Scaling::None;
        ropes.push(RopeConfig { base, scaling, uses_factors: false, ..ropes[0].clone() });
    }
    if ropes.iter().any(|rope| rope.base < 1.0) {
        return Err(Error::metadata(keys.name("rope.freq_base"), "is below 1"));
    }
    Ok(ropes)
}

fn read_scaling(keys: &Keys<'_>, n_ctx_train: u32) -> Result<Scaling, Error> {
    let key = keys.name("rope.scaling.type");
    let kind = keys.metadata.str(&key);
    // Older files have a factor and no type; that was linear.
    let factor = match keys.f32("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.f32("rope.scale_linear")?,
    };
    let factor = factor.filter(|&f| f != 0.0).unwrap_or(1.0);
    if factor < 0.0 {
        return Err(Error::metadata(keys.name("rope.scaling.factor"), "is negative"));
    }
    match kind {
        Some("none") => Ok(Scaling::None),
        None | Some("linear") if factor == 1.0 => Ok(Scaling::None),
        None | Some("linear") => Ok(Scaling::Linear { factor }),
        Some("yarn") => {
            let or = |key: &str, default: f32| Ok(keys.f32(key)?.unwrap_or(default));
            Ok(Scaling::Yarn {
                factor,
                n_ctx_orig: keys
                    .u32("rope.scaling.original_context_length")?
                    .filter(|&n| n > 0)
                    .unwrap_or(n_ctx_train),
                attn_factor: or("rope.scaling.attn_factor", 1.0)?,
                beta_fast: or("rope.scaling.yarn_beta_fast", 32.0)?,
                beta_slow: or("rope.scaling.yarn_beta_slow", 1.0)?,
            })
        }
        Some(other) => Err(Error::Feature { what: format!("RoPE is scaled by {other:?}") }),
    }
}

fn check_rope(keys: &Keys<'_>, layer: &LayerConfig, ropes: &[RopeConfig]) -> Result<(), Error> {
    let Some(rope) = layer.rope.and_then(|index| ropes.get(index)) else { return Ok(()) };
    if rope.n_rot > layer.heads.key_dim || !rope.n_rot.is_multiple_of(2) {
        let why = format!(
            "is {}; it must be even and at most the head's {} dimensions",
            rope.n_rot, layer.heads.key_dim
        );
        return Err(Error::metadata(keys.name("rope.dimension_count"), why));
    }
    Ok(())
}

/// Metadata under the architecture's name.
struct Keys<'a> {
    metadata: &'a Metadata,
    arch: &'static str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    fn u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.metadata.u32_checked(&self.name(key))
    }

    fn f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.metadata.f32_checked(&self.name(key))
    }

    fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        let name = self.name(key);
        match (self.metadata.get(&name), self.metadata.bool(&name)) {
            (Some(_), None) => Err(Error::metadata(name, "should be a bool")),
            (_, value) => Ok(value),
        }
    }

    /// A number that must be there and be positive.
    fn size(&self, key: &str) -> Result<usize, Error> {
        match self.u32(key)? {
            Some(0) => Err(Error::metadata(self.name(key), "is 0")),
            Some(n) => Ok(n as usize),
            None => Err(Error::metadata(self.name(key), "is missing")),
        }
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        match self.u32(key)?.map_or(default, |n| n as usize) {
            0 => Err(Error::metadata(self.name(key), "is 0")),
            n => Ok(n),
        }
    }

    /// A number for all layers, or an array with one for each.
    fn size_at(&self, key: &str, layer: usize) -> Result<Option<usize>, Error> {
        let name = self.name(key);
        if !matches!(self.metadata.get(&name), Some(Value::Array(_))) {
            return Ok(self.u32(key)?.map(|n| n as usize));
        }
        let all = self.metadata.u32s(&name);
        let one = all.as_ref().and_then(|all| all.get(layer)).map(|&n| n as usize);
        one.map(Some).ok_or_else(|| Error::metadata(name, "has no number for each layer"))
    }

    /// Which layers see everything, in a model with a sliding window.
    fn full_layers(&self, n_layer: usize, every: Option<usize>) -> Result<Vec<bool>, Error> {
        const KEY: &str = "attention.sliding_window_pattern";
        let name = self.name(KEY);
        let every = match self.metadata.get(&name) {
            Some(Value::Array(slides)) => {
                let full: Vec<bool> = slides
                    .numbers()
                    .map(|v| matches!(v, Value::Bool(false) | Value::Unsigned(0)))
                    .collect();
                if full.len() < n_layer {
                    return Err(Error::metadata(name, "has fewer entries than there are layers"));
                }
                return Ok(full[..n_layer].to_vec());
            }
            Some(_) => self.u32(KEY)?.map(|n| n as usize),
            None => every,
        };
        Ok((0..n_layer).map(|l| every.is_some_and(|n| n > 0 && l % n == n - 1)).collect())
    }
}
