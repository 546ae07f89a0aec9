//! A task of the thread pool: some groups of a packed matrix times some rows of activations.

use super::activations::Block;
use super::layout::Layout;
use std::ops::Range;

/// `rows` of activations times `groups` of a matrix.
pub(super) struct Task<'a> {
    pub layout: &'a Layout,
    /// All groups of the matrix.
    pub weights: &'a [u8],
    /// All rows of activations, (M, K / 32).
    pub activations: &'a [Block],
    pub groups: Range<usize>,
    pub rows: Range<usize>,
    pub out: Out<'a>,
}

/// An output, (M, N), that several tasks write, each its own elements.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    y: *mut f32,
    m: usize,
    n: usize,
    lifetime: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: tasks write disjoint rectangles of groups and rows, see `linear_packed_each`.
unsafe impl Send for Out<'_> {}
// SAFETY: as above.
unsafe impl Sync for Out<'_> {}

impl<'a> Out<'a> {
    pub fn new(y: &'a mut [f32], m: usize, n: usize) -> Out<'a> {
        assert_eq!(Some(y.len()), m.checked_mul(n), "the output is not (M, N)");
        Out { y: y.as_mut_ptr(), m, n, lifetime: std::marker::PhantomData }
    }

    /// Writes one element.
    pub fn put(&self, row: usize, column: usize, value: f32) {
        assert!(row < self.m && column < self.n);
        // SAFETY: inside the output, and no other task has this element.
        unsafe { *self.y.add(row * self.n + column) = value };
    }

    /// Where a row's elements from `column` on are, and how many there are to the last.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[inline(always)]
    pub unsafe fn place(&self, row: usize, column: usize) -> (*mut f32, usize) {
        debug_assert!(row < self.m && column < self.n);
        // SAFETY: the caller's: row < M, column < N.
        (unsafe { self.y.add(row * self.n + column) }, self.n - column)
    }
}
