//! Activations whose memory is used again: in a steady state a pass allocates none.

use std::cell::RefCell;

/// Buffers that are not in use.
#[derive(Debug, Default)]
pub struct Buffers {
    spare: RefCell<Vec<Vec<f32>>>,
}

impl Buffers {
    /// (rows, cols) of unspecified finite or stale values, to be overwritten.
    pub fn take(&self, rows: usize, cols: usize) -> Buf<'_> {
        let len = rows * cols;
        let mut spare = self.spare.borrow_mut();
        // The smallest that is large enough; else the largest, which then grows.
        let key = |b: &Vec<f32>| match b.capacity() {
            room if room >= len => room,
            room => usize::MAX - room,
        };
        let best = (0..spare.len()).min_by_key(|&i| key(&spare[i]));
        let mut data = best.map(|i| spare.swap_remove(i)).unwrap_or_default();
        if data.capacity() < len {
            // What it holds need not be copied.
            data = vec![0.0; len];
        } else if data.len() < len {
            data.resize(len, 0.0);
        }
        Buf { data, len, cols, home: self }
    }

    /// Takes a buffer back that had left.
    pub fn give(&self, data: Vec<f32>) {
        self.spare.borrow_mut().push(data);
    }
}

/// A matrix of activations, (rows, cols); its memory goes home when it is dropped.
#[derive(Debug)]
pub struct Buf<'p> {
    /// As long as it ever was, so that nothing is cleared when it grows again.
    data: Vec<f32>,
    len: usize,
    pub cols: usize,
    home: &'p Buffers,
}

impl Buf<'_> {
    pub fn rows(&self) -> usize {
        self.len / self.cols
    }

    /// The numbers alone, which do not go home.
    pub fn into_data(mut self) -> Vec<f32> {
        self.data.truncate(self.len);
        std::mem::take(&mut self.data)
    }
}

impl std::ops::Deref for Buf<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[..self.len]
    }
}

impl std::ops::DerefMut for Buf<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[..self.len]
    }
}

impl Drop for Buf<'_> {
    fn drop(&mut self) {
        if !self.data.is_empty() {
            self.home.give(std::mem::take(&mut self.data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_the_smallest_that_fits_is_taken() {
        let buffers = Buffers::default();
        let (small, large) = (buffers.take(1, 16), buffers.take(8, 16));
        let (at_small, at_large) = (small.as_ptr(), large.as_ptr());
        drop(small);
        drop(large);
        let again = buffers.take(2, 8);
        assert_eq!(again.as_ptr(), at_small);
        assert_eq!(buffers.take(4, 16).as_ptr(), at_large);
        assert_eq!((again.rows(), again.len()), (2, 16));
    }

    #[test]
    fn a_buffer_that_had_left_is_as_large_as_before() {
        let buffers = Buffers::default();
        let data = buffers.take(8, 16).into_data();
        let at = data.as_ptr();
        buffers.give(data);
        let short = buffers.take(2, 16).into_data();
        assert_eq!((short.as_ptr(), short.len()), (at, 32));
        buffers.give(short);
        assert_eq!(buffers.take(8, 16).as_ptr(), at);
    }
}
