use super::*;
use crate::tests::{assert_same, bytes};

/// Made by `tests/golden/make_dequant.py`.
const GOLDEN: &[u8] = include_bytes!("../../tests/golden/dequant.bin");

fn take<'a>(rest: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (head, tail) = rest.split_at(n);
    *rest = tail;
    head
}

fn take_u32(rest: &mut &[u8]) -> u32 {
    u32::from_le_bytes(take(rest, 4).try_into().unwrap())
}

#[test]
fn every_format_decodes_bit_for_bit_as_the_reference_does() {
    let mut rest = GOLDEN;
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let dtype = DType::from_ggml(take_u32(&mut rest)).unwrap();
        let n = take_u32(&mut rest) as usize;
        let src = take(&mut rest, dtype.row_bytes(n).unwrap());
        let want: Vec<f32> = take(&mut rest, 4 * n)
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        for isa in [Isa::Scalar, Isa::detect()] {
            let mut got = vec![0.0; n];
            dequantize_with(isa, dtype, src, &mut got);
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
                assert!(same, "{dtype} at {i}: {got:e} is not {want:e}");
            }
        }
        seen.push(dtype);
    }
    seen.sort();
    assert_eq!(seen, DType::ALL);
}

#[test]
fn forms_agree_on_any_bytes() {
    for (seed, dtype) in (1..).zip(DType::ALL) {
        let n = dtype.block_len() * 37;
        let src = bytes(dtype.row_bytes(n).unwrap(), seed);
        let (mut plain, mut fast) = (vec![0.0; n], vec![0.0; n]);
        dequantize_with(Isa::Scalar, dtype, &src, &mut plain);
        dequantize(dtype, &src, &mut fast);
        assert_same(&plain, &fast);
    }
}

#[test]
fn rows_are_looked_up_in_the_order_of_the_ids() {
    let (n, k) = (21, 64);
    let table = bytes(n * 2 * 34, 5);
    let table = Matrix::new(DType::Q8_0, n, k, &table).unwrap();
    let ids: Vec<u32> = (0..50).map(|i| i * 13 % 21).collect();
    for threads in [1, 3] {
        let mut out = vec![0.0; ids.len() * k];
        embed(&Pool::new(threads), &table, &ids, &mut out);
        for (&id, row) in ids.iter().zip(out.chunks_exact(k)) {
            let mut want = vec![0.0; k];
            dequantize(table.dtype, table.row(id as usize), &mut want);
            assert_same(row, &want);
        }
    }
}
