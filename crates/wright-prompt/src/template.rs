//! Templates of prompts, in the YAML of `llm`: a text, or a mapping with known keys.

use crate::variables::{self, VariableError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use thiserror::Error;

/// Longer templates are refused before they are parsed.
const BYTES_MAX: usize = 4 << 20;

/// The variable that stands for what was asked.
const INPUT: &str = "input";

/// An attachment with its MIME type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentType {
    /// The MIME type.
    #[serde(rename = "type")]
    pub mime: String,
    /// A path or URL.
    pub value: String,
}

/// One template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Template {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Values of variables that nobody sets.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub defaults: Map<String, Value>,
    /// Options of the model by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract_last: Option<bool>,
    /// A JSON schema that the answer must satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_object: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fragments: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system_fragments: Vec<String>,
    /// Paths or URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachment_types: Vec<AttachmentType>,
    /// Names of tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Python source that defines tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<String>,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    #[error("{0}")]
    Yaml(String),
    #[error("a template is a text or a mapping, not {0}")]
    Kind(&'static str),
    #[error("it is longer than {} MiB", BYTES_MAX >> 20)]
    TooLong,
    #[error("it is empty")]
    Empty,
    /// A template, by its name, has variables without values.
    #[error("template `{template}`: {reason}")]
    Variables { template: String, reason: VariableError },
    /// A default, by its name, is neither a text nor a number nor true or false.
    #[error("template `{template}`: the default of ${name} must be a text or a number")]
    Default { template: String, name: String },
}

impl Template {
    /// Reads a template.
    ///
    /// ```
    /// use wright_prompt::Template;
    /// assert_eq!(Template::parse("Tell a joke")?.prompt.as_deref(), Some("Tell a joke"));
    /// assert!(Template::parse("prompts: x").unwrap_err().to_string().contains("prompts"));
    /// # Ok::<(), wright_prompt::TemplateError>(())
    /// ```
    ///
    /// # Errors
    /// If it is not YAML, has a key that templates do not have, or is too large.
    pub fn parse(yaml: &str) -> Result<Self, TemplateError> {
        if yaml.len() > BYTES_MAX {
            return Err(TemplateError::TooLong);
        }
        let value: Value = read(yaml)?;
        match value {
            Value::Null => Err(TemplateError::Empty),
            Value::String(prompt) => Ok(Template { prompt: Some(prompt), ..Template::default() }),
            Value::Object(_) => read(yaml),
            Value::Array(_) => Err(TemplateError::Kind("a list")),
            Value::Bool(_) => Err(TemplateError::Kind("true or false")),
            Value::Number(_) => Err(TemplateError::Kind("a number")),
        }
    }

    /// The template as YAML that [`Template::parse`] reads.
    ///
    /// # Errors
    /// If a value cannot be written as YAML.
    pub fn to_yaml(&self) -> Result<String, TemplateError> {
        serde_saphyr::to_string(self).map_err(|error| TemplateError::Yaml(error.to_string()))
    }
}

fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<T, TemplateError> {
    // The parser bounds depth, nodes and aliases by itself.
    serde_saphyr::from_str(yaml).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        TemplateError::Yaml(first.trim().trim_start_matches("error: ").to_owned())
    })
}

/// Templates that are used together, in the order in which they were named.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Templates {
    named: Vec<(String, Template)>,
}

/// What templates make of a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    pub prompt: String,
    pub system: Option<String>,
}

impl Templates {
    /// `named` are templates, each with the name that errors call it by.
    pub fn new(named: Vec<(String, Template)>) -> Self {
        Templates { named }
    }

    /// The templates in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.named.iter().map(|(_, template)| template)
    }

    /// The first value that a template gives.
    ///
    /// ```
    /// use wright_prompt::{Template, Templates};
    /// let (a, b) = (Template::parse("{system: a}")?, Template::parse("{model: m}")?);
    /// let both = Templates::new(vec![("a".to_owned(), a), ("b".to_owned(), b)]);
    /// assert_eq!(both.first(|template| template.model.as_deref()), Some("m"));
    /// # Ok::<(), wright_prompt::TemplateError>(())
    /// ```
    pub fn first<'a, T>(&'a self, get: impl Fn(&'a Template) -> Option<T>) -> Option<T> {
        self.iter().find_map(get)
    }

    /// Options of all templates; of two values for one name the first counts.
    pub fn options(&self) -> Map<String, Value> {
        let mut options = Map::new();
        for (name, value) in self.iter().flat_map(|template| &template.options) {
            options.entry(name.clone()).or_insert_with(|| value.clone());
        }
        options
    }

    /// Passes `input` through the templates, one after the other. A template without `$input`
    /// stands before its input.
    ///
    /// # Errors
    /// If a variable has a value neither in `parameters` nor among the template's own defaults.
    pub fn fill(
        &self,
        input: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Filled, TemplateError> {
        let mut filled = Filled { prompt: input.to_owned(), system: None };
        for (name, template) in &self.named {
            let defaults = defaults(name, template)?;
            let in_template = |reason| TemplateError::Variables { template: name.clone(), reason };
            let value = |variable: &str| match variable {
                INPUT => Some(filled.prompt.clone()),
                _ => parameters.get(variable).or_else(|| defaults.get(variable)).cloned(),
            };
            let substitute = |text: &str| variables::substitute(text, value).map_err(in_template);
            let system = template.system.as_deref().map(substitute).transpose()?;
            let prompt = match &template.prompt {
                None => filled.prompt.clone(),
                Some(text) => {
                    let uses_input = variables::names(text).map_err(in_template)?.contains(INPUT);
                    match substitute(text)? {
                        prompt if uses_input || filled.prompt.is_empty() => prompt,
                        prompt => format!("{prompt}\n{}", filled.prompt),
                    }
                }
            };
            filled = Filled { prompt, system: filled.system.or(system) };
        }
        Ok(filled)
    }
}

