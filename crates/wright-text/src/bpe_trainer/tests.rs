use super::*;

fn trained(texts: &[&str], n_vocab: usize, special: &[&str]) -> TrainedBpe {
    let mut trainer = BpeTrainer::new("gpt-2", 1).unwrap();
    texts.iter().for_each(|text| trainer.feed(text));
    trainer.train(n_vocab, special).unwrap()
}

fn texts(trained: &TrainedBpe) -> Vec<String> {
    let made = trained.tokens.iter().skip(256);
    made.map(|token| String::from_utf8_lossy(token).into_owned()).collect()
}

#[test]
fn frequent_pairs_merge_first_and_rare_ones_never() {
    let trained = trained(&["low low low lower lowest", "newer newer wider"], 1_000, &["<|end|>"]);
    // "low" came 5 times; "er" and " low" 4 times each, and "e" has the lower id.
    assert_eq!(texts(&trained)[..4], ["lo", "low", "er", " low"]);
    assert!(texts(&trained).contains(&"newer".to_owned()));
    assert!(!texts(&trained).iter().any(|text| text.contains("wider")), "came once");
    assert_eq!(trained.n_vocab(), 257 + trained.n_merges());
    assert_eq!((trained.n_words(), trained.n_distinct()), (8, 7));
}

#[test]
fn repeated_characters_merge_from_the_left() {
    let trained = trained(&["aaaaa aaaaa"], 1_000, &[]);
    // aa|aa|a: of (aa, a) and (aa, aa), as frequent, the former has the lower ids.
    assert_eq!(texts(&trained), ["aa", "aaa", "aaaaa"]);
    assert_eq!(trained.n_tokens(), 3);
}

#[test]
fn no_merge_spells_a_special_token() {
    let text = "abc ".repeat(50);
    assert!(texts(&trained(&[&text], 1_000, &[])).contains(&" abc".to_owned()));
    let trained = trained(&[&text], 1_000, &["abc"]);
    assert!(!texts(&trained).contains(&"abc".to_owned()));
    assert_eq!(trained.json()["model"]["vocab"]["abc"], 0);
}

#[test]
fn untrainable_models_are_rejected() {
    let train = |n_vocab, special: &[&str]| {
        BpeTrainer::new("gpt-2", 1).unwrap().train(n_vocab, special).unwrap_err()
    };
    let small = train(257, &["<a>", "<b>"]);
    assert_eq!(small, Error::VocabularyTooSmall { n_vocab: 257, least: 258 });
    assert!(small.hint().unwrap().contains("258"));
    for special in [&["<a>", "<a>"][..], &[""], &["Ġ"]] {
        assert!(matches!(train(300, special), Error::SpecialToken(_)), "{special:?}");
    }
    assert!(BpeTrainer::new("none-such", 1).is_err());
    let mut trainer = BpeTrainer::new("gpt-2", 1).unwrap();
    trainer.feed(&"ab ab".repeat(9));
    let stopped = trainer.train_watched(300, &[], &mut |n| n < 257);
    assert_eq!(stopped.unwrap_err(), Error::Stopped);
    assert_eq!(trained(&[], 300, &[]).n_vocab(), 256, "no text: bytes alone");
}

#[test]
fn threads_and_batches_do_not_affect_results() {
    let mut text = String::new();
    let mut state = 1u32;
    for _ in 0..60_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(
            ["the ", "fox", " jumps", "\n", " über", " 12", "a a"][(state >> 24) as usize % 7],
        );
    }
    let one = trained(&[&text], 400, &["<|endoftext|>"]);
    for n_threads in [2, 5] {
        let mut trainer = BpeTrainer::new("gpt-2", n_threads).unwrap();
        trainer.feed(&text);
        assert!(trainer.train(400, &["<|endoftext|>"]).unwrap() == one, "{n_threads} threads");
    }
    // Texts in another order, and a batch's worth of them.
    let pieces = cut::pieces(&text);
    let mut trainer = BpeTrainer::new("gpt-2", 3).unwrap().min_frequency(8 * MIN_FREQUENCY);
    for _ in 0..8 {
        pieces.iter().rev().for_each(|piece| trainer.feed(piece));
    }
    let eight = trainer.train(400, &["<|endoftext|>"]).unwrap();
    assert!(eight.json() == one.json());
    assert_eq!(eight.n_tokens(), 8 * one.n_tokens());
}
