use super::activations::BLOCK;
use super::*;
use crate::{DType, Isa, Matrix, Pool, f32_to_f16};
use std::sync::Arc;

mod accuracy;

/// The formats that have an integer kernel: all but the floats.
fn formats() -> impl Iterator<Item = DType> {
    DType::ALL.into_iter().filter(|dtype| !dtype.is_float())
}

/// Where the f16 numbers of a file's block are.
fn floats(dtype: DType) -> &'static [usize] {
    match dtype {
        DType::Q4_1 | DType::Q5_1 | DType::Q4K | DType::Q5K => &[0, 2],
        DType::Q2K => &[80, 82],
        DType::Q3K => &[108],
        DType::Q6K => &[208],
        DType::TQ1_0 => &[52],
        DType::TQ2_0 => &[64],
        DType::IQ1M | DType::MXFP4 => &[],
        _ => &[0],
    }
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// In -1..1.
    fn float(&mut self) -> f32 {
        (self.next() & 0xff_ffff) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Bytes of an (n, k) matrix: bits by `byte`, scales by the dice.
fn matrix_bytes(dtype: DType, n: usize, k: usize, mut byte: impl FnMut() -> u8) -> Vec<u8> {
    let mut dice = Dice(99);
    let mut bytes: Vec<u8> = (0..n * dtype.row_bytes(k).unwrap()).map(|_| byte()).collect();
    for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
        for &at in floats(dtype) {
            block[at..at + 2].copy_from_slice(&f32_to_f16(dice.float() * 0.02).to_le_bytes());
        }
        match dtype {
            // Its scale lies in four nibbles, of which the last has sign and exponent.
            DType::IQ1M => block[55] = block[55] & 0x0f | 0x20,
            DType::MXFP4 => block[0] = 100 + block[0] % 40,
            _ => {}
        }
    }
    bytes
}

fn random_matrix(dtype: DType, n: usize, k: usize) -> Vec<u8> {
    let mut dice = Dice(7 + n as u64 * 31 + k as u64);
    matrix_bytes(dtype, n, k, || dice.next() as u8)
}

fn random_rows(m: usize, k: usize) -> Vec<f32> {
    let mut dice = Dice(1 + m as u64 * 17 + k as u64);
    // Some blocks a thousand times larger than others.
    (0..m * k)
        .map(|i| dice.float() * if (i / BLOCK).is_multiple_of(3) { 40.0 } else { 0.04 })
        .collect()
}

/// Every set of instructions that is here, scalar first; then three threads.
fn pools() -> Vec<Pool> {
    let one = Isa::all().into_iter().map(|isa| Pool::with_isa(1, isa));
    one.chain([Pool::new(3)]).collect()
}

fn bits(y: &[f32]) -> Vec<u32> {
    y.iter().map(|v| v.to_bits()).collect()
}

fn product(pool: &Pool, packed: &Packed, x: &[f32], m: usize) -> Vec<f32> {
    let x = Activations::quantize(pool, x, m, packed.k());
    let mut y = vec![f32::NAN; m * packed.n()];
    linear_packed(pool, packed, &x, &mut y);
    y
}

#[test]
fn every_form_and_every_split_gives_the_same_bytes() {
    let pools = pools();
    for dtype in formats() {
        let unit = dtype.block_len();
        for (n, k) in
            [(1, unit), (7, 3 * unit), (8, unit), (29, 5 * unit), (40, 9 * 256), (65, unit)]
        {
            let bytes = random_matrix(dtype, n, k);
            let matrix = Matrix::new(dtype, n, k, &bytes).unwrap();
            let m = 21;
            let x = random_rows(m, k);
            let (scalar, others) = pools.split_first().unwrap();
            let packed = Packed::new(scalar, matrix).unwrap();
            let truth = bits(&product(scalar, &packed, &x, m));
            for pool in others {
                let packed = Packed::new(pool, matrix).unwrap();
                assert_eq!(bits(&product(pool, &packed, &x, m)), truth, "{dtype} {n} x {k}");
                // Any number of rows at once.
                for step in [1, 2, 3, 4, 5, 6, 7, 9, 16] {
                    let mut y = Vec::new();
                    for x in x.chunks(step * k) {
                        y.extend(product(pool, &packed, x, x.len() / k));
                    }
                    assert_eq!(bits(&y), truth, "{dtype} {n} x {k}, {step} rows at a time");
                }
            }
        }
    }
}

