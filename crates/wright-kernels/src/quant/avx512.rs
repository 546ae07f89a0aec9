//! The microkernels of AVX-512 with VNNI: `vpdpbusd` multiplies unsigned by signed bytes and adds
//! fours of products in 32 bits, so nothing can overflow.

use super::activations::at;
use super::formats::{self as f, At, Format, Sum};
use super::linear::Job;
use super::microkernel::{Dot, bits, by_format, columns, streams, tiles, to_floats, unrolled};
use super::vector::{Vector, Ymm, Zmm};
use crate::DType;
use std::arch::x86_64::*;

/// Streams of weights that one row of activations takes, and that two rows take.
pub(super) const STREAMS: [usize; 2] = [2, 1];

/// All outputs of a job.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL and VNNI, besides AVX2, FMA and F16C.
pub(super) unsafe fn run(job: &Job<'_>) {
    // SAFETY: the caller's.
    unsafe { by_format!(span, job) }
}

/// Walks a job: rows of activations by twelves, panels of K, pairs of groups.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn span<F: Format>(job: &Job<'_>) {
    let mut row = job.rows.start;
    while row < job.rows.end {
        // SAFETY: the rows are the job's, and the instructions are enabled here.
        row += unsafe {
            match job.rows.end - row {
                1 => columns::<F, Zmm, 1>(job, row),
                2..4 => columns::<F, Zmm, 2>(job, row),
                4..8 => columns::<F, Zmm, 4>(job, row),
                8..12 => columns::<F, Zmm, 8>(job, row),
                _ => columns::<F, Zmm, 12>(job, row),
            }
        };
    }
}

impl Dot for Zmm {
    #[inline(always)]
    unsafe fn groups<F: Format, const C: usize>(job: &Job<'_>, row: usize, from: usize, to: usize) {
        // SAFETY: the caller's.
        unsafe {
            let mut group = job.groups.start;
            if C == 1 {
                group = streams::<F, Zmm, { STREAMS[0] }, C>(job, group, row, from, to);
            }
            group = tiles::<F, Zmm, 1, C>(job, group, row, from, to);
            tiles::<F, Ymm, 1, C>(job, group, row, from, to);
        }
    }

    #[inline(always)]
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        places: &[At; R],
        a: &[*const u8; C],
    ) -> [[__m512; C]; R] {
        // SAFETY: the caller's.
        unsafe {
            match F::SUM {
                Sum::Narrow | Sum::NarrowLess(_) | Sum::Wide => whole::<F, R, C>(places, a),
                Sum::Halves | Sum::HalvesLess | Sum::WideHalves => halves::<F, R, C>(places, a),
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
    places: &[At; R],
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
                let mut w = F::vector::<Zmm>(&places[r], G);
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
    places: &[At; R],
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
                    let mut w = F::vector::<Zmm>(&places[r], G);
                    if F::SUM == Sum::WideHalves {
                        w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
                    }
                    for c in 0..C {
                        sum[r][c] = _mm512_dpbusd_epi32(sum[r][c], w, every_lane(a[c].add(4 * G)));
                    }
                }
            });
            for r in 0..R {
                let scales = Zmm::signed(F::half_scales::<Zmm>(&places[r], HALF));
                for c in 0..C {
                    let half = _mm512_cvtepi32_ps(sum[r][c]);
                    total[r][c] = _mm512_fmadd_ps(half, scales, total[r][c]);
                }
            }
        });
        total
    }
}
