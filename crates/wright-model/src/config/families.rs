//! The supported families of models, with the facts that their files do not state.
//!
//! A row says how a family differs from the one it builds on, and nothing else. The table in
//! docs/models.md is checked against it by a test.

use super::{Gating, NormKind};
use wright_kernels::{Activation, Pairing};

/// What the scores of attention are multiplied with, where the file does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScoreScale {
    /// 1 / sqrt(head_dim)
    HeadDim,
    /// 1 / sqrt(n_embd / n_head) for a model of this many layers, else by head_dim.
    EmbdPerHeadAt { n_layer: usize },
}

/// Which layers rotate queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RopeUse {
    All,
    None,
    /// All but each n-th.
    NotEach(usize),
    /// Those with a window; all where none has one.
    Sliding,
}

/// How layers with a window rotate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum LocalRope {
    /// As the others.
    Same,
    /// Without scaling, with the file's base for them or else this one.
    Base(f32),
    /// Without scaling, with the base of the others.
    Unscaled,
}

/// What comes out of a layer stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The next token.
    Decoder,
    /// A vector for each token, each of which sees all others.
    Encoder,
}

/// A family of models: the facts that follow from its name and are not in its files.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// `general.architecture`.
    pub name: &'static str,
    /// Well-known models of this family.
    pub models: &'static str,
    pub kind: Kind,
    /// Whether the tests compare a tiny model with golden logits of another implementation.
    pub verified: bool,
    pub(crate) norm: NormKind,
    pub(crate) activation: Activation,
    pub(crate) pairing: Pairing,
    /// Embeddings are multiplied with sqrt(n_embd).
    pub(crate) embed_scale: bool,
    /// Attention and MLP read the same input and are added together, unless the metadata say not.
    pub(crate) parallel: bool,
    /// The MLP has a gate.
    pub(crate) gated: bool,
    pub(crate) scores: ScoreScale,
    /// With a sliding window in the metadata: each n-th layer sees everything; None if all slide.
    pub(crate) full_every: Option<usize>,
    pub(crate) local_rope: LocalRope,
    pub(crate) rope: RopeUse,
    /// YaRN's ramp begins and ends at whole pairs.
    pub(crate) yarn_truncates: bool,
    /// Norms of queries and keys come after their rotation.
    pub(crate) norm_after_rope: bool,
    /// Queries and keys of layers that rotate are normalized without weights, if the file has
    /// none.
    pub(crate) plain_head_norm: bool,
    /// Norms have no weights.
    pub(crate) plain_norms: bool,
    /// Name of the norm before the MLP.
    pub(crate) mlp_norm: &'static str,
    /// ALiBi, where the file does not say.
    pub(crate) alibi_max_bias: Option<f32>,
    /// Logits are divided by the file's scale, not multiplied.
    pub(crate) divides_logits: bool,
    pub(crate) gating: Gating,
    /// Weights of the chosen experts are made to sum to one, where the file does not say.
    pub(crate) normalises_experts: bool,
    /// What experts read is multiplied with their weight, not what they give.
    pub(crate) weighs_input: bool,
    /// Gates are clamped and their partner is moved by one (gpt-oss).
    pub(crate) clamped_gates: bool,
    /// A window is a chunk: positions since the last multiple of it.
    pub(crate) chunked: bool,
}

const LLAMA: Family = Family {
    name: "llama",
    models: "Llama 1 to 3, Mistral, Mixtral, Yi, SmolLM 1 and 2, TinyLlama",
    kind: Kind::Decoder,
    verified: true,
    norm: NormKind::Rms,
    activation: Activation::Silu,
    pairing: Pairing::Interleaved,
    embed_scale: false,
    parallel: false,
    gated: true,
    scores: ScoreScale::HeadDim,
    full_every: None,
    local_rope: LocalRope::Same,
    rope: RopeUse::All,
    yarn_truncates: true,
    norm_after_rope: false,
    plain_head_norm: false,
    plain_norms: false,
    mlp_norm: "ffn_norm",
    alibi_max_bias: None,
    divides_logits: false,
    gating: Gating::Softmax,
    normalises_experts: true,
    weighs_input: false,
    clamped_gates: false,
    chunked: false,
};

