//! The microkernels of AVX-512 with VNNI: `vpdpbusd` multiplies unsigned by signed bytes and adds
//! fours of products in 32 bits, so nothing can overflow.

use super::activations::at;
use super::formats::{self as f, Format, Sum, WeightBlock};
use super::microkernel::{Dot, Walk, bits, by_format, columns, tiles, to_floats, unrolled};
use super::task::Task;
use super::vector::{Vector, Ymm, Zmm};
use crate::DType;
use std::arch::x86_64::*;

/// Streams of weights that one row of activations takes, and that two rows take.
pub(super) const STREAMS: [usize; 2] = [2, 1];

/// All outputs of a task.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL and VNNI, besides AVX2, FMA and F16C.
pub(super) unsafe fn run(task: &Task<'_>) {
    // SAFETY: the caller's.
    unsafe { by_format!(span, task) }
}

/// Walks a task: up to twelve rows of activations at a time, panels of K, pairs of groups. A group
/// without a neighbour takes the form of AVX2.
unsafe fn span<F: Format>(task: &Task<'_>) {
    let mut row = task.rows.start;
    while row < task.rows.end {
        // SAFETY: the rows are the task's, and the caller promises the instructions.
        row += unsafe {
            match task.rows.end - row {
                1 => columns::<F, Zmm, Ymm, 2, 1>(task, row),
                2..4 => columns::<F, Zmm, Ymm, 1, 2>(task, row),
                4..8 => columns::<F, Zmm, Ymm, 1, 4>(task, row),
                8..12 => columns::<F, Zmm, Ymm, 1, 8>(task, row),
                _ => columns::<F, Zmm, Ymm, 1, 12>(task, row),
            }
        };
    }
}

impl Dot for Zmm {
    const STREAMS: [usize; 2] = STREAMS;

    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn tiles<F: Format, const R: usize, const C: usize>(task: &Task<'_>, walk: &Walk) {
        // SAFETY: the caller's.
        unsafe { tiles::<F, Zmm, R, C>(task, walk) }
    }

    #[inline(always)]
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        weights: &[WeightBlock; R],
        a: &[*const u8; C],
    ) -> [[__m512; C]; R] {
        // SAFETY: the caller's.
        unsafe {
            match F::SUM {
                Sum::Narrow | Sum::NarrowLess(_) | Sum::Wide => whole::<F, R, C>(weights, a),
                Sum::Halves | Sum::HalvesLess | Sum::WideHalves => halves::<F, R, C>(weights, a),
            }
        }
    }
}

/// The 32 bits at `p` in every lane.
#[inline(always)]
unsafe fn every_lane(p: *const u8) -> __m512i {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe { _mm512_set1_epi32(bits(p)) }
}

/// `-times` · the two 16-bit numbers at `p`, as the start of a sum.
#[inline(always)]
unsafe fn less(p: *const u8, times: i16) -> __m512i {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe { _mm512_dpwssd_epi32(_mm512_setzero_si512(), every_lane(p), _mm512_set1_epi16(-times)) }
}

/// `-128` · one of the two 16-bit numbers at `p`, as the start of a sum.
#[inline(always)]
unsafe fn half_less(p: *const u8, half: usize) -> __m512i {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe {
        let times = _mm512_set1_epi32(128 << (16 * half));
        let sum = _mm512_madd_epi16(every_lane(p), times);
        _mm512_sub_epi32(_mm512_setzero_si512(), sum)
    }
}

/// Formats with one scale for a block. Signed weights are taken as `w + 128`, less 128 · Σ a.
#[inline(always)]
unsafe fn whole<F: Format, const R: usize, const C: usize>(
    weights: &[WeightBlock; R],
    a: &[*const u8; C],
) -> [[__m512; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut start = [_mm512_setzero_si512(); C];
        for c in 0..C {
            match F::SUM {
                Sum::NarrowLess(offset) => start[c] = less(a[c].add(offset), 1),
                Sum::Wide => start[c] = less(a[c].add(at::HALF_SUMS), 128),
                _ => {}
            }
        }
        let mut sum = [start; R];
        // Low and high nibbles of one load follow each other.
        unrolled!(G in [0, 4, 1, 5, 2, 6, 3, 7] {
            for r in 0..R {
                let mut w = F::vector::<Zmm>(&weights[r], G);
                if F::SUM == Sum::Wide {
                    w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
                }
                for c in 0..C {
                    sum[r][c] = _mm512_dpbusd_epi32(sum[r][c], w, every_lane(a[c].add(4 * G)));
                }
            }
        });
        to_floats::<Zmm, R, C>(&sum)
    }
}

/// Formats with a scale for each half of a block. A half's sum is below 2^16 and a scale at most
/// 2^7 in magnitude, or (`WideHalves`) below 2^18 and at most 31: floats hold such products, and
/// the sum of two, exactly.
#[inline(always)]
unsafe fn halves<F: Format, const R: usize, const C: usize>(
    weights: &[WeightBlock; R],
    a: &[*const u8; C],
) -> [[__m512; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut total = [[_mm512_setzero_ps(); C]; R];
        unrolled!(HALF in [0, 1] {
            let mut start = [_mm512_setzero_si512(); C];
            for c in 0..C {
                match F::SUM {
                    Sum::HalvesLess => start[c] = less(a[c].add(at::OFF32 + 4 * HALF), 1),
                    Sum::WideHalves => start[c] = half_less(a[c].add(at::HALF_SUMS), HALF),
                    _ => {}
                }
            }
            let mut sum = [start; R];
            unrolled!(G in [4 * HALF, 4 * HALF + 1, 4 * HALF + 2, 4 * HALF + 3] {
                for r in 0..R {
                    let mut w = F::vector::<Zmm>(&weights[r], G);
                    if F::SUM == Sum::WideHalves {
                        w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
                    }
                    for c in 0..C {
                        sum[r][c] = _mm512_dpbusd_epi32(sum[r][c], w, every_lane(a[c].add(4 * G)));
                    }
                }
            });
            for r in 0..R {
                let scales = Zmm::signed(F::half_scales::<Zmm>(&weights[r], HALF));
                for c in 0..C {
                    let half = _mm512_cvtepi32_ps(sum[r][c]);
                    total[r][c] = _mm512_fmadd_ps(half, scales, total[r][c]);
                }
            }
        });
        total
    }
}
