//! A second operand that is packed once and multiplied with often, on the thread that asks.

use super::{Gemm, Line, NR, Operand, at_least, block_of};
use crate::Isa;
use crate::gemm::Into;
use crate::isa::by_isa;
use crate::pool::Parts;

/// B (k, n), packed into panels of 16 columns.
#[derive(Debug)]
pub(crate) struct Panels {
    lines: Vec<Line>,
    k: usize,
    n: usize,
}

impl Panels {
    pub(crate) const fn new() -> Self {
        Panels { lines: Vec::new(), k: 0, n: 0 }
    }

    /// Packs B (k, n); the memory is kept from one to the next.
    ///
    /// # Panics
    /// If the operand's slice is shorter than (k, n).
    pub(crate) fn pack(&mut self, isa: Isa, b: Operand<'_>, (k, n): (usize, usize)) {
        assert!(b.covers(k, n), "B is shorter than ({k}, {n})");
        (self.k, self.n) = (k, n);
        let lines = at_least(&mut self.lines, n.div_ceil(NR) * k);
        #[cfg(target_arch = "aarch64")]
        if isa.has_neon() {
            for (p, panel) in lines.chunks_exact_mut(k.max(1)).enumerate() {
                super::neon::pack(&b, 0, p * NR..n.min((p + 1) * NR), panel);
            }
            return;
        }
        by_isa!(isa, super::avx2::pack_some(&b, (0, k), (0, n), lines), scalar(&b, (k, n), lines));
    }

    /// Multiplies A (m, k) by rows `first .. first + k` and the first `n` columns of B into
    /// C (m, n). The sum over k has the blocks that [`super::gemm`] gives it.
    ///
    /// # Panics
    /// If an operand is smaller than that.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn multiply(
        &self,
        isa: Isa,
        (m, n, k): (usize, usize, usize),
        a: Operand<'_>,
        first: usize,
        c: &mut [f32],
        stride_c: usize,
        into: Into,
    ) {
        assert!(a.covers(m, k), "A is shorter than ({m}, {k})");
        assert!(first + k <= self.k && n <= self.n, "B is smaller than ({first} + {k}, {n})");
        if m == 0 || n == 0 || k == 0 {
            return;
        }
        assert!(n <= stride_c && (m - 1) * stride_c + n <= c.len(), "C is shorter than ({m}, {n})");
        let c = Parts::new(c);
        let gemm = Gemm { shape: (m, n, k), a, c: &c, stride_c, into, rows: m };
        #[cfg(target_arch = "x86_64")]
        if isa.has_avx512() {
            // SAFETY: the processor has AVX-512; slices were checked above.
            return unsafe { gemm.packed_avx512(&self.lines[first..], self.k) };
        }
        let lines = &self.lines[first..];
        #[cfg(target_arch = "aarch64")]
        if isa.has_neon() {
            return gemm.packed_neon(lines, self.k);
        }
        by_isa!(isa, gemm.packed_avx2(lines, self.k), gemm.packed_scalar(lines, self.k));
    }
}

impl Gemm<'_> {
    /// The scalar reference: each output by itself. `stride` lines lie from one panel to the next.
    fn packed_scalar(&self, lines: &[Line], stride: usize) {
        let (m, n, k) = self.shape;
        let kc = block_of(k);
        for i in 0..m {
            // SAFETY: one slice lives at a time.
            let row = unsafe { self.c.slice(i * self.stride_c, n) };
            for (j, out) in row.iter_mut().enumerate() {
                let b = |l: usize| lines[j / NR * stride + l].0[j % NR];
                for k0 in (0..k).step_by(kc) {
                    let end = (k0 + kc).min(k);
                    let sum = (k0..end).fold(0.0f32, |sum, l| self.a.at(i, l).mul_add(b(l), sum));
                    *out = if self.adds(k0) { *out + sum } else { sum };
                }
            }
        }
    }
}

fn scalar(b: &Operand<'_>, (k, n): (usize, usize), lines: &mut [Line]) {
    for (p, panel) in lines.chunks_exact_mut(k.max(1)).enumerate() {
        for (l, line) in panel.iter_mut().enumerate() {
            let column = |c: usize| p * NR + c;
            line.0 = std::array::from_fn(|c| if column(c) < n { b.at(l, column(c)) } else { 0.0 });
        }
    }
}
