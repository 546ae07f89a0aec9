use super::*;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities};
use llguidance::{Matcher, ParserFactory};
use serde_json::json;

/// A schema's grammar over a vocabulary of single bytes.
struct Enforced(Matcher);

impl Enforced {
    fn new(schema: &Value) -> Enforced {
        let compiled = Schema::compile(schema).unwrap().asserting_formats();
        let grammar = compile(&compiled, "").unwrap_or_else(|e| panic!("{schema}: {e}"));
        let env = ApproximateTokEnv::single_byte_env();
        let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &[]).unwrap();
        factory.quiet();
        let lark = format!("start: {}\n{}", grammar.start, grammar.rules);
        let matcher = Matcher::new(factory.create_parser(TopLevelGrammar::from_lark(lark)));
        assert_eq!(matcher.get_error(), None, "{schema}");
        Enforced(matcher)
    }

    fn permits(&self, text: &str) -> bool {
        let mut matcher = self.0.deep_clone();
        let ids: Vec<u32> = text.bytes().map(u32::from).collect();
        matcher.try_consume_tokens(&ids).unwrap() == ids.len() && matcher.is_accepting().unwrap()
    }
}

/// Checks which texts the grammar of a schema permits.
fn check(schema: Value, permitted: &[&str], forbidden: &[&str]) {
    let enforced = Enforced::new(&schema);
    for text in permitted {
        assert!(enforced.permits(text), "{schema} has to permit {text}");
        let value = serde_json::from_str(text).unwrap();
        assert!(Schema::compile(&schema).unwrap().validate(&value).is_ok(), "{text}");
    }
    for text in forbidden {
        assert!(!enforced.permits(text), "{schema} must not permit {text}");
    }
}

fn refusal(schema: Value) -> String {
    compile(&Schema::compile(&schema).unwrap(), "").unwrap_err().to_string()
}

