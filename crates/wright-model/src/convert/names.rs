//! Names of tensors: what transformers calls them, and what GGUF does.

use super::families::Family;

/// Where a tensor goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As a table says it: `token_embd`, `attn_q`.
    pub part: &'static str,
    pub layer: Option<usize>,
    /// `weight` or `bias`.
    pub kind: &'static str,
    /// Of the expert, or head, whose piece of a stacked tensor this is.
    pub piece: Option<usize>,
    /// As `part` is looked up among what is split: its name in transformers without numbers.
    pub stem: String,
}

impl Place {
    /// GGUF's name for it, or for a tensor at the same place with another part.
    pub fn gguf(&self, part: &str) -> String {
        let kind = self.kind;
        match self.layer {
            Some(layer) => format!("blk.{layer}.{part}.{kind}"),
            None => format!("{part}.{kind}"),
        }
    }
}

/// What stands before the name proper; what is nested comes first.
const PREFIXES: &[&str] = &["model.", "transformer.", "gpt_neox.", "bert.", "roberta."];
const LAYERS: &[&str] = &["layers.", "h.", "blocks.", "encoder.layer.", "encoder.layers."];

/// Outside of layers.
const WHOLE: &[(&str, &str)] = &[
    ("embed_tokens", "token_embd"),
    ("embed_in", "token_embd"),
    ("wte", "token_embd"),
    ("word_embeddings", "token_embd"),
    ("embeddings.word_embeddings", "token_embd"),
    ("wpe", "position_embd"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
    ("emb_ln", "token_embd_norm"),
    ("word_embeddings_layernorm", "token_embd_norm"),
    ("norm", "output_norm"),
    ("norm_f", "output_norm"),
    ("ln_f", "output_norm"),
    ("final_layernorm", "output_norm"),
    ("final_layer_norm", "output_norm"),
    ("lm_head", "output"),
    ("embed_out", "output"),
];

/// Inside of layers, for families that say nothing else.
const PARTS: &[(&str, &str)] = &[
    ("input_layernorm", "attn_norm"),
    ("ln_1", "attn_norm"),
    ("norm_1", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.Wqkv", "attn_qkv"),
    ("attention.query_key_value", "attn_qkv"),
    ("self_attention.query_key_value", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.dense", "attn_output"),
    ("attn.c_proj", "attn_output"),
    ("attn.out_proj", "attn_output"),
    ("attention.dense", "attn_output"),
    ("self_attention.dense", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.sinks", "attn_sinks"),
    ("post_attention_layernorm", "ffn_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("ln_2", "ffn_norm"),
    ("norm_2", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.fc1", "ffn_up"),
    ("mlp.fc2", "ffn_down"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
    ("mlp.dense_h_to_4h", "ffn_up"),
    ("mlp.dense_4h_to_h", "ffn_down"),
    ("ffn.up_proj", "ffn_up"),
    ("ffn.down_proj", "ffn_down"),
    // Experts.
    ("mlp.gate", "ffn_gate_inp"),
    ("mlp.router", "ffn_gate_inp"),
    ("mlp.experts.gate_proj", "ffn_gate_exps"),
    ("mlp.experts.up_proj", "ffn_up_exps"),
    ("mlp.experts.down_proj", "ffn_down_exps"),
    ("mlp.experts.gate_up_proj", "ffn_gate_up_exps"),
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
    ("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_expert.up_proj", "ffn_up_shexp"),
    ("mlp.shared_expert.down_proj", "ffn_down_shexp"),
    ("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_experts.up_proj", "ffn_up_shexp"),
    ("mlp.shared_experts.down_proj", "ffn_down_shexp"),
    ("block_sparse_moe.gate", "ffn_gate_inp"),
    ("block_sparse_moe.router.layer", "ffn_gate_inp"),
    ("block_sparse_moe.experts.w1", "ffn_gate_exps"),
    ("block_sparse_moe.experts.w3", "ffn_up_exps"),
    ("block_sparse_moe.experts.w2", "ffn_down_exps"),
    ("block_sparse_moe.input_linear", "ffn_gate_up_exps"),
    ("block_sparse_moe.output_linear", "ffn_down_exps"),
    // Compressed keys and values.
    ("self_attn.q_a_proj", "attn_q_a"),
    ("self_attn.q_a_layernorm", "attn_q_a_norm"),
    ("self_attn.q_b_proj", "attn_q_b"),
    ("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
    ("self_attn.kv_a_layernorm", "attn_kv_a_norm"),
    ("self_attn.kv_b_proj", "attn_kv_b"),
    // Encoders.
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
];

/// Names whose last word says neither `weight` nor `bias`.
const ODD_ENDS: &[(&str, &str, &str)] = &[
    ("self_attn.sinks", "self_attn.sinks", "weight"),
    ("mlp.gate.e_score_correction_bias", "mlp.gate.e_score_correction", "bias"),
    ("mlp.experts.gate_up_proj", "mlp.experts.gate_up_proj", "weight"),
    ("mlp.experts.gate_up_proj_bias", "mlp.experts.gate_up_proj", "bias"),
    ("mlp.experts.down_proj", "mlp.experts.down_proj", "weight"),
    ("mlp.experts.down_proj_bias", "mlp.experts.down_proj", "bias"),
];

/// A name without what stands before it.
fn bare(name: &str) -> &str {
    PREFIXES.iter().fold(name, |name, prefix| name.strip_prefix(prefix).unwrap_or(name))
}

/// Where a tensor of transformers goes; None if it has no place.
pub fn place(name: &str, family: &Family) -> Option<Place> {
    let name = bare(name);
    let in_layer = LAYERS.iter().find_map(|layers| {
        let (layer, rest) = name.strip_prefix(layers)?.split_once('.')?;
        Some((layer.parse::<u32>().ok()? as usize, rest))
    });
    let (layer, rest) = match in_layer {
        Some((layer, rest)) => (Some(layer), rest),
        None => (None, name),
    };
    let (rest, piece) = numberless(rest)?;
    let odd = ODD_ENDS.iter().find(|(end, ..)| *end == rest);
    let (stem, kind) = match odd {
        Some((_, stem, kind)) => (*stem, *kind),
        None => match rest.rsplit_once('.')? {
            (stem, "weight" | "gamma") => (stem, "weight"),
            (stem, "bias" | "beta") => (stem, "bias"),
            _ => return None,
        },
    };
    let general = if layer.is_some() { PARTS } else { WHOLE };
    let mut rows = family.names.iter().chain(general);
    let (_, part) = rows.find(|(known, _)| *known == stem)?;
    Some(Place { part, layer, kind, piece, stem: stem.to_owned() })
}

/// A name without the number that is a word of it, and that number; None if there are several.
fn numberless(name: &str) -> Option<(String, Option<usize>)> {
    let is_number = |word: &&str| word.bytes().all(|b| b.is_ascii_digit()) && !word.is_empty();
    let mut numbers = name.split('.').filter(is_number);
    let number = numbers.next();
    if numbers.next().is_some() {
        return None;
    }
    let words: Vec<&str> = name.split('.').filter(|word| !is_number(word)).collect();
    let number = match number {
        Some(number) => Some(number.parse::<u32>().ok()? as usize),
        None => None,
    };
    Some((words.join("."), number))
}

/// Whether a tensor holds what is computed again wherever it is needed, or serves training alone;
/// not so if the family names it.
pub fn is_left_out(name: &str, family: &Family) -> bool {
    const ENDS: &[&str] = &[
        "rotary_emb.inv_freq",
        ".attn.bias",
        ".attn.masked_bias",
        ".attention.bias",
        ".attention.masked_bias",
    ];
    const STARTS: &[&str] = &["pooler.", "cls.", "embeddings.position_ids"];
    if family.names.iter().any(|(known, _)| bare(name).starts_with(known)) {
        return false;
    }
    ENDS.iter().any(|end| name.ends_with(end)) || STARTS.iter().any(|s| bare(name).starts_with(s))
}

/// Embedding, layers by number, then the rest.
pub fn order(gguf: &str) -> (u32, String) {
    let layer = gguf.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse().ok());
    let group = match (layer, gguf) {
        (Some(layer), _) => 1 + u32::min(layer, u32::MAX - 2),
        (None, "token_embd.weight") => 0,
        (None, _) => u32::MAX,
    };
    (group, gguf.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::families::FAMILIES;
    use super::*;

    fn at(arch: &str, name: &str) -> Option<String> {
        let family = FAMILIES.iter().find(|family| family.arch == arch).expect("a known one");
        let place = place(name, family)?;
        Some(place.gguf(place.part))
    }

    #[test]
    fn names_have_their_places() {
        let at = |arch, name| at(arch, name).unwrap_or_default();
        assert_eq!(at("llama", "model.embed_tokens.weight"), "token_embd.weight");
        assert_eq!(at("llama", "model.layers.12.self_attn.q_proj.bias"), "blk.12.attn_q.bias");
        let norm = "model.layers.0.post_attention_layernorm.weight";
        assert_eq!(at("llama", norm), "blk.0.ffn_norm.weight");
        assert_eq!(at("gemma2", norm), "blk.0.post_attention_norm.weight");
        assert_eq!(at("gpt2", "transformer.h.3.mlp.c_fc.weight"), "blk.3.ffn_up.weight");
        assert_eq!(at("gpt2", "wpe.weight"), "position_embd.weight");
        assert_eq!(at("gpt-oss", "model.layers.1.self_attn.sinks"), "blk.1.attn_sinks.weight");
        assert_eq!(at("bert", "embeddings.LayerNorm.beta"), "token_embd_norm.bias");
        let rows = ["layers.x.mlp.up_proj.weight", "layers.0.mlp.up_proj.zeros", "x", ""];
        assert!(rows.iter().all(|odd| at("llama", odd).is_empty()));
    }

    #[test]
    fn pieces_of_stacked_tensors_keep_their_number() {
        let llama = FAMILIES.first().expect("the first family");
        let name = "model.layers.3.block_sparse_moe.experts.17.w1.weight";
        let found = place(name, llama).expect("a place");
        assert_eq!((found.part, found.layer, found.piece), ("ffn_gate_exps", Some(3), Some(17)));
        assert_eq!(place("model.layers.3.mlp.experts.1.2.up_proj.weight", llama), None);
    }

    #[test]
    fn masks_and_heads_for_training_are_left_out_and_biases_are_not() {
        let of = |name| FAMILIES.iter().find(|family| family.architectures.contains(&name));
        let bert = of("BertModel").expect("a known one");
        let judge = of("BertForSequenceClassification").expect("a known one");
        assert!(!is_left_out("bert.pooler.dense.weight", judge));
        let pooler = place("bert.pooler.dense.weight", judge).expect("a place");
        assert_eq!(pooler.gguf(pooler.part), "cls.weight");
        let out = place("classifier.bias", judge).expect("a place");
        assert_eq!(out.gguf(out.part), "cls.output.bias");
        for name in
            ["transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias", "pooler.dense.weight"]
        {
            assert!(is_left_out(name, bert), "{name}");
        }
        assert!(is_left_out("model.layers.0.self_attn.rotary_emb.inv_freq", bert));
        assert!(!is_left_out("model.layers.0.self_attn.q_proj.bias", bert));
        assert!(!is_left_out("transformer.h.0.attn.c_attn.bias", bert));
    }

    #[test]
    fn tensors_are_ordered_by_layer() {
        let mut names = ["output.weight", "blk.10.a", "blk.2.b", "token_embd.weight"];
        names.sort_by_cached_key(|name| order(name));
        assert_eq!(names, ["token_embd.weight", "blk.2.b", "blk.10.a", "output.weight"]);
    }
}
