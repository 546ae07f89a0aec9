//! A model: a parsed file whose parts have been found, with its weights where they lie.

use crate::config::{Config, Kind, Pooling};
use crate::gguf::{Gguf, TensorInfo};
use crate::metadata::Metadata;
use crate::network::{Bank, Network, WeightId};
use crate::{Bytes, Error};
use std::sync::Arc;
use wright_kernels::{Matrix, dequantize};

/// A model ready to run. Weights are read from the file's bytes, which it keeps alive.
pub struct Model {
    /// The file, or the parts of a split one.
    parts: Vec<Arc<dyn Bytes>>,
    gguf: Gguf,
    config: Config,
    network: Network,
    /// Values of small tensors (norms, biases), by [`WeightId`].
    vectors: Vec<Option<Box<[f32]>>>,
}

impl Model {
    /// Reads the header, the numbers and the table of tensors. No weight matrix is touched.
    ///
    /// # Errors
    /// If the file is damaged or not a supported model; see [`Error`].
    pub fn from_gguf(bytes: Arc<dyn Bytes>) -> Result<Model, Error> {
        Model::from_parts(vec![bytes])
    }

    /// As [`Model::from_gguf`], of a model that is split over several files, in their order.
    ///
    /// # Errors
    /// As [`Model::from_gguf`], and if the parts are not those of one model.
    pub fn from_parts(parts: Vec<Arc<dyn Bytes>>) -> Result<Model, Error> {
        let gguf = Gguf::parse_parts(&parts)?;
        let config = Config::read(&gguf.metadata, gguf.tensors.len())?;
        let vector = |id: WeightId| values(&gguf.tensors[id.index()], &parts);
        let network = Network::bind(&config, &gguf.tensors, vector)?;
        // Biases of experts have two dimensions.
        let is_vector = |t: &TensorInfo| {
            let is_affine = [".bias", "_norm.weight"].iter().any(|end| t.name.ends_with(end));
            t.dims.len() == 1 || is_affine
        };
        let vectors = gguf.tensors.iter().map(|t| is_vector(t).then(|| values(t, &parts).into()));
        let vectors = vectors.collect();
        Ok(Model { parts, gguf, config, network, vectors })
    }

    pub fn metadata(&self) -> &Metadata {
        &self.gguf.metadata
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The tensors of the file, in its order; a [`WeightId`] is an index.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.gguf.tensors
    }

    /// Handles of the tensors, in the same order.
    pub fn weight_ids(&self) -> impl ExactSizeIterator<Item = WeightId> {
        (0..self.gguf.tensors.len() as u32).map(WeightId)
    }

    /// Version of the container and alignment of its tensors.
    pub fn gguf(&self) -> &Gguf {
        &self.gguf
    }

    /// Tokens in the vocabulary: width of the logits.
    pub fn n_vocab(&self) -> usize {
        self.network.n_vocab
    }

    /// How the vectors of a text's tokens become one: as the file says, or by the classifier, or
    /// else what is usual for its kind.
    pub fn pooling(&self) -> Pooling {
        match (self.config.pooling, self.config.family.kind) {
            (Pooling::None, _) if self.network.classifier.is_some() => Pooling::Rank,
            (Pooling::None, Kind::Encoder) => Pooling::Mean,
            (Pooling::None, Kind::Decoder) => Pooling::Last,
            (named, _) => named,
        }
    }

    /// The context length that the model was trained with.
    pub fn n_ctx_train(&self) -> u32 {
        self.config.n_ctx_train
    }

    /// A weight as it lies in the file: rows of all outer dimensions together.
    pub fn matrix(&self, id: WeightId) -> Matrix<'_> {
        let info = &self.gguf.tensors[id.index()];
        let bytes = &(*self.parts[info.part]).as_ref()[info.at.clone()];
        Matrix { dtype: info.dtype, n: info.n(), k: info.k(), bytes }
    }

    /// The matrix of one head or expert.
    ///
    /// # Panics
    /// If there is no such one.
    pub fn matrix_of(&self, bank: &Bank, index: usize) -> Matrix<'_> {
        let whole = self.matrix(bank.weight);
        let len = whole.row_bytes() * bank.n_out;
        let bytes = &whole.bytes[index * len..(index + 1) * len];
        Matrix { n: bank.n_out, bytes, ..whole }
    }

    /// The bias of one head or expert.
    pub fn bias_of(&self, bank: &Bank, index: usize) -> Option<&[f32]> {
        let all = self.vector(bank.bias?);
        Some(&all[index * bank.n_out..(index + 1) * bank.n_out])
    }

    /// The values of a tensor of one dimension, or of a bias.
    ///
    /// # Panics
    /// If the tensor is another.
    pub fn vector(&self, id: WeightId) -> &[f32] {
        self.vectors[id.index()].as_deref().expect("bound as a vector or bias")
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({} {:?})", self.config.arch, self.config.name)
    }
}

fn values(info: &TensorInfo, parts: &[Arc<dyn Bytes>]) -> Vec<f32> {
    let file = (*parts[info.part]).as_ref();
    let mut values = vec![0.0; info.n_values()];
    dequantize(info.dtype, &file[info.at.clone()], &mut values);
    values
}
