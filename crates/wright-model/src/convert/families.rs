//! The families that can be converted, as data: what their tensors and numbers are called and how
//! values change on their way. A row says how a family differs from the one it is written after.

/// What stands for the numbers of attention's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// It has none, and a model with one is refused.
    Never,
    /// As config.json says; which layers have it, `layer_types` says, where it is there.
    Said,
    /// As said, and 0 where nothing is (phi3).
    SaidOrZero,
}

/// Which rows of a matrix go over, and in what order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    All,
    /// In each head, pairs half a head apart become neighbours.
    Interleaved,
    FirstHalf,
    SecondHalf,
    Even,
    Odd,
    /// Groups of heads, each of some queries, one key and one value, become all queries, then all
    /// keys, then all values.
    Grouped,
    /// Of each head the rows that make its keys; the heads become matrices of their own.
    HeadKeys,
    /// Likewise those that make its values.
    HeadValues,
    /// Those of positions: the first ones, up to the padding token's number, are never used.
    AfterPadding,
}

/// A change of values, before the model's numbers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Of the matrix as it is.
    pub first: Rows,
    pub transposed: bool,
    /// Of the transposed one.
    pub then: Rows,
    /// Added to each value.
    pub plus_one: bool,
}

impl Change {
    pub const NONE: Change =
        Change { first: Rows::All, transposed: false, then: Rows::All, plus_one: false };
}

/// A family that can be converted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// Of config.json, `architectures`.
    pub architectures: &'static [&'static str],
    /// `general.architecture`.
    pub arch: &'static str,
    /// Names of its tensors, beside the general ones: transformers', GGUF's.
    pub names: &'static [(&'static str, &'static str)],
    /// What becomes of the values of a part.
    pub changes: &'static [(&'static str, Change)],
    /// A part that becomes several: of which, which, how.
    pub splits: &'static [(&'static str, &'static [(&'static str, Change)])],
    /// Norms are stored less one.
    pub norms_less_one: bool,
    /// Norms subtract the mean; the number is its epsilon where config.json has none.
    pub layer_norm: Option<Option<f32>>,
    /// Which part of a head rotates where config.json does not say; None without RoPE.
    pub rotates: Option<f32>,
    pub window: Window,
    /// The width of the MLP is four times the embedding's where config.json does not say.
    pub four_times: bool,
    /// The context of published models whose config.json says none.
    pub context: Option<u32>,
    /// Metadata beside the general: GGUF's key, config.json's, and what it is.
    pub numbers: &'static [(&'static str, &'static str, Number)],
    /// Text is seen whole: no causal mask.
    pub encoder: bool,
}

/// A number of config.json that is handed on as it is, if it is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    U32,
    F32,
    Bool,
    /// Only if it is true.
    True,
    /// 1 for softmax, 2 for sigmoid.
    Gating,
}

use Number::{Bool, F32, Gating, True, U32};

const INTERLEAVED: Change = Change { first: Rows::Interleaved, ..Change::NONE };
const GROUPED: Change = Change { first: Rows::Grouped, ..Change::NONE };
const TRANSPOSED: Change = Change { transposed: true, ..Change::NONE };
const FIRST_HALF: Change = Change { first: Rows::FirstHalf, ..Change::NONE };
const SECOND_HALF: Change = Change { first: Rows::SecondHalf, ..Change::NONE };

const AFTER_PADDING: Change = Change { first: Rows::AfterPadding, ..Change::NONE };

const HALVES: (&str, &[(&str, Change)]) =
    ("ffn_gate_up_exps", &[("ffn_gate_exps", FIRST_HALF), ("ffn_up_exps", SECOND_HALF)]);

const LLAMA: Family = Family {
    architectures: &["LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"],
    arch: "llama",
    names: &[],
    changes: &[("attn_q", INTERLEAVED), ("attn_k", INTERLEAVED)],
    splits: &[HALVES],
    norms_less_one: false,
    layer_norm: None,
    rotates: Some(1.0),
    window: Window::Said,
    four_times: false,
    context: None,
    numbers: &[],
    encoder: false,
};

