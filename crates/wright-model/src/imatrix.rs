//! Importance matrices: how large each column's activations are, so that quantizing can spend its
//! precision where a product feels it.
//!
//! For each linear map the squares of its inputs are summed by column over a text. The file is
//! llama.cpp's GGUF form (`llama-imatrix`): for each weight, `NAME.in_sum2` (k, matrices) and
//! `NAME.counts` (1, matrices), in f32. Collecting runs the same forward pass, through an executor
//! that looks at the inputs and hands everything on.

use crate::Error;
use crate::config::{Heads, Temperature};
use crate::exec::cpu::Cpu;
use crate::exec::cpu::buffers::Buf;
use crate::exec::{Exec, Qkv};
use crate::gguf::{Gguf, TensorInfo};
use crate::gguf_writer::{Field, GgufHeader, TensorHeader};
use crate::model::Model;
use crate::network::{Bank, Experts, Linear, Norm, WeightId};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use wright_kernels::{Activation, DType};

/// Mean squares by tensor, as quantizing needs them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Importance {
    /// (matrices, k) by the tensor's name.
    by_name: HashMap<String, Vec<f32>>,
}

impl Importance {
    /// Reads a parsed file of `llama-imatrix` or `wright imatrix`.
    ///
    /// # Errors
    /// If it is another kind of file, sums and counts do not match, or a number is not finite.
    pub fn read(gguf: &Gguf, file: &[u8]) -> Result<Importance, Error> {
        let values = |t: &TensorInfo| -> Result<Vec<f32>, Error> {
            if t.dtype != DType::F32 {
                return Err(Error::malformed(format!("tensor {}", t.name), "it is not F32"));
            }
            let bytes = file[t.at.clone()].as_chunks::<4>().0;
            Ok(bytes.iter().map(|b| f32::from_le_bytes(*b)).collect())
        };
        let mut by_name = HashMap::new();
        for sums in &gguf.tensors {
            let Some(name) = sums.name.strip_suffix(".in_sum2") else { continue };
            let counts = gguf.tensors.iter().find(|t| t.name == format!("{name}.counts"));
            let counts =
                counts.ok_or_else(|| Error::MissingTensor { name: format!("{name}.counts") })?;
            let means = means(name, &values(sums)?, &values(counts)?)?;
            by_name.insert(name.to_owned(), means);
        }
        match by_name.is_empty() {
            true => Err(Error::malformed("the importance matrix", "it has no sums of squares")),
            false => Ok(Importance { by_name }),
        }
    }

    /// Tensors that it speaks of.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether it says something of the tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The importance of a tensor's columns, if there is one: (matrices, k).
    ///
    /// # Errors
    /// If it was made for a tensor of another shape.
    pub(crate) fn of(&self, tensor: &TensorInfo) -> Result<Option<&[f32]>, Error> {
        let Some(values) = self.by_name.get(&tensor.name) else { return Ok(None) };
        let n_matrices: usize = tensor.dims.iter().skip(2).product();
        match values.len() == tensor.k() * n_matrices {
            true => Ok(Some(values)),
            // Embeddings are looked up, not multiplied, unless they are the head as well.
            false if tensor.name == "token_embd.weight" => Ok(None),
            false => Err(Error::Shape {
                name: format!("{} of the importance matrix", tensor.name),
                got: values.len().to_string(),
                want: format!("{} x {n_matrices}", tensor.k()),
            }),
        }
    }
}

/// Sums over counts, of which there is one for each of equal runs of sums.
fn means(name: &str, sums: &[f32], counts: &[f32]) -> Result<Vec<f32>, Error> {
    let wrong = |why: &str| Error::malformed(format!("the importance of {name}"), why);
    let run = sums.len().checked_div(counts.len()).filter(|&run| run * counts.len() == sums.len());
    let run = run.filter(|&run| run > 0).ok_or_else(|| wrong("sums and counts do not match"))?;
    let mut means = Vec::with_capacity(sums.len());
    for (sums, &count) in sums.chunks_exact(run).zip(counts) {
        // A matrix that was never used says nothing: its columns count the same.
        means.extend(sums.iter().map(|&sum| if count > 0.0 { sum / count } else { 1.0 }));
    }
    match means.iter().all(|x| x.is_finite() && *x >= 0.0) {
        true => Ok(means),
        false => Err(wrong("a sum of squares is negative or not finite")),
    }
}

/// Sums of squares in the making.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// By tensor: sum of squares of each column (k), and rows seen.
    sums: BTreeMap<WeightId, (Vec<f64>, u64)>,
}

