//! The microkernels of AVX2: integer sums by `maddubs`, which multiplies unsigned by signed bytes
//! and adds pairs in 16 bits; `formats` proves where that cannot overflow.

use super::activations::{Block, at};
use super::formats::{self as f, Format, Sum, Unpacked, WeightBlock};
use super::layout::LANES;
use super::microkernel::{
    Dot, Prefetch, Walk, bits, by_format, columns, remainder, tile, tiles, to_floats, unrolled,
    weight_block,
};
use super::task::Task;
use super::vector::{Rows, VECTORS_BYTES, Vector, Ymm};
use crate::DType;
use crate::isa::prefetch;
use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

/// Streams of weights that one row of activations takes, and that two rows take.
pub(super) const STREAMS: [usize; 2] = [4, 2];

/// All outputs of a task.
///
/// # Safety
/// The processor has AVX2, FMA and F16C.
pub(super) unsafe fn run(task: &Task<'_>) {
    // SAFETY: the caller's.
    unsafe { by_format!(span, task) }
}

/// Walks a task: five rows of activations at a time, panels of K, two groups at a time. Ten sums,
/// two weights and what a product needs are all the registers there are.
unsafe fn span<F: Format>(task: &Task<'_>) {
    let mut row = task.rows.start;
    if task.rows.len() >= MANY_ROWS && F::STEPS.quants < VECTORS_BYTES {
        // SAFETY: the caller's.
        row = unsafe { many_rows::<F>(task) };
    }
    while row < task.rows.end {
        // SAFETY: the rows are the task's, and the caller promises the instructions.
        row += unsafe {
            match task.rows.end - row {
                1 => columns::<F, Ymm, Ymm, 4, 1>(task, row),
                2 => columns::<F, Ymm, Ymm, 2, 2>(task, row),
                3 => columns::<F, Ymm, Ymm, 2, 3>(task, row),
                // No single row is to be left over.
                4 | 6 | 8 => columns::<F, Ymm, Ymm, 2, 4>(task, row),
                _ => columns::<F, Ymm, Ymm, 2, 5>(task, row),
            }
        };
    }
}

/// Rows from which on weights are unpacked to bytes once for all of them.
const MANY_ROWS: usize = 40;

/// Blocks of K that are unpacked together: two groups of these are 16 kB, half a first cache.
const PANEL: usize = 32;

/// Bytes of activations that stay in the second cache while the task's groups pass.
const ROWS_BYTES: usize = 160 << 10;

/// The vectors of a panel of K of two groups, (PANEL, 2, 8 vectors).
#[repr(align(64))]
struct Vectors([u8; PANEL * 2 * VECTORS_BYTES]);

/// All of a task's rows but those that tiles of five leave over; gives the first of these. Weights
/// are unpacked for some rows at a time, so that tiles only load them.
///
/// # Safety
/// As [`span`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn many_rows<F: Format>(task: &Task<'_>) -> usize {
    let blocks = task.layout.blocks();
    let end = task.rows.end - task.rows.len() % 5;
    let most = (ROWS_BYTES / (blocks * size_of::<Block>())).max(MANY_ROWS).next_multiple_of(5);
    let mut vectors = Vectors([0; PANEL * 2 * VECTORS_BYTES]);
    for first in (task.rows.start..end).step_by(most) {
        let rows = first..end.min(first + most);
        let mut group = task.groups.start;
        while group + 2 <= task.groups.end {
            for from in (0..blocks).step_by(PANEL) {
                let panel = from..blocks.min(from + PANEL);
                // SAFETY: the caller's; groups, rows and blocks are the task's.
                unsafe {
                    unpack::<F>(task, group, panel.clone(), &mut vectors);
                    for row in rows.clone().step_by(5) {
                        let (unpacked, pair) = (vectors.0.as_ptr(), [group, group + 1]);
                        prefetch_outputs(task, group, row);
                        let (panel, prefetch) = (panel.clone(), Prefetch::side_by_side(2));
                        tile::<Unpacked<F>, Ymm, 2, 5>(task, pair, row, panel, unpacked, prefetch);
                    }
                }
            }
            group += 2;
        }
        // SAFETY: the caller's; groups and rows are the task's.
        unsafe { remainder::<F, Ymm>(task, group, rows) };
    }
    end
}

/// Asks for where the outputs of two groups and five rows go: rows lie far apart, which is no
/// pattern that the processor sees, and each has two lines unless it begins on one.
///
/// # Safety
/// The groups and rows are the task's.
#[inline(always)]
unsafe fn prefetch_outputs(task: &Task<'_>, group: usize, row: usize) {
    for row in row..row + 5 {
        // SAFETY: the caller's.
        let (at, _) = unsafe { task.out.place(row, group * LANES) };
        prefetch(at.cast());
        prefetch(at.wrapping_add(2 * LANES - 1).cast());
    }
}