/// More weights than a piece of a task has: all rows pass one piece, then the next.
#[test]
fn tasks_of_several_pieces_leave_nothing_out() {
    let (n, k, m) = (101, 9 * 256, 21);
    let bytes = random_matrix(DType::Q8_0, n, k);
    let matrix = Matrix::new(DType::Q8_0, n, k, &bytes).unwrap();
    let x = random_rows(m, k);
    for pool in pools() {
        let packed = Packed::new(&pool, matrix).unwrap();
        let alone: Vec<f32> = x.chunks(k).flat_map(|x| product(&pool, &packed, x, 1)).collect();
        for step in [2, 3, 5, 10, 21] {
            let together = x.chunks(step * k).flat_map(|x| product(&pool, &packed, x, x.len() / k));
            assert_eq!(bits(&together.collect::<Vec<_>>()), bits(&alone), "{step} rows at a time");
        }
    }
}

/// Many rows have weights unpacked for them, some rows and some of K at a time; the rows and groups
/// that are left over take another way.
#[test]
fn many_rows_give_the_bytes_of_the_scalar_form() {
    let (m, k) = (93, 9 * 256);
    let x = random_rows(m, k);
    let pools = pools();
    for dtype in formats() {
        for n in [16, 23] {
            let bytes = random_matrix(dtype, n, k);
            let matrix = Matrix::new(dtype, n, k, &bytes).unwrap();
            let packed = Packed::new(&pools[0], matrix).unwrap();
            let truth = bits(&product(&pools[0], &packed, &x, m));
            for pool in &pools[1..] {
                assert_eq!(bits(&product(pool, &packed, &x, m)), truth, "{dtype} {n} {pool:?}");
            }
        }
    }
}

#[test]
fn many_matrices_in_one_call_are_each_as_alone() {
    let (k, m) = (512, 5);
    let x = random_rows(m, k);
    for pool in pools() {
        let packed: Vec<Packed> = formats()
            .enumerate()
            .map(|(i, dtype)| {
                let bytes = random_matrix(dtype, 5 + 8 * i, k);
                Packed::new(&pool, Matrix::new(dtype, 5 + 8 * i, k, &bytes).unwrap()).unwrap()
            })
            .collect();
        let activations = Activations::quantize(&pool, &x, m, k);
        let mut outputs: Vec<Vec<f32>> = packed.iter().map(|p| vec![0.0; m * p.n()]).collect();
        let mut parts: Vec<PackedProduct<'_>> = packed
            .iter()
            .zip(&mut outputs)
            .map(|(weights, y)| PackedProduct { weights, y })
            .collect();
        linear_packed_each(&pool, &mut parts, &activations);
        for (packed, y) in packed.iter().zip(&outputs) {
            assert_eq!(bits(y), bits(&product(&pool, packed, &x, m)), "{packed:?}");
        }
    }
}

#[test]
fn activations_are_rounded_alike_by_every_form() {
    let mut x = random_rows(12, 320);
    let oddities = [0.0, -0.0, 1e-38, -1e-40, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 127.5, 0.5];
    for (at, odd) in oddities.into_iter().enumerate() {
        x[at * 32 + at] = odd;
        x[320 + at * 32..320 + at * 32 + 32].fill(odd);
    }
    for (i, x) in x[640..672].iter_mut().enumerate() {
        *x = i as f32 - 15.5; // half-way cases
    }
    x[700] = f32::NAN;
    x[740] = f32::INFINITY;
    let pools = pools();
    let truth = Activations::quantize(&pools[0], &x, 12, 320);
    let debug = |a: &Activations| format!("{:?}", a.blocks());
    for pool in &pools[1..] {
        assert_eq!(debug(&Activations::quantize(pool, &x, 12, 320)), debug(&truth));
        let mut made = Activations::new();
        made.set_with(pool, 12, 320, |row, out| out.copy_from_slice(&x[row * 320..][..320]));
        assert_eq!(debug(&made), debug(&truth));
    }
    let mut odd = 0;
    for (block, x) in truth.blocks().iter().zip(x.chunks_exact(BLOCK)) {
        if x.iter().all(|v| v.is_finite()) {
            for (q, x) in block.q.iter().zip(x) {
                let scale = f64::from(block.scale);
                let error = (f64::from(*q) * scale - f64::from(*x)).abs();
                assert!(error <= scale * 0.5001 + 1e-35);
                assert!(*q != -128);
            }
        } else {
            assert!(block.scale.is_nan());
            odd += 1;
        }
    }
    assert_eq!(odd, 2);
}

#[test]
fn what_is_not_finite_reaches_its_own_row_and_no_other() {
    let (n, k, m) = (9, 256, 3);
    let pool = Pool::new(1);
    for dtype in formats() {
        let bytes = random_matrix(dtype, n, k);
        let packed = Packed::new(&pool, Matrix::new(dtype, n, k, &bytes).unwrap()).unwrap();
        let mut x = random_rows(m, k);
        x[k + 77] = f32::INFINITY;
        let y = product(&pool, &packed, &x, m);
        for (i, y) in y.iter().enumerate() {
            assert_eq!(y.is_nan(), i / n == 1, "{dtype}");
        }
    }
}

/// A buffer that begins where we want it to.
struct Shifted(Vec<u8>, usize);

