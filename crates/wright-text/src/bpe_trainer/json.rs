//! A trained vocabulary as the tokenizer.json of Hugging Face's `tokenizers`.

use super::TrainedBpe;
use crate::{byte_level, pretokenizer};
use serde_json::{Map, Value, json};

impl TrainedBpe {
    /// The whole tokenizer.json.
    pub fn json(&self) -> Value {
        let first = self.special.len();
        let special = self.special.iter().cloned().zip(0..);
        let text = self.tokens().map(|(id, token)| (byte_level::encode(token), id));
        let vocab: Map<String, Value> =
            special.chain(text).map(|(token, id)| (token, json!(id))).collect();
        let letters = |symbol: u32| byte_level::encode(&self.tokens[symbol as usize]);
        let merges: Vec<Value> =
            self.merges.iter().map(|&(l, r)| json!([letters(l), letters(r)])).collect();
        let added: Vec<Value> = (0..first).map(|id| self.added_token(id)).collect();
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": null,
            "pre_tokenizer": pretokenizer::json(&self.pre),
            "post_processor": null,
            "decoder": pretokenizer::byte_level(true),
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": self.ignore_merges,
                "vocab": vocab,
                "merges": merges,
            },
        })
    }

    fn added_token(&self, id: usize) -> Value {
        json!({
            "id": id, "content": self.special[id], "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        })
    }
}
