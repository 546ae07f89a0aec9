//! Which tensor of a model is stored in which type, for each of llama.cpp's file types.
//!
//! The rules are llama.cpp's (`src/llama-quant.cpp`, as of `llama-cpp-python` 0.3.36), so that a
//! `Q4_K_M` from here is what everyone means by that name: the same type for every tensor.
//! `cargo xtask bench-quantize` compares them. Types that Wright does not write (IQ1 to IQ3, TQ,
//! MXFP4) are left out.

use crate::gguf::{Gguf, TensorInfo};
use crate::metadata::Metadata;
use wright_kernels::DType;

/// A file type: a base format and how it is mixed with better ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileType {
    pub name: &'static str,
    /// `general.file_type`.
    pub id: u32,
    /// The type of tensors that no rule mentions.
    pub base: DType,
}

const fn file_type(name: &'static str, id: u32, base: DType) -> FileType {
    FileType { name, id, base }
}

/// Every file type that can be written, from the largest to the smallest.
pub const FILE_TYPES: &[FileType] = &[
    file_type("F32", 0, DType::F32),
    file_type("F16", 1, DType::F16),
    file_type("BF16", 32, DType::BF16),
    file_type("Q8_0", 7, DType::Q8_0),
    file_type("Q6_K", 18, DType::Q6K),
    file_type("Q5_K_M", 17, DType::Q5K),
    file_type("Q5_K_S", 16, DType::Q5K),
    file_type("Q5_1", 9, DType::Q5_1),
    file_type("Q5_0", 8, DType::Q5_0),
    file_type("Q4_K_M", 15, DType::Q4K),
    file_type("Q4_K_S", 14, DType::Q4K),
    file_type("Q4_1", 3, DType::Q4_1),
    file_type("Q4_0", 2, DType::Q4_0),
    file_type("IQ4_NL", 25, DType::IQ4NL),
    file_type("IQ4_XS", 30, DType::IQ4XS),
    file_type("Q3_K_L", 13, DType::Q3K),
    file_type("Q3_K_M", 12, DType::Q3K),
    file_type("Q3_K_S", 11, DType::Q3K),
    file_type("Q2_K", 10, DType::Q2K),
    file_type("Q2_K_S", 21, DType::Q2K),
];

impl FileType {
    /// By name in any case; `Q4_K` is `Q4_K_M`, as with llama.cpp.
    pub fn find(name: &str) -> Option<FileType> {
        let name = name.to_ascii_uppercase();
        let full = match name.as_str() {
            "Q3_K" | "Q4_K" | "Q5_K" => format!("{name}_M"),
            _ => name,
        };
        FILE_TYPES.iter().copied().find(|t| t.name == full)
    }

    fn is(self, names: &[&str]) -> bool {
        names.contains(&self.name)
    }
}

/// How a file differs from what its type prescribes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MixOptions {
    /// The base type for every matrix, without better types for some.
    pub pure: bool,
    pub has_importance: bool,
    /// Of the head.
    pub output: Option<DType>,
    /// Of the token embeddings.
    pub embedding: Option<DType>,
    /// (part of a tensor's name, type); the first that fits counts.
    pub named: Vec<(String, DType)>,
}

/// The type of each tensor of `gguf`, in its order.
pub fn tensor_types(gguf: &Gguf, file_type: FileType, options: &MixOptions) -> Vec<DType> {
    let mut chooser = Chooser::new(gguf, file_type, options);
    // Rules count layers in this order, whatever the order of the file.
    let mut order: Vec<usize> = (0..gguf.tensors.len()).collect();
    let key = |i: &usize| (layer_of(&gguf.tensors[*i].name), &gguf.tensors[*i].name);
    order.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut types: Vec<DType> = gguf.tensors.iter().map(|t| t.dtype).collect();
    for index in order {
        types[index] = chooser.choose(&gguf.tensors[index]);
    }
    types
}

/// The layer in a tensor's name; -1 if it belongs to none.
fn layer_of(name: &str) -> i64 {
    let number = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next());
    number.and_then(|n| n.parse().ok()).unwrap_or(-1)
}

