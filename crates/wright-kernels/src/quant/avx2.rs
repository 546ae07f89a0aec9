//! The microkernels of AVX2: a tile is R groups of 8 rows by C rows of activations.
//!
//! Whatever R and C are, and wherever a panel of K ends, an output goes through the same
//! operations in the same order; partial sums wait in the output itself, which loses nothing.

use super::activations::{Block, at};
use super::formats::{At, Format, Min, Sum};
use super::linear::Job;
use super::packed::LANES;
use crate::DType;
use crate::quant::formats as f;
use std::arch::x86_64::*;

/// Blocks in a panel of K: the activations of a tile, 64 bytes a block, stay in the first cache.
const PANEL: usize = 64;

/// Bytes that the weights are fetched ahead of their use when few rows share them. From memory,
/// 1 kB gave 9.6 GB/s on a core of Zen 3, 4 kB 12, and 8 kB with groups by fours 15 (Q4_1, K 576).
const AHEAD: usize = 8192;

/// The body once for each constant: loops over vectors of a block must be unrolled for shifts to
/// be constants and sums to stay in registers, and the compiler does not always see that.
macro_rules! unrolled {
    ($g:ident in [$($value:expr),*] $body:block) => { $({ const $g: usize = $value; $body })* };
}

/// All outputs of a job.
///
/// # Safety
/// The processor has AVX2, FMA and F16C.
pub(super) unsafe fn run(job: &Job<'_>) {
    // SAFETY: the caller's.
    unsafe {
        match job.layout.dtype {
            DType::Q4_0 => span::<f::Q4_0>(job),
            DType::Q4_1 => span::<f::Q4_1>(job),
            DType::Q5_0 => span::<f::Q5_0>(job),
            DType::Q5_1 => span::<f::Q5_1>(job),
            DType::Q8_0 => span::<f::Q8_0>(job),
            DType::Q2K => span::<f::Q2K>(job),
            DType::Q3K => span::<f::Q3K>(job),
            DType::Q4K => span::<f::Q4K>(job),
            DType::Q5K => span::<f::Q5K>(job),
            DType::Q6K => span::<f::Q6K>(job),
            DType::IQ4NL => span::<f::Iq4Nl>(job),
            DType::IQ4XS => span::<f::Iq4Xs>(job),
            DType::F32 | DType::F16 | DType::BF16 => unreachable!("not packed"),
        }
    }
}

/// Walks a job: rows of activations by fours, panels of K, groups by twos.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn span<F: Format>(job: &Job<'_>) {
    let mut row = job.rows.start;
    while row < job.rows.end {
        // SAFETY: rows and groups are inside the job's; see `columns`.
        row += unsafe {
            match job.rows.end - row {
                1 => columns::<F, 1>(job, row),
                2 => columns::<F, 2>(job, row),
                3 => columns::<F, 3>(job, row),
                _ => columns::<F, 4>(job, row),
            }
        };
    }
}

/// C rows of activations from `row` on against all groups of the job. Gives C.
#[inline(always)]
unsafe fn columns<F: Format, const C: usize>(job: &Job<'_>, row: usize) -> usize {
    let blocks = job.layout.blocks();
    let mut panel = 0;
    loop {
        let end = if C == 1 { blocks } else { blocks.min(panel + PANEL) };
        // SAFETY: group, row and panel are inside the matrix and the activations.
        unsafe {
            let mut group = job.groups.start;
            // More streams keep memory busier; formats with more to unpack run out of registers.
            if C == 1 && F::STEPS.high == 0 && F::SUM != Sum::Wide {
                group = tiles::<F, 4, C>(job, group, row, panel, end);
            }
            group = tiles::<F, 2, C>(job, group, row, panel, end);
            tiles::<F, 1, C>(job, group, row, panel, end);
        }
        panel = end;
        if panel == blocks {
            return C;
        }
    }
}

/// Tiles of R groups from `group` on, as many as there are. Gives the first group that is left.
#[inline(always)]
unsafe fn tiles<F: Format, const R: usize, const C: usize>(
    job: &Job<'_>,
    mut group: usize,
    row: usize,
    from: usize,
    to: usize,
) -> usize {
    while group + R <= job.groups.end {
        // SAFETY: the caller's, and the groups are the job's.
        unsafe { tile::<F, R, C>(job, group, row, from, to) };
        group += R;
    }
    group
}

