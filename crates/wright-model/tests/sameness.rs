//! The same bytes: for any number of threads, any chunks, alone or in company. And executors that
//! agree with each other.

mod tiny;

use std::sync::Arc;
use tiny::{Random, Tiny, run, session, worst};
use wright_kernels::DType;
use wright_model::{Batch, Model, Precision, Segment, SeqId, Want};

const BOTH: [Precision; 2] = [Precision::Fast, Precision::Exact];
const LEN: usize = 150;

/// Models that between them have every feature and every format.
fn models() -> Vec<(String, Arc<Model>)> {
    let mut tinies = vec![
        ("gemma3", Tiny::gemma3(DType::Q5_0)),
        ("everything", Tiny::everything(DType::Q4_1)),
        ("everything", Tiny::everything(DType::F16)),
        ("experts", Tiny::experts(DType::Q4_1)),
        ("experts", Tiny::experts(DType::Q4K)),
        ("experts", Tiny::experts(DType::F16)),
    ];
    tinies.extend(DType::ALL.map(|dtype| ("llama", Tiny::llama(dtype))));
    tinies.into_iter().map(|(name, t)| (format!("{name} {}", t.dtype), t.model())).collect()
}

#[test]
fn threads_and_chunks_do_not_affect_results() {
    for (name, model) in models() {
        let ids = Random(1).ids(LEN, model.n_vocab());
        for precision in BOTH {
            let alone = run(&mut session(&model, precision, 1), 0, &ids, LEN);
            for (threads, chunk) in [(2, LEN), (1, 1), (2, 7), (3, 64), (2, 65)] {
                let got = run(&mut session(&model, precision, threads), 0, &ids, chunk);
                assert!(got == alone, "{name} {precision:?}: {threads} threads, chunks of {chunk}");
            }
        }
    }
}

#[test]
fn other_sequences_do_not_affect_results() {
    for (name, model) in models() {
        let n_vocab = model.n_vocab();
        let mut random = Random(2);
        let texts: Vec<Vec<u32>> =
            [90, 33, 70].iter().map(|&len| random.ids(len, n_vocab)).collect();
        for precision in BOTH {
            let alone: Vec<Vec<f32>> = texts
                .iter()
                .map(|ids| run(&mut session(&model, precision, 1), 0, ids, ids.len()))
                .collect();
            let together = ragged(&model, precision, &texts);
            for (seq, (got, want)) in together.iter().zip(&alone).enumerate() {
                assert!(got == want, "{name} {precision:?}: sequence {seq} in company");
            }
        }
    }
}

/// Runs all texts at once, each in pieces of random length.
fn ragged(model: &Arc<Model>, precision: Precision, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let mut session = session(model, precision, 2);
    let mut random = Random(3);
    let mut logits = vec![Vec::new(); texts.len()];
    while texts.iter().zip(0..).any(|(t, s)| session.len(SeqId(s)) < t.len()) {
        let mut segments = Vec::new();
        for (ids, seq) in texts.iter().zip(0..) {
            let pos = session.len(SeqId(seq));
            let n = random.below(12).min(ids.len() - pos);
            let ids = &ids[pos..pos + n];
            let (seq, pos) = (SeqId(seq), pos as u32);
            segments.push(Segment { seq, pos, ids, want: Want::All });
        }
        let out = session.forward(&Batch { segments: &segments }).unwrap();
        let mut rows = out.rows();
        for segment in &segments {
            let to = &mut logits[segment.seq.0 as usize];
            rows.by_ref().take(segment.ids.len()).for_each(|row| to.extend(row));
        }
    }
    logits
}