/// The role of a tensor, as far as the rules distinguish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Embedding,
    Output,
    /// Values, alone or fused with others.
    AttnV,
    AttnK,
    AttnOut,
    FfnDown,
    Other,
}

fn role_of(name: &str) -> Role {
    let has = |text: &str| name.contains(text);
    match name {
        "output.weight" => Role::Output,
        "token_embd.weight" | "per_layer_token_embd.weight" => Role::Embedding,
        _ if has("attn_qkv.weight") || has("attn_kv_b.weight") => Role::AttnV,
        _ if has("attn_v.weight") => Role::AttnV,
        _ if has("attn_k.weight") => Role::AttnK,
        _ if has("attn_output.weight") => Role::AttnOut,
        _ if has("ffn_down") => Role::FfnDown,
        _ => Role::Other,
    }
}

/// Names whose tensors keep their type: small, or not made for blocks.
const KEPT: &[&str] = &[
    "_norm.weight",
    "ffn_gate_inp.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "attn_rel_b.weight",
    ".position_embd",
];

/// Whether a tensor is one whose type the file type decides.
fn is_quantised(tensor: &TensorInfo) -> bool {
    let name = tensor.name.as_str();
    tensor.dims.len() >= 2
        && name.ends_with("weight")
        && !KEPT.iter().any(|kept| name.contains(kept))
        && !["position_embd.weight", "token_types.weight"].contains(&name)
}

/// Layers that deserve more bits: the first and last eighth, and each third between.
fn is_precious(layer: usize, n_layer: usize) -> bool {
    let eighth = n_layer / 8;
    layer < eighth || layer >= 7 * n_layer / 8 || (layer - eighth) % 3 == 2
}

/// Walks over the tensors and counts those that rules count.
struct Chooser<'a> {
    file_type: FileType,
    options: &'a MixOptions,
    arch: &'a str,
    n_layer: usize,
    n_expert: usize,
    /// Query heads that share a key/value head.
    n_gqa: usize,
    /// llama.cpp's "70B": values are small there and get more bits.
    is_70b: bool,
    is_tied: bool,
    n_attn_v: usize,
    i_attn_v: usize,
    i_ffn_down: usize,
}

