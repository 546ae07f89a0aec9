//! Placed beside the golden models of wright-model, which it reads.

use super::*;
use crate::Sampling;
use wright_model::{Model, Precision, SessionOptions};

struct File(Vec<u8>);
impl AsRef<[u8]> for File {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn session(threads: usize, n_seq: usize, precision: Precision) -> Session {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wright-model/tests/golden/llama.gguf");
    let bytes = std::fs::read(path).expect("the golden model is in the repository");
    let model = Arc::new(Model::from_gguf(Arc::new(File(bytes))).expect("a good model"));
    let options = SessionOptions { threads, n_ctx: 128, n_seq, precision, ..Default::default() };
    Session::new(model, options).expect("room for a tiny session")
}

fn generate(engine: &Engine, ids: &[u32], n: usize, n_vocab: u32) -> Receiver<EngineEvent> {
    let sampling = Sampling { temperature: 0.9, seed: 7, ..Sampling::default() };
    let sampler = Box::new(Sampler::new(sampling, n_vocab));
    let (events, receiver) = mpsc::channel();
    let task = Task::Generate {
        sampler,
        max_tokens: n,
        top: Some(3),
        stop_loops: false,
        constraint: None,
    };
    let request = EngineRequest { ids: ids.to_vec(), task, events, cancelled: Arc::default() };
    engine.submit(request).expect("the engine lives");
    receiver
}

/// Tokens with their log-probabilities: equal only if the logits were.
fn tokens(events: Receiver<EngineEvent>) -> Vec<EngineEvent> {
    events.into_iter().filter(|event| matches!(event, EngineEvent::Token { .. })).collect()
}

#[test]
fn the_batch_and_the_number_of_threads_change_nothing() {
    for precision in [Precision::Fast, Precision::Exact] {
        let alone = session(1, 1, precision);
        let n_vocab = alone.model().n_vocab() as u32;
        let engine = Engine::start(alone, true, None).unwrap();
        let expected = tokens(generate(&engine, &[1, 5, 9, 2], 24, n_vocab));
        assert_eq!(expected.len(), 24);
        let engine = Engine::start(session(2, 3, precision), true, None).unwrap();
        let others = [vec![3, 3, 8], (1..60).map(|i| i % 40).collect(), vec![1, 5, 9, 2, 7]];
        let mut crowd: Vec<_> =
            others.iter().map(|ids| generate(&engine, ids, 30, n_vocab)).collect();
        crowd.push(generate(&engine, &[1, 5, 9, 2], 24, n_vocab));
        let mut crowd: Vec<_> = crowd.into_iter().map(tokens).collect();
        assert_eq!(crowd.pop().unwrap(), expected);
        assert!(crowd.iter().all(|t| t.len() == 30));
    }
}

#[test]
fn what_the_cache_holds_is_not_read_again_and_changes_nothing() {
    let session = session(1, 2, Precision::Fast);
    let n_vocab = session.model().n_vocab() as u32;
    let engine = Engine::start(session, true, None).unwrap();
    let ids: Vec<u32> = (1..50).collect();
    let first: Vec<EngineEvent> = generate(&engine, &ids, 4, n_vocab).into_iter().collect();
    let second: Vec<EngineEvent> = generate(&engine, &ids, 4, n_vocab).into_iter().collect();
    assert_eq!(first[0], EngineEvent::Cached(0));
    assert_eq!(second[0], EngineEvent::Cached(48));
    let only_tokens = |events: &[EngineEvent]| -> Vec<EngineEvent> {
        events.iter().filter(|s| matches!(s, EngineEvent::Token { .. })).cloned().collect()
    };
    assert_eq!(only_tokens(&first), only_tokens(&second));
}

#[test]
fn the_context_ends_an_answer_and_a_long_prompt_is_refused() {
    let session = session(1, 1, Precision::Fast);
    let n_vocab = session.model().n_vocab() as u32;
    let engine = Engine::start(session, true, None).unwrap();
    let events: Vec<EngineEvent> =
        generate(&engine, &[1; 120], 1000, n_vocab).into_iter().collect();
    assert_eq!(events.last(), Some(&EngineEvent::End(End::Context)));
    assert_eq!(events.iter().filter(|s| matches!(s, EngineEvent::Token { .. })).count(), 9);
    let events: Vec<EngineEvent> = generate(&engine, &[1; 129], 10, n_vocab).into_iter().collect();
    let [EngineEvent::Failed(error)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(error.kind, ErrorKind::ContextOverflow);
}

#[test]
fn scores_are_the_log_probabilities_that_generation_reports() {
    let session = session(1, 1, Precision::Exact);
    let n_vocab = session.model().n_vocab() as u32;
    let engine = Engine::start(session, true, None).unwrap();
    let mut ids = vec![1, 5, 9, 2];
    let mut logprobs = Vec::new();
    for event in tokens(generate(&engine, &ids, 12, n_vocab)) {
        let EngineEvent::Token { id, logprobs: Some(l) } = event else {
            panic!("logprobs were asked for")
        };
        ids.push(id);
        logprobs.push(l.logprob);
    }
    let (sender, receiver) = mpsc::channel();
    let task = Task::Score { from: 4 };
    engine.submit(EngineRequest { ids, task, events: sender, cancelled: Arc::default() }).unwrap();
    let scored: Vec<f32> = receiver
        .into_iter()
        .filter_map(|event| match event {
            EngineEvent::Scored { logprob, .. } => Some(logprob),
            _ => None,
        })
        .collect();
    assert_eq!(scored, logprobs);
}

#[test]
fn a_cancelled_job_frees_its_slot() {
    let session = session(1, 1, Precision::Fast);
    let n_vocab = session.model().n_vocab() as u32;
    let engine = Engine::start(session, true, None).unwrap();
    drop(generate(&engine, &[1, 2], 100, n_vocab));
    assert_eq!(tokens(generate(&engine, &[1, 2, 3], 5, n_vocab)).len(), 5);
}

/// Submits and returns where the events arrive.
fn submit(engine: &Engine, ids: &[u32], task: Task) -> Receiver<EngineEvent> {
    let (events, receiver) = mpsc::channel();
    engine
        .submit(EngineRequest { ids: ids.to_vec(), task, events, cancelled: Arc::default() })
        .unwrap();
    receiver
}

#[test]
fn one_bad_request_does_not_harm_those_beside_it() {
    let session = session(1, 3, Precision::Fast);
    let n_vocab = session.model().n_vocab() as u32;
    let engine = Engine::start(session, true, None).unwrap();
    let good = generate(&engine, &[1, 5, 9], 20, n_vocab);
    let bad = generate(&engine, &[2, n_vocab], 20, n_vocab);
    let also_good = generate(&engine, &[1, 5, 9], 20, n_vocab);
    assert!(matches!(bad.into_iter().last(), Some(EngineEvent::Failed(_))));
    let good = tokens(good);
    assert_eq!(good.len(), 20);
    assert_eq!(tokens(also_good), good);
}

#[test]
fn a_panic_reaches_every_caller_and_none_waits_for_ever() {
    let session = session(1, 2, Precision::Fast);
    let n_vocab = session.model().n_vocab() as u32;
    let engine = Engine::start(session, true, None).unwrap();
    let running = generate(&engine, &[1, 2], 120, n_vocab);
    let fatal = submit(&engine, &[3], Task::Panic);
    let waiting: Vec<_> = (0..4)
        .filter_map(|_| {
            let (events, receiver) = mpsc::channel();
            let task = Task::Score { from: 1 };
            let request =
                EngineRequest { ids: vec![1, 2], task, events, cancelled: Arc::default() };
            engine.submit(request).ok().map(|()| receiver)
        })
        .collect();
    // Each channel closes: iterating over it ends.
    running.into_iter().for_each(drop);
    assert_eq!(fatal.into_iter().collect::<Vec<_>>(), [EngineEvent::Cached(0)]);
    waiting.into_iter().flatten().for_each(drop);
    let (events, receiver) = mpsc::channel();
    let request =
        EngineRequest { ids: vec![1], task: Task::Panic, events, cancelled: Arc::default() };
    assert!(engine.submit(request).is_err() || receiver.recv().is_err());
}

#[test]
fn a_conversation_stays_when_another_begins_alike() {
    let session = session(1, 3, Precision::Fast);
    let n_vocab = session.model().n_vocab() as u32;
    let engine = Engine::start(session, true, None).unwrap();
    let a: Vec<u32> = (1..50).collect();
    let b: Vec<u32> = (1..30).chain(1..20).collect();
    let cached = |ids: &[u32]| generate(&engine, ids, 1, n_vocab).into_iter().next();
    assert_eq!(cached(&a), Some(EngineEvent::Cached(0)));
    assert_eq!(cached(&b), Some(EngineEvent::Cached(29)));
    assert_eq!(cached(&a), Some(EngineEvent::Cached(48)));
    assert_eq!(cached(&b), Some(EngineEvent::Cached(47)));
}

#[test]
fn speculative_decoding_changes_the_number_of_passes_and_nothing_else() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut penalised = Sampling { temperature: 0.3, seed: 3, ..Sampling::default() };
    penalised.presence_penalty = 0.1;
    let warm = Sampling { temperature: 0.9, seed: 5, ..Sampling::default() };
    // Says the same again and again, with a slip now and then.
    let mut stuck = Sampling { temperature: 1.0, seed: 2, ..Sampling::default() };
    stuck.logit_bias.push((7, 8.0));
    // Repeats itself, so that something is proposed.
    let prompt: Vec<u32> = (0..40).map(|i| 3 + i % 4).collect();
    let mut n_accepted = 0;
    let mut n_rejected = 0;
    for precision in [Precision::Fast, Precision::Exact] {
        for sampling in [&greedy, &penalised, &warm, &stuck] {
            let run = |speculative: bool| -> Vec<EngineEvent> {
                let session = session(1, 1, precision);
                let n_vocab = session.model().n_vocab() as u32;
                let engine = Engine::start(session, speculative, None).unwrap();
                let sampler = Box::new(Sampler::new(sampling.clone(), n_vocab));
                let task = Task::Generate {
                    sampler,
                    max_tokens: 500,
                    top: Some(2),
                    stop_loops: false,
                    constraint: None,
                };
                submit(&engine, &prompt, task).into_iter().collect()
            };
            let (with, without) = (run(true), run(false));
            for event in &with {
                if let EngineEvent::Speculated { proposed, accepted } = event {
                    n_accepted += accepted;
                    n_rejected += proposed - accepted;
                }
            }
            let said = |events: Vec<EngineEvent>| -> Vec<EngineEvent> {
                events
                    .into_iter()
                    .filter(|event| !matches!(event, EngineEvent::Speculated { .. }))
                    .collect()
            };
            let (with, without) = (said(with), said(without));
            // All that the context of 128 has room for.
            assert_eq!(with.iter().filter(|s| matches!(s, EngineEvent::Token { .. })).count(), 89);
            assert_eq!(with, without);
        }
    }
    assert!(n_accepted > 20 && n_rejected > 0, "{n_accepted} accepted, {n_rejected} rejected");
}

#[test]
fn a_loop_ends_at_the_same_token_with_speculative_decoding_without_and_in_a_batch() {
    let options = SessionOptions { threads: 1, n_ctx: 1024, n_seq: 3, ..Default::default() };
    let model = Arc::clone(session(1, 1, Precision::Fast).model());
    // Can hardly say anything but one token, with a slip now and then.
    let mut stuck = Sampling { temperature: 1.0, seed: 2, ..Sampling::default() };
    stuck.logit_bias.push((7, 14.0));
    let run = |speculative: bool, n_others: u32, stop_loops: bool| -> Vec<EngineEvent> {
        let session = Session::new(Arc::clone(&model), options.clone()).unwrap();
        let n_vocab = session.model().n_vocab() as u32;
        let engine = Engine::start(session, speculative, None).unwrap();
        let others: Vec<_> =
            (0..n_others).map(|i| generate(&engine, &[1, 9 + i], 600, n_vocab)).collect();
        let sampler = Box::new(Sampler::new(stuck.clone(), n_vocab));
        let task =
            Task::Generate { sampler, max_tokens: 700, top: None, stop_loops, constraint: None };
        let events = submit(&engine, &[1, 5, 9], task).into_iter().collect();
        others.into_iter().for_each(drop);
        events
    };
    let said = |events: &[EngineEvent]| -> Vec<EngineEvent> {
        let is_said =
            |e: &&EngineEvent| matches!(e, EngineEvent::Token { .. } | EngineEvent::End(_));
        events.iter().filter(is_said).cloned().collect()
    };
    let alone = said(&run(false, 0, true));
    assert_eq!(alone.last(), Some(&EngineEvent::End(End::Loop)));
    assert!((256..500).contains(&alone.len()), "{}", alone.len());
    assert_eq!(said(&run(true, 0, true)), alone);
    assert_eq!(said(&run(true, 2, true)), alone);
    let unlimited = said(&run(true, 0, false));
    assert_eq!(unlimited.last(), Some(&EngineEvent::End(End::MaxTokens)));
    assert_eq!(unlimited.len(), 701);
}

/// A store in memory, which counts what it was asked for.
#[derive(Default)]
struct Shelf(std::sync::Mutex<std::collections::HashMap<crate::BlockKey, Vec<u8>>>);

impl crate::BlockStore for Shelf {
    fn get(&self, key: &crate::BlockKey) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(key).cloned()
    }
    fn has(&self, key: &crate::BlockKey) -> bool {
        self.0.lock().unwrap().contains_key(key)
    }
    fn put(&self, key: &crate::BlockKey, block: &[u8]) {
        self.0.lock().unwrap().insert(*key, block.to_vec());
    }
}