/// The same with RoPE over halves, as transformers has it.
const QWEN2: Family =
    Family { architectures: &["Qwen2ForCausalLM"], arch: "qwen2", changes: &[], ..LLAMA };

const GEMMA: Family =
    Family { architectures: &["GemmaForCausalLM"], arch: "gemma", norms_less_one: true, ..QWEN2 };

const POST_NORMS: &[(&str, &str)] = &[("post_attention_layernorm", "post_attention_norm")];

/// Layer norms, biases, an MLP without a gate, learned positions.
const GPT2: Family = Family {
    architectures: &["GPT2LMHeadModel"],
    arch: "gpt2",
    changes: &[
        ("attn_qkv", TRANSPOSED),
        ("attn_output", TRANSPOSED),
        ("ffn_up", TRANSPOSED),
        ("ffn_down", TRANSPOSED),
    ],
    layer_norm: Some(None),
    rotates: None,
    window: Window::Never,
    four_times: true,
    ..QWEN2
};

/// The same with matrices as PyTorch's linear layers have them.
const LINEAR: Family = Family { changes: &[], ..GPT2 };

const GRANITE: Family = Family {
    architectures: &["GraniteForCausalLM"],
    arch: "granite",
    window: Window::Never,
    numbers: &[
        ("attention.scale", "attention_multiplier", F32),
        ("embedding_scale", "embedding_multiplier", F32),
        ("residual_scale", "residual_multiplier", F32),
        ("logit_scale", "logits_scaling", F32),
    ],
    ..LLAMA
};

const COHERE: Family = Family {
    architectures: &["CohereForCausalLM"],
    arch: "command-r",
    layer_norm: Some(None),
    window: Window::Never,
    numbers: &[("logit_scale", "logit_scale", F32)],
    ..QWEN2
};

const MOE: &[(&str, &str, Number)] = &[
    ("expert_feed_forward_length", "moe_intermediate_size", U32),
    ("expert_shared_feed_forward_length", "shared_expert_intermediate_size", U32),
];

/// Experts in groups behind leading dense layers, with shared ones (DeepSeek's).
const GROUPED_MOE: &[(&str, &str, Number)] = &[
    ("leading_dense_block_count", "first_k_dense_replace", U32),
    ("expert_feed_forward_length", "moe_intermediate_size", U32),
    ("expert_shared_count", "n_shared_experts", U32),
    ("expert_weights_scale", "routed_scaling_factor", F32),
    ("expert_weights_norm", "norm_topk_prob", True),
    ("expert_group_count", "n_group", U32),
    ("expert_group_used_count", "topk_group", U32),
    ("expert_gating_func", "scoring_func", Gating),
    ("attention.q_lora_rank", "q_lora_rank", U32),
    ("attention.kv_lora_rank", "kv_lora_rank", U32),
    ("attention.value_length_mla", "v_head_dim", U32),
];

/// Keys of all heads from what is compressed, transposed, and values (absorbed MLA).
const MLA: (&str, &[(&str, Change)]) = (
    "attn_kv_b",
    &[
        ("attn_k_b", Change { first: Rows::HeadKeys, transposed: true, ..Change::NONE }),
        ("attn_v_b", Change { first: Rows::HeadValues, ..Change::NONE }),
    ],
);

/// Gates and their partners in turn, and matrices of experts the other way round.
const GPT_OSS_EXPERTS: (&str, &[(&str, Change)]) = (
    "ffn_gate_up_exps",
    &[
        ("ffn_gate_exps", Change { transposed: true, then: Rows::Even, ..Change::NONE }),
        ("ffn_up_exps", Change { transposed: true, then: Rows::Odd, ..Change::NONE }),
    ],
);