impl Collected {
    fn add(&mut self, weight: WeightId, x: &[f32], k: usize) {
        let (sums, count) = self.sums.entry(weight).or_insert_with(|| (vec![0.0; k], 0));
        for row in x.chunks_exact(k) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += f64::from(x) * f64::from(x);
            }
            *count += 1;
        }
    }

    /// Writes the file that `llama-quantize --imatrix` and `wright quantize --imatrix` read.
    ///
    /// # Errors
    /// If a sum is not finite, or the writer fails.
    pub fn write(
        &self,
        model: &Model,
        dataset: &str,
        n_chunks: u32,
        chunk_size: u32,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let named = |(&id, sums)| (model.tensors()[WeightId::index(id)].name.as_str(), sums);
        let by_name: BTreeMap<&str, &(Vec<f64>, u64)> = self.sums.iter().map(named).collect();
        let mut header = GgufHeader::new();
        header.set("general.type", &Field::Str("imatrix".into()));
        header.set("imatrix.datasets", &Field::Strs(vec![dataset.into()]));
        header.set("imatrix.chunk_count", &Field::U32(n_chunks));
        header.set("imatrix.chunk_size", &Field::U32(chunk_size));
        for (name, (sums, _)) in &by_name {
            let tensor = |what: &str, k: usize| TensorHeader {
                name: format!("{name}.{what}"),
                dims: vec![k, 1],
                dtype: DType::F32,
            };
            header.tensors.extend([tensor("in_sum2", sums.len()), tensor("counts", 1)]);
        }
        out.write_all(&header.encode().map_err(io::Error::other)?)?;
        for (name, (sums, count)) in &by_name {
            if sums.iter().any(|sum| !(*sum as f32).is_finite()) {
                return Err(io::Error::other(format!("activations before {name} are not finite")));
            }
            for values in [sums.as_slice(), &[*count as f64]] {
                let mut bytes: Vec<u8> =
                    values.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
                bytes.resize(bytes.len() + header.padding(bytes.len()), 0);
                out.write_all(&bytes)?;
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }
}

/// Hands every operation on, and looks at what linear maps are given. Fusions are left to their
/// default forms, so that no input goes unseen; so is the last layer's choice of rows.
pub(crate) struct Collecting<'a, 'p> {
    pub inner: Cpu<'p>,
    pub to: &'a mut Collected,
}

impl<'p> Exec for Collecting<'_, 'p> {
    type Tensor = Buf<'p>;

    fn embed(&mut self, table: WeightId, scale: f32) -> Buf<'p> {
        self.inner.embed(table, scale)
    }

    fn embed_positions(&mut self, table: WeightId) -> Buf<'p> {
        self.inner.embed_positions(table)
    }

    fn linear(&mut self, x: &Buf<'p>, linear: &Linear) -> Buf<'p> {
        self.to.add(linear.weight, x, linear.n_in);
        self.inner.linear(x, linear)
    }

    fn embed_types(&mut self, table: WeightId) -> Buf<'p> {
        self.inner.embed_types(table)
    }

    fn begin_layer(&mut self, x: &Buf<'p>) {
        self.inner.begin_layer(x);
    }

    fn linear_heads(&mut self, x: &Buf<'p>, bank: &Bank) -> Buf<'p> {
        self.inner.linear_heads(x, bank)
    }

    /// What each expert is given is known inside alone: their weights get no importance.
    fn experts(&mut self, x: &Buf<'p>, scores: &Buf<'p>, experts: &Experts) -> Buf<'p> {
        self.inner.experts(x, scores, experts)
    }

    fn clamp(&mut self, x: Buf<'p>, limit: f32) -> Buf<'p> {
        self.inner.clamp(x, limit)
    }

    fn scale_rows(&mut self, x: Buf<'p>, by: &Buf<'p>) -> Buf<'p> {
        self.inner.scale_rows(x, by)
    }

    fn scale_by_position(&mut self, x: Buf<'p>, by: Temperature) -> Buf<'p> {
        self.inner.scale_by_position(x, by)
    }

    fn head_columns(&mut self, x: &Buf<'p>, head_dim: usize, start: usize, len: usize) -> Buf<'p> {
        self.inner.head_columns(x, head_dim, start, len)
    }

    fn join_heads(&mut self, a: &Buf<'p>, b: &Buf<'p>, n_head: usize) -> Buf<'p> {
        self.inner.join_heads(a, b, n_head)
    }

    fn norm(&mut self, x: &Buf<'p>, norm: &Norm) -> Buf<'p> {
        self.inner.norm(x, norm)
    }

    fn rope(&mut self, x: Buf<'p>, rope: usize, head_dim: usize) -> Buf<'p> {
        self.inner.rope(x, rope, head_dim)
    }

    fn attend(
        &mut self,
        layer: usize,
        qkv: Qkv<Buf<'p>>,
        heads: &Heads,
        sinks: Option<WeightId>,
    ) -> Buf<'p> {
        self.inner.attend(layer, qkv, heads, sinks)
    }

    fn activate(&mut self, x: Buf<'p>, activation: Activation) -> Buf<'p> {
        self.inner.activate(x, activation)
    }

    fn add(&mut self, a: Buf<'p>, b: &Buf<'p>) -> Buf<'p> {
        self.inner.add(a, b)
    }

    fn mul(&mut self, a: Buf<'p>, b: &Buf<'p>) -> Buf<'p> {
        self.inner.mul(a, b)
    }

    fn scale(&mut self, x: Buf<'p>, by: f32) -> Buf<'p> {
        self.inner.scale(x, by)
    }

    fn soft_cap(&mut self, x: Buf<'p>, cap: f32) -> Buf<'p> {
        self.inner.soft_cap(x, cap)
    }

    fn columns(&mut self, x: &Buf<'p>, start: usize, len: usize) -> Buf<'p> {
        self.inner.columns(x, start, len)
    }

    /// Every row goes through every layer: each is an observation.
    fn wanted_rows(&mut self, x: Buf<'p>) -> Buf<'p> {
        x
    }

    fn head(&mut self, x: &Buf<'p>, norm: Option<&Norm>, linear: &Linear) -> Buf<'p> {
        let all = self.inner.columns(x, 0, x.cols);
        let wanted = self.inner.wanted_rows(all);
        self.inner.head(&wanted, norm, linear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_become_means() {
        assert_eq!(means("w", &[2.0, 4.0, 9.0, 9.0], &[2.0, 0.0]).unwrap(), [1.0, 2.0, 1.0, 1.0]);
        assert!(means("w", &[1.0, 2.0, 3.0], &[1.0, 1.0]).is_err());
        assert!(means("w", &[1.0], &[]).is_err());
        assert!(means("w", &[], &[1.0]).is_err());
        assert!(means("w", &[f32::NAN], &[1.0]).is_err());
        assert!(means("w", &[-1.0], &[1.0]).is_err());
    }
}
