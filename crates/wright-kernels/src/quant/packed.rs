//! Weights repacked for the kernels, and the layout of their bytes.
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
use super::pack;
use crate::{DType, Matrix, Pool};
use std::ops::Range;
use std::sync::Arc;

/// Rows that lie interleaved: the lanes of a vector.
pub(super) const LANES: usize = 8;

/// Bytes of the header, and what planes, groups and buffers are aligned to.
const ALIGN: usize = 64;

/// Bytes that one task packs, about.
const PACK_BYTES: usize = 64 << 10;

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

/// Where things are in a packed matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub dtype: DType,
    pub n: usize,
    pub k: usize,
    /// Offset of the plane in a group; that of quants is 0.
    pub high: usize,
    pub scales: usize,
    pub group_bytes: usize,
}

impl Layout {
    /// None for formats without an integer kernel, and for sizes that overflow.
    fn new(dtype: DType, n: usize, k: usize) -> Option<Layout> {
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
        Some(Layout { dtype, n, k, high: high_at, scales: scales_at, group_bytes })
    }

    /// Blocks of 32 along K.
    pub fn blocks(&self) -> usize {
        self.k / BLOCK
    }

    pub fn groups(&self) -> usize {
        self.n.div_ceil(LANES)
    }

    /// Header and groups.
    fn total_bytes(&self) -> usize {
        ALIGN + self.groups() * self.group_bytes
    }

    fn header(&self) -> [u8; ALIGN] {
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
    fn parse(bytes: &[u8]) -> Result<Layout, PackedError> {
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
                write!(f, "packed in layout version {found}, this program reads {VERSION}")
            }
            PackedError::Shape => f.write_str("a packed matrix with an impossible header"),
            PackedError::Short { need, have } => {
                write!(f, "a packed matrix of {need} bytes has {have}")
            }
            PackedError::Misaligned => f.write_str("a packed matrix must begin at 64 bytes"),
        }
    }
}

impl std::error::Error for PackedError {}

/// A weight matrix in the form that [`linear_packed`](super::linear_packed) reads.
#[derive(Clone)]
pub struct Packed {
    layout: Layout,
    store: Store,
}

/// Whose bytes they are.
#[derive(Clone)]
enum Store {
    Own(Arc<Buffer>),
    /// Somebody else's, such as a mapped file.
    Shared(Arc<dyn AsRef<[u8]> + Send + Sync>, Range<usize>),
}

impl Packed {
    /// Repacks `matrix`. None if its format has no integer kernel: take `linear_f32` then.
    ///
    /// Needs about as much memory as the matrix has bytes; the matrix is not needed afterwards.
    pub fn new(pool: &Pool, matrix: Matrix<'_>) -> Option<Packed> {
        let layout = Layout::new(matrix.dtype, matrix.n, matrix.k)?;
        let mut buffer = Buffer::zeroed(layout.total_bytes());
        pack_into(pool, &layout, matrix, buffer.as_mut());
        Some(Packed { layout, store: Store::Own(Arc::new(buffer)) })
    }

    /// Bytes that [`Packed::write`] fills, a multiple of 64; None if the format has no integer
    /// kernel.
    pub fn bytes_needed(matrix: Matrix<'_>) -> Option<usize> {
        Layout::new(matrix.dtype, matrix.n, matrix.k).map(|layout| layout.total_bytes())
    }

    /// Repacks `matrix` into `bytes`, from which [`Packed::from_bytes`] reads it.
    ///
    /// # Panics
    /// If `bytes` is not as long as [`Packed::bytes_needed`] says.
    pub fn write(pool: &Pool, matrix: Matrix<'_>, bytes: &mut [u8]) {
        let layout = Layout::new(matrix.dtype, matrix.n, matrix.k);
        let layout = layout.expect("a format with an integer kernel");
        assert_eq!(bytes.len(), layout.total_bytes(), "room for the packed matrix");
        pack_into(pool, &layout, matrix, bytes);
    }

