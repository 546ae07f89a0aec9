//! Names of tensors: what transformers calls them, and what GGUF does.

/// GGUF's name for a tensor of transformers; None if it has no place.
pub fn place(name: &str, post_norms: bool) -> Option<String> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    let whole = match name {
        "embed_tokens.weight" => "token_embd.weight",
        "norm.weight" => "output_norm.weight",
        "lm_head.weight" => "output.weight",
        _ => "",
    };
    if !whole.is_empty() {
        return Some(whole.to_owned());
    }
    let (layer, rest) = name.strip_prefix("layers.")?.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let (part, kind) = rest.rsplit_once('.')?;
    if !["weight", "bias"].contains(&kind) {
        return None;
    }
    let part = match part {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        "post_attention_layernorm" if post_norms => "post_attention_norm",
        "post_attention_layernorm" => "ffn_norm",
        "pre_feedforward_layernorm" if post_norms => "ffn_norm",
        "post_feedforward_layernorm" if post_norms => "post_ffw_norm",
        _ => return None,
    };
    Some(format!("blk.{layer}.{part}.{kind}"))
}

/// Whether a tensor holds what is computed anew wherever it is needed.
pub fn is_computed(name: &str) -> bool {
    ["rotary_emb.inv_freq", "attn.masked_bias", "attn.bias"].iter().any(|end| name.ends_with(end))
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
    use super::*;

    #[test]
    fn names_have_their_places() {
        let at = |name: &str, post| place(name, post).unwrap_or_default();
        assert_eq!(at("model.embed_tokens.weight", false), "token_embd.weight");
        assert_eq!(at("model.layers.12.self_attn.q_proj.bias", false), "blk.12.attn_q.bias");
        let norm = "model.layers.0.post_attention_layernorm.weight";
        assert_eq!(at(norm, false), "blk.0.ffn_norm.weight");
        assert_eq!(at(norm, true), "blk.0.post_attention_norm.weight");
        for odd in ["model.layers.x.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.zeros", "x"] {
            assert_eq!(place(odd, false), None);
        }
        let mut names = ["output.weight", "blk.10.a", "blk.2.b", "token_embd.weight"];
        names.sort_by_cached_key(|name| order(name));
        assert_eq!(names, ["token_embd.weight", "blk.2.b", "blk.10.a", "output.weight"]);
    }
}