impl<'a> Chooser<'a> {
    fn new(gguf: &'a Gguf, file_type: FileType, options: &'a MixOptions) -> Chooser<'a> {
        let metadata = &gguf.metadata;
        let arch = metadata.str("general.architecture").unwrap_or_default();
        let n_layer = number(metadata, arch, "block_count").unwrap_or(0);
        let n_head = number(metadata, arch, "attention.head_count").unwrap_or(1);
        let n_kv_head = number(metadata, arch, "attention.head_count_kv").unwrap_or(n_head);
        let roles = gguf.tensors.iter().map(|t| role_of(&t.name));
        Chooser {
            file_type,
            options,
            arch,
            n_layer,
            n_expert: number(metadata, arch, "expert_count").unwrap_or(0),
            n_gqa: n_head.checked_div(n_kv_head).unwrap_or(0),
            is_70b: n_layer == 80 && (arch == "qwen2" || arch == "llama" && n_head != n_kv_head),
            is_tied: roles.clone().all(|role| role != Role::Output),
            n_attn_v: roles.filter(|&role| role == Role::AttnV).count(),
            i_attn_v: 0,
            i_ffn_down: 0,
        }
    }

    fn choose(&mut self, tensor: &TensorInfo) -> DType {
        if !is_quantised(tensor) {
            return tensor.dtype;
        }
        let role = role_of(&tensor.name);
        match role {
            Role::Embedding if self.options.embedding.is_some() => {
                return fitting(tensor, self.options.embedding.unwrap_or(tensor.dtype));
            }
            Role::Output if self.options.output.is_some() => {
                return fitting(tensor, self.options.output.unwrap_or(tensor.dtype));
            }
            _ => {}
        }
        let base = self.file_type.base;
        if base.is_float() {
            return base;
        }
        let named = self.options.named.iter().find(|(name, _)| tensor.name.contains(name));
        let wanted = match named {
            Some((_, dtype)) => *dtype,
            None if self.options.pure => base,
            None => self.mixed(tensor, role),
        };
        fitting(tensor, wanted)
    }

    /// The type by the rules of the mix.
    fn mixed(&mut self, tensor: &TensorInfo, role: Role) -> DType {
        let base = self.file_type.base;
        match role {
            Role::Output => self.head(tensor),
            Role::Embedding if self.is_tied => self.head(tensor),
            Role::AttnV => self.attn_v(),
            Role::AttnK if self.n_expert == 8 => DType::Q8_0,
            Role::FfnDown => self.ffn_down(tensor),
            Role::AttnOut => self.attn_out(),
            Role::Embedding | Role::AttnK | Role::Other => base,
        }
    }

    fn head(&self, tensor: &TensorInfo) -> DType {
        let base = self.file_type.base;
        match base {
            _ if self.options.output.is_some() => self.options.output.unwrap_or(base),
            _ if self.arch == "falcon" => DType::Q8_0,
            _ if !tensor.k().is_multiple_of(base.block_len()) => DType::Q8_0,
            DType::Q8_0 => DType::Q8_0,
            _ => DType::Q6K,
        }
    }

    fn attn_v(&mut self) -> DType {
        let layer = self.i_attn_v;
        self.i_attn_v += 1;
        let shared = self.n_gqa >= 4;
        let dtype = match self.file_type.name {
            "Q2_K" if shared => DType::Q4K,
            "Q2_K" => DType::Q3K,
            "Q2_K_S" if shared => DType::Q4K,
            "Q3_K_M" if layer < 2 => DType::Q5K,
            "Q3_K_M" => DType::Q4K,
            "Q3_K_L" => DType::Q5K,
            "IQ4_NL" | "IQ4_XS" if shared => DType::Q5K,
            "Q4_K_M" | "Q5_K_M" if is_precious(layer, self.n_attn_v) => DType::Q6K,
            "Q4_K_S" if layer < 4 => DType::Q5K,
            _ => self.file_type.base,
        };
        match dtype {
            _ if self.n_expert == 8 => DType::Q8_0,
            DType::Q3K | DType::Q4K if self.is_70b => DType::Q5K,
            _ => dtype,
        }
    }

    fn ffn_down(&mut self, tensor: &TensorInfo) -> DType {
        let n_layer = self.n_layer;
        let layer = match self.n_expert > 1 {
            true => usize::try_from(layer_of(&tensor.name)).unwrap_or(0),
            false => self.i_ffn_down,
        };
        self.i_ffn_down += 1;
        let is_early = layer < n_layer / 8;
        let is_falcon = self.arch == "falcon";
        match self.file_type.name {
            "Q2_K" => DType::Q3K,
            "Q2_K_S" if is_early => DType::Q4K,
            "Q3_K_M" if layer < n_layer / 16 => DType::Q5K,
            "Q3_K_M" if !is_falcon || is_precious(layer, n_layer) => DType::Q4K,
            "Q3_K_L" if is_falcon => DType::Q4K,
            "Q3_K_L" => DType::Q5K,
            "Q4_K_M" if is_falcon && layer < n_layer / 16 => DType::Q6K,
            "Q4_K_M" if is_falcon && is_precious(layer, n_layer) => DType::Q5K,
            "Q4_K_M" | "Q5_K_M" if !is_falcon && is_precious(layer, n_layer) => DType::Q6K,
            "Q5_K_M" if is_precious(layer, n_layer) => DType::Q6K,
            "IQ4_NL" | "IQ4_XS" if is_early && !self.options.has_importance => DType::Q5K,
            "Q4_K_S" if is_early && !is_falcon => DType::Q5K,
            "Q4_0" if is_early && self.options.has_importance => DType::Q4_1,
            "Q5_0" if is_early && self.options.has_importance => DType::Q5_1,
            _ => self.file_type.base,
        }
    }

    fn attn_out(&self) -> DType {
        let base = self.file_type.base;
        let small = ["Q2_K", "Q3_K_S", "Q3_K_M", "IQ4_NL", "IQ4_XS", "Q4_K_S", "Q4_K_M"];
        match self.file_type.name {
            "Q3_K_L" if self.arch == "falcon" => DType::Q4K,
            _ if self.arch == "falcon" => base,
            _ if self.n_expert == 8 && self.file_type.is(&small) => DType::Q5K,
            _ if self.n_expert == 8 => base,
            "Q2_K" => DType::Q3K,
            "Q3_K_M" => DType::Q4K,
            "Q3_K_L" => DType::Q5K,
            _ => base,
        }
    }
}

