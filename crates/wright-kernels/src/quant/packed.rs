//! Weights repacked for the kernels, in memory of their own or in somebody else's.

use super::layout::{ALIGN, LANES, Layout, PackedError};
use super::pack;
use crate::{Matrix, Pool};
use std::ops::Range;
use std::sync::Arc;

/// Bytes that one task packs, about.
const PACK_BYTES: usize = 64 << 10;

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
    pub fn dtype(&self) -> crate::DType {
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
        // SAFETY: `len` initialized bytes live as long as self.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout.
        unsafe { std::alloc::dealloc(self.bytes.as_ptr(), Buffer::layout(self.len)) }
    }
}
