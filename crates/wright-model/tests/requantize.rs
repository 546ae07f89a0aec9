//! A rewritten file holds, tensor by tensor, what each gives by itself: on any number of threads,
//! wherever pieces begin and end.

use std::sync::Arc;
use wright_kernels::{DType, Isa, quantize};
use wright_model::gguf_writer::{Field, GgufHeader, TensorHeader, WriteError};
use wright_model::requantize::{plan, rewrite};
use wright_model::type_mix::{FileType, MixOptions};
use wright_model::{Bytes, Gguf, Pool};

/// Name, rows, K. The third is larger than several pieces; before and behind it one leaves bytes of
/// nothing behind itself in blocks of 18 bytes.
const TENSORS: [(&str, usize, usize); 5] = [
    ("blk.0.attn_norm.weight", 1, 64),
    ("blk.0.attn_q.weight", 3, 64),
    ("blk.0.ffn_up.weight", 4200, 2048),
    ("blk.0.attn_k.weight", 201, 64),
    ("blk.0.attn_v.weight", 1, 32),
];

fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A file of F32, and its values by tensor.
fn source() -> (Vec<u8>, Vec<Vec<f32>>) {
    let mut head = GgufHeader::new();
    head.set("general.architecture", &Field::Str("llama".into()));
    for (name, n, k) in TENSORS {
        let dims = if n == 1 { vec![k] } else { vec![k, n] };
        head.tensors.push(TensorHeader { name: name.into(), dims, dtype: DType::F32 });
    }
    let all: Vec<Vec<f32>> = (1..).zip(TENSORS).map(|(i, (_, n, k))| values(n * k, i)).collect();
    let mut file = head.encode().unwrap();
    for values in &all {
        let at = file.len();
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        file.resize(file.len() + head.padding(file.len() - at), 0);
    }
    (file, all)
}

fn parse(file: &[u8]) -> Gguf {
    let bytes: Arc<dyn Bytes> = Arc::new(file.to_vec());
    Gguf::parse(&bytes).unwrap()
}

/// `file` as Q4_0 on so many threads; `goes_on` is asked after each step.
fn rewritten(
    file: &[u8],
    threads: usize,
    goes_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Vec<u8>, WriteError> {
    let gguf = parse(file);
    let options = MixOptions { pure: true, ..MixOptions::default() };
    let plan = plan(&gguf, FileType::find("Q4_0").unwrap(), &options)?;
    let mut out = Vec::new();
    let mut next = gguf.tensors[0].at.start;
    let mut watch = |step: wright_model::requantize::Step<'_>| {
        assert!(step.released.start >= next, "what is released is not read again");
        next = step.released.end;
        goes_on(step.done)
    };
    rewrite(&Pool::new(threads), &gguf, file, &plan, None, &mut out, &mut watch)?;
    Ok(out)
}

#[test]
fn each_tensor_is_what_it_is_alone() {
    let (file, all) = source();
    let mut done = 0;
    let out = rewritten(&file, 3, &mut |so_far| {
        assert!(so_far > done);
        done = so_far;
        true
    });
    let out = out.unwrap();
    assert_eq!(done as usize, all.iter().map(Vec::len).sum::<usize>());
    let gguf = parse(&out);
    assert_eq!(gguf.tensors.len(), TENSORS.len());
    for ((tensor, values), (name, n, k)) in gguf.tensors.iter().zip(&all).zip(TENSORS) {
        assert_eq!(tensor.name, name);
        let wanted: Vec<u8> = match n {
            1 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            _ => {
                let mut bytes = vec![0; n * DType::Q4_0.row_bytes(k).unwrap()];
                quantize(Isa::detect(), DType::Q4_0, k, values, None, &mut bytes).unwrap();
                bytes
            }
        };
        assert!(out[tensor.at.clone()] == wanted, "{name}");
    }
    let mut gaps = 0;
    for pair in gguf.tensors.windows(2) {
        let gap = &out[pair[0].at.end..pair[1].at.start];
        assert!(gap.iter().all(|&byte| byte == 0), "nothing is behind {}", pair[0].name);
        gaps += usize::from(!gap.is_empty());
    }
    assert_eq!(gaps, 2);
    assert!(rewritten(&file, 1, &mut |_| true).unwrap() == out, "one thread makes the same file");
}

#[test]
fn the_first_value_that_is_no_number_is_named() {
    let (mut file, _) = source();
    let gguf = parse(&file);
    for (tensor, value) in [(3, 70), (2, 5 * 2048 + 7), (2, 4100 * 2048)] {
        let at = gguf.tensors[tensor].at.start + 4 * value;
        file[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let error = rewritten(&file, 3, &mut |_| true).unwrap_err().to_string();
    assert!(error.contains("ffn_up") && error.contains("row 5, column 7"), "{error}");
}

#[test]
fn a_stop_request_is_obeyed() {
    let (file, _) = source();
    let stopped = rewritten(&file, 2, &mut |_| false);
    assert!(matches!(stopped, Err(WriteError::Stopped)));
}