/// `wanted`, or what serves in its place for rows that are not whole blocks of it.
fn fitting(tensor: &TensorInfo, wanted: DType) -> DType {
    let fits = |dtype: DType| tensor.k().is_multiple_of(dtype.block_len());
    if fits(wanted) {
        return wanted;
    }
    let second = match wanted {
        DType::IQ4XS => DType::IQ4NL,
        DType::Q2K | DType::Q3K => DType::Q4_0,
        DType::Q4K => DType::Q5_0,
        DType::Q5K => DType::Q5_1,
        DType::Q6K => DType::Q8_0,
        other => other,
    };
    if fits(second) { second } else { DType::F16 }
}

/// A number under the architecture's name, or the first of an array of them.
fn number(metadata: &Metadata, arch: &str, key: &str) -> Option<usize> {
    let key = format!("{arch}.{key}");
    let first = || metadata.u32s(&key).and_then(|all| all.first().copied());
    metadata.u32(&key).or_else(first).map(|n| n as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, dims: &[usize]) -> TensorInfo {
        TensorInfo { name: name.into(), dims: dims.to_vec(), dtype: DType::F16, at: 0..0, part: 0 }
    }

    #[test]
    fn names_are_those_of_llama_cpp() {
        assert_eq!(FileType::find("q4_k").unwrap().name, "Q4_K_M");
        assert_eq!(FileType::find("Q8_0").unwrap().id, 7);
        assert_eq!(FileType::find("Q9"), None);
        for (i, a) in FILE_TYPES.iter().enumerate() {
            assert!(FILE_TYPES[i + 1..].iter().all(|b| b.id != a.id && b.name != a.name));
        }
    }

    #[test]
    fn rows_that_are_no_whole_blocks_get_another_type() {
        let narrow = tensor("blk.0.attn_q.weight", &[576, 576]);
        assert_eq!(fitting(&narrow, DType::Q4K), DType::Q5_0);
        assert_eq!(fitting(&narrow, DType::Q6K), DType::Q8_0);
        assert_eq!(fitting(&narrow, DType::Q3K), DType::Q4_0);
        assert_eq!(fitting(&tensor("x.weight", &[20, 4]), DType::Q4_0), DType::F16);
        assert_eq!(fitting(&tensor("x.weight", &[512, 4]), DType::Q4K), DType::Q4K);
    }

    #[test]
    fn norms_vectors_and_routers_keep_their_type() {
        for (name, dims) in [
            ("blk.0.attn_norm.weight", &[64, 64][..]),
            ("blk.0.attn_q.bias", &[64, 64]),
            ("blk.0.ffn_gate_inp.weight", &[64, 8]),
            ("position_embd.weight", &[64, 8]),
            ("blk.0.attn_q.weight", &[64]),
        ] {
            assert!(!is_quantised(&tensor(name, dims)), "{name}");
        }
        assert!(is_quantised(&tensor("blk.0.attn_q.weight", &[64, 64])));
    }

    #[test]
    fn an_eighth_at_each_end_and_each_third_between_are_precious() {
        let precious: Vec<usize> = (0..30).filter(|&i| is_precious(i, 30)).collect();
        assert_eq!(precious, [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29]);
    }
}
