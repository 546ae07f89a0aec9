//! Vectors of tiny models: of length 1, the same alone and in company, and pooled as files say.

use std::path::PathBuf;
use std::sync::Arc;
use wright_chat::{Model as _, Origin, Text};
use wright_model::Model;
use wright_run::{LoadOptions, LocalModel};

fn local(name: &str) -> LocalModel {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wright-model/tests/golden");
    let bytes = std::fs::read(folder.join(format!("{name}.gguf"))).unwrap();
    let model = Model::from_gguf(Arc::new(bytes)).unwrap();
    LocalModel::new(Arc::new(model), LoadOptions::new(name, 64, 2)).unwrap()
}

fn texts(texts: &[&str]) -> Vec<Text> {
    texts.iter().map(|text| Text::new(Origin::User, *text)).collect()
}

#[test]
fn vectors_have_length_one_and_know_no_company() {
    for name in ["bert", "nomicbert", "qwen3"] {
        let model = local(name);
        let all = texts(&["The cable", "carries the road", "The tower carries the cable"]);
        let together = model.embed(&all).unwrap();
        for (text, vector) in all.iter().zip(&together) {
            let square: f32 = vector.iter().map(|x| x * x).sum();
            assert!((square - 1.0).abs() < 1e-5, "{name}: {square}");
            assert_eq!(&model.embed(std::slice::from_ref(text)).unwrap()[0], vector, "{name}");
            assert_eq!(vector.len() as u32, model.describe().embedding_length.unwrap());
        }
        assert_ne!(together[0], together[1], "{name}");
    }
}

#[test]
fn an_encoder_embeds_and_does_nothing_else() {
    let model = local("bert");
    let able = model.describe().capabilities;
    assert!(able.embed && !able.chat && !able.score);
    let long = "cable ".repeat(200);
    let error = model.embed(&texts(&[&long])).unwrap_err();
    assert!(error.hint.is_some(), "{}", error.message);
    assert!(model.rank(&texts(&["a"])[0], &texts(&["b"])).is_err());
    assert!(model.score(&texts(&["a"])[0], &texts(&["b"])).is_err());
}
