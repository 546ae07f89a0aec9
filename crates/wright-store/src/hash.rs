//! Content hashes, bit for bit those of `llm` 0.36.
//!
//! A message is identified by its canonical JSON together with the hash of the message before it,
//! so equal beginnings of conversations are stored once and can be exported without change.

use crate::Json;
use blake2::Blake2b;
use blake2::digest::Digest;
use blake2::digest::consts::U16;
use sha2::Sha256;
use std::fmt::Write;

/// Tag of message hashes: BLAKE2b with a digest of 16 bytes.
const MESSAGE_TAG: &str = "b2:";

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// BLAKE2b with a digest of 16 bytes.
pub(crate) fn blake2b_16(bytes: &[u8]) -> [u8; 16] {
    Blake2b::<U16>::digest(bytes).into()
}

/// Hash of a message: `message` is its object with attachments as `{id, type}`, `parent` the hash
/// of the message before it.
///
/// ```
/// use wright_store::{Json, message_hash};
/// let hello = Json::parse(r#"{"role": "user", "parts": [{"type": "text", "text": "Hello"}]}"#)?;
/// assert_eq!(message_hash(None, &hello), "b2:a0e4ead3540965f657f5361736db496a");
/// # Ok::<(), wright_store::JsonError>(())
/// ```
pub fn message_hash(parent: Option<&str>, message: &Json) -> String {
    let parent = parent.map_or("null".to_owned(), |hash| Json::from(hash).canonical());
    let canonical = format!("{{\"message\":{},\"parent\":{parent}}}", message.canonical());
    format!("{MESSAGE_TAG}{}", hex(&blake2b_16(canonical.as_bytes())))
}

/// Id of a JSON schema and the text that is stored under it.
pub fn schema_id(schema: &Json) -> (String, String) {
    let content = schema.compact();
    (hex(&blake2b_16(content.as_bytes())), content)
}

/// SHA-256 as hexadecimal digits: the hash of fragments and attachments.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Id of an attachment that is known by its address alone.
pub(crate) fn url_id(url: &str) -> String {
    sha256_hex(format!("{{\"url\": {}}}", Json::from(url).spaced()).as_bytes())
}

/// Hash of a tool's definition.
pub(crate) fn tool_hash(
    name: &str,
    description: Option<&str>,
    input_schema: &Json,
    plugin: Option<&str>,
) -> String {
    let mut tool = crate::Object::new();
    tool.insert("name", name);
    tool.insert("description", description.map_or(Json::Null, Json::from));
    tool.insert("input_schema", input_schema.clone());
    if let Some(plugin) = plugin.filter(|plugin| !plugin.is_empty()) {
        tool.insert("plugin", plugin);
    }
    sha256_hex(Json::from(tool).spaced().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "b2:a0e4ead3540965f657f5361736db496a";

    fn hash(parent: Option<&str>, message: &str) -> String {
        message_hash(parent, &Json::parse(message).unwrap())
    }

    #[test]
    fn messages_have_the_hashes_of_llm() {
        let second = r#"{"role":"assistant","parts":[{"type":"text","text":"Hi"}]}"#;
        assert_eq!(hash(Some(FIRST), second), "b2:77ff14007ea4f0fcd964d55b8aae76f6");
        let third = r#"{"role":"assistant","parts":[{"arguments":{"a":1e+16,"b":1.0,
            "big":12345678901234567890,"x":1e-07,"é":null},"name":"mult","tool_call_id":"c1",
            "type":"tool_call"}]}"#;
        assert_eq!(hash(Some(FIRST), third), "b2:4f906ee914c2653b6df1101ab9531237");
    }

    #[test]
    fn schemas_and_urls_have_the_ids_of_llm() {
        let schema = r#"{"type":"object","properties":{"name":{"type":"string"},
            "age":{"type":"integer"}},"required":["name","age"]}"#;
        let (id, _) = schema_id(&Json::parse(schema).unwrap());
        assert_eq!(id, "848bffbc260a905ad40888a4518f40ef");
        let expected = sha256_hex(br#"{"url": "https://example.com/\u00e9"}"#);
        assert_eq!(url_id("https://example.com/é"), expected);
    }
}
