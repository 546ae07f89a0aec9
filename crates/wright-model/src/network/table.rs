//! The tensors of a file, looked up by name and checked by shape.

use super::{Bank, Linear, Norm, WeightId};
use crate::Error;
use crate::config::LayerConfig;
use crate::gguf::{TensorInfo, shape};
use std::collections::HashMap;

/// The file's tensors by name, and which of them have found a use.
pub(super) struct Table<'a> {
    tensors: &'a [TensorInfo],
    index: HashMap<&'a str, usize>,
    used: Vec<bool>,
}

impl<'a> Table<'a> {
    pub fn new(tensors: &'a [TensorInfo]) -> Self {
        let index = tensors.iter().enumerate().map(|(i, t)| (t.name.as_str(), i)).collect();
        Table { tensors, index, used: vec![false; tensors.len()] }
    }

    pub fn find(&mut self, name: &str) -> Option<(WeightId, &'a TensorInfo)> {
        let index = *self.index.get(name)?;
        self.used[index] = true;
        Some((WeightId(u32::try_from(index).ok()?), &self.tensors[index]))
    }

    /// A matrix of `n_in` columns and, if that is known, `n_out` rows.
    pub fn matrix_if(
        &mut self,
        name: &str,
        n_in: usize,
        n_out: Option<usize>,
    ) -> Result<Option<Linear>, Error> {
        let Some((weight, info)) = self.find(name) else { return Ok(None) };
        let rows = n_out.unwrap_or_else(|| info.n());
        // A trailing dimension of 1 was dropped by the parser.
        let want = if rows == 1 { vec![n_in] } else { vec![n_in, rows] };
        if info.dims != want {
            let want = match n_out {
                Some(n) => shape(&[n_in, n]),
                None => format!("{n_in} x any"),
            };
            return Err(Error::Shape { name: name.into(), got: info.shape(), want });
        }
        Ok(Some(Linear { weight, bias: None, n_in, n_out: rows }))
    }

    pub fn matrix(
        &mut self,
        name: &str,
        n_in: usize,
        n_out: Option<usize>,
    ) -> Result<Linear, Error> {
        self.matrix_if(name, n_in, n_out)?.ok_or_else(|| missing(name))
    }

    /// `name.weight` and, where it exists, `name.bias`.
    pub fn linear_if(
        &mut self,
        name: &str,
        n_in: usize,
        n_out: Option<usize>,
    ) -> Result<Option<Linear>, Error> {
        let Some(linear) = self.matrix_if(&format!("{name}.weight"), n_in, n_out)? else {
            return Ok(None);
        };
        let bias = self.vector(&format!("{name}.bias"), linear.n_out)?;
        Ok(Some(Linear { bias, ..linear }))
    }

    pub fn linear(&mut self, name: &str, n_in: usize, n_out: usize) -> Result<Linear, Error> {
        let found = self.linear_if(name, n_in, Some(n_out))?;
        found.ok_or_else(|| missing(&format!("{name}.weight")))
    }

    /// As [`Table::linear`], but only its `n_out` is known from elsewhere if it is given.
    pub fn linear_of(
        &mut self,
        name: &str,
        n_in: usize,
        n_out: Option<usize>,
    ) -> Result<Linear, Error> {
        let found = self.linear_if(name, n_in, n_out)?;
        found.ok_or_else(|| missing(&format!("{name}.weight")))
    }