#[test]
fn a_prompt_cached_by_another_engine_is_reused_with_equal_results() {
    let session = || {
        let options = SessionOptions { threads: 1, n_ctx: 512, ..Default::default() };
        Session::new(Arc::clone(session(1, 1, Precision::Fast).model()), options).unwrap()
    };
    let n_vocab = session().model().n_vocab() as u32;
    let shelf = Arc::new(Shelf::default());
    let prefixes = |model| Some(Prefixes { store: shelf.clone(), model: [model; 32] });
    let ask = |ids: &[u32], model: u8| -> (usize, Vec<EngineEvent>) {
        let engine = Engine::start(session(), true, prefixes(model)).unwrap();
        let events: Vec<EngineEvent> = generate(&engine, ids, 20, n_vocab).into_iter().collect();
        let Some(EngineEvent::Cached(n)) = events.first() else { panic!("no first event") };
        (*n, events.into_iter().filter(|s| matches!(s, EngineEvent::Token { .. })).collect())
    };
    let a: Vec<u32> = (0..330).map(|i| (i * 7 + i / 9) % n_vocab).collect();
    let mut b = a.clone();
    b[215..].iter_mut().for_each(|id| *id = (*id + 1) % n_vocab);
    let (n, first) = ask(&a, 1);
    assert_eq!((n, first.len()), (0, 20));
    assert_eq!(ask(&a, 1), (320, first.clone()));
    let (n, of_b) = ask(&b, 1);
    assert_eq!(n, 215, "what both begin with, to the token");
    assert_eq!(ask(&b, 3), (0, of_b.clone()), "and nothing else");
    assert_eq!(ask(&b, 1), (320, of_b));
    assert_eq!(ask(&a, 1), (320, first.clone()), "the one did not replace the other");
    assert_eq!(ask(&a[..321], 1).0, 320);
    assert_eq!(ask(&a[..300], 1).0, 299, "a part of a block that is known whole");
    assert_eq!(ask(&a, 2), (0, first.clone()), "another model");
    // Blocks that are none are computed again, and kept again, all at once.
    let keys = prefixes(1).unwrap().keys(&a);
    for index in [8, 12] {
        crate::BlockStore::put(&*shelf, &keys[index], b"nonsense");
    }
    assert_eq!(ask(&a, 1), (128, first.clone()));
    assert_eq!(ask(&a, 1), (320, first));
}
