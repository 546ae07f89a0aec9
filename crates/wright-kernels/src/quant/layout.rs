//! The layout of a packed matrix: where header, groups, planes and blocks are.
//!
//! # Layout, version 1
//! All numbers are little-endian. A header of 64 bytes, then the groups, one after another.
//!
//! ```text
//! 0   magic     8 bytes  "wrpacked"
//! 8   version   u32      1
//! 12  format    u32      number of the format in GGUF
//! 16  n         u64      outputs
//! 24  k         u64      inputs
//! 32  length    u64      bytes after the header
//! 40  zeros to 64
//! ```
//!
//! A *group* is 8 rows; rows past `n` are zeros. It holds three planes, each padded to 64 bytes:
//! *quants*, *high* (bits beyond the fourth, or beyond the second of Q3_K) and *scales*. K runs in
//! blocks of 32. In a block, value `4g + i` of row `r` (g in 0..8, i in 0..4) is at
//!
//! - quants of 8 bits: byte `32g + 4r + i` of 256;
//! - quants of 4 bits: byte `32(g mod 4) + 4r + i` of 128, low bits if g < 4;
//! - quants of 2 bits: byte `32(g div 4) + 4r + i` of 64, bits `2(g mod 4)`;
//! - high of 1 bit: byte `4r + i` of 32, bit `g`;
//! - high of 2 bits: byte `32(g div 4) + 4r + i` of 64, bits `2(g mod 4)`.
//!
//! Scales are, for each block, f16 `d` of the 8 rows, then f16 `m` if the format has a minimum.
//! Formats with blocks of 256 have for each 256: f16 `d` of 8 rows, f16 `dmin` of 8 rows (Q2_K,
//! Q4_K, Q5_K), then for each of the 8 blocks of 32:
//!
//! - Q4_K, Q5_K: 8 rows of u8 scale, 8 rows of u8 minimum;
//! - Q6_K, Q3_K: 8 rows of i8 scale of the first 16 values, 8 rows of the second;
//! - Q2_K: the same two, a byte being scale (low 4 bits) and minimum (high 4 bits);
//! - IQ4_XS: 8 rows of i8 scale.
//!
//! Formats of codes (IQ1 to IQ3, TQ, MXFP4) have their codes as quants of 4 bits. IQ2_XS, IQ2_S and
//! IQ1_M then have scales as Q6_K, the others as IQ4_XS; MXFP4 has bf16 `d` in place of f16.
//!
//! Every byte pattern is a valid matrix, so a file that lies gives wrong numbers and no more.

use super::activations::BLOCK;
use crate::DType;
use crate::dequant::{IQ4_STEPS, coded};

/// Rows that lie interleaved: the lanes of a vector.
pub(super) const LANES: usize = 8;

/// Bytes of the header, and what planes, groups and buffers are aligned to.
pub(super) const ALIGN: usize = 64;

const MAGIC: &[u8; 8] = b"wrpacked";
const VERSION: u32 = 1;

/// Bytes that 8 rows need in each plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// A block of 32 values.
    pub quants: usize,
    /// A block of 32 values.
    pub high: usize,
    /// `blocks` blocks.
    pub scales: usize,
    /// Blocks in a block of the file: 1, or 8 where that is 256 values.
    pub blocks: usize,
}

impl Steps {
    /// None for formats without an integer kernel.
    pub const fn of(dtype: DType) -> Option<Steps> {
        let (quants, high, scales, blocks) = match dtype {
            DType::Q4_0 | DType::IQ4NL => (128, 0, 16, 1),
            DType::Q4_1 => (128, 0, 32, 1),
            DType::Q5_0 => (128, 32, 16, 1),
            DType::Q5_1 => (128, 32, 32, 1),
            DType::Q8_0 => (256, 0, 16, 1),
            DType::Q2K => (64, 0, 32 + 128, 8),
            DType::Q3K => (64, 32, 16 + 128, 8),
            DType::Q4K => (128, 0, 32 + 128, 8),
            DType::Q5K => (128, 32, 32 + 128, 8),
            DType::Q6K => (128, 64, 16 + 128, 8),
            DType::IQ4XS => (128, 0, 16 + 64, 8),
            DType::IQ2XXS | DType::IQ3XXS | DType::IQ3S => (128, 0, 16 + 64, 8),
            DType::IQ1S | DType::TQ1_0 | DType::TQ2_0 => (128, 0, 16 + 64, 8),
            DType::IQ2XS | DType::IQ2S | DType::IQ1M => (128, 0, 16 + 128, 8),
            DType::MXFP4 => (128, 0, 16, 1),
            DType::F32 | DType::F16 | DType::BF16 => return None,
        };
        Some(Steps { quants, high, scales, blocks })
    }
}

/// What the codes of a format stand for.
#[derive(Debug)]
pub(super) struct Codes {
    /// The weight of each code, as an integer.
    pub steps: [i8; 16],
    /// The value of one step, in units of the block's own scale.
    pub unit: f32,
}

