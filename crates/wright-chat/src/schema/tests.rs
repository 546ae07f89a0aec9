use super::*;
use serde_json::json;

fn verdict(schema: Value, value: Value) -> Result<(), String> {
    let schema = Schema::compile(&schema).unwrap();
    schema.validate(&value).map_err(|violations| {
        violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("; ")
    })
}

#[test]
fn violations_say_where_and_what() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 3},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": true},
            "a/b": {"type": "integer"}
        },
        "required": ["name"],
        "additionalProperties": false
    });
    let compiled = Schema::compile(&schema).unwrap();
    let value = json!({"tags": ["a", "c", "c"], "a/b": 1.5, "x": 0});
    let violations = compiled.validate(&value).unwrap_err();
    let shown: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert_eq!(
        shown,
        [
            "the property \"name\" is missing",
            "/tags: items 1 and 2 are equal",
            "/tags/1: \"c\" is none of \"a\", \"b\"",
            "/tags/2: \"c\" is none of \"a\", \"b\"",
            "/a~1b: expected integer, but this is the number 1.5",
            "/x: the property \"x\" is not permitted; permitted are name, tags, a/b",
        ]
    );
    assert_eq!(violations[4].schema, "/properties/a~1b/type");
}

#[test]
fn the_closest_alternative_is_explained() {
    let schema = json!({"anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"n": {"minimum": 5}}, "required": ["n"]}
    ]});
    let error = verdict(schema, json!({"n": 3})).unwrap_err();
    assert!(error.contains("/n: 3 is less than the minimum of 5"), "{error}");
}

#[test]
fn integers_beyond_the_precision_of_floats_are_told_apart() {
    let schema = json!({"minimum": 9_007_199_254_740_993_u64});
    assert!(verdict(schema.clone(), json!(9_007_199_254_740_993_u64)).is_ok());
    assert!(verdict(schema, json!(9_007_199_254_740_992_u64)).is_err());
    let schema = json!({"const": 18_446_744_073_709_551_615_u64});
    assert!(verdict(schema, json!(18_446_744_073_709_551_614_u64)).is_err());
}

#[test]
fn older_drafts_are_read() {
    let seven = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"n": {"$id": "#n", "type": "integer"}},
        "properties": {"a": {"$ref": "#n", "maximum": 1}},
        "dependencies": {"a": ["b"], "c": {"required": ["d"]}}
    });
    assert!(verdict(seven.clone(), json!({"a": 7, "b": 0})).is_ok(), "`$ref` hides `maximum`");
    assert!(verdict(seven.clone(), json!({"a": "x", "b": 0})).is_err());
    assert!(verdict(seven.clone(), json!({"a": 1})).is_err());
    assert!(verdict(seven, json!({"c": 1})).is_err());
    let four = json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "id": "http://x.y/z",
        "items": [{"minimum": 3, "exclusiveMinimum": true}, {"$ref": "z#/items/0"}],
        "additionalItems": false
    });
    assert!(verdict(four.clone(), json!([4, 4])).is_ok());
    assert!(verdict(four.clone(), json!([4, 3])).is_err());
    assert!(verdict(four, json!([4, 4, 4])).is_err());
}

#[test]
fn what_is_not_supported_is_named() {
    let error = |schema| Schema::compile(&schema).unwrap_err().to_string();
    for (schema, named) in [
        (json!({"items": {"$ref": "https://x.y/z.json"}}), "at /items leads to another document"),
        (json!({"$ref": "#/$defs/a"}), "leads to nothing"),
        (json!({"$schema": "https://x.y/dialect"}), "dialect \"https://x.y/dialect\""),
        (json!({"pattern": "a(?!b)"}), "look-ahead"),
        (json!({"allOf": [{"$ref": "#"}]}), "refers back to itself"),
        (json!({"minLength": -1}), "`minLength` at the top must be an integer"),
        (json!({"properties": {"a": 3}}), "what is at /properties/a is not a schema"),
        (json!({"required": true}), "`required` at the top must be a list"),
        (json!([]), "this is not a schema"),
    ] {
        let error = error(schema);
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn hostile_schemas_and_values_are_bounded() {
    // 2^40 paths through the same few schemas.
    let mut defs = serde_json::Map::new();
    for i in 0..40 {
        let next = format!("#/$defs/{}", i + 1);
        defs.insert(i.to_string(), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
    }
    defs.insert("40".into(), json!({"type": "integer"}));
    let error = verdict(json!({"$ref": "#/$defs/0", "$defs": defs}), json!(1)).unwrap_err();
    assert!(error.contains("too much work"), "{error}");
    let mut deep = json!(1);
    for _ in 0..400 {
        deep = json!([deep]);
    }
    let error = verdict(json!({"items": {"$ref": "#"}}), deep).unwrap_err();
    assert!(error.contains("too deeply"), "{error}");
    let mut schema = json!({});
    for _ in 0..400 {
        schema = json!({"not": schema});
    }
    assert_eq!(Schema::compile(&schema).unwrap_err(), SchemaError::TooDeep);
}

#[test]
fn formats_are_checked_on_request() {
    let schema = json!({"format": "date"});
    assert!(verdict(schema.clone(), json!("never")).is_ok());
    let strict = Schema::compile(&schema).unwrap().asserting_formats();
    assert!(strict.validate(&json!("never")).is_err());
    assert!(strict.validate(&json!("2024-02-29")).is_ok());
}