impl Shifted {
    fn new(bytes: &[u8], shift: usize) -> Shifted {
        let mut room = vec![0; bytes.len() + 192];
        let at = room.as_ptr().align_offset(64) + shift;
        room[at..at + bytes.len()].copy_from_slice(bytes);
        Shifted(room, at)
    }
}

impl AsRef<[u8]> for Shifted {
    fn as_ref(&self) -> &[u8] {
        &self.0[self.1..]
    }
}

#[test]
fn a_packed_matrix_is_read_back_from_its_bytes() {
    let (n, k, m) = (19, 768, 4);
    let pool = Pool::new(2);
    let x = random_rows(m, k);
    for dtype in formats() {
        let bytes = random_matrix(dtype, n, k);
        let matrix = Matrix::new(dtype, n, k, &bytes).unwrap();
        let packed = Packed::new(&pool, matrix).unwrap();
        let len = packed.as_bytes().len();
        assert_eq!(Packed::bytes_needed(matrix), Some(len));
        let rows = dtype.row_bytes(k).unwrap() * n.next_multiple_of(8);
        // Codes are spread to nibbles, and the others are as large as in the file.
        let most = match dtype.is_coded() {
            true => rows.max(n.next_multiple_of(8) * k * 11 / 16),
            false => rows,
        };
        assert!(len as f64 <= 1.04 * most as f64 + 512.0, "{dtype}: {len} for {rows}");
        let mut written = vec![1; len];
        Packed::write(&pool, matrix, &mut written);
        assert_eq!(written, packed.as_bytes());
        let owner = Arc::new(Shifted::new(&written, 0));
        let mapped = Packed::from_bytes(owner, 0..len).unwrap();
        assert_eq!((mapped.dtype(), mapped.n(), mapped.k()), (dtype, n, k));
        assert_eq!(bits(&product(&pool, &mapped, &x, m)), bits(&product(&pool, &packed, &x, m)));
    }
}

#[test]
fn bytes_that_are_not_a_packed_matrix_are_rejected() {
    let pool = Pool::new(1);
    let bytes = random_matrix(DType::Q4_1, 8, 64);
    let matrix = Matrix::new(DType::Q4_1, 8, 64, &bytes).unwrap();
    let good = Packed::new(&pool, matrix).unwrap().as_bytes().to_vec();
    let len = good.len();
    let refused = |bytes: &[u8], shift, range| {
        Packed::from_bytes(Arc::new(Shifted::new(bytes, shift)), range).unwrap_err()
    };
    assert_eq!(refused(&good, 32, 0..len), PackedError::Misaligned);
    assert_eq!(refused(&good, 0, 0..10), PackedError::Short { need: 64, have: 10 });
    assert_eq!(refused(&good, 0, 0..len - 64), PackedError::Short { need: len, have: len - 64 });
    assert!(matches!(refused(&good, 0, len + 400..len + 500), PackedError::Short { .. }));
    for (at, byte, what) in [
        (0, b'x', PackedError::Magic),
        (8, 2, PackedError::Version { found: 2 }),
        (12, 0, PackedError::Shape),  // F32 has no packed form
        (12, 77, PackedError::Shape), // no format
        (16, 7, PackedError::Short { need: len, have: len }),
        (23, 255, PackedError::Shape), // n overflows
        (24, 63, PackedError::Shape),  // k is not whole blocks
        (31, 255, PackedError::Shape),
        (32, 1, PackedError::Shape),
        (50, 1, PackedError::Shape),
    ] {
        let mut bad = good.clone();
        bad[at] = byte;
        if at == 16 {
            // 7 rows need as many bytes as 8: a valid matrix, with a row less.
            assert!(Packed::from_bytes(Arc::new(Shifted::new(&bad, 0)), 0..len).is_ok());
        } else {
            assert_eq!(refused(&bad, 0, 0..len), what, "byte {at}");
        }
    }
}

#[test]
fn formats_without_integers_and_empty_matrices() {
    let pool = Pool::new(1);
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let bytes = vec![0; 64 * dtype.block_bytes()];
        assert!(Packed::new(&pool, Matrix::new(dtype, 2, 32, &bytes).unwrap()).is_none());
    }
    for (n, k) in [(0, 32), (3, 0), (0, 0)] {
        let bytes = vec![1; n * DType::Q8_0.row_bytes(k).unwrap()];
        let packed = Packed::new(&pool, Matrix::new(DType::Q8_0, n, k, &bytes).unwrap()).unwrap();
        assert_eq!(product(&pool, &packed, &vec![1.0; 2 * k], 2), vec![0.0; 2 * n]);
    }
    let bytes = random_matrix(DType::Q8_0, 3, 32);
    let packed = Packed::new(&pool, Matrix::new(DType::Q8_0, 3, 32, &bytes).unwrap()).unwrap();
    assert!(product(&pool, &packed, &[], 0).is_empty());
}