#[test]
fn members_come_in_order_and_free_ones_last() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}},
        "required": ["b"],
        "additionalProperties": {"type": "null"}
    });
    check(
        schema,
        &[r#"{"b": true}"#, r#"{"a": 1, "b": false}"#, r#"{"b": true, "c": null, "d": null}"#],
        &["{}", r#"{"a": 1}"#, r#"{"b": true, "a": 1}"#, r#"{"b": true, "c": 1}"#, r#"{"b":true}"#],
    );
}

#[test]
fn conditions_and_dependencies_are_enforced() {
    check(
        json!({
            "type": "object",
            "properties": {"kind": {"enum": ["x", "y"]}, "n": {"type": "integer"}},
            "required": ["kind"],
            "additionalProperties": false,
            "if": {"properties": {"kind": {"const": "x"}}},
            "then": {"required": ["n"]},
            "else": {"not": {"required": ["n"]}}
        }),
        &[r#"{"kind": "x", "n": 1}"#, r#"{"kind": "y"}"#],
        &[r#"{"kind": "x"}"#, r#"{"kind": "y", "n": 1}"#],
    );
    check(
        json!({
            "type": "object",
            "properties": {"a": {"const": 1}, "b": {"const": 2}},
            "additionalProperties": false,
            "dependentRequired": {"a": ["b"]}
        }),
        &["{}", r#"{"b": 2}"#, r#"{"a": 1, "b": 2}"#],
        &[r#"{"a": 1}"#],
    );
}

#[test]
fn exactly_one_alternative_holds() {
    check(
        json!({"oneOf": [{"type": "integer", "maximum": 5}, {"type": "integer", "minimum": 3}]}),
        &["2", "6"],
        &["3", "4", "5", "2.5"],
    );
}

#[test]
fn negations_are_enforced() {
    check(
        json!({"type": "string", "not": {"enum": ["no"]}}),
        &[r#""yes""#, r#""nope""#],
        &[r#""no""#],
    );
    check(
        json!({"type": "object", "not": {"additionalProperties": {"type": "integer"}}}),
        &[r#"{"a": 1, "b": "x"}"#, r#"{"b": "x"}"#],
        &["{}", r#"{"a": 1}"#],
    );
}

#[test]
fn numbers_are_exact() {
    check(
        json!({"type": "integer", "minimum": 9_007_199_254_740_993_u64}),
        &["9007199254740993", "10000000000000000"],
        &["9007199254740992", "-9007199254740993"],
    );
    check(
        json!({"type": "number", "exclusiveMinimum": -1.25, "maximum": 30.5}),
        &["-1.2", "-1.249", "0", "30.5", "9", "30", "29.99"],
        &["-1.25", "-1.3", "30.51", "31", "100", "-0", "1.0", "1e0", "-2"],
    );
    check(json!({"multipleOf": 0.01, "type": "number"}), &["1", "1.5", "-0.25"], &["0.005"]);
    check(json!({"multipleOf": 0.5, "type": "number"}), &["0", "1", "1.5", "12.5"], &["1.25"]);
    check(json!({"multipleOf": 25, "type": "integer"}), &["0", "25", "-150"], &["5", "24", "26"]);
    check(json!({"type": "integer", "multipleOf": 100}), &["0", "500", "-1200"], &["50", "1"]);
    assert!(refusal(json!({"type": "integer", "multipleOf": 7})).contains("multipleOf"));
}

#[test]
fn patterns_hold_of_the_content_of_strings() {
    check(
        json!({"type": "string", "pattern": "^[^a]\\n?$|b\"$"}),
        &[r#""x""#, r#""x\n""#, r#""\"""#, r#""aab\"""#],
        &[r#""a""#, r#""xx""#, r#""ab""#],
    );
    check(
        json!({"type": "string", "pattern": "é{2}", "maxLength": 3}),
        &[r#""éé""#, r#""aéé""#],
        &[r#""é""#, r#""aaéé""#],
    );
    check(json!({"type": "string", "format": "date"}), &[r#""2024-02-28""#], &[r#""2024-02-30""#]);
}

#[test]
fn some_items_are_counted_and_unique_ones_differ() {
    check(
        json!({"type": "array", "contains": {"const": 1}, "maxContains": 2, "maxItems": 3}),
        &["[1]", "[0, 1, 1]", "[1, [], {}]"],
        &["[]", "[0]", "[1, 1, 1]", "[1, 0, 0, 0]"],
    );
    check(
        json!({
            "type": "array",
            "items": {"enum": ["a", "b", "c"]},
            "uniqueItems": true,
            "minItems": 1
        }),
        &[r#"["c"]"#, r#"["c", "a", "b"]"#],
        &["[]", r#"["a", "a"]"#, r#"["a", "b", "a"]"#],
    );
}

#[test]
fn recursive_references_are_followed() {
    check(
        json!({
            "$ref": "#/$defs/tree",
            "$defs": {"tree": {
                "type": "object",
                "properties": {
                    "v": {"type": "integer"},
                    "c": {"type": "array", "items": {"$ref": "#/$defs/tree"}}
                },
                "required": ["v"],
                "additionalProperties": false
            }}
        }),
        &[r#"{"v": 1}"#, r#"{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3}]}"#],
        &[r#"{"v": 1, "c": [{}]}"#],
    );
}

#[test]
fn what_was_not_looked_at_is_forbidden() {
    check(
        json!({
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "anyOf": [{"properties": {"b": {"const": 1}}, "required": ["b"]}, true],
            "unevaluatedProperties": false
        }),
        &["{}", r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#],
        &[r#"{"b": 2}"#, r#"{"c": 1}"#],
    );
}

#[test]
fn keys_follow_patterns_and_names() {
    check(
        json!({
            "type": "object",
            "patternProperties": {"^x": {"type": "integer"}, "^(a|b)$": {"type": "null"}},
            "additionalProperties": false
        }),
        &["{}", r#"{"a": null, "x1": 2}"#, r#"{"x": 1, "xy": 2}"#],
        &[r#"{"x": "1"}"#, r#"{"y": 1}"#, r#"{"a": 1}"#],
    );
    check(
        json!({"type": "object", "propertyNames": {"maxLength": 1}, "minProperties": 1}),
        &[r#"{"a": 1}"#],
        &["{}", r#"{"ab": 1}"#],
    );
}

#[test]
fn what_cannot_be_enforced_is_refused_by_name() {
    for (schema, named) in [
        (json!({"not": {"type": "array", "uniqueItems": true}}), "uniqueItems at /not"),
        (json!({"type": "string", "pattern": "a(^|b)c"}), "pattern"),
        (json!({"type": "integer", "minimum": 3, "maximum": 2}), "no value satisfies it"),
        (json!(false), "no value satisfies it"),
        (json!({"type": "array", "minItems": 5_000_000}), "minItems"),
    ] {
        let refusal = refusal(schema);
        assert!(refusal.contains(named), "{refusal}");
    }
    let many: serde_json::Map<String, Value> =
        (0..5_000).map(|i| (format!("p{i}"), json!({}))).collect();
    let refusal = refusal(json!({"type": "object", "properties": many}));
    assert!(refusal.contains("properties") && refusal.contains("512"), "{refusal}");
}
