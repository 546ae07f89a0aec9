//! The import of `llm`'s log: rows whose columns hold anything.

use super::Try;
use std::cell::RefCell;
use wright_store::fuzzing::Rows;

pub const LLM_WORDS: &[&str] = &[
    "messages|parent_hash|m",
    "parts|type|tool_call",
    "parts|payload|{\"name\":\"f\",\"arguments\":{\"a\":1e999}}",
    "{\"text_ref\":[{\"fragment\":1},{\"literal\":\"",
    "turns|parent_message_hash|",
    "turns|datetime_utc|",
    "responses|conversation_id|",
    "\\ud800\\udc00",
    "|#9223372036854775807",
    "|!",
    "|~",
];

pub fn llm_seeds() -> Vec<Vec<u8>> {
    [
        "parts|text|some other text\nparts|payload|{\"redacted\": true}\nparts|type|reasoning",
        "turns|options_json|{\"temperature\": 0.5, \"seed\": 7}\nturns|input_tokens|#12",
        "responses|prompt|東京\nresponses|system|\nconversations|name|a name",
        "messages|provider_metadata|{\"a\": [1, 2.5, null]}\nthreads|forked_from|t",
        "fragments|content|x\nfragments|source|~\nattachments|content|!bytes",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// One memory for many inputs.
pub fn make_llm() -> Try {
    let rows = RefCell::new(Rows::new().ok());
    Box::new(move |input| rows.borrow_mut().as_mut().is_some_and(|rows| rows.try_import(input)))
}
