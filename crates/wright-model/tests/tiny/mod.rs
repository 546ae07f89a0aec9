//! Writes tiny GGUF files with random weights in any format, for tests.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;
use wright_kernels::{DType, Isa, QuantizeError, f32_to_f16, quantize};
use wright_model::{Batch, Model, Precision, Segment, SeqId, Session, SessionOptions, Want};

/// Random numbers that are the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // Steele, Lea and Flood 2014: SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// About normal, of standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        let sum: f32 = (0..12).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32).sum();
        sum - 6.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn ids(&mut self, len: usize, n_vocab: usize) -> Vec<u32> {
        (0..len).map(|_| self.below(n_vocab) as u32).collect()
    }
}

/// A GGUF file in the making.
pub struct Writer {
    version: u32,
    pairs: Vec<u8>,
    n_pairs: u64,
    infos: Vec<u8>,
    n_tensors: u64,
    data: Vec<u8>,
}

impl Writer {
    pub fn new(arch: &str) -> Writer {
        let mut writer = Writer {
            version: 3,
            pairs: Vec::new(),
            n_pairs: 0,
            infos: Vec::new(),
            n_tensors: 0,
            data: Vec::new(),
        };
        writer.str("general.architecture", arch);
        writer
    }

    /// A value of GGUF's type `of` with these bytes.
    pub fn pair(&mut self, key: &str, of: u32, value: &[u8]) -> &mut Self {
        string(&mut self.pairs, key);
        self.pairs.extend(of.to_le_bytes());
        self.pairs.extend(value);
        self.n_pairs += 1;
        self
    }

    pub fn str(&mut self, key: &str, value: &str) -> &mut Self {
        let mut bytes = Vec::new();
        string(&mut bytes, value);
        self.pair(key, 8, &bytes)
    }

    pub fn u32(&mut self, key: &str, value: u32) -> &mut Self {
        self.pair(key, 4, &value.to_le_bytes())
    }

    pub fn f32(&mut self, key: &str, value: f32) -> &mut Self {
        self.pair(key, 6, &value.to_le_bytes())
    }

    pub fn strings(&mut self, key: &str, values: &[&str]) -> &mut Self {
        let mut bytes = 8u32.to_le_bytes().to_vec();
        bytes.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|v| string(&mut bytes, v));
        self.pair(key, 9, &bytes)
    }

    /// A tensor whose bytes are given; `id` is ggml's number of its type.
    pub fn raw(&mut self, name: &str, dims: &[u64], id: u32, bytes: &[u8]) -> &mut Self {
        string(&mut self.infos, name);
        self.infos.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|d| self.infos.extend(d.to_le_bytes()));
        self.infos.extend(id.to_le_bytes());
        self.infos.extend((self.data.len() as u64).to_le_bytes());
        self.n_tensors += 1;
        self.data.extend(bytes);
        self.data.resize(self.data.len().next_multiple_of(32), 0);
        self
    }

    pub fn tensor(&mut self, name: &str, dims: &[usize], dtype: DType, x: &[f32]) -> &mut Self {
        let row_bytes = dtype.row_bytes(dims[0]).unwrap();
        let mut bytes = vec![0; x.len() / dims[0] * row_bytes];
        match quantize(Isa::detect(), dtype, dims[0], x, None, &mut bytes) {
            Err(QuantizeError::ReadOnly { .. }) => {
                let scale = x.iter().fold(0f32, |max, x| max.max(x.abs()));
                random_blocks(dtype, scale, x.len() as u64, &mut bytes);
            }
            done => done.unwrap(),
        }
        let dims: Vec<u64> = dims.iter().map(|&d| d as u64).collect();
        self.raw(name, &dims, dtype.ggml_id(), &bytes)
    }

    pub fn finish(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.n_tensors.to_le_bytes());
        out.extend(self.n_pairs.to_le_bytes());
        out.extend(&self.pairs);
        out.extend(&self.infos);
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&self.data);
        out
    }
}

/// Blocks of a format that has no writer here: any bits, and a scale that makes values of about
/// the right size.
fn random_blocks(dtype: DType, scale: f32, seed: u64, bytes: &mut [u8]) {
    let mut random = Random(seed);
    bytes.iter_mut().for_each(|byte| *byte = random.next() as u8);
    let largest = match dtype {
        DType::IQ3XXS | DType::IQ3S => 480.0,
        DType::IQ2XXS | DType::IQ2XS | DType::IQ2S => 170.0,
        DType::IQ1S | DType::IQ1M => 17.0,
        _ => 1.0,
    };
    let d = f32_to_f16(scale / largest).to_le_bytes();
    for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
        match dtype {
            DType::TQ1_0 => block[52..54].copy_from_slice(&d),
            DType::TQ2_0 => block[64..66].copy_from_slice(&d),
            DType::MXFP4 => block[0] = 122 + block[0] % 3,
            DType::IQ1M => {
                // Its scale lies in the upper nibbles of four words.
                for (i, word) in block[48..56].chunks_exact_mut(2).enumerate() {
                    let nibble = u16::from_le_bytes(d) >> (4 * i) & 15;
                    word[1] = word[1] & 15 | (nibble as u8) << 4;
                }
            }
            _ => block[..2].copy_from_slice(&d),
        }
    }
}

