use super::*;
use crate::Isa;

/// Bits, but one NaN is as good as another.
fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

#[inline(always)]
fn everything<V: Lanes>(a: &[f32], b: &[f32], c: &[f32], out: &mut Vec<f32>) {
    let (a, b, c) = (V::load(a), V::load(b), V::load_some(&c[..11], -3.0));
    let results = [
        a.add(b),
        a.sub(b),
        a.mul(b),
        a.div(b),
        a.mul_add(b, c),
        a.max(b),
        a.min(b),
        a.abs(),
        a.copy_sign(b),
        a.round(),
        V::splat(127.0).min(V::splat(-126.0).max(a)).round().pow2(),
        a.if_less(b, c, a),
        V::halves(a.sum(), b.highest()),
        a.fold(),
        V::quarters(&b.to_array()[3..]),
        a.fold_quarters(),
    ];
    for r in results {
        let mut sixteen = [0.0; 16];
        r.store(&mut sixteen);
        out.extend(sixteen);
    }
    out.extend([a.sum(), a.highest(), b.sum(), c.sum()]);
    let (highest, zero) = (a.which(a.highest()), c.which(0.0));
    out.extend([highest as f32, zero as f32]);
    let halves = a.to_f16();
    // SAFETY: both arrays have 16 numbers.
    let (f, bf) = unsafe { (V::load_f16_at(halves.as_ptr()), V::load_bf16_at(halves.as_ptr())) };
    out.extend(f.to_array());
    out.extend(bf.to_array());
    let mut some = [0.0; 5];
    a.store_some(&mut some);
    out.extend(some);
}

each_isa! {
    fn everything_with(a: &[f32], b: &[f32], c: &[f32], out: &mut Vec<f32>) = everything;
}

#[test]
fn all_forms_of_every_operation_agree() {
    let mut values = crate::tests::floats(48 * 60, 11);
    let odd = [f32::NAN, f32::INFINITY, -f32::INFINITY, 0.0, -0.0, 1e-40, f32::MAX, -65520.0, 0.5];
    for (i, v) in values.iter_mut().enumerate() {
        if i % 5 == 0 {
            *v = odd[i / 5 % odd.len()];
        }
    }
    for three in values.chunks_exact(48) {
        let (a, b, c) = (&three[..16], &three[16..32], &three[32..]);
        let run = |isa: Isa| {
            let mut out = Vec::new();
            everything_with(isa, a, b, c, &mut out);
            out
        };
        let plain = run(Isa::Scalar);
        for isa in Isa::all() {
            let fast = run(isa);
            assert_eq!(plain.len(), fast.len());
            for (i, (p, f)) in plain.iter().zip(&fast).enumerate() {
                assert_eq!(bits(*p), bits(*f), "{}: result {i}: {p} and {f}", isa.name());
            }
        }
    }
}