    /// A packed matrix that lies in `range` of `owner`, and stays there.
    ///
    /// # Errors
    /// If the range is not a whole packed matrix of this version that begins at a multiple of 64
    /// in memory.
    pub fn from_bytes(
        owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
        range: Range<usize>,
    ) -> Result<Packed, PackedError> {
        let all = (*owner).as_ref();
        let short = PackedError::Short { need: range.end, have: all.len() };
        let bytes = all.get(range.clone()).ok_or(short)?;
        if !bytes.as_ptr().addr().is_multiple_of(ALIGN) {
            return Err(PackedError::Misaligned);
        }
        let layout = Layout::parse(bytes)?;
        Ok(Packed { layout, store: Store::Shared(owner, range) })
    }

    /// Header and data, to be stored and read again by [`Packed::from_bytes`].
    pub fn as_bytes(&self) -> &[u8] {
        match &self.store {
            Store::Own(buffer) => (**buffer).as_ref(),
            Store::Shared(owner, range) => &(**owner).as_ref()[range.clone()],
        }
    }

    /// The format of the weights.
    pub fn dtype(&self) -> DType {
        self.layout.dtype
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.layout.n
    }

    /// Inputs.
    pub fn k(&self) -> usize {
        self.layout.k
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The groups, without the header.
    ///
    /// # Panics
    /// If a shared owner returns other bytes than it did when the matrix was made.
    pub(super) fn groups(&self) -> &[u8] {
        let bytes = self.as_bytes();
        assert_eq!(bytes.len(), self.layout.total_bytes(), "the packed bytes have changed");
        &bytes[ALIGN..]
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Layout { dtype, n, k, .. } = self.layout;
        write!(f, "Packed({dtype}, {n} x {k})")
    }
}

/// Writes header and groups; the groups are tasks of the pool.
fn pack_into(pool: &Pool, layout: &Layout, matrix: Matrix<'_>, bytes: &mut [u8]) {
    assert_eq!(Some(matrix.bytes.len()), matrix.row_bytes().checked_mul(matrix.n));
    let (header, groups) = bytes.split_at_mut(ALIGN);
    header.copy_from_slice(&layout.header());
    if groups.is_empty() {
        return;
    }
    let per_task = layout.group_bytes * PACK_BYTES.div_ceil(layout.group_bytes);
    let tasks: Vec<_> = groups.chunks_mut(per_task).map(std::sync::Mutex::new).collect();
    pool.run(tasks.len(), &|task| {
        let mut span = tasks[task].lock().expect("a task runs once");
        let first = task * per_task / layout.group_bytes;
        for (i, group) in span.chunks_exact_mut(layout.group_bytes).enumerate() {
            group.fill(0);
            pack::group(layout, &matrix, (first + i) * LANES, group);
        }
    });
}

/// Zeroed bytes that begin at a multiple of 64, touched first by whoever writes them.
struct Buffer {
    bytes: std::ptr::NonNull<u8>,
    len: usize,
}

// SAFETY: a Buffer owns its bytes as a Box<[u8]> does.
unsafe impl Send for Buffer {}
// SAFETY: shared access is read-only.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn layout(len: usize) -> std::alloc::Layout {
        std::alloc::Layout::from_size_align(len, ALIGN).expect("a size that memory can have")
    }

    /// `len` is not 0: a packed matrix has a header.
    fn zeroed(len: usize) -> Buffer {
        assert!(len > 0);
        let layout = Buffer::layout(len);
        // SAFETY: the size is not zero.
        let bytes = unsafe { std::alloc::alloc_zeroed(layout) };
        let Some(bytes) = std::ptr::NonNull::new(bytes) else {
            std::alloc::handle_alloc_error(layout)
        };
        Buffer { bytes, len }
    }

    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` zeroed bytes are ours alone while self is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes live as long as self.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout.
        unsafe { std::alloc::dealloc(self.bytes.as_ptr(), Buffer::layout(self.len)) }
    }
}