impl Codes {
    /// Of a format whose weights are not codes, zeros.
    fn of(dtype: DType) -> &'static Codes {
        macro_rules! constants {
            ($($name:ident)*) => {
                match dtype {
                    DType::IQ4NL | DType::IQ4XS => &Codes { steps: IQ4_STEPS, unit: 1.0 },
                    $(DType::$name => &const {
                        let dtype = DType::$name;
                        Codes { steps: coded::steps(dtype), unit: coded::unit(dtype) }
                    },)*
                    _ => &Codes { steps: [0; 16], unit: 0.0 },
                }
            };
        }
        constants!(IQ2XXS IQ2XS IQ2S IQ3XXS IQ3S IQ1S IQ1M TQ1_0 TQ2_0 MXFP4)
    }
}

/// Where things are in a packed matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub dtype: DType,
    pub codes: &'static Codes,
    pub n: usize,
    pub k: usize,
    /// Offset of the plane in a group; that of quants is 0.
    pub high: usize,
    pub scales: usize,
    pub group_bytes: usize,
}

impl Layout {
    /// None for formats without an integer kernel, and for sizes that overflow.
    pub fn new(dtype: DType, n: usize, k: usize) -> Option<Layout> {
        let Steps { quants, high, scales, blocks: scales_blocks } = Steps::of(dtype)?;
        if !k.is_multiple_of(dtype.block_len()) {
            return None;
        }
        let blocks = k / BLOCK;
        let plane =
            |count: usize, step: usize| count.checked_mul(step)?.checked_next_multiple_of(ALIGN);
        let high_at = plane(blocks, quants)?;
        let scales_at = high_at.checked_add(plane(blocks, high)?)?;
        let group_bytes = scales_at.checked_add(plane(blocks / scales_blocks, scales)?)?;
        n.div_ceil(LANES).checked_mul(group_bytes)?.checked_add(ALIGN)?;
        let codes = Codes::of(dtype);
        Some(Layout { dtype, codes, n, k, high: high_at, scales: scales_at, group_bytes })
    }

    /// Blocks of 32 along K.
    pub fn blocks(&self) -> usize {
        self.k / BLOCK
    }

    pub fn groups(&self) -> usize {
        self.n.div_ceil(LANES)
    }

    /// Header and groups.
    pub fn total_bytes(&self) -> usize {
        ALIGN + self.groups() * self.group_bytes
    }

    pub fn header(&self) -> [u8; ALIGN] {
        let mut header = [0; ALIGN];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&self.dtype.ggml_id().to_le_bytes());
        header[16..24].copy_from_slice(&(self.n as u64).to_le_bytes());
        header[24..32].copy_from_slice(&(self.k as u64).to_le_bytes());
        let length = (self.total_bytes() - ALIGN) as u64;
        header[32..40].copy_from_slice(&length.to_le_bytes());
        header
    }

    /// Reads a header and holds it against the bytes that are there.
    pub fn parse(bytes: &[u8]) -> Result<Layout, PackedError> {
        let Some(header) = bytes.first_chunk::<ALIGN>() else {
            return Err(PackedError::Short { need: ALIGN, have: bytes.len() });
        };
        let u32_at = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
        let size_at = |at: usize| {
            let value = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| header[at + i]));
            usize::try_from(value).map_err(|_| PackedError::Shape)
        };
        if &header[..8] != MAGIC {
            return Err(PackedError::Magic);
        }
        if u32_at(8) != VERSION {
            return Err(PackedError::Version { found: u32_at(8) });
        }
        let dtype = DType::from_ggml(u32_at(12)).ok_or(PackedError::Shape)?;
        let layout = Layout::new(dtype, size_at(16)?, size_at(24)?).ok_or(PackedError::Shape)?;
        if layout.header() != *header {
            return Err(PackedError::Shape);
        }
        if bytes.len() != layout.total_bytes() {
            let (need, have) = (layout.total_bytes(), bytes.len());
            return Err(PackedError::Short { need, have });
        }
        Ok(layout)
    }
}

/// Why bytes are not a packed matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackedError {
    /// The bytes do not begin as a packed matrix does.
    Magic,
    /// Written by another version of the layout: pack again.
    Version { found: u32 },
    /// Format, shape and length do not belong together.
    Shape,
    /// The length is not the one that the header asks for.
    Short { need: usize, have: usize },
    /// The bytes do not begin at a multiple of 64.
    Misaligned,
}

impl std::fmt::Display for PackedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PackedError::Magic => f.write_str("not a packed matrix"),
            PackedError::Version { found } => {
                write!(f, "packed in layout version {found}; this program reads version {VERSION}")
            }
            PackedError::Shape => f.write_str("a packed matrix with an invalid header"),
            PackedError::Short { need, have } => {
                write!(f, "a packed matrix needs {need} bytes and has {have}")
            }
            PackedError::Misaligned => f.write_str("a packed matrix must be aligned to 64 bytes"),
        }
    }
}

impl std::error::Error for PackedError {}