fn defaults(name: &str, template: &Template) -> Result<BTreeMap<String, String>, TemplateError> {
    let text = |(variable, value): (&String, &Value)| match value {
        Value::String(text) => Ok((variable.clone(), text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok((variable.clone(), value.to_string())),
        _ => Err(TemplateError::Default { template: name.to_owned(), name: variable.clone() }),
    };
    template.defaults.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(yaml: &[&str]) -> Templates {
        let named = yaml
            .iter()
            .enumerate()
            .map(|(i, yaml)| (format!("t{i}"), Template::parse(yaml).unwrap()));
        Templates::new(named.collect())
    }

    fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn all_keys_are_read_and_written() {
        let yaml = "prompt: |\n  Say $a: $input\nsystem: be brief\nmodel: m\noptions:\n  \
                    temperature: 0.5\n  stop: [x]\ndefaults: {a: 1}\nextract: true\n\
                    extract_last: false\nschema_object:\n  type: object\n  properties: {}\n\
                    fragments: [a.txt, b]\nsystem_fragments: [c]\nattachments: [p.png]\n\
                    attachment_types:\n- {type: image/png, value: q}\ntools: [clock]\n\
                    functions: 'def f(): pass'\n";
        let template = Template::parse(yaml).unwrap();
        assert_eq!(template.prompt.as_deref(), Some("Say $a: $input\n"));
        assert_eq!(template.options["temperature"], 0.5);
        assert_eq!(template.attachment_types[0].mime, "image/png");
        assert_eq!(Template::parse(&template.to_yaml().unwrap()).unwrap(), template);
    }

    #[test]
    fn a_prompt_flows_through_several_templates() {
        let filled = templates(&["prompt: 'A $input'\nsystem: one", "prompt: B\nsystem: two"])
            .fill("x", &parameters(&[]))
            .unwrap();
        assert_eq!(filled.prompt, "B\nA x");
        assert_eq!(filled.system.as_deref(), Some("one"));
        let system_only = templates(&["system: s"]).fill("x", &parameters(&[])).unwrap();
        assert_eq!(system_only.prompt, "x");
    }

    #[test]
    fn parameters_win_over_defaults_and_defaults_stay_in_their_template() {
        let one = templates(&["prompt: $a $b\ndefaults: {a: 1, b: true}"]);
        assert_eq!(one.fill("", &parameters(&[("b", "2")])).unwrap().prompt, "1 2");
        let two = templates(&["prompt: $a\ndefaults: {a: 1}", "prompt: $a"]);
        let error = two.fill("", &parameters(&[])).unwrap_err();
        assert_eq!(error.to_string(), "template `t1`: no value for $a");
    }

    #[test]
    fn the_first_options_count() {
        let options = templates(&["options: {a: 1}", "options: {a: 2, b: 3}"]).options();
        assert_eq!((&options["a"], &options["b"]), (&Value::from(1), &Value::from(3)));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let failed = |yaml: &str| Template::parse(yaml).unwrap_err();
        assert_eq!(failed(""), TemplateError::Empty);
        assert_eq!(failed("- a"), TemplateError::Kind("a list"));
        assert!(matches!(failed("prompt: [a"), TemplateError::Yaml(_)));
        assert!(matches!(failed("prompt: {a: b}"), TemplateError::Yaml(_)));
        assert!(matches!(failed("defaults: &a {b: *a}"), TemplateError::Yaml(_)), "a cycle");
        let deep = "[".repeat(100_000);
        assert!(matches!(failed(&deep), TemplateError::Yaml(_)));
        let bomb: String = std::iter::once("a0: &a0 [x, x]\n".to_owned())
            .chain((1..40).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1)))
            .collect();
        assert!(matches!(failed(&bomb), TemplateError::Yaml(_)), "aliases that multiply");
        assert_eq!(failed(&"x".repeat(BYTES_MAX + 1)), TemplateError::TooLong);
    }
}
