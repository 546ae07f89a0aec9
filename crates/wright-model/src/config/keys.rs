//! Numbers under the architecture's name, in all the shapes that writers give them.

use crate::Error;
use crate::metadata::{Metadata, Value};

/// Metadata under the architecture's name.
pub(super) struct Keys<'a> {
    pub metadata: &'a Metadata,
    pub arch: &'static str,
}

impl Keys<'_> {
    pub fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    pub fn u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.metadata.u32_checked(&self.name(key))
    }

    pub fn f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.metadata.f32_checked(&self.name(key))
    }

    pub fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        let name = self.name(key);
        match (self.metadata.get(&name), self.metadata.bool(&name)) {
            (Some(_), None) => Err(Error::metadata(name, "should be a bool")),
            (_, value) => Ok(value),
        }
    }

    /// A number that must be there and be positive.
    pub fn size(&self, key: &str) -> Result<usize, Error> {
        match self.u32(key)? {
            Some(0) => Err(Error::metadata(self.name(key), "is 0")),
            Some(n) => Ok(n as usize),
            None => Err(Error::metadata(self.name(key), "is missing")),
        }
    }

    pub fn size_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        match self.u32(key)?.map_or(default, |n| n as usize) {
            0 => Err(Error::metadata(self.name(key), "is 0")),
            n => Ok(n),
        }
    }

    /// A number for all layers, or an array with one for each.
    pub fn size_at(&self, key: &str, layer: usize) -> Result<Option<usize>, Error> {
        let name = self.name(key);
        if !matches!(self.metadata.get(&name), Some(Value::Array(_))) {
            return Ok(self.u32(key)?.map(|n| n as usize));
        }
        let all = self.metadata.u32s(&name);
        let one = all.as_ref().and_then(|all| all.get(layer)).map(|&n| n as usize);
        one.map(Some).ok_or_else(|| Error::metadata(name, "does not have one number per layer"))
    }

    /// Which layers see everything, in a model with a sliding window.
    pub fn full_layers(&self, n_layer: usize, every: Option<usize>) -> Result<Vec<bool>, Error> {
        const KEY: &str = "attention.sliding_window_pattern";
        let name = self.name(KEY);
        let every = match self.metadata.get(&name) {
            Some(Value::Array(slides)) => {
                let full: Vec<bool> = slides
                    .numbers()
                    .map(|v| matches!(v, Value::Bool(false) | Value::Unsigned(0)))
                    .collect();
                if full.len() < n_layer {
                    return Err(Error::metadata(name, "has fewer entries than there are layers"));
                }
                return Ok(full[..n_layer].to_vec());
            }
            Some(_) => self.u32(KEY)?.map(|n| n as usize),
            None => every,
        };
        Ok((0..n_layer).map(|l| every.is_some_and(|n| n > 0 && l % n == n - 1)).collect())
    }
}