/// Blocks `from..to` of R groups by C rows, added to what earlier panels left in the output.
///
/// # Safety
/// AVX2, FMA, F16C; groups, rows and blocks exist in the job's matrix and activations.
#[inline(always)]
unsafe fn tile<F: Format, const R: usize, const C: usize>(
    job: &Job<'_>,
    group: usize,
    row: usize,
    from: usize,
    to: usize,
) {
    let layout = job.layout;
    let blocks = layout.blocks();
    // SAFETY: the caller's; every pointer stays inside its slice because the indices do.
    unsafe {
        let weights: [*const u8; R] =
            std::array::from_fn(|r| job.weights.as_ptr().add((group + r) * layout.group_bytes));
        let activations: [*const Block; C] =
            std::array::from_fn(|c| job.activations.as_ptr().add((row + c) * blocks));
        let mut acc = [[_mm256_setzero_ps(); C]; R];
        if from > 0 {
            for (r, acc) in acc.iter_mut().enumerate() {
                for (c, acc) in acc.iter_mut().enumerate() {
                    *acc = job.out.load(row + c, (group + r) * LANES);
                }
            }
        }
        let per_scales = F::STEPS.blocks;
        for b in from..to {
            let places: [At; R] = std::array::from_fn(|r| At {
                quants: weights[r].add(b * F::STEPS.quants),
                high: weights[r].add(layout.high + b * F::STEPS.high),
                front: weights[r].add(layout.scales + b / per_scales * F::STEPS.scales),
                j: b % per_scales,
            });
            let a: [*const u8; C] = std::array::from_fn(|c| activations[c].add(b).cast());
            if C <= 2 {
                fetch_ahead::<F, R>(&places, R * layout.group_bytes);
            }
            let sums = sums::<F, R, C>(&places, &a);
            for r in 0..R {
                add_scaled::<F, C>(&places[r], &a, &sums[r], &mut acc[r]);
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            for (c, acc) in acc.iter().enumerate() {
                job.out.store(row + c, (group + r) * LANES, *acc);
            }
        }
    }
}

/// Asks for the weights that come next: quants some way on, the other planes of the next groups,
/// `next` bytes from these. Addresses past the end are harmless.
#[inline(always)]
unsafe fn fetch_ahead<F: Format, const R: usize>(places: &[At; R], next: usize) {
    // SAFETY: a prefetch of any address does nothing but fetch.
    let fetch = |address: *const u8| unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    for place in places {
        for line in 0..F::STEPS.quants.div_ceil(64) {
            fetch(place.quants.wrapping_add(AHEAD + 64 * line));
        }
        fetch(place.front.wrapping_add(next));
        if F::STEPS.high > 0 {
            fetch(place.high.wrapping_add(next));
        }
    }
}

/// The 32 bits at `p` in every lane.
#[inline(always)]
unsafe fn every_lane(p: *const u8) -> __m256i {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe { _mm256_set1_epi32(p.cast::<i32>().read_unaligned()) }
}

/// The f32 at `p` in every lane.
#[inline(always)]
unsafe fn every_lane_f32(p: *const u8) -> __m256 {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe { _mm256_castsi256_ps(every_lane(p)) }
}

/// The exact integer sums of one block, 8 rows in the lanes.
#[inline(always)]
unsafe fn sums<F: Format, const R: usize, const C: usize>(
    places: &[At; R],
    a: &[*const u8; C],
) -> [[__m256i; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        match F::SUM {
            Sum::Narrow | Sum::NarrowLess(_) => narrow::<F, R, C>(places, a),
            Sum::Halves | Sum::HalvesLess => halves::<F, R, C>(places, a),
            Sum::Wide => wide::<F, R, C>(places, a),
        }
    }
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
                let w = F::vector(&places[r], G);
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
                    let w = F::vector(&places[r], G);
                    for c in 0..C {
                        let product = _mm256_maddubs_epi16(w, every_lane(a[c].add(4 * G)));
                        sum[r][c] = _mm256_add_epi16(sum[r][c], product);
                    }
                }
            });
            for r in 0..R {
                let scales = F::scales16(&places[r], HALF);
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
                let w = F::vector(&places[r], G);
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

/// The float side of a block: scale, then minimum.
#[inline(always)]
unsafe fn add_scaled<F: Format, const C: usize>(
    place: &At,
    a: &[*const u8; C],
    sums: &[__m256i; C],
    acc: &mut [__m256; C],
) {
    // SAFETY: the caller's.
    unsafe {
        let scale = F::scale(place);
        for c in 0..C {
            let worth = _mm256_mul_ps(scale, every_lane_f32(a[c].add(at::SCALE)));
            acc[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[c]), worth, acc[c]);
        }
        match F::MIN {
            Min::None => {}
            Min::Whole => {
                let min = F::min(place);
                for c in 0..C {
                    let sum = every_lane_f32(a[c].add(at::SCALED_SUM));
                    acc[c] = _mm256_fmadd_ps(min, sum, acc[c]);
                }
            }
            Min::Halves => {
                let (unit, mins) = (F::min(place), F::mins16(place));
                for c in 0..C {
                    let sums = _mm256_madd_epi16(mins, every_lane(a[c].add(at::HALF_SUMS)));
                    let worth = _mm256_mul_ps(unit, every_lane_f32(a[c].add(at::SCALE)));
                    acc[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), worth, acc[c]);
                }
            }
        }
    }
}
