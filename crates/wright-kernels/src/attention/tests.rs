use super::*;
use crate::float16::{f16_to_f32, f32_to_f16};
use crate::tests::{assert_close, assert_same, floats};

/// A cache whose every cell is NaN until it is written, with room of other layers in its blocks.
struct Cache {
    layout: KvLayout,
    cells: Vec<f32>,
    half: Option<Vec<u16>>,
}

impl Cache {
    fn new(a: &Attention<'_>, n_blocks: usize, half: bool) -> Cache {
        let (k_len, v_len) = [a.key_dim, a.value_dim].map(|n| a.n_kv_head * n * KV_BLOCK).into();
        let layout = KvLayout { stride: 3 + v_len + 5 + k_len + 7, k: 3 + v_len + 5, v: 3 };
        let cells = vec![f32::NAN; n_blocks * layout.stride];
        let half = half.then(|| vec![0x7e00; cells.len()]);
        Cache { layout, cells, half }
    }

    fn write(&mut self, pool: &Pool, a: &Attention<'_>, spans: &[Span<'_>], k: &[f32], v: &[f32]) {
        let cells = match &mut self.half {
            Some(half) => CellsMut::F16(half),
            None => CellsMut::F32(&mut self.cells),
        };
        write_kv(pool, a, (cells, self.layout), spans, (k, v));
    }

    fn attend(&self, pool: &Pool, a: &Attention<'_>, spans: &[Span<'_>], q: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; q.len() / a.key_dim * a.value_dim];
        let cells = match &self.half {
            Some(half) => Cells::F16(half),
            None => Cells::F32(&self.cells),
        };
        attend(pool, a, (cells, self.layout), spans, q, &mut out);
        out
    }
}

const PLAIN: Attention<'static> = Attention {
    n_head: 6,
    n_kv_head: 2,
    key_dim: 64,
    value_dim: 64,
    scale: 0.125,
    causal: true,
    window: None,
    chunked: false,
    soft_cap: None,
    alibi: None,
    sinks: None,
};

const SIX: [f32; 6] = [0.5, 0.25, 0.125, 0.0625, 1.5, -0.5];

fn kinds() -> Vec<Attention<'static>> {
    vec![
        PLAIN,
        Attention { n_kv_head: 6, key_dim: 40, value_dim: 24, ..PLAIN },
        Attention { n_kv_head: 1, key_dim: 16, value_dim: 7, window: Some(37), ..PLAIN },
        Attention { window: Some(200), soft_cap: Some(2.0), ..PLAIN },
        Attention { alibi: Some(&SIX), n_kv_head: 3, ..PLAIN },
        Attention { sinks: Some(&SIX), window: Some(100), ..PLAIN },
        Attention { causal: false, ..PLAIN },
        Attention { n_head: 8, n_kv_head: 1, key_dim: 128, value_dim: 80, ..PLAIN },
    ]
}

/// Softmax attention in f64 as textbooks have it.
fn truth(a: &Attention<'_>, q: &[f32], k: &[f32], v: &[f32], n: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for pos in 0..n {
        for head in 0..a.n_head {
            let kv = head / (a.n_head / a.n_kv_head);
            let q = &q[(pos * a.n_head + head) * a.key_dim..][..a.key_dim];
            let mut weights = Vec::new();
            for j in 0..n {
                let k = &k[(j * a.n_kv_head + kv) * a.key_dim..][..a.key_dim];
                let dot: f64 = q.iter().zip(k).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
                let mut score = dot * f64::from(a.scale);
                if let Some(cap) = a.soft_cap {
                    score = f64::from(cap) * (score / f64::from(cap)).tanh();
                }
                if let Some(slopes) = a.alibi {
                    score -= f64::from(slopes[head]) * pos.abs_diff(j) as f64;
                }
                let hidden = a.causal && j > pos || a.window.is_some_and(|w| j + w <= pos);
                weights.push(if hidden { 0.0 } else { score.exp() });
            }
            let sink = a.sinks.map_or(0.0, |sinks| f64::from(sinks[head]).exp());
            let sum: f64 = weights.iter().sum::<f64>() + sink;
            for d in 0..a.value_dim {
                let value = |j: usize| f64::from(v[(j * a.n_kv_head + kv) * a.value_dim + d]);
                out.push((0..n).map(|j| weights[j] / sum * value(j)).sum::<f64>() as f32);
            }
        }
    }
    out
}

/// Queries, keys and values of `n` positions, already in half precision.
fn inputs(a: &Attention<'_>, n: usize, seed: u64) -> [Vec<f32>; 3] {
    let widths = [a.n_head * a.key_dim, a.n_kv_head * a.key_dim, a.n_kv_head * a.value_dim];
    let halves = |x: Vec<f32>| x.into_iter().map(|x| f16_to_f32(f32_to_f16(x))).collect();
    std::array::from_fn(|i| halves(floats(n * widths[i], seed + i as u64)))
}