/// The same with RoPE over halves.
const QWEN: Family = Family {
    name: "qwen2",
    models: "Qwen 1.5, 2 and 2.5, DeepSeek-R1-Distill-Qwen",
    pairing: Pairing::Halves,
    ..LLAMA
};

const GEMMA: Family = Family {
    name: "gemma",
    models: "Gemma, CodeGemma",
    activation: Activation::GeluTanh,
    embed_scale: true,
    ..QWEN
};

/// Layer norms, biases and an MLP without a gate.
const GPT: Family = Family {
    name: "gpt2",
    models: "GPT-2, Cerebras-GPT",
    norm: NormKind::Layer,
    activation: Activation::GeluTanh,
    gated: false,
    rope: RopeUse::None,
    ..QWEN
};

/// Llama with scales of everything.
const GRANITE: Family =
    Family { name: "granite", models: "Granite 3 and 3.3", divides_logits: true, ..LLAMA };

const COHERE: Family = Family {
    name: "command-r",
    models: "Command-R, Aya 23",
    norm: NormKind::Layer,
    parallel: true,
    ..LLAMA
};

const ENCODER: Family = Family {
    name: "bert",
    models: "BERT, XLM-RoBERTa, all-MiniLM, BGE, E5, GTE and cross-encoders",
    kind: Kind::Encoder,
    activation: Activation::GeluErf,
    ..GPT
};

