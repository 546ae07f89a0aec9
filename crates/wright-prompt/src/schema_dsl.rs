//! The short notation for JSON schemas that `llm` has: `name, age int: in years`.
//!
//! Fields are separated by newlines if there are any, otherwise by commas. A field is a name, a
//! type (`int`, `float`, `bool` or `str`, which is the default), and after a colon a description.
//! All fields are required.

use serde_json::{Map, Value, json};
use thiserror::Error;

const FIELDS_MAX: usize = 10_000;

/// Why a notation is not a schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DslError {
    #[error("field {field:?} has no name before the colon")]
    NoName { field: String },
    #[error("field `{name}` occurs twice")]
    Duplicate { name: String },
    #[error("`{found}` is not a type; field `{name}` can be int, float, bool or str")]
    UnknownType { name: String, found: String },
    #[error("there are more than {FIELDS_MAX} fields")]
    TooMany,
}

/// The schema of one object.
///
/// ```
/// let schema = wright_prompt::schema_dsl::parse("name, age int: in years")?;
/// assert_eq!(
///     schema.to_string(),
///     r#"{"type":"object","properties":{"name":{"type":"string"},"#.to_owned()
///         + r#""age":{"type":"integer","description":"in years"}},"required":["name","age"]}"#,
/// );
/// # Ok::<(), wright_prompt::schema_dsl::DslError>(())
/// ```
///
/// # Errors
/// If a field has no name, an unknown type, or the name of another.
pub fn parse(text: &str) -> Result<Value, DslError> {
    let separator = if text.contains('\n') { '\n' } else { ',' };
    let mut properties = Map::new();
    for field in text.split(separator).map(str::trim).filter(|field| !field.is_empty()) {
        if properties.len() == FIELDS_MAX {
            return Err(DslError::TooMany);
        }
        let (name, property) = parse_field(field)?;
        if properties.contains_key(&name) {
            return Err(DslError::Duplicate { name });
        }
        properties.insert(name, property);
    }
    let required: Vec<&String> = properties.keys().collect();
    let required = json!(required);
    Ok(json!({"type": "object", "properties": properties, "required": required}))
}

/// The schema of an object that lists many of what `schema` describes, as `items`.
///
/// ```
/// let many = wright_prompt::schema_dsl::many(&serde_json::json!({"type": "string"}));
/// assert_eq!(many["properties"]["items"]["items"]["type"], "string");
/// ```
pub fn many(schema: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {"items": {"type": "array", "items": schema}},
        "required": ["items"],
    })
}

fn parse_field(field: &str) -> Result<(String, Value), DslError> {
    let (head, description) = field.split_once(':').unwrap_or((field, ""));
    let mut words = head.split_whitespace();
    let Some(name) = words.next().map(str::to_owned) else {
        return Err(DslError::NoName { field: field.to_owned() });
    };
    // Words after the type are ignored, as in `llm`.
    let kind = match words.next() {
        None | Some("str") => "string",
        Some("int") => "integer",
        Some("float") => "number",
        Some("bool") => "boolean",
        Some(found) => return Err(DslError::UnknownType { name, found: found.to_owned() }),
    };
    let mut property = json!({"type": kind});
    let description = description.trim();
    if !description.is_empty() {
        property["description"] = description.into();
    }
    Ok((name, property))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with the first letters of their types, and descriptions.
    fn brief(text: &str) -> String {
        let schema = parse(text).unwrap();
        let fields = schema["properties"].as_object().unwrap().iter().map(|(name, property)| {
            let kind = property["type"].as_str().unwrap();
            match property.get("description") {
                Some(description) => format!("{name}:{kind}={description}"),
                None => format!("{name}:{kind}"),
            }
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn fields_are_read_as_llm_reads_them() {
        assert_eq!(brief("name"), "name:string");
        assert_eq!(brief("name, age int, active bool"), "name:string age:integer active:boolean");
        assert_eq!(brief("x str: d:e"), r#"x:string="d:e""#);
        assert_eq!(brief("a int extra words: hi"), r#"a:integer="hi""#);
        assert_eq!(brief("a,, b int,"), "a:string b:integer");
        assert_eq!(brief("a: x, y\nb float\n"), r#"a:string="x, y" b:number"#);
    }

    #[test]
    fn an_empty_notation_is_an_object_without_fields() {
        let empty = r#"{"type":"object","properties":{},"required":[]}"#;
        assert_eq!(parse("").unwrap().to_string(), empty);
        assert_eq!(parse(" , ").unwrap().to_string(), empty);
    }

    #[test]
    fn a_list_is_under_items() {
        let many = many(&parse("a float").unwrap());
        let object = r#"{"type":"object","properties":{"a":{"type":"number"}},"required":["a"]}"#;
        let expected = format!(
            r#"{{"type":"object","properties":{{"items":{{"type":"array","items":{object}}}}},"#
        ) + r#""required":["items"]}"#;
        assert_eq!(many.to_string(), expected);
    }

    #[test]
    fn mistakes_are_named() {
        let failed = |text: &str| parse(text).unwrap_err().to_string();
        assert!(failed("name text").contains("`text` is not a type"));
        assert!(failed("a, a int").contains("twice"));
        assert!(failed("a, : words").contains("no name"));
    }
}
