//! A run's whole state as bytes: configuration, step, weights and moments.
//!
//! Layout: magic, version, length of a JSON description, the description, weights, first and
//! second moments as f32 little-endian, and a checksum of everything before it. Whoever writes
//! it to a disk should write to a new file and rename it over the old one.

use crate::Error;
use crate::shard::checksum;
use crate::trainer::Trainer;
use serde::{Deserialize, Serialize};
use std::io::Write;

const MAGIC: &[u8; 8] = b"WRTCKPT\0";
const VERSION: u32 = 1;

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The run's configuration, as TOML.
    pub config: String,
    /// Checksums of the shards that it learns from, in order.
    pub data: Vec<u64>,
    pub step: u64,
    pub n_values: usize,
    /// The guard's running means as bits, so that they are exact.
    usual_norm: u32,
    usual_loss: u64,
    n_skipped: u32,
    /// Under the name that the format has had from its beginning.
    #[serde(rename = "detour")]
    pub rollbacks: RollbackState,
}

/// What rollbacks changed in a run: the state that it has beside its trainer's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RollbackState {
    /// Rows that were left out, since the run diverged on them.
    pub rows_skipped: u64,
    /// What learning rates are multiplied with, as bits, so that it is exact.
    rate_scale: u32,
    pub n_rollbacks: u32,
}

impl Default for RollbackState {
    fn default() -> Self {
        RollbackState::new(0, 1.0, 0)
    }
}

impl RollbackState {
    pub(crate) fn new(rows_skipped: u64, rate_scale: f32, n_rollbacks: u32) -> RollbackState {
        RollbackState { rows_skipped, rate_scale: rate_scale.to_bits(), n_rollbacks }
    }

    pub fn rate_scale(&self) -> f32 {
        f32::from_bits(self.rate_scale)
    }
}

/// Passes bytes on and keeps their checksum, in pieces of fixed length.
struct Summed<'w> {
    to: &'w mut dyn Write,
    sum: u64,
}

impl Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sum = checksum(self.sum, bytes);
        Ok(self.to.write_all(bytes)?)
    }
}

/// Values that one piece of a checkpoint holds.
const PIECE: usize = 1 << 16;

/// Writes the state of a run; see [`crate::Run::write_checkpoint`].
pub(crate) fn write(
    to: &mut dyn Write,
    trainer: &Trainer,
    rollbacks: RollbackState,
    config: &str,
    data: &[u64],
) -> Result<(), Error> {
    let description = Description {
        config: config.to_owned(),
        data: data.to_vec(),
        step: trainer.step,
        n_values: trainer.parameters.values.len(),
        usual_norm: trainer.usual_norm.to_bits(),
        usual_loss: trainer.usual_loss.to_bits(),
        n_skipped: trainer.n_skipped,
        rollbacks,
    };
    let text = serde_json::to_vec(&description).map_err(|e| Error::Checkpoint(e.to_string()))?;
    let mut to = Summed { to, sum: 0 };
    to.write(MAGIC)?;
    to.write(&VERSION.to_le_bytes())?;
    to.write(&(text.len() as u64).to_le_bytes())?;
    to.write(&text)?;
    let [m, v] = &trainer.moments;
    for values in [&trainer.parameters.values, m, v] {
        for piece in values.chunks(PIECE) {
            let bytes: Vec<u8> = piece.iter().flat_map(|x| x.to_le_bytes()).collect();
            to.write(&bytes)?;
        }
    }
    let sum = to.sum;
    Ok(to.to.write_all(&sum.to_le_bytes())?)
}

/// A checkpoint whose checksum is right.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    pub description: Description,
    /// Weights, first and second moments.
    values: &'a [u8],
}

impl<'a> Checkpoint<'a> {
    /// # Errors
    /// If it is not a checkpoint, has another version, or is damaged or truncated.
    pub fn read(bytes: &'a [u8]) -> Result<Checkpoint<'a>, Error> {
        let fail = |why: &str| Error::Checkpoint(why.to_owned());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| fail("it is not a checkpoint"))?;
        let (version, rest) = rest.split_first_chunk().ok_or_else(|| fail("it is truncated"))?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            let why = format!("it has version {version}; this program reads version {VERSION}");
            return Err(Error::Checkpoint(why));
        }
        let (len, rest) = rest.split_first_chunk().ok_or_else(|| fail("it is truncated"))?;
        let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
        let text = rest.get(..len).ok_or_else(|| fail("it is truncated"))?;
        let description: Description =
            serde_json::from_slice(text).map_err(|_| fail("its description is damaged"))?;
        let size = description.n_values.checked_mul(12).ok_or_else(|| fail("it is damaged"))?;
        let values = rest[len..].get(..size).ok_or_else(|| fail("it is truncated"))?;
        let tail: [u8; 8] =
            rest[len + size..].try_into().map_err(|_| fail("its length is wrong"))?;
        let mut sum = 0;
        let head = &bytes[..20];
        for piece in [&head[..8], &head[8..12], &head[12..], text] {
            sum = checksum(sum, piece);
        }
        for values in values.chunks_exact((description.n_values * 4).max(1)) {
            sum = values.chunks(PIECE * 4).fold(sum, checksum);
        }
        if sum != u64::from_le_bytes(tail) {
            return Err(fail("its checksum is wrong: it was damaged"));
        }
        Ok(Checkpoint { description, values })
    }

    /// The weights alone.
    pub fn weights(&self) -> Vec<f32> {
        floats(&self.values[..self.description.n_values * 4])
    }

    /// Puts the state into a trainer of the same model.
    ///
    /// # Errors
    /// If the model is another one, or a weight is not finite.
    pub(crate) fn restore(&self, trainer: &mut Trainer) -> Result<(), Error> {
        let n = self.description.n_values;
        if n != trainer.parameters.values.len() {
            let have = trainer.parameters.values.len();
            let why = format!("it has {n} weights, and this model {have}");
            return Err(Error::Checkpoint(why));
        }
        let weights = self.weights();
        if let Some(at) = weights.iter().position(|x| !x.is_finite()) {
            let why = format!("weight {at} is {}: training cannot continue from it", weights[at]);
            return Err(Error::Checkpoint(why));
        }
        trainer.parameters.values = weights;
        trainer.moments = [1, 2].map(|i| floats(&self.values[i * n * 4..(i + 1) * n * 4]));
        trainer.step = self.description.step;
        trainer.usual_norm = f32::from_bits(self.description.usual_norm);
        trainer.usual_loss = f64::from_bits(self.description.usual_loss);
        trainer.n_skipped = self.description.n_skipped;
        trainer.forget_gradients();
        Ok(())
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let each = bytes.chunks_exact(4);
    each.map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes"))).collect()
}