/// The supported families. Each verified one has a tiny model with golden logits in the tests.
pub const FAMILIES: &[Family] = &[
    LLAMA,
    QWEN,
    Family {
        name: "qwen2moe",
        models: "Qwen 1.5 and 2 with experts",
        normalises_experts: false,
        ..QWEN
    },
    Family { name: "qwen3", models: "Qwen 3, Qwen3-Embedding, Qwen3-Reranker", ..QWEN },
    Family { name: "qwen3moe", models: "Qwen 3 with experts", ..QWEN },
    Family {
        name: "olmo2",
        models: "OLMo 2 and 3",
        full_every: Some(4),
        local_rope: LocalRope::Unscaled,
        ..QWEN
    },
    Family { name: "olmo", models: "OLMo", norm: NormKind::Layer, plain_norms: true, ..LLAMA },
    Family { name: "olmoe", models: "OLMoE", normalises_experts: false, ..QWEN },
    Family { name: "smollm3", models: "SmolLM 3", rope: RopeUse::NotEach(4), ..LLAMA },
    GEMMA,
    Family {
        name: "gemma2",
        models: "Gemma 2",
        scores: ScoreScale::EmbdPerHeadAt { n_layer: 46 },
        full_every: Some(2),
        ..GEMMA
    },
    Family {
        name: "gemma3",
        models: "Gemma 3 (text)",
        scores: ScoreScale::EmbdPerHeadAt { n_layer: 62 },
        full_every: Some(6),
        local_rope: LocalRope::Base(10_000.0),
        ..GEMMA
    },
    GPT,
    Family { name: "starcoder", models: "StarCoder, SantaCoder", ..GPT },
    Family { name: "starcoder2", models: "StarCoder 2", rope: RopeUse::All, ..GPT },
    Family { name: "phi2", models: "Phi 1.5 and 2", rope: RopeUse::All, parallel: true, ..GPT },
    Family { name: "phi3", models: "Phi 3, 3.5 and 4", ..QWEN },
    Family {
        name: "phimoe",
        models: "Phi 3.5 MoE",
        norm: NormKind::Layer,
        gating: Gating::SparseMixer,
        ..QWEN
    },
    Family {
        name: "gptneox",
        models: "Pythia, GPT-NeoX, RedPajama, Dolly",
        rope: RopeUse::All,
        parallel: true,
        activation: Activation::GeluErf,
        ..GPT
    },
    Family { name: "stablelm", models: "StableLM 3B and 2", norm: NormKind::Layer, ..QWEN },
    Family {
        name: "falcon",
        models: "Falcon 7B, 40B and 11B",
        rope: RopeUse::All,
        parallel: true,
        activation: Activation::GeluErf,
        ..GPT
    },
    Family { name: "mpt", models: "MPT, Replit Code", activation: Activation::GeluErf, ..GPT },
    Family { name: "bloom", models: "BLOOM", alibi_max_bias: Some(8.0), ..GPT },
    GRANITE,
    Family { name: "granitemoe", models: "Granite 3 with experts", ..GRANITE },
    Family { name: "glm4", models: "GLM-4 0414", ..LLAMA },
    Family { name: "chatglm", models: "GLM-4 9B, ChatGLM 3", ..LLAMA },
    Family {
        name: "glm4moe",
        models: "GLM-4.5 and 4.6",
        mlp_norm: "post_attention_norm",
        gating: Gating::Sigmoid,
        ..QWEN
    },
    Family {
        name: "deepseek2",
        models: "DeepSeek V2 and V3, R1, Moonlight, Kimi K2",
        normalises_experts: false,
        ..LLAMA
    },
    Family { name: "dots1", models: "dots.llm1", normalises_experts: false, ..QWEN },
    Family {
        name: "gpt-oss",
        models: "gpt-oss 20B and 120B",
        full_every: Some(2),
        yarn_truncates: false,
        mlp_norm: "post_attention_norm",
        gating: Gating::SoftmaxOfChosen,
        normalises_experts: false,
        clamped_gates: true,
        ..QWEN
    },
    Family {
        name: "llama4",
        models: "Llama 4 (text)",
        rope: RopeUse::NotEach(4),
        full_every: Some(4),
        plain_head_norm: true,
        norm_after_rope: true,
        gating: Gating::Sigmoid,
        normalises_experts: false,
        weighs_input: true,
        chunked: true,
        ..LLAMA
    },
    COHERE,
    Family {
        name: "cohere2",
        models: "Command-R7B, Command-A",
        full_every: Some(4),
        rope: RopeUse::Sliding,
        ..COHERE
    },
    Family {
        name: "nemotron",
        models: "Nemotron, Minitron",
        rope: RopeUse::All,
        activation: Activation::ReluSquared,
        ..GPT
    },
    Family {
        name: "exaone4",
        models: "EXAONE 4",
        full_every: Some(4),
        rope: RopeUse::Sliding,
        ..QWEN
    },
    Family { name: "seed_oss", models: "Seed-OSS", mlp_norm: "post_attention_norm", ..QWEN },
    Family { name: "ernie4_5", models: "ERNIE 4.5 (dense)", ..LLAMA },
    Family {
        name: "arcee",
        models: "AFM 4.5B",
        gated: false,
        activation: Activation::ReluSquared,
        ..LLAMA
    },
    Family { name: "hunyuan-dense", models: "Hunyuan (dense)", norm_after_rope: true, ..QWEN },
    ENCODER,
    Family {
        name: "nomic-bert",
        models: "nomic-embed-text 1 and 1.5",
        rope: RopeUse::All,
        gated: true,
        activation: Activation::Silu,
        ..ENCODER
    },
    // What follows no transformers model here can make: it runs with a word of consent.
    Family { name: "internlm2", models: "InternLM 2 and 2.5", verified: false, ..LLAMA },
    Family { name: "xverse", models: "XVERSE", verified: false, ..LLAMA },
    Family { name: "orion", models: "Orion", norm: NormKind::Layer, verified: false, ..QWEN },
    Family { name: "exaone", models: "EXAONE 3", verified: false, ..QWEN },
    Family { name: "qwen", models: "Qwen 1", verified: false, ..QWEN },
    Family { name: "codeshell", models: "CodeShell", rope: RopeUse::All, verified: false, ..GPT },
    Family {
        name: "refact",
        models: "Refact",
        rope: RopeUse::None,
        alibi_max_bias: Some(8.0),
        verified: false,
        ..LLAMA
    },
    Family {
        name: "deepseek",
        models: "DeepSeek MoE 16B",
        normalises_experts: false,
        verified: false,
        ..LLAMA
    },
];