fn string(out: &mut Vec<u8>, s: &str) {
    out.extend((s.len() as u64).to_le_bytes());
    out.extend(s.as_bytes());
}

/// What a tiny model is like.
#[derive(Clone, Copy)]
pub struct Tiny {
    pub arch: &'static str,
    pub n_layer: usize,
    pub n_embd: usize,
    pub n_head: usize,
    pub n_kv_head: usize,
    pub head_dim: usize,
    pub n_ff: usize,
    pub n_vocab: usize,
    pub window: u32,
    pub dtype: DType,
    /// Biases, fused projections, sinks, ALiBi and soft caps, which no family has together.
    pub everything: bool,
    /// Three of so many experts beside one that is shared.
    pub n_expert: usize,
}

impl Tiny {
    /// A llama of two layers.
    pub fn llama(dtype: DType) -> Tiny {
        Tiny {
            arch: "llama",
            n_layer: 2,
            n_embd: if dtype.block_len() > 32 { 256 } else { 64 },
            n_head: 4,
            n_kv_head: 2,
            head_dim: if dtype.block_len() > 32 { 64 } else { 16 },
            n_ff: if dtype.block_len() > 32 { 512 } else { 96 },
            n_vocab: 72,
            window: 0,
            dtype,
            everything: false,
            n_expert: 0,
        }
    }

    /// A gemma3 with a window that is not a multiple of a block.
    pub fn gemma3(dtype: DType) -> Tiny {
        Tiny { arch: "gemma3", n_layer: 7, window: 70, ..Tiny::llama(dtype) }
    }

    pub fn everything(dtype: DType) -> Tiny {
        Tiny { everything: true, ..Tiny::llama(dtype) }
    }

    pub fn experts(dtype: DType) -> Tiny {
        Tiny { arch: "qwen2moe", n_expert: 7, ..Tiny::llama(dtype) }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut w = Writer::new(self.arch);
        let key = |name: &str| format!("{}.{name}", self.arch);
        w.u32(&key("block_count"), self.n_layer as u32)
            .u32(&key("context_length"), 512)
            .u32(&key("embedding_length"), self.n_embd as u32)
            .u32(&key("feed_forward_length"), self.n_ff as u32)
            .u32(&key("attention.head_count"), self.n_head as u32)
            .u32(&key("attention.head_count_kv"), self.n_kv_head as u32)
            .u32(&key("attention.key_length"), self.head_dim as u32)
            .u32(&key("attention.value_length"), self.head_dim as u32)
            .f32(&key("attention.layer_norm_rms_epsilon"), 1e-5)
            .f32(&key("rope.freq_base"), 10000.0);
        if self.window > 0 {
            w.u32(&key("attention.sliding_window"), self.window);
        }
        if self.everything {
            w.f32(&key("attn_logit_softcapping"), 5.0)
                .f32(&key("final_logit_softcapping"), 20.0)
                .f32(&key("attention.max_alibi_bias"), 8.0)
                .f32(&key("logit_scale"), 0.5);
        }
        if self.n_expert > 0 {
            w.u32(&key("expert_count"), self.n_expert as u32).u32(&key("expert_used_count"), 3);
        }
        w.strings("tokenizer.ggml.tokens", &["a", "b", "ß"]);
        self.tensors(&mut w);
        w.finish()
    }

