//! A model that is split over several files is the model in one file.

mod tiny;

use std::sync::Arc;
use tiny::{Random, Tiny, run, session};
use wright_kernels::DType;
use wright_model::gguf_writer::{Field, GgufHeader, TensorHeader};
use wright_model::{Bytes, Gguf, Model, Precision};

/// The file cut into parts of so many tensors.
fn split(whole: &[u8], at_most: usize) -> Vec<Arc<dyn Bytes>> {
    let bytes: Arc<dyn Bytes> = Arc::new(whole.to_vec());
    let gguf = Gguf::parse(&bytes).unwrap();
    let parts: Vec<_> = gguf.tensors.chunks(at_most).collect();
    let mut files: Vec<Arc<dyn Bytes>> = Vec::new();
    for (no, tensors) in parts.iter().enumerate() {
        let mut header = match no {
            0 => GgufHeader::like(&gguf.metadata, gguf.alignment),
            _ => GgufHeader::new(),
        };
        header.set("split.no", &Field::U16(no as u16));
        header.set("split.count", &Field::U16(parts.len() as u16));
        header.set("split.tensors.count", &Field::U32(gguf.tensors.len() as u32));
        for t in *tensors {
            let (name, dims) = (t.name.clone(), t.dims.clone());
            header.tensors.push(TensorHeader { name, dims, dtype: t.dtype });
        }
        let mut file = header.encode().unwrap();
        for t in *tensors {
            file.extend(&whole[t.at.clone()]);
            file.extend(vec![0; header.padding(t.at.len())]);
        }
        files.push(Arc::new(file));
    }
    files
}

#[test]
fn parts_give_the_logits_of_the_whole() {
    let tiny = Tiny::llama(DType::Q4_1);
    let whole = tiny.model();
    let parts = split(&tiny.bytes(), 5);
    assert!(parts.len() > 2);
    let model = Arc::new(Model::from_parts(parts.clone()).unwrap());
    let ids = Random(1).ids(40, whole.n_vocab());
    let logits = |model| run(&mut session(model, Precision::Fast, 2), 0, &ids, 40);
    assert!(logits(&whole) == logits(&model));
    for wrong in [
        vec![parts[0].clone()],
        vec![parts[1].clone(), parts[0].clone()],
        parts[..2].to_vec(),
        vec![parts[0].clone(); parts.len()],
        Vec::new(),
    ] {
        let error = Model::from_parts(wrong).unwrap_err();
        assert!(!error.hint().is_empty(), "{error}");
    }
}