/// The vectors of some blocks of two groups.
///
/// # Safety
/// The processor has AVX2, FMA and F16C; the groups and blocks are the task's.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn unpack<F: Format>(
    task: &Task<'_>,
    group: usize,
    panel: Range<usize>,
    vectors: &mut Vectors,
) {
    let bytes = task.layout.group_bytes;
    let mut blocks = vectors.0.chunks_exact_mut(VECTORS_BYTES);
    for b in panel {
        for group in [group, group + 1] {
            let at = task.weights[group * bytes..].as_ptr();
            let block = weight_block::<F>(task.layout, Rows { at, next: bytes }, b);
            let to = blocks.next().expect("a panel has no more blocks").as_mut_ptr();
            unrolled!(G in [0, 1, 2, 3, 4, 5, 6, 7] {
                // SAFETY: the caller's; eight vectors have room.
                unsafe {
                    let vector = F::vector::<Ymm>(&block, G);
                    _mm256_storeu_si256(to.add(32 * G).cast(), vector);
                }
            });
        }
    }
}

impl Dot for Ymm {
    const STREAMS: [usize; 2] = STREAMS;

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn tiles<F: Format, const R: usize, const C: usize>(task: &Task<'_>, walk: &Walk) {
        // SAFETY: the caller's.
        unsafe { tiles::<F, Ymm, R, C>(task, walk) }
    }

    #[inline(always)]
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        weights: &[WeightBlock; R],
        a: &[*const u8; C],
    ) -> [[__m256; C]; R] {
        // SAFETY: the caller's.
        unsafe {
            let sums = match F::SUM {
                Sum::Narrow | Sum::NarrowLess(_) => narrow::<F, R, C>(weights, a),
                Sum::Halves | Sum::HalvesLess => halves::<F, R, C>(weights, a),
                Sum::Wide => wide::<F, R, C>(weights, a),
                Sum::WideHalves => wide_halves::<F, R, C>(weights, a),
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

/// `sum[r] += maddubs(w[r], a)` in 16 bits for two vectors, `a` being the four bytes at `p + G4`.
///
/// In assembly because of what the compiler makes of the intrinsics: it gathers all products of an
/// output into a tree and keeps broadcasts and weights of a whole block on the stack meanwhile, a
/// third more instructions than there are here.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn add_narrow<const G4: usize>(
    p: *const u8,
    w: [__m256i; 2],
    [mut s0, mut s1]: [__m256i; 2],
) -> [__m256i; 2] {
    // SAFETY: reads the four bytes that the caller promises, and registers.
    unsafe {
        asm!(
            "vpbroadcastd {a}, dword ptr [{p} + {g}]",
            "vpmaddubsw {t}, {w0}, {a}",
            "vpaddw {s0}, {s0}, {t}",
            "vpmaddubsw {a}, {w1}, {a}",
            "vpaddw {s1}, {s1}, {a}",
            p = in(reg) p,
            g = const G4,
            w0 = in(ymm_reg) w[0],
            w1 = in(ymm_reg) w[1],
            s0 = inout(ymm_reg) s0,
            s1 = inout(ymm_reg) s1,
            a = out(ymm_reg) _,
            t = out(ymm_reg) _,
            options(nostack, preserves_flags, readonly),
        );
    }
    [s0, s1]
}

/// `sum[r] += madd(maddubs(|w[r]|, a with the signs of w[r]), by[r])` in 32 bits for two vectors,
/// `a` being the four bytes at `p + G4`. In assembly as [`add_narrow`] is.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn add_wide<const G4: usize>(
    p: *const u8,
    w: [__m256i; 2],
    magnitudes: [__m256i; 2],
    by: &[__m256i; 2],
    [mut s0, mut s1]: [__m256i; 2],
) -> [__m256i; 2] {
    // SAFETY: reads the four bytes that the caller promises, `by`, and registers.
    unsafe {
        asm!(
            "vpbroadcastd {a}, dword ptr [{p} + {g}]",
            "vpsignb {t}, {a}, {w0}",
            "vpsignb {a}, {a}, {w1}",
            "vpmaddubsw {t}, {m0}, {t}",
            "vpmaddubsw {a}, {m1}, {a}",
            "vpmaddwd {t}, {t}, ymmword ptr [{by}]",
            "vpmaddwd {a}, {a}, ymmword ptr [{by} + 32]",
            "vpaddd {s0}, {s0}, {t}",
            "vpaddd {s1}, {s1}, {a}",
            p = in(reg) p,
            g = const G4,
            by = in(reg) by.as_ptr(),
            w0 = in(ymm_reg) w[0],
            w1 = in(ymm_reg) w[1],
            m0 = in(ymm_reg) magnitudes[0],
            m1 = in(ymm_reg) magnitudes[1],
            s0 = inout(ymm_reg) s0,
            s1 = inout(ymm_reg) s1,
            a = out(ymm_reg) _,
            t = out(ymm_reg) _,
            options(nostack, preserves_flags, readonly),
        );
    }
    [s0, s1]
}

/// One vector of four values a row: adds its products with C rows of activations.
#[inline(always)]
unsafe fn narrow_products<const G4: usize, const R: usize, const C: usize>(
    w: &[__m256i; R],
    a: &[*const u8; C],
    sum: &mut [[__m256i; C]; R],
) {
    // SAFETY: the caller's.
    unsafe {
        for c in 0..C {
            if R == 2 {
                let both = [sum[0][c], sum[R - 1][c]];
                let both = add_narrow::<G4>(a[c], [w[0], w[R - 1]], both);
                [sum[0][c], sum[R - 1][c]] = both;
                continue;
            }
            for r in 0..R {
                let product = _mm256_maddubs_epi16(w[r], every_lane(a[c].add(G4)));
                sum[r][c] = _mm256_add_epi16(sum[r][c], product);
            }
        }
    }
}

/// As [`narrow_products`], of signed weights, each pair of products times `by`.
#[inline(always)]
unsafe fn wide_products<const G4: usize, const R: usize, const C: usize>(
    w: &[__m256i; R],
    by: &[__m256i; R],
    a: &[*const u8; C],
    sum: &mut [[__m256i; C]; R],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut magnitudes = [_mm256_setzero_si256(); R];
        for r in 0..R {
            magnitudes[r] = _mm256_abs_epi8(w[r]);
        }
        for c in 0..C {
            if R == 2 {
                let both = [sum[0][c], sum[R - 1][c]];
                let magnitudes = [magnitudes[0], magnitudes[R - 1]];
                let by = [by[0], by[R - 1]];
                let both = add_wide::<G4>(a[c], [w[0], w[R - 1]], magnitudes, &by, both);
                [sum[0][c], sum[R - 1][c]] = both;
                continue;
            }
            for r in 0..R {
                let signed = _mm256_sign_epi8(every_lane(a[c].add(G4)), w[r]);
                let product = _mm256_maddubs_epi16(magnitudes[r], signed);
                let product = _mm256_madd_epi16(product, by[r]);
                sum[r][c] = _mm256_add_epi32(sum[r][c], product);
            }
        }
    }
}