    fn tensors(&self, w: &mut Writer) {
        let mut random = Random(7);
        let mut fill = |n: usize, scale: f32, centre: f32| -> Vec<f32> {
            (0..n).map(|_| centre + scale * random.normal()).collect()
        };
        let mut matrix = |w: &mut Writer, name: &str, k: usize, n: usize| {
            let values = fill(k * n, 1.2 / (k as f32).sqrt(), 0.0);
            w.tensor(name, &[k, n], self.dtype, &values);
        };
        let (q, kv) = (self.n_head * self.head_dim, self.n_kv_head * self.head_dim);
        let (d, ff) = (self.n_embd, self.n_ff);
        matrix(w, "token_embd.weight", d, self.n_vocab);
        for layer in 0..self.n_layer {
            let mut put = |w: &mut Writer, name: &str, k: usize, n: usize| {
                matrix(w, &format!("blk.{layer}.{name}.weight"), k, n);
            };
            if self.everything {
                put(w, "attn_qkv", d, q + 2 * kv);
                put(w, "ffn_up", d, 2 * ff);
            } else {
                put(w, "attn_q", d, q);
                put(w, "attn_k", d, kv);
                put(w, "attn_v", d, kv);
                if self.n_expert == 0 {
                    put(w, "ffn_gate", d, ff);
                    put(w, "ffn_up", d, ff);
                }
            }
            put(w, "attn_output", q, d);
            if self.n_expert == 0 {
                put(w, "ffn_down", ff, d);
            } else {
                put(w, "ffn_gate_shexp", d, ff);
                put(w, "ffn_up_shexp", d, ff);
                put(w, "ffn_down_shexp", ff, d);
            }
        }
        self.experts_of_layers(w);
        let mut random = Random(8);
        let mut vector = |w: &mut Writer, name: &str, n: usize, centre: f32| {
            let values: Vec<f32> = (0..n).map(|_| centre + 0.2 * random.normal()).collect();
            w.tensor(name, &[n], DType::F32, &values);
        };
        vector(w, "output_norm.weight", d, 1.0);
        for layer in 0..self.n_layer {
            let mut put = |w: &mut Writer, name: &str, n: usize, centre: f32| {
                vector(w, &format!("blk.{layer}.{name}"), n, centre);
            };
            put(w, "attn_norm.weight", d, 1.0);
            put(w, "ffn_norm.weight", d, 1.0);
            if self.arch == "gemma3" {
                put(w, "attn_q_norm.weight", self.head_dim, 1.0);
                put(w, "attn_k_norm.weight", self.head_dim, 1.0);
                put(w, "post_attention_norm.weight", d, 1.0);
                put(w, "post_ffw_norm.weight", d, 1.0);
            }
            if self.everything {
                put(w, "attn_qkv.bias", q + 2 * kv, 0.0);
                put(w, "attn_output.bias", d, 0.0);
                put(w, "ffn_up.bias", 2 * ff, 0.0);
                put(w, "ffn_down.bias", d, 0.0);
                put(w, "attn_sinks.weight", self.n_head, 0.0);
            }
        }
    }

    fn experts_of_layers(&self, w: &mut Writer) {
        let (d, ff, n) = (self.n_embd, self.n_ff, self.n_expert);
        let mut random = Random(9);
        for layer in (0..self.n_layer).filter(|_| n > 0) {
            let mut put = |w: &mut Writer, name: &str, dims: &[usize], dtype: DType| {
                let scale = 1.2 / (dims[0] as f32).sqrt();
                let len = dims.iter().product();
                let values: Vec<f32> = (0..len).map(|_| scale * random.normal()).collect();
                w.tensor(&format!("blk.{layer}.{name}.weight"), dims, dtype, &values);
            };
            put(w, "ffn_gate_inp", &[d, n], DType::F32);
            put(w, "ffn_gate_inp_shexp", &[d], DType::F32);
            put(w, "ffn_gate_exps", &[d, ff, n], self.dtype);
            put(w, "ffn_up_exps", &[d, ff, n], self.dtype);
            put(w, "ffn_down_exps", &[ff, d, n], self.dtype);
        }
    }

    pub fn model(&self) -> Arc<Model> {
        Arc::new(Model::from_gguf(Arc::new(self.bytes())).unwrap())
    }
}

pub fn session(model: &Arc<Model>, precision: Precision, threads: usize) -> Session {
    let options =
        SessionOptions { precision, threads, n_ctx: 256, n_seq: 4, ..SessionOptions::default() };
    Session::new(Arc::clone(model), options).unwrap()
}

/// Runs `ids` of `seq` in chunks of `chunk`, and returns the logits of all of them.
pub fn run(session: &mut Session, seq: u32, ids: &[u32], chunk: usize) -> Vec<f32> {
    let mut all = Vec::new();
    for ids in ids.chunks(chunk) {
        let pos = session.len(SeqId(seq)) as u32;
        let segment = Segment { seq: SeqId(seq), pos, ids, want: Want::All };
        let logits = session.forward(&Batch { segments: &[segment] }).unwrap();
        all.extend(logits.rows().flatten());
    }
    all
}

/// The largest difference, as a part of the largest value of `want`.
pub fn worst(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let max = want.iter().fold(0f32, |m, x| m.max(x.abs()));
    got.iter().zip(want).fold(0f32, |m, (g, w)| m.max((g - w).abs())) / max
}