#[test]
fn a_copied_prefix_and_a_cut_sequence_go_on_as_if_computed() {
    for precision in [Precision::Fast, Precision::Exact, Precision::Scalar, Precision::Double] {
        let model = Tiny::gemma3(DType::Q8_0).model();
        let ids = Random(4).ids(LEN, model.n_vocab());
        let whole = run(&mut session(&model, precision, 1), 0, &ids, LEN);
        let mut session = session(&model, precision, 2);
        run(&mut session, 0, &ids, 50);
        session.copy_prefix(SeqId(0), SeqId(1), 100).unwrap();
        // What follows in sequence 0 must not show in 1, nor the other way round.
        session.truncate(SeqId(0), 90).unwrap();
        run(&mut session, 0, &Random(5).ids(20, model.n_vocab()), 20);
        let tail = run(&mut session, 1, &ids[100..], 50);
        assert!(tail == whole[100 * model.n_vocab()..], "{precision:?}: copied prefix");
        session.truncate(SeqId(0), 90).unwrap();
        let tail = run(&mut session, 0, &ids[90..], 60);
        assert!(tail == whole[90 * model.n_vocab()..], "{precision:?}: cut and grown again");
    }
}

/// Pieces of 16 of another session's cache, one of which is missing or broken at first.
#[test]
fn pieces_of_another_session_go_on_as_if_computed() {
    for (name, model) in models() {
        let ids = Random(5).ids(LEN, model.n_vocab());
        for precision in BOTH {
            let mut first = session(&model, precision, 1);
            let whole = run(&mut first, 0, &ids, LEN);
            let pieces: Vec<Vec<u8>> = (0..LEN / 16)
                .map(|index| first.export_piece(SeqId(0), index).expect("a whole piece"))
                .collect();
            assert!(first.export_piece(SeqId(0), LEN / 16).is_none(), "a piece that is not whole");
            let mut other = session(&model, precision, 2);
            // Blocks of the cache that are not in the order of positions.
            run(&mut other, 1, &ids[..70], 70);
            let seq = SeqId(0);
            run(&mut other, 0, &ids[..16], 16);
            let n_pieces = pieces.len();
            let read = |i: usize| Some(pieces[i + 1].clone()).filter(|_| i != 5);
            assert_eq!(other.import_pieces(seq, n_pieces - 1, &read).unwrap(), 5);
            assert_eq!(other.len(seq), 96);
            let broken = |i: usize| Some(pieces[i + 6][i..].to_vec());
            assert_eq!(other.import_pieces(seq, n_pieces - 6, &broken).unwrap(), 1);
            let rest = |i: usize| pieces.get(i + 7).cloned();
            assert_eq!(other.import_pieces(seq, 100, &rest).unwrap(), n_pieces - 7);
            let got = run(&mut other, 0, &ids[n_pieces * 16..], 3);
            assert!(whole.ends_with(&got) && !got.is_empty(), "{name} {precision:?}");
            assert!(other.import_pieces(seq, 1, &rest).is_err(), "150 is not a border of pieces");
        }
    }
}

#[test]
fn executors_agree() {
    for (name, model) in models() {
        let ids = Random(6).ids(100, model.n_vocab());
        let truth = run(&mut session(&model, Precision::Double, 2), 0, &ids, 100);
        let close = |precision, limit| {
            let got = run(&mut session(&model, precision, 2), 0, &ids, 100);
            let worst = worst(&got, &truth);
            assert!(worst < limit, "{name} {precision:?}: {worst:e}");
        };
        close(Precision::Scalar, 2e-5);
        close(Precision::Exact, 2e-5);
        // A token whose experts are nearly as good as others may meet those.
        if name.starts_with("experts") {
            continue;
        }
        // Activations in 8 bits: an error of about 1/250 a product, over two to seven layers.
        close(Precision::Fast, 0.06);
    }
}

#[test]
fn wanted_rows_are_those_of_the_whole() {
    let model = Tiny::gemma3(DType::Q4_0).model();
    let n = model.n_vocab();
    let ids = Random(9).ids(40, n);
    let whole = run(&mut session(&model, Precision::Fast, 2), 0, &ids, 40);
    let wanted = |want| {
        let mut session = session(&model, Precision::Fast, 2);
        let segment = Segment { seq: SeqId(0), pos: 0, ids: &ids, want };
        let logits = session.forward(&Batch { segments: &[segment] }).unwrap();
        logits.rows().flatten().copied().collect::<Vec<f32>>()
    };
    assert_eq!(wanted(Want::Last), whole[39 * n..]);
    assert_eq!(wanted(Want::From(31)), whole[31 * n..]);
    assert!(wanted(Want::None).is_empty());
}
