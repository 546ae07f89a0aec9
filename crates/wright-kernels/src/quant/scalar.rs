//! The plain form: what the vector forms must equal, byte for byte.

use super::activations::{BLOCK, Block};
use super::layout::{LANES, Layout, Steps};
use super::task::Task;
use crate::dequant::coded;
use crate::{DType, f16_to_f32};

/// 32 weights of one row, as integers, and their scale.
struct Weights {
    w: [i32; BLOCK],
    /// The value of one unit of `w`, times its half's `halves`.
    scale: f32,
    halves: [i32; 2],
    min: Min,
}

/// What is added to every weight of the block.
enum Min {
    None,
    /// This much.
    Whole(f32),
    /// An integer for each half, in units of a float.
    Halves(f32, [i32; 2]),
}

/// All outputs of a task.
pub(super) fn run(task: &Task<'_>) {
    let layout = task.layout;
    let per_row = layout.blocks();
    for group in task.groups.clone() {
        let bytes = &task.weights[group * layout.group_bytes..][..layout.group_bytes];
        for lane in 0..LANES.min(layout.n - group * LANES) {
            let mut acc = vec![0.0; task.rows.len()];
            for b in 0..per_row {
                let weights = Weights::read(layout, bytes, lane, b);
                for (acc, row) in acc.iter_mut().zip(task.rows.clone()) {
                    *acc = weights.add_to(*acc, &task.activations[row * per_row + b]);
                }
            }
            for (acc, row) in acc.into_iter().zip(task.rows.clone()) {
                task.out.put(row, group * LANES + lane, acc);
            }
        }
    }
}

impl Weights {
    /// The step that a block adds to an output. Vector forms do the same in the same order.
    fn add_to(&self, acc: f32, a: &Block) -> f32 {
        let dot = |half: usize| -> i32 {
            let (w, q) = (&self.w[16 * half..][..16], &a.q[16 * half..][..16]);
            w.iter().zip(q).map(|(w, &q)| w * i32::from(q)).sum()
        };
        let sum = self.halves[0] * dot(0) + self.halves[1] * dot(1);
        let acc = (sum as f32).mul_add(self.scale * a.scale, acc);
        match self.min {
            Min::None => acc,
            Min::Whole(min) => min.mul_add(a.scaled_sum, acc),
            Min::Halves(unit, mins) => {
                let sums = a.half_sums.map(i32::from);
                let sum = mins[0] * sums[0] + mins[1] * sums[1];
                (sum as f32).mul_add(unit * a.scale, acc)
            }
        }
    }

    /// Block `b` of row `lane` of a group.
    fn read(layout: &Layout, group: &[u8], lane: usize, b: usize) -> Weights {
        let dtype = layout.dtype;
        let steps = Steps::of(dtype).expect("a packed format");
        let quants = &group[b * steps.quants..][..steps.quants];
        let high = &group[layout.high + b * steps.high..][..steps.high];
        let per_scales = steps.blocks;
        let at = layout.scales + b / per_scales * steps.scales;
        let scales = &group[at..at + steps.scales];
        let table = &layout.codes.steps;
        let w = std::array::from_fn(|v| {
            let (g, byte) = (v / 4, 4 * lane + v % 4);
            let nibble = || i32::from(quants[32 * (g % 4) + byte] >> (4 * (g / 4)) & 15);
            let two = |plane: &[u8]| i32::from(plane[32 * (g / 4) + byte] >> (2 * (g % 4)) & 3);
            let bit = || i32::from(high[byte] >> g & 1);
            match dtype {
                DType::Q4_0 => nibble() - 8,
                DType::Q4_1 | DType::Q4K => nibble(),
                DType::Q5_0 | DType::Q5_1 | DType::Q5K => nibble() + 16 * bit() - 16,
                DType::Q8_0 => i32::from(quants[32 * g + byte] as i8),
                DType::Q2K => two(quants),
                DType::Q3K => two(quants) + 4 * bit() - 4,
                DType::Q6K => nibble() + 16 * two(high) - 32,
                DType::F32 | DType::F16 | DType::BF16 => unreachable!("not packed"),
                _ => i32::from(table[nibble() as usize]),
            }
        });
        let (scale, halves, min) = scales_of(dtype, scales, lane, b % per_scales);
        Weights { w, scale, halves, min }
    }
}

/// Scale, integer scales of the halves, and minimum of block `j` of those that `scales` serves.
fn scales_of(dtype: DType, scales: &[u8], lane: usize, j: usize) -> (f32, [i32; 2], Min) {
    let half = |i: usize| {
        let at = 16 * i + 2 * lane;
        f16_to_f32(u16::from_le_bytes([scales[at], scales[at + 1]]))
    };
    let d = half(0);
    let byte = |front: usize, step: usize, second: usize| scales[front + step * j + second + lane];
    let signed = |front: usize, second: usize| i32::from(byte(front, 16, second) as i8);
    match dtype {
        DType::Q4_1 => (d, [1, 1], Min::Whole(half(1))),
        DType::Q5_1 => (d, [1, 1], Min::Whole(16f32.mul_add(d, half(1)))),
        DType::Q4K | DType::Q5K => {
            let scale = d * f32::from(byte(32, 16, 0));
            let min = -half(1) * f32::from(byte(32, 16, 8));
            let min = if dtype == DType::Q5K { 16f32.mul_add(scale, min) } else { min };
            (scale, [1, 1], Min::Whole(min))
        }
        DType::Q2K => {
            let both = [byte(32, 16, 0), byte(32, 16, 8)];
            let mins = both.map(|b| i32::from(b >> 4));
            (d, both.map(|b| i32::from(b & 15)), Min::Halves(-half(1), mins))
        }
        DType::IQ2XS | DType::IQ2S | DType::IQ1M => {
            (coded::unit(dtype) * d, [signed(16, 0), signed(16, 8)], Min::None)
        }
        DType::MXFP4 => {
            let upper = [scales[2 * lane], scales[2 * lane + 1]];
            let d = f32::from_bits(u32::from(u16::from_le_bytes(upper)) << 16);
            (d, [1, 1], Min::None)
        }
        _ if dtype.is_coded() => {
            let scale = coded::unit(dtype) * d * f32::from(byte(16, 8, 0) as i8);
            (scale, [1, 1], Min::None)
        }
        DType::Q3K | DType::Q6K => (d, [signed(16, 0), signed(16, 8)], Min::None),
        DType::IQ4XS => (d * f32::from(byte(16, 8, 0) as i8), [1, 1], Min::None),
        _ => (d, [1, 1], Min::None),
    }
}