    /// One matrix for each of `n` heads or experts, (n, n_out, n_in), and their biases, (n, n_out).
    pub fn bank(
        &mut self,
        name: &str,
        n: usize,
        n_in: usize,
        n_out: Option<usize>,
    ) -> Result<Bank, Error> {
        let weight_name = format!("{name}.weight");
        let (weight, info) = self.find(&weight_name).ok_or_else(|| missing(&weight_name))?;
        let n_out = n_out.unwrap_or_else(|| info.dims.get(1).copied().unwrap_or(1));
        if !same_shape(info, &[n_in, n_out, n]) {
            let want = shape(&[n_in, n_out, n]);
            return Err(Error::Shape { name: weight_name, got: info.shape(), want });
        }
        let bias_name = format!("{name}.bias");
        let bias = match self.find(&bias_name) {
            Some((_, info)) if !same_shape(info, &[n_out, n]) => {
                let want = shape(&[n_out, n]);
                return Err(Error::Shape { name: bias_name, got: info.shape(), want });
            }
            found => found.map(|(id, _)| id),
        };
        Ok(Bank { weight, bias, n, n_in, n_out })
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Marks tensors that are known and not needed.
    pub fn leave(&mut self, prefix: &str) {
        for (tensor, used) in self.tensors.iter().zip(&mut self.used) {
            *used |= tensor.name.starts_with(prefix);
        }
    }

    /// Rows of a matrix, if there is one of that name.
    pub fn rows(&self, name: &str) -> Option<usize> {
        self.index.get(name).map(|&i| self.tensors[i].n())
    }

    pub fn vector(&mut self, name: &str, len: usize) -> Result<Option<WeightId>, Error> {
        let Some((weight, info)) = self.find(name) else { return Ok(None) };
        if info.dims != [len] {
            let (got, want) = (info.shape(), len.to_string());
            return Err(Error::Shape { name: name.into(), got, want });
        }
        Ok(Some(weight))
    }

    pub fn norm_if(
        &mut self,
        name: &str,
        layer: &LayerConfig,
        len: usize,
    ) -> Result<Option<Norm>, Error> {
        let Some(weight) = self.vector(&format!("{name}.weight"), len)? else { return Ok(None) };
        let bias = self.vector(&format!("{name}.bias"), len)?;
        let (kind, eps) = (layer.norm, layer.norm_eps);
        Ok(Some(Norm { kind, weight: Some(weight), bias, eps, group: len }))
    }

    pub fn norm(&mut self, name: &str, layer: &LayerConfig, len: usize) -> Result<Norm, Error> {
        self.norm_if(name, layer, len)?.ok_or_else(|| missing(&format!("{name}.weight")))
    }

    /// A norm of each head by itself, with weights in common or of its own, or of all heads
    /// together: as the tensor's shape tells.
    pub fn head_norm_if(
        &mut self,
        name: &str,
        layer: &LayerConfig,
        head_dim: usize,
        width: usize,
    ) -> Result<Option<Norm>, Error> {
        let weight_name = format!("{name}.weight");
        let Some((weight, info)) = self.find(&weight_name) else { return Ok(None) };
        let group = if info.dims == [width] { width } else { head_dim };
        if info.k() != group || ![head_dim, width].contains(&info.n_values()) {
            let want = format!("{head_dim}, {width} or {}", shape(&[head_dim, width / head_dim]));
            return Err(Error::Shape { name: weight_name, got: info.shape(), want });
        }
        let bias = self.vector(&format!("{name}.bias"), group)?;
        let (kind, eps) = (layer.norm, layer.norm_eps);
        Ok(Some(Norm { kind, weight: Some(weight), bias, eps, group }))
    }

    pub fn refuse_spare(&self, arch: &str) -> Result<(), Error> {
        let mut spare = self.tensors.iter().zip(&self.used).filter(|(_, used)| !**used);
        let shown: Vec<&str> = spare.by_ref().take(4).map(|(t, _)| t.name.as_str()).collect();
        if shown.is_empty() {
            return Ok(());
        }
        let n_more = spare.count();
        let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
        Err(Error::SpareTensors { arch: arch.into(), names: shown.join(", ") + &more })
    }
}

pub(super) fn missing(name: &str) -> Error {
    Error::MissingTensor { name: name.into() }
}

/// Whether a tensor has these dimensions, but for outer ones of 1.
fn same_shape(info: &TensorInfo, dims: &[usize]) -> bool {
    let len = dims.len() - dims.iter().skip(1).rev().take_while(|&&d| d == 1).count();
    info.dims == dims[..len]
}