/// Writes and attends in chunks of these lengths, as a session does.
fn in_chunks(
    pool: &Pool,
    a: &Attention<'_>,
    half: bool,
    x: &[Vec<f32>; 3],
    l: &[usize],
) -> Vec<f32> {
    let [q, k, v] = x;
    let n: usize = l.iter().sum();
    let blocks: Vec<u32> = (0..n.div_ceil(KV_BLOCK) as u32).map(|b| b * 5 % 17).collect();
    let mut cache = Cache::new(a, 17, half);
    let mut out = Vec::new();
    let mut pos = 0;
    for &len in l {
        let span = [Span { row: 0, n_rows: len, pos, blocks: &blocks }];
        let rows = |x: &'_ [f32], from: usize, len: usize| -> Vec<f32> {
            let width = x.len() / n;
            x[from * width..(from + len) * width].to_vec()
        };
        cache.write(pool, a, &span, &rows(k, pos, len), &rows(v, pos, len));
        out.extend(cache.attend(pool, a, &span, &rows(q, pos, len)));
        pos += len;
    }
    out
}

#[test]
fn every_kind_agrees_with_f64() {
    for (seed, a) in kinds().iter().enumerate() {
        let n = 333;
        let x = inputs(a, n, seed as u64);
        let want = truth(a, &x[0], &x[1], &x[2], n);
        for half in [false, true] {
            let got = in_chunks(&Pool::new(1), a, half, &x, &[n]);
            assert_close(&got, &want, 5e-6);
        }
    }
}

#[test]
fn chunks_threads_and_implementations_do_not_affect_results() {
    let fast = Pool::new(1);
    let others = [Pool::with_isa(1, Isa::Scalar), Pool::new(2), Pool::new(5)];
    for (seed, a) in kinds().iter().enumerate().filter(|(_, a)| a.causal) {
        let n = 277;
        let x = inputs(a, n, seed as u64);
        for half in [false, true] {
            let whole = in_chunks(&fast, a, half, &x, &[n]);
            let chunks: &[&[usize]] = &[&[1, 62, 2, 64, 100, 1, 47], &[256, 21], &[255, 1, 1, 20]];
            for lengths in chunks {
                assert_same(&in_chunks(&fast, a, half, &x, lengths), &whole);
            }
            // The scalar form is slow: once will do.
            for pool in &others[usize::from(!half)..] {
                assert_same(&in_chunks(pool, a, half, &x, &[276, 1]), &whole);
            }
        }
    }
}

/// One token each, deep in the cache: spans are shared out where there are threads for them.
#[test]
fn a_row_alone_deep_in_the_cache_equals_itself_in_a_batch() {
    let a = Attention { n_head: 3, n_kv_head: 1, ..PLAIN };
    let n = 1000;
    let x = inputs(&a, n, 3);
    let whole = in_chunks(&Pool::new(1), &a, true, &x, &[n]);
    let want = &whole[(n - 1) * 3 * 64..];
    let last = |x: &[f32]| x[x.len() / n * (n - 1)..].to_vec();
    let (q, k, v) = (last(&x[0]), last(&x[1]), last(&x[2]));
    for pool in [Pool::new(1), Pool::new(2), Pool::new(8)] {
        let mut cache = Cache::new(&a, 32, true);
        let first: Vec<u32> = (0..16).collect();
        let second: Vec<u32> = (16..32).rev().collect();
        let all = [
            Span { row: 0, n_rows: n, pos: 0, blocks: &first },
            Span { row: 0, n_rows: n, pos: 0, blocks: &second },
        ];
        for span in all {
            cache.write(&pool, &a, &[span], &x[1], &x[2]);
        }
        let at = |row, blocks| Span { row, n_rows: 1, pos: n - 1, blocks };
        let pair = [at(0, &first[..]), at(1, &second[..])];
        cache.write(&pool, &a, &pair, &[&k[..], &k].concat(), &[&v[..], &v].concat());
        let both = cache.attend(&pool, &a, &pair, &[&q[..], &q].concat());
        assert_same(&both[..3 * 64], want);
        assert_same(&both[3 * 64..], want);
        assert_same(&cache.attend(&pool, &a, &pair[..1], &q), want);
    }
}

#[test]
fn a_query_that_is_not_a_number_spoils_its_own_row_only() {
    let mut x = inputs(&PLAIN, 100, 1);
    let clean = in_chunks(&Pool::new(1), &PLAIN, false, &x, &[100]);
    let width = PLAIN.n_head * PLAIN.key_dim;
    x[0][50 * width + 3] = f32::NAN;
    let out = in_chunks(&Pool::new(2), &PLAIN, false, &x, &[100]);
    assert!(out[50 * width..50 * width + 64].iter().all(|x| x.is_nan()));
    assert_same(&out[..50 * width], &clean[..50 * width]);
    assert_same(&out[50 * width + 64..], &clean[50 * width + 64..]);
}

#[test]
#[should_panic(expected = "block in the cache")]
fn a_block_outside_of_the_cache_is_refused() {
    let cache = Cache::new(&PLAIN, 2, false);
    let span = [Span { row: 0, n_rows: 1, pos: 64, blocks: &[0, 2] }];
    cache.attend(&Pool::new(1), &PLAIN, &span, &[0.0; 384]);
}
