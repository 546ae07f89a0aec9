//! JSON that outlives the program that wrote it.
//!
//! What is stored or sent to another program carries the version of its form, as the field `v`.
//! A later program reads what an earlier one wrote; an earlier one refuses what it does not know.

use crate::{
    Description, Event, Message, Options, Request, Response, Tool, ToolCall, ToolResult, Usage,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

/// A type with a JSON form that is kept: an object, with room for the field `v`.
pub trait Versioned: Serialize + DeserializeOwned {
    /// What it is called in errors.
    const NAME: &'static str;
    /// The version that [`to_json`] writes.
    const VERSION: u64;

    /// Brings an object written as `version` (older than [`Versioned::VERSION`]) to the form of
    /// today.
    fn upgrade(value: Value, version: u64) -> Value {
        let _ = version;
        value
    }
}

/// Why stored JSON could not be read.
#[derive(Debug, Error)]
pub enum VersionError {
    #[error("{name} is stored in form {found}; this program knows forms up to {known}")]
    Newer { name: &'static str, found: u64, known: u64 },
    #[error("{name}: the field `v` with the version of the form is missing")]
    Unversioned { name: &'static str },
    #[error("{name}: {source}")]
    Malformed { name: &'static str, source: serde_json::Error },
}

/// The JSON form of `value`, with its version first.
///
/// ```
/// use wright_chat::{Message, from_json, to_json};
/// let message = Message::user("hi");
/// let json = to_json(&message);
/// assert!(json.to_string().starts_with(r#"{"v":1,"role":"user""#));
/// assert_eq!(from_json::<Message>(json).unwrap(), message);
/// ```
pub fn to_json<T: Versioned>(value: &T) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("v".into(), T::VERSION.into());
    // Every implementation is a struct or an enum of structs whose maps have string keys, so
    // serializing it neither fails nor gives anything but an object.
    if let Ok(Value::Object(fields)) = serde_json::to_value(value) {
        object.extend(fields);
    }
    Value::Object(object)
}

/// Reads what [`to_json`] wrote, today or in an earlier version of the program.
///
/// # Errors
/// If the form is newer than this program, has no version, or does not hold a `T`.
pub fn from_json<T: Versioned>(mut value: Value) -> Result<T, VersionError> {
    let name = T::NAME;
    let version = value.as_object_mut().and_then(|object| object.shift_remove("v"));
    let Some(found) = version.as_ref().and_then(Value::as_u64) else {
        return Err(VersionError::Unversioned { name });
    };
    if found > T::VERSION {
        return Err(VersionError::Newer { name, found, known: T::VERSION });
    }
    let value = if found < T::VERSION { T::upgrade(value, found) } else { value };
    serde_json::from_value(value).map_err(|source| VersionError::Malformed { name, source })
}

macro_rules! versioned {
    ($($type:ty, $name:literal, $version:literal;)*) => {
        $(impl Versioned for $type {
            const NAME: &'static str = $name;
            const VERSION: u64 = $version;
        })*
    };
}

versioned! {
    Message, "a message", 1;
    Request, "a request", 1;
    Response, "a response", 1;
    Options, "options", 1;
    Usage, "usage", 1;
    Event, "an event", 1;
    Tool, "a tool", 1;
    ToolCall, "a tool call", 1;
    ToolResult, "a tool result", 1;
    Description, "a model's description", 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_newer_unversioned_or_something_else_is_refused() {
        let newer = from_json::<Message>(json!({"v": 2, "role": "user", "parts": []}));
        let message = newer.unwrap_err().to_string();
        assert!(message.contains("form 2") && message.contains("up to 1"), "{message}");
        let bare = from_json::<Message>(json!({"role": "user", "parts": []}));
        assert!(matches!(bare, Err(VersionError::Unversioned { .. })));
        let other = from_json::<Message>(json!({"v": 1, "role": "robot", "parts": []}));
        assert!(matches!(other, Err(VersionError::Malformed { .. })));
        assert!(from_json::<Message>(json!([1])).is_err());
    }

    #[test]
    fn fields_of_a_later_program_with_the_same_form_are_left_out() {
        let value = json!({"v": 1, "role": "user", "parts": [], "mood": "good"});
        assert_eq!(from_json::<Message>(value).unwrap(), Message::new(crate::Role::User, vec![]));
    }

    #[test]
    fn requests_come_back_whole() {
        let mut request = Request::chat(vec![Message::user("hi")]);
        request.options.extra.insert("verbosity".into(), json!("low"));
        request.options.seed = Some(u64::MAX);
        request.format = Some(crate::ResponseFormat::JsonSchema(json!({"b": 1, "a": 2})));
        let text = to_json(&request).to_string();
        let read: Request = from_json(serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(read, request);
        assert_eq!(to_json(&read).to_string(), text, "key order of a schema is kept");
    }
}
