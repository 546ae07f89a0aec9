//! How far a fast distribution of the next token is from the exact one.
//!
//! For each position, KL(exact ‖ fast) over the whole vocabulary, in nats; its mean over some
//! thousand positions of real text is to be at most 1.1 times what llama.cpp's own distribution
//! has on the same file and the same token ids. Exact is Wright's exact executor (weights as they
//! are stored, f32 everything else), which the golden tests hold to `transformers`.
//!
//! Logits of both sides are f32 as computed. What that can resolve is measured, too: the
//! divergence of the exact executor in f32 from the same in f64 is printed as the floor.

use super::llama::Logits;
use super::{Check, Setting, llama};
use crate::Failure;
use std::path::Path;
use std::sync::Arc;
use wright_model::{Batch, Model, Precision, Segment, SeqId, Session, SessionOptions, Want};

/// Tokens of a window; its second half is compared, so that each position has a past.
const WINDOW: usize = 512;
const WINDOWS: usize = 12;
/// Positions on which the floor is measured: f64 is slow.
const FLOOR_TOKENS: usize = 64;
const RATIO_MAX: f64 = 1.1;

pub fn compare(setting: &Setting) -> Result<Vec<Check>, Failure> {
    let mut checks = Vec::new();
    for (name, path) in setting.models()? {
        checks.push(compare_model(setting, name, &path)?);
    }
    Ok(checks)
}

fn compare_model(setting: &Setting, name: &str, path: &Path) -> Result<Check, Failure> {
    let model = Arc::new(Model::from_gguf(Arc::new(std::fs::read(path)?))?);
    let ids = llama::tokenize(setting, path, &setting.corpus)?;
    let windows = windows(&ids, model.metadata().u32("tokenizer.ggml.bos_token_id"));
    let mut exact = session(&model, Precision::Exact, setting.threads)?;
    let mut fast = session(&model, Precision::Fast, setting.threads)?;
    let mut peer = Logits::start(setting, path, WINDOW)?;
    let n_vocab = model.n_vocab();
    if peer.n_vocab != n_vocab {
        return Err(format!("llama.cpp has {} tokens, not {n_vocab}", peer.n_vocab).into());
    }
    let (mut ours, mut theirs) = (Sum::default(), Sum::default());
    let (mut truth, mut row) = (Vec::new(), Vec::new());
    for (i, window) in windows.iter().enumerate() {
        eprint!("\rparity: divergence of {name}: window {} of {}", i + 1, windows.len());
        peer.window(window, WINDOW / 2)?;
        logits(&mut exact, window, |logits| truth.extend_from_slice(logits))?;
        let mut rows = truth.chunks_exact(n_vocab);
        logits(&mut fast, window, |logits| ours.add(rows.next().unwrap_or(&[]), logits))?;
        for exact in truth.chunks_exact(n_vocab) {
            peer.next_row(&mut row)?;
            theirs.add(exact, &row);
        }
        truth.clear();
    }
    eprintln!();
    let floor = floor(&model, &windows[0], setting.threads)?;
    let ratio = ours.mean() / theirs.mean();
    let detail = format!(
        "mean KL over {} positions: Wright {:.3e}, llama.cpp {:.3e}, ratio {ratio:.3} (at most \
         {RATIO_MAX}); largest {:.2e} and {:.2e}; most likely token kept {:.2} % and {:.2} %; \
         floor {floor:.0e}",
        ours.n,
        ours.mean(),
        theirs.mean(),
        ours.max,
        theirs.max,
        ours.percent_same(),
        theirs.percent_same(),
    );
    Ok(Check::new(format!("divergence, {name}"), ratio <= RATIO_MAX, detail))
}

/// Windows of token ids, each begun by the token for the beginning of a text, if there is one.
fn windows(ids: &[u32], bos: Option<u32>) -> Vec<Vec<u32>> {
    let mut windows: Vec<Vec<u32>> =
        ids.chunks_exact(WINDOW).take(WINDOWS).map(<[u32]>::to_vec).collect();
    for window in &mut windows {
        window[0] = bos.unwrap_or(window[0]);
    }
    windows
}

fn session(model: &Arc<Model>, precision: Precision, threads: usize) -> Result<Session, Failure> {
    let options = SessionOptions { precision, threads, n_ctx: WINDOW, ..SessionOptions::default() };
    Ok(Session::new(Arc::clone(model), options)?)
}