/// Vector `g` of each row of vectors.
#[inline(always)]
unsafe fn vectors<F: Format, const R: usize>(weights: &[WeightBlock; R], g: usize) -> [__m256i; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut w = [_mm256_setzero_si256(); R];
        for r in 0..R {
            w[r] = F::vector::<Ymm>(&weights[r], g);
        }
        w
    }
}

/// See [`Sum::Narrow`].
#[inline(always)]
unsafe fn narrow<F: Format, const R: usize, const C: usize>(
    weights: &[WeightBlock; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut sum = [[_mm256_setzero_si256(); C]; R];
        // Low and high nibbles of one load follow each other.
        unrolled!(G in [0, 4, 1, 5, 2, 6, 3, 7] {
            let w = vectors::<F, R>(weights, G);
            narrow_products::<{ 4 * G }, R, C>(&w, a, &mut sum);
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
    weights: &[WeightBlock; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut total = [[_mm256_setzero_si256(); C]; R];
        unrolled!(HALF in [0, 1] {
            let mut sum = [[_mm256_setzero_si256(); C]; R];
            unrolled!(G in [4 * HALF, 4 * HALF + 1, 4 * HALF + 2, 4 * HALF + 3] {
                let w = vectors::<F, R>(weights, G);
                narrow_products::<{ 4 * G }, R, C>(&w, a, &mut sum);
            });
            for r in 0..R {
                let scales = F::half_scales::<Ymm>(&weights[r], HALF);
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
    weights: &[WeightBlock; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut sum = [[_mm256_setzero_si256(); C]; R];
        let ones = [_mm256_set1_epi16(1); R];
        unrolled!(G in [0, 4, 1, 5, 2, 6, 3, 7] {
            let w = vectors::<F, R>(weights, G);
            wide_products::<{ 4 * G }, R, C>(&w, &ones, a, &mut sum);
        });
        sum
    }
}

/// See [`Sum::WideHalves`].
#[inline(always)]
unsafe fn wide_halves<F: Format, const R: usize, const C: usize>(
    weights: &[WeightBlock; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut total = [[_mm256_setzero_si256(); C]; R];
        unrolled!(HALF in [0, 1] {
            let mut scales = [_mm256_setzero_si256(); R];
            for r in 0..R {
                let bytes = F::half_scales::<Ymm>(&weights[r], HALF);
                scales[r] = Ymm::pairs(bytes, bytes);
            }
            unrolled!(G in [4 * HALF, 4 * HALF + 1, 4 * HALF + 2, 4 * HALF + 3] {
                let w = vectors::<F, R>(weights, G);
                wide_products::<{ 4 * G }, R, C>(&w, &scales, a, &mut total);
            });
        });
        total
    }
}
