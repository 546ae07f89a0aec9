use super::*;
use crate::dequantize;

const BLOCKY: [DType; 12] = [
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q8_0,
    DType::Q2K,
    DType::Q3K,
    DType::Q4K,
    DType::Q5K,
    DType::Q6K,
    DType::IQ4NL,
    DType::IQ4XS,
];

/// Values near a normal distribution, from a small generator with a fixed seed.
fn normal(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut uniform = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..n).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
}

fn round_trip(dtype: DType, x: &[f32], importance: Option<&[f32]>) -> Vec<f32> {
    let mut bytes = vec![0xAA; dtype.row_bytes(x.len()).unwrap()];
    quantize(Isa::detect(), dtype, x.len(), x, importance, &mut bytes).unwrap();
    let mut back = vec![0.0; x.len()];
    dequantize(dtype, &bytes, &mut back);
    back
}

/// Root of the mean squared error over the root of the mean square.
fn relative_rmse(x: &[f32], y: &[f32]) -> f32 {
    let error: f32 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
    let norm: f32 = x.iter().map(|x| x * x).sum();
    (error / norm).sqrt()
}

/// Bounds a little above what was seen; wrong packing of any field overshoots them by far.
#[test]
fn normal_values_come_back_within_each_formats_error() {
    let x = normal(256 * 64, 1);
    let bounds = [
        (DType::Q4_0, 0.0885),
        (DType::Q4_1, 0.074),
        (DType::Q5_0, 0.0435),
        (DType::Q5_1, 0.0357),
        (DType::Q8_0, 0.0056),
        (DType::Q2K, 0.288),
        (DType::Q3K, 0.16),
        (DType::Q4K, 0.0755),
        (DType::Q5K, 0.0378),
        (DType::Q6K, 0.0187),
        (DType::IQ4NL, 0.080),
        (DType::IQ4XS, 0.081),
    ];
    for (dtype, bound) in bounds {
        let error = relative_rmse(&x, &round_trip(dtype, &x, None));
        assert!(error < bound, "{dtype}: {error}");
        assert!(error > bound * 0.9, "{dtype}: {error} leaves the bound too loose");
    }
}

#[test]
fn both_instruction_sets_write_the_same_bytes() {
    let x = normal(256 * 8, 2);
    let importance: Vec<f32> = normal(256 * 8, 3).iter().map(|x| x * x).collect();
    for dtype in BLOCKY {
        for importance in [None, Some(&importance[..])] {
            let mut a = vec![0; dtype.row_bytes(x.len()).unwrap()];
            let mut b = a.clone();
            quantize(Isa::Scalar, dtype, x.len(), &x, importance, &mut a).unwrap();
            quantize(Isa::detect(), dtype, x.len(), &x, importance, &mut b).unwrap();
            assert_eq!(a, b, "{dtype}");
        }
    }
}

#[test]
fn what_lies_on_the_grid_comes_back_exactly() {
    for (dtype, zero) in [(DType::Q4_0, 8), (DType::Q5_0, 16), (DType::Q8_0, 127)] {
        let x: Vec<f32> = (0..32).map(|i| 0.5 * (i * 7 % (2 * zero) - zero) as f32).collect();
        let error = relative_rmse(&x, &round_trip(dtype, &x, None));
        assert!(error < 1e-6, "{dtype}: {error}");
    }
    let x: Vec<f32> = (0..32).map(|i| 3.0 + 0.25 * (i % 16) as f32).collect();
    assert!(relative_rmse(&x, &round_trip(DType::Q4_1, &x, None)) < 1e-6);
}

#[test]
fn zeros_constants_and_extremes_stay_finite_and_close() {
    for dtype in BLOCKY {
        let zeros = round_trip(dtype, &[0.0; 256], None);
        assert!(zeros.iter().all(|&x| x == 0.0), "{dtype}");
        for value in [1.0f32, -1.0, 1e-6, 3e4, -3e4] {
            let back = round_trip(dtype, &[value; 256], None);
            let worst = back.iter().map(|b| (b - value).abs()).fold(0.0, f32::max);
            assert!(worst <= value.abs() * 0.07 + 1e-6, "{dtype} {value}: off by {worst}");
        }
        let mut spike = vec![1e-3f32; 256];
        spike[7] = 1e4;
        assert!(round_trip(dtype, &spike, None).iter().all(|x| x.is_finite()), "{dtype}");
        let huge = vec![3e38f32; 256];
        assert!(round_trip(dtype, &huge, None).iter().all(|x| x.is_finite()), "{dtype}");
    }
}

#[test]
fn importance_moves_the_error_away_from_what_matters() {
    let x = normal(256 * 32, 5);
    let importance: Vec<f32> =
        (0..x.len()).map(|i| if i % 4 == 0 { 100.0 } else { 0.01 }).collect();
    let weighted = |y: &[f32]| -> f32 {
        let errors = x.iter().zip(y).zip(&importance).map(|((x, y), w)| w * (x - y) * (x - y));
        errors.sum()
    };
    for dtype in BLOCKY.into_iter().filter(|&d| d != DType::Q8_0) {
        let with = weighted(&round_trip(dtype, &x, Some(&importance)));
        let without = weighted(&round_trip(dtype, &x, None));
        assert!(with < without, "{dtype}: {with} against {without}");
    }
}

#[test]
fn wrong_shapes_and_values_that_are_not_finite_are_refused() {
    let mut out = [0; 34];
    let isa = Isa::detect();
    let short = quantize(isa, DType::Q8_0, 31, &[0.0; 31], None, &mut out);
    assert_eq!(short, Err(QuantizeError::Shape { row_len: 31, block_len: 32 }));
    let empty = quantize(isa, DType::Q8_0, 0, &[], None, &mut []);
    assert!(matches!(empty, Err(QuantizeError::Shape { .. })));
    let importance = quantize(isa, DType::Q8_0, 32, &[0.0; 32], Some(&[1.0; 31]), &mut out);
    assert!(matches!(importance, Err(QuantizeError::Shape { .. })));
    let mut x = [0.0; 32];
    x[9] = f32::NAN;
    let nan = quantize(isa, DType::Q8_0, 32, &x, None, &mut out);
    assert_eq!(nan, Err(QuantizeError::NotFinite { index: 9 }));
}

#[test]
fn floats_are_rounded_one_by_one_however_many_stand_in_a_row() {
    for n in [1, 15, 16, 17, 33] {
        let mut x = normal(2 * n, 7);
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let mut out = vec![0xAA; dtype.row_bytes(n).unwrap() * 2];
            quantize(Isa::detect(), dtype, n, &x, None, &mut out).unwrap();
            let one = |x: &f32| match dtype {
                DType::F32 => x.to_le_bytes().to_vec(),
                DType::F16 => f32_to_f16(*x).to_le_bytes().to_vec(),
                _ => f32_to_bf16(*x).to_le_bytes().to_vec(),
            };
            assert_eq!(out, x.iter().flat_map(one).collect::<Vec<u8>>(), "{n} {dtype}");
        }
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            x[2 * n - 1] = odd;
            let mut out = vec![0; 8 * n];
            let refused = quantize(Isa::detect(), DType::F32, n, &x, None, &mut out);
            assert_eq!(refused, Err(QuantizeError::NotFinite { index: 2 * n - 1 }));
        }
    }
}
