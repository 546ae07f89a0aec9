//! Keys that an object has twice: readers keep one of the values and drop the other in silence.

use super::reference::pointer_step;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;
use thiserror::Error;

/// Why a text is not JSON in which every key stands once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DuplicateKey {
    #[error("the key at {pointer} stands twice")]
    Found { pointer: String },
    #[error("not valid JSON: {0}")]
    NotJson(String),
}

/// Checks that no object in the JSON `text` has a key twice.
///
/// # Errors
/// The first such key, or why the text is not JSON.
pub fn check_duplicate_keys(text: &str) -> Result<(), DuplicateKey> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Part { pointer: String::new(), found: &mut found };
    let read = value.deserialize(&mut reader).and_then(|()| reader.end());
    match (found, read) {
        (Some(pointer), _) => Err(DuplicateKey::Found { pointer }),
        (None, Err(error)) => Err(DuplicateKey::NotJson(error.to_string())),
        (None, Ok(())) => Ok(()),
    }
}

struct Part<'f> {
    pointer: String,
    found: &'f mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let pointer = format!("{}/{index}", self.pointer);
            if items.next_element_seed(Part { pointer, found: self.found })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            let pointer = format!("{}/{}", self.pointer, pointer_step(&key));
            if !keys.insert(key) {
                *self.found = Some(pointer);
                return Err(A::Error::custom("a key stands twice"));
            }
            members.next_value_seed(Part { pointer, found: self.found })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_as_they_are_read() {
        assert_eq!(check_duplicate_keys(r#"{"a": {"a": [1, {"b": null}]}, "b": 1e5}"#), Ok(()));
        let found = |text| match check_duplicate_keys(text) {
            Err(DuplicateKey::Found { pointer }) => pointer,
            other => panic!("{other:?}"),
        };
        assert_eq!(found(r#"[{"x/y": 1, "x\/y": 2}]"#), "/0/x~1y");
        assert_eq!(found(r#"{"a": {"b": 1, "c": 2, "\u0062": 3}}"#), "/a/b");
        assert!(matches!(check_duplicate_keys("{} x"), Err(DuplicateKey::NotJson(_))));
        let deep = "[".repeat(100_000);
        assert!(matches!(check_duplicate_keys(&deep), Err(DuplicateKey::NotJson(_))));
    }
}
