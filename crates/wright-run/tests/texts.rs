//! Whole texts through tiny models that embed and rank, against what transformers gives for them
//! (wright-model's golden/texts.py): ids, pooling, pairs, prompts and scores together.

use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use wright_chat::{Model as _, Origin, Text};
use wright_model::{Model, Precision};
use wright_run::{LoadOptions, LocalModel};

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wright-model/tests/golden");
    std::fs::read(folder.join(name)).unwrap()
}

fn local(name: &str, precision: Precision) -> LocalModel {
    let model = Model::from_gguf(Arc::new(file(&format!("{name}.gguf")))).unwrap();
    let n_ctx = model.n_ctx_train() as usize;
    let options = LoadOptions { precision, ..LoadOptions::new(name, n_ctx, 2) };
    LocalModel::new(Arc::new(model), options).unwrap()
}

fn text(text: &Value) -> Text {
    Text::new(Origin::User, text.as_str().unwrap())
}

/// Each text with what is known about it.
fn golden(name: &str) -> (Value, Vec<Text>, Vec<Value>) {
    let golden: Value = serde_json::from_slice(&file(&format!("{name}.json"))).unwrap();
    let known = golden["texts"].as_array().unwrap().clone();
    let texts = known.iter().map(|one| text(&one["text"])).collect();
    (golden["query"].clone(), texts, known)
}

/// The largest difference from the golden numbers, the largest of which is about 1.
fn worst(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(&got, want)| (f64::from(got) - want).abs()).fold(0.0, f64::max)
}

#[test]
fn vectors_are_those_of_transformers() {
    for name in ["embed_mean", "embed_first", "embed_nomic", "embed_xlmr", "embed_last"] {
        let (_, texts, known) = golden(name);
        for (precision, limit) in [(Precision::Exact, 1e-5), (Precision::Fast, 1e-2)] {
            let vectors = local(name, precision).embed(&texts).unwrap();
            for (vector, known) in vectors.iter().zip(&known) {
                let want: Vec<f64> = serde_json::from_value(known["vector"].clone()).unwrap();
                let worst = worst(vector, &want);
                assert!(worst < limit, "{name} {precision:?} {}: {worst}", known["text"]);
            }
        }
    }
}

#[test]
fn scores_are_those_of_transformers() {
    for name in ["rank_bert", "rank_xlmr", "rank_qwen3"] {
        let (query, texts, known) = golden(name);
        let want: Vec<f64> = known.iter().map(|one| one["score"].as_f64().unwrap()).collect();
        for (precision, limit) in [(Precision::Exact, 1e-4), (Precision::Fast, 2e-2)] {
            let model = local(name, precision);
            let scores = model.rank(&text(&query), &texts).unwrap();
            let worst = worst(&scores, &want);
            assert!(worst < limit, "{name} {precision:?}: {scores:?}, not {want:?}");
        }
    }
}

/// The golden scores must tell the order of the texts apart from any other.
#[test]
fn a_pair_is_no_document_and_its_order_matters() {
    let model = local("rank_bert", Precision::Exact);
    let (query, texts, _) = golden("rank_bert");
    let query = text(&query);
    let there = model.rank(&query, &texts[3..]).unwrap()[0];
    let back = model.rank(&texts[3], std::slice::from_ref(&query)).unwrap()[0];
    assert!((there - back).abs() > 1e-3, "{there} {back}");
}

#[test]
fn rerankers_reject_other_requests_with_a_hint() {
    for name in ["rank_bert", "rank_qwen3"] {
        let model = local(name, Precision::Fast);
        let able = model.describe().capabilities;
        assert!(able.rank && !able.embed && !able.chat && !able.score, "{name}");
        let error = model.embed(&[Text::new(Origin::User, "a")]).unwrap_err();
        assert!(error.hint.unwrap().contains("rerank"), "{name}");
    }
}

#[test]
fn a_text_too_long_is_named_by_its_number() {
    let model = local("rank_bert", Precision::Fast);
    let long = Text::new(Origin::User, "cable ".repeat(200));
    let short = Text::new(Origin::User, "cable");
    let error = model.rank(&short, &[short.clone(), long]).unwrap_err();
    assert!(error.message.starts_with("text 2 of 2: "), "{}", error.message);
}