/// Hands the logits of the window's second half to `each`, row by row.
fn logits(session: &mut Session, ids: &[u32], each: impl FnMut(&[f32])) -> Result<(), Failure> {
    let seq = SeqId(0);
    session.clear(seq)?;
    let segment = Segment { seq, pos: 0, ids, want: Want::From(WINDOW / 2) };
    Ok(session.forward_each(&Batch { segments: &[segment] }, each)?)
}

/// Mean divergence of the exact executor from its own form in f64.
fn floor(model: &Arc<Model>, window: &[u32], threads: usize) -> Result<f64, Failure> {
    let window = &window[..WINDOW / 2 + FLOOR_TOKENS];
    let mut double = session(model, Precision::Double, threads)?;
    let mut truth = Vec::new();
    logits(&mut double, window, |logits| truth.extend_from_slice(logits))?;
    let mut exact = session(model, Precision::Exact, threads)?;
    let mut rows = truth.chunks_exact(model.n_vocab());
    let mut sum = Sum::default();
    logits(&mut exact, window, |logits| sum.add(rows.next().unwrap_or(&[]), logits))?;
    Ok(sum.mean())
}

/// Divergences of many positions.
#[derive(Debug, Default)]
struct Sum {
    n: usize,
    total: f64,
    max: f64,
    n_same: usize,
}

impl Sum {
    fn add(&mut self, exact: &[f32], other: &[f32]) {
        let kl = divergence(exact, other);
        self.n += 1;
        self.total += kl;
        self.max = self.max.max(kl);
        self.n_same += usize::from(likeliest(exact) == likeliest(other));
    }

    fn mean(&self) -> f64 {
        self.total / self.n as f64
    }

    fn percent_same(&self) -> f64 {
        100.0 * self.n_same as f64 / self.n as f64
    }
}

/// KL(p ‖ q) in nats of the distributions that the logits `p` and `q` stand for. (V)
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    assert_eq!(p.len(), q.len(), "two distributions over one vocabulary");
    let (norm_p, norm_q) = (log_sum_exp(p), log_sum_exp(q));
    let term = |(&p, &q): (&f32, &f32)| {
        let (log_p, log_q) = (f64::from(p) - norm_p, f64::from(q) - norm_q);
        log_p.exp() * (log_p - log_q)
    };
    p.iter().zip(q).map(term).sum()
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - max).exp()).sum();
    f64::from(max) + sum.ln()
}

fn likeliest(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_of_known_distributions() {
        let (p, q) = ([0.5f32.ln(), 0.5f32.ln()], [0.25f32.ln(), 0.75f32.ln()]);
        let wanted = 0.5 * (0.5f64 / 0.25).ln() + 0.5 * (0.5f64 / 0.75).ln();
        assert!((divergence(&p, &q) - wanted).abs() < 1e-7);
        assert_eq!(divergence(&p, &p), 0.0);
        let shifted = p.map(|l| l + 40.0);
        assert!(divergence(&p, &shifted).abs() < 1e-6, "only differences of logits count");
        assert!(divergence(&[0.0, -200.0], &[0.0, -100.0]).abs() < 1e-12);
    }

    #[test]
    fn windows_are_whole_and_begin_the_text() {
        let ids: Vec<u32> = (10..10 + 2 * WINDOW as u32 + 100).collect();
        let cut = windows(&ids, Some(1));
        assert_eq!(cut.len(), 2);
        assert_eq!((cut[0][0], cut[0][1], cut[1][0]), (1, 11, 1));
        assert!(cut.iter().all(|window| window.len() == WINDOW));
        assert_eq!(windows(&ids, None)[1][0], 10 + WINDOW as u32);
    }

    #[test]
    fn a_sum_has_mean_maximum_and_agreement() {
        let mut sum = Sum::default();
        sum.add(&[0.0, 1.0], &[0.0, 1.0]);
        sum.add(&[0.0, 1.0], &[1.0, 0.0]);
        assert_eq!((sum.n, sum.percent_same()), (2, 50.0));
        assert!(sum.max > 0.0 && (sum.mean() - sum.max / 2.0).abs() < 1e-12);
    }
}
