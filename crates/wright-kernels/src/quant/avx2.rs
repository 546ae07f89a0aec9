//! The microkernels of AVX2: integer sums by `maddubs`, which multiplies unsigned by signed bytes
//! and adds pairs in 16 bits; `formats` proves where that cannot overflow.

use super::activations::at;
use super::formats::{self as f, At, Format, Sum};
use super::linear::Job;
use super::microkernel::{Dot, bits, by_format, columns, tiles, to_floats, unrolled};
use super::vector::{Vector, Ymm};
use crate::DType;
use std::arch::x86_64::*;

/// All outputs of a job.
///
/// # Safety
/// The processor has AVX2, FMA and F16C.
pub(super) unsafe fn run(job: &Job<'_>) {
    // SAFETY: the caller's.
    unsafe { by_format!(span, job) }
}

/// Walks a job: rows of activations by fours, panels of K, groups by twos.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn span<F: Format>(job: &Job<'_>) {
    let mut row = job.rows.start;
    while row < job.rows.end {
        // SAFETY: the rows are the job's, and the instructions are enabled here.
        row += unsafe {
            match job.rows.end - row {
                1 => columns::<F, Ymm, 1>(job, row),
                2 => columns::<F, Ymm, 2>(job, row),
                3 => columns::<F, Ymm, 3>(job, row),
                _ => columns::<F, Ymm, 4>(job, row),
            }
        };
    }
}

impl Dot for Ymm {
    #[inline(always)]
    unsafe fn groups<F: Format, const C: usize>(job: &Job<'_>, row: usize, from: usize, to: usize) {
        // SAFETY: the caller's.
        unsafe {
            let mut group = job.groups.start;
            // More streams keep memory busier; formats with more to unpack run out of registers.
            if C == 1 && F::STEPS.high == 0 && !matches!(F::SUM, Sum::Wide | Sum::WideHalves) {
                group = tiles::<F, Ymm, 4, C>(job, group, row, from, to);
            }
            group = tiles::<F, Ymm, 2, C>(job, group, row, from, to);
            tiles::<F, Ymm, 1, C>(job, group, row, from, to);
        }
    }

    #[inline(always)]
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        places: &[At; R],
        a: &[*const u8; C],
    ) -> [[__m256; C]; R] {
        // SAFETY: the caller's.
        unsafe {
            let sums = match F::SUM {
                Sum::Narrow | Sum::NarrowLess(_) => narrow::<F, R, C>(places, a),
                Sum::Halves | Sum::HalvesLess => halves::<F, R, C>(places, a),
                Sum::Wide => wide::<F, R, C>(places, a),
                Sum::WideHalves => wide_halves::<F, R, C>(places, a),
            };
            to_floats::<Ymm, R, C>(&sums)
        }
    }
}

/// The 32 bits at `p` in every lane.
#[inline(always)]
unsafe fn every_lane(p: *const u8) -> __m256i {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe { _mm256_set1_epi32(bits(p)) }
}

/// See [`Sum::Narrow`].
#[inline(always)]
unsafe fn narrow<F: Format, const R: usize, const C: usize>(
    places: &[At; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut sum = [[_mm256_setzero_si256(); C]; R];
        // Low and high nibbles of one load follow each other.
        unrolled!(G in [0, 4, 1, 5, 2, 6, 3, 7] {
            for r in 0..R {
                let w = F::vector::<Ymm>(&places[r], G);
                for c in 0..C {
                    let product = _mm256_maddubs_epi16(w, every_lane(a[c].add(4 * G)));
                    sum[r][c] = _mm256_add_epi16(sum[r][c], product);
                }
            }
        });
        for sum in &mut sum {
            for c in 0..C {
                if let Sum::NarrowLess(offset) = F::SUM {
                    sum[c] = _mm256_sub_epi16(sum[c], every_lane(a[c].add(offset)));
                }
                sum[c] = _mm256_madd_epi16(sum[c], _mm256_set1_epi16(1));
            }
        }
        sum
    }
}

/// See [`Sum::Halves`].
#[inline(always)]
unsafe fn halves<F: Format, const R: usize, const C: usize>(
    places: &[At; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut total = [[_mm256_setzero_si256(); C]; R];
        unrolled!(HALF in [0, 1] {
            let mut sum = [[_mm256_setzero_si256(); C]; R];
            unrolled!(G in [4 * HALF, 4 * HALF + 1, 4 * HALF + 2, 4 * HALF + 3] {
                for r in 0..R {
                    let w = F::vector::<Ymm>(&places[r], G);
                    for c in 0..C {
                        let product = _mm256_maddubs_epi16(w, every_lane(a[c].add(4 * G)));
                        sum[r][c] = _mm256_add_epi16(sum[r][c], product);
                    }
                }
            });
            for r in 0..R {
                let scales = F::half_scales::<Ymm>(&places[r], HALF);
                let scales = Ymm::pairs(scales, scales);
                for c in 0..C {
                    if F::SUM == Sum::HalvesLess {
                        let less = every_lane(a[c].add(at::OFF32 + 4 * HALF));
                        sum[r][c] = _mm256_sub_epi16(sum[r][c], less);
                    }
                    let scaled = _mm256_madd_epi16(sum[r][c], scales);
                    total[r][c] = _mm256_add_epi32(total[r][c], scaled);
                }
            }
        });
        total
    }
}

/// See [`Sum::Wide`].
#[inline(always)]
unsafe fn wide<F: Format, const R: usize, const C: usize>(
    places: &[At; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut sum = [[_mm256_setzero_si256(); C]; R];
        unrolled!(G in [0, 4, 1, 5, 2, 6, 3, 7] {
            for r in 0..R {
                let w = F::vector::<Ymm>(&places[r], G);
                let magnitude = _mm256_abs_epi8(w);
                for c in 0..C {
                    let signed = _mm256_sign_epi8(every_lane(a[c].add(4 * G)), w);
                    let product = _mm256_maddubs_epi16(magnitude, signed);
                    let product = _mm256_madd_epi16(product, _mm256_set1_epi16(1));
                    sum[r][c] = _mm256_add_epi32(sum[r][c], product);
                }
            }
        });
        sum
    }
}

/// See [`Sum::WideHalves`].
#[inline(always)]
unsafe fn wide_halves<F: Format, const R: usize, const C: usize>(
    places: &[At; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut total = [[_mm256_setzero_si256(); C]; R];
        unrolled!(HALF in [0, 1] {
            let mut scales = [_mm256_setzero_si256(); R];
            for r in 0..R {
                let bytes = F::half_scales::<Ymm>(&places[r], HALF);
                scales[r] = Ymm::pairs(bytes, bytes);
            }
            unrolled!(G in [4 * HALF, 4 * HALF + 1, 4 * HALF + 2, 4 * HALF + 3] {
                for r in 0..R {
                    let w = F::vector::<Ymm>(&places[r], G);
                    let magnitude = _mm256_abs_epi8(w);
                    for c in 0..C {
                        let signed = _mm256_sign_epi8(every_lane(a[c].add(4 * G)), w);
                        let product = _mm256_maddubs_epi16(magnitude, signed);
                        let product = _mm256_madd_epi16(product, scales[r]);
                        total[r][c] = _mm256_add_epi32(total[r][c], product);
                    }
                }
            });
        });
        total
    }
}