pub const FAMILIES: &[Family] = &[
    LLAMA,
    QWEN2,
    Family { architectures: &["Qwen2MoeForCausalLM"], arch: "qwen2moe", numbers: MOE, ..QWEN2 },
    Family { architectures: &["Qwen3ForCausalLM"], arch: "qwen3", ..QWEN2 },
    Family { architectures: &["Qwen3MoeForCausalLM"], arch: "qwen3moe", numbers: MOE, ..QWEN2 },
    Family { architectures: &["SmolLM3ForCausalLM"], arch: "smollm3", ..LLAMA },
    Family {
        architectures: &["Olmo2ForCausalLM", "Olmo3ForCausalLM"],
        arch: "olmo2",
        names: POST_NORMS,
        ..QWEN2
    },
    Family {
        architectures: &["OlmoForCausalLM"],
        arch: "olmo",
        layer_norm: Some(Some(1e-5)),
        numbers: &[("attention.clamp_kqv", "clip_qkv", F32)],
        ..LLAMA
    },
    Family { architectures: &["OlmoeForCausalLM"], arch: "olmoe", ..QWEN2 },
    GEMMA,
    Family { architectures: &["Gemma2ForCausalLM"], arch: "gemma2", names: POST_NORMS, ..GEMMA },
    Family { architectures: &["Gemma3ForCausalLM"], arch: "gemma3", names: POST_NORMS, ..GEMMA },
    GPT2,
    Family { architectures: &["GPTBigCodeForCausalLM"], arch: "starcoder", ..LINEAR },
    Family {
        architectures: &["Starcoder2ForCausalLM"],
        arch: "starcoder2",
        rotates: Some(1.0),
        window: Window::Said,
        ..LINEAR
    },
    Family { architectures: &["PhiForCausalLM"], arch: "phi2", rotates: Some(0.5), ..LINEAR },
    Family {
        architectures: &["Phi3ForCausalLM"],
        arch: "phi3",
        window: Window::SaidOrZero,
        ..QWEN2
    },
    Family {
        architectures: &["GPTNeoXForCausalLM"],
        arch: "gptneox",
        changes: &[("attn_qkv", GROUPED)],
        rotates: Some(0.25),
        numbers: &[("use_parallel_residual", "use_parallel_residual", Bool)],
        ..LINEAR
    },
    Family {
        architectures: &["StableLmForCausalLM"],
        arch: "stablelm",
        names: &[
            ("self_attn.q_layernorm.norms", "attn_q_norm"),
            ("self_attn.k_layernorm.norms", "attn_k_norm"),
        ],
        layer_norm: Some(None),
        rotates: Some(0.25),
        window: Window::Never,
        numbers: &[("use_parallel_residual", "use_parallel_residual", Bool)],
        ..QWEN2
    },
    Family {
        architectures: &["FalconForCausalLM"],
        arch: "falcon",
        names: &[("ln_mlp", "attn_norm"), ("ln_attn", "attn_norm_2")],
        changes: &[("attn_qkv", GROUPED)],
        rotates: Some(1.0),
        ..LINEAR
    },
    Family {
        architectures: &["BloomForCausalLM"],
        arch: "bloom",
        context: Some(2048),
        changes: &[("attn_qkv", GROUPED)],
        ..LINEAR
    },
    Family {
        architectures: &["MptForCausalLM", "MPTForCausalLM"],
        arch: "mpt",
        layer_norm: Some(Some(1e-5)),
        ..LINEAR
    },
    GRANITE,
    Family { architectures: &["GraniteMoeForCausalLM"], arch: "granitemoe", ..GRANITE },
    Family {
        architectures: &["Glm4ForCausalLM"],
        arch: "glm4",
        names: &[
            ("post_self_attn_layernorm", "post_attention_norm"),
            ("post_mlp_layernorm", "post_ffw_norm"),
        ],
        rotates: Some(0.5),
        window: Window::Never,
        ..QWEN2
    },
    Family {
        architectures: &["GlmForCausalLM"],
        arch: "chatglm",
        rotates: Some(0.5),
        window: Window::Never,
        ..QWEN2
    },
    COHERE,
    Family {
        architectures: &["Cohere2ForCausalLM"],
        arch: "cohere2",
        window: Window::Said,
        ..COHERE
    },
    Family {
        architectures: &["NemotronForCausalLM"],
        arch: "nemotron",
        norms_less_one: true,
        layer_norm: Some(None),
        rotates: Some(0.5),
        window: Window::Never,
        ..QWEN2
    },
    Family { architectures: &["Exaone4ForCausalLM"], arch: "exaone4", names: POST_NORMS, ..QWEN2 },
    Family { architectures: &["SeedOssForCausalLM"], arch: "seed_oss", names: POST_NORMS, ..QWEN2 },
    Family { architectures: &["Ernie4_5ForCausalLM"], arch: "ernie4_5", ..QWEN2 },
    Family { architectures: &["ArceeForCausalLM"], arch: "arcee", ..LLAMA },
    Family {
        architectures: &["HunYuanDenseV1ForCausalLM"],
        arch: "hunyuan-dense",
        names: &[
            ("self_attn.query_layernorm", "attn_q_norm"),
            ("self_attn.key_layernorm", "attn_k_norm"),
        ],
        ..QWEN2
    },
    Family {
        architectures: &["GptOssForCausalLM"],
        arch: "gpt-oss",
        names: POST_NORMS,
        changes: &[("ffn_down_exps", TRANSPOSED)],
        splits: &[GPT_OSS_EXPERTS],
        numbers: &[("expert_feed_forward_length", "intermediate_size", U32)],
        ..QWEN2
    },
    Family {
        architectures: &["DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"],
        arch: "deepseek2",
        names: &[("mlp.gate.e_score_correction", "exp_probs_b")],
        splits: &[HALVES, MLA],
        numbers: GROUPED_MOE,
        ..QWEN2
    },
    Family {
        architectures: &["Dots1ForCausalLM"],
        arch: "dots1",
        names: &[("mlp.gate.e_score_correction", "exp_probs_b")],
        numbers: GROUPED_MOE,
        ..QWEN2
    },
    Family {
        architectures: &["BertModel", "BertForMaskedLM"],
        arch: "bert",
        encoder: true,
        ..LINEAR
    },
    Family {
        architectures: &["XLMRobertaModel"],
        arch: "bert",
        changes: &[("position_embd", AFTER_PADDING)],
        encoder: true,
        ..LINEAR
    },
    // A cross-encoder's pooler is the first half of its classifier.
    Family {
        architectures: &["BertForSequenceClassification"],
        arch: "bert",
        names: &[("pooler.dense", "cls"), ("classifier", "cls.output")],
        encoder: true,
        ..LINEAR
    },
    Family {
        architectures: &["XLMRobertaForSequenceClassification"],
        arch: "bert",
        names: &[("classifier.dense", "cls"), ("classifier.out_proj", "cls.output")],
        changes: &[("position_embd", AFTER_PADDING)],
        encoder: true,
        ..LINEAR
    },
    Family {
        architectures: &["NomicBertModel"],
        arch: "nomic-bert",
        names: &[
            ("mlp.fc11", "ffn_up"),
            ("mlp.fc12", "ffn_gate"),
            ("norm1", "attn_output_norm"),
            ("norm2", "layer_output_norm"),
        ],
        rotates: Some(1.0),
        encoder: true,
        ..LINEAR
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_that_converts_also_runs() {
        for family in FAMILIES {
            let runs = crate::config::FAMILIES.iter().find(|runs| runs.name == family.arch);
            let runs = runs.unwrap_or_else(|| panic!("{} does not run", family.arch));
            assert!(runs.verified, "{}", family.arch);
            let has_mean = runs.norm == crate::config::NormKind::Layer;
            assert_eq!(family.layer_norm.is_some(), has_mean, "{}", family.arch);
        }
    }

    #[test]
    fn no_architecture_is_listed_twice() {
        let mut all: Vec<&str> = FAMILIES.iter().flat_map(|f| f.architectures).copied().collect();
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
    }
}
