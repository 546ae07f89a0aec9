//! The model as a GGUF file of F32 tensors. Its metadata are those that converting the model's
//! Hugging Face export gives, so that both exports of a run describe one model.

use crate::Error;
use crate::hugging_face;
use crate::parameters::Parameters;
use crate::shape::ModelShape;
use std::io::Write;
use std::sync::Arc;
use wright_model::gguf_writer::{GgufHeader, TensorHeader, WriteError};
use wright_model::{DType, Model, convert};

/// Header of the file of a model of this shape, without a vocabulary.
///
/// # Errors
/// If the numbers do not fit each other.
pub fn header(shape: &ModelShape, name: &str) -> Result<GgufHeader, Error> {
    shape.check()?;
    let config = hugging_face::config(shape, None, None);
    let mut header = convert::metadata(&config, name, shape.n_vocab, DType::F32)?;
    let tensor = |spec: crate::shape::TensorSpec| TensorHeader {
        name: spec.name,
        dims: spec.dims,
        dtype: DType::F32,
    };
    header.tensors = shape.tensors().into_iter().map(tensor).collect();
    Ok(header)
}

/// Writes a whole file.
///
/// # Errors
/// If a weight is not finite, or writing fails.
pub fn write(to: &mut dyn Write, header: &GgufHeader, weights: &Parameters) -> Result<(), Error> {
    let values = |index: usize| weights.values[weights.range(index)].to_vec();
    header.write(to, &values).map_err(|error| match error {
        WriteError::Model(error) => Error::Model(error),
        WriteError::Write(error) => Error::Write(error),
        WriteError::Stopped => Error::Write(std::io::ErrorKind::Interrupted.into()),
    })
}

impl ModelShape {
    /// The model without its weights: all zero, and never touched, so that they take no memory.
    ///
    /// # Errors
    /// If the numbers do not fit each other.
    pub fn skeleton(&self) -> Result<Model, Error> {
        let header = header(self, "training")?;
        let head = header.encode()?;
        let data_bytes = usize::try_from(header.data_bytes()?)
            .map_err(|_| Error::Shape("the weights do not fit the address space".into()))?;
        let mut bytes = vec![0u8; head.len() + data_bytes];
        bytes[..head.len()].copy_from_slice(&head);
        Ok(Model::from_gguf(Arc::new(bytes))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{Family, preset};
    use wright_model::Gguf;
    use wright_model::safetensors::Safetensors;

    /// What `wright convert` writes of a run's Hugging Face export, and what the run writes
    /// itself: the same metadata, tensors and values.
    #[test]
    fn a_run_writes_the_file_that_converting_its_export_gives() {
        for family in Family::ALL {
            let mut shape = preset("0.5m").expect("a preset");
            shape.family = family;
            shape.n_layer = 2;
            if family == Family::Gpt2 {
                shape.n_kv_head = shape.n_head;
            }
            let model = shape.skeleton().expect("a shape that fits together");
            let weights = Parameters::initial(&model, &shape.tensors(), 7);
            let mut ours = Vec::new();
            write(&mut ours, &header(&shape, "name").expect("a header"), &weights)
                .expect("written");

            let mut export = Vec::new();
            hugging_face::write_safetensors(&mut export, &shape, &weights).expect("written");
            let parsed = [Safetensors::parse(&export).expect("safetensors")];
            let config = hugging_face::config(&shape, None, None);
            let conversion =
                convert::plan(&config, "name", &parsed, Some(DType::F32)).expect("a plan");
            let mut theirs = Vec::new();
            convert::write(&conversion, &[&export], &mut theirs, &mut |_| true).expect("written");

            let parse = |bytes: &[u8]| {
                let bytes: Arc<dyn wright_model::Bytes> = Arc::new(bytes.to_vec());
                Gguf::parse(&bytes).expect("a GGUF file")
            };
            let (a, b) = (parse(&ours), parse(&theirs));
            let metadata = |gguf: &Gguf| format!("{:#?}", gguf.metadata);
            assert_eq!(metadata(&a), metadata(&b), "{family:?}");
            assert_eq!(a.tensors.len(), b.tensors.len());
            for tensor in &a.tensors {
                let same = b.tensors.iter().find(|t| t.name == tensor.name);
                let same = same.unwrap_or_else(|| panic!("{family:?}: {}", tensor.name));
                assert_eq!((&tensor.dims, tensor.dtype), (&same.dims, same.dtype));
                let values = (&ours[tensor.at.clone()], &theirs[same.at.clone()]);
                // Norms stored less one are rounded once on their way.
                let is_shifted = family == Family::Gemma3 && tensor.dims.len() == 1;
                assert!(values.0 == values.1 || is_shifted, "{family:?}: {}", tensor.name);
            }
        }
    }
}
