//! The Jinja environment that chat templates run in: what `transformers` gives them, and a budget.

use super::clock::Now;
use super::namespaces::held_by_itself;
use super::python;
use crate::Error;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind};
use std::error::Error as _;

/// Work that any template may do, in the engine's units: about an instruction, or 64 bytes of data,
/// so that a template alone makes at most 6.4 MB.
const FUEL: u64 = 100_000;
/// More for each byte of the conversation: templates take up to some hundred units for a message,
/// and the shortest, with its names, has more than fifty bytes.
const FUEL_PER_BYTE: u64 = 8;
/// More for each message beside each other: some templates (Gemma 4's) look for the last call or
/// question again at every message. Bounded, so that no conversation keeps one busy for long.
const FUEL_PER_PAIR: u64 = 64;
const FUEL_OF_PAIRS_MAX: u64 = 20_000_000;
/// Calls and loops within each other, small enough for the stack of any thread.
const RECURSION_MAX: usize = 100;
/// Longest source of a template, in bytes. The longest known is 40 kB.
const SOURCE_BYTES_MAX: usize = 1 << 20;

/// A compiled template.
#[derive(Debug)]
pub(super) struct Engine {
    environment: Environment<'static>,
    pub source: String,
}

const NAME: &str = "chat template";

/// What a template said when it refused: carried through the engine's own error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

impl Engine {
    pub fn new(source: &str) -> Result<Self, Error> {
        if source.len() > SOURCE_BYTES_MAX {
            let what = format!("it is {} bytes long", source.len());
            return Err(Error::TemplateTooMuch(what));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| Error::TemplateSyntax(describe(&error)))?);
        environment.set_recursion_limit(RECURSION_MAX);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(python::print);
        environment.set_unknown_method_callback(python::method);
        environment.add_filter("tojson", python::tojson);
        environment.add_filter("indent", python::indent);
        environment.add_filter("string", |value: &Value| python::str(value));
        // Python cannot iterate over None; MiniJinja says that it can.
        environment.add_test("iterable", |value: &Value| {
            use minijinja::value::ValueKind::{Bool, None, Number};
            !matches!(value.kind(), None | Bool | Number)
        });
        environment.add_function("raise_exception", |message: &Value| -> Result<(), _> {
            let message = python::str(message)?;
            let error = minijinja::Error::new(ErrorKind::InvalidOperation, message.clone());
            Err(error.with_source(Refusal(message)))
        });
        let source = without_generation_tags(source);
        environment
            .add_template_owned(NAME, source.clone())
            .map_err(|error| Error::TemplateSyntax(describe(&error)))?;
        if let Some(name) = held_by_itself(&source) {
            let why = format!("{name} is passed on unchanged: a namespace could contain itself");
            return Err(Error::TemplateSyntax(why));
        }
        Ok(Engine { environment, source })
    }

    /// Runs the template over `context`, which holds about `n_bytes` and `n_messages`: its budget
    /// grows with both.
    pub fn run(
        &self,
        context: Value,
        now: Option<Now>,
        n_bytes: usize,
        n_messages: usize,
    ) -> Result<String, Error> {
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel(n_bytes as u64, n_messages as u64)));
        if let Some(now) = now {
            environment.add_function("strftime_now", move |format: &str| now.format(format));
        }
        let template = environment.get_template(NAME).map_err(|error| failure(&error))?;
        template.render(context).map_err(|error| failure(&error))
    }
}

fn fuel(n_bytes: u64, n_messages: u64) -> u64 {
    let of_pairs = n_messages.saturating_mul(n_messages).saturating_mul(FUEL_PER_PAIR);
    let of_bytes = n_bytes.saturating_mul(FUEL_PER_BYTE);
    FUEL.saturating_add(of_bytes).saturating_add(of_pairs.min(FUEL_OF_PAIRS_MAX))
}

fn failure(error: &minijinja::Error) -> Error {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(Refusal(message)) = cause.downcast_ref::<Refusal>() {
            return Error::TemplateRefused(message.clone());
        }
        source = cause.source();
    }
    if error.kind() == ErrorKind::OutOfFuel {
        return Error::TemplateTooMuch("its budget ran out".to_owned());
    }
    if error.detail().is_some_and(|detail| detail.contains("recursion limit")) {
        return Error::TemplateTooMuch("its calls are nested too deeply".to_owned());
    }
    Error::TemplateFailed(describe(error))
}

/// The engine's message and line, without its own name for the template.
fn describe(error: &minijinja::Error) -> String {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

/// `{% generation %}` and `{% endgeneration %}` only mark what a model wrote, for training: they
/// become a condition that always holds.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        // The end stands after the beginning: `{%}` is not a tag.
        let Some(len) = rest[start + 2..].find("%}").map(|len| len + 4) else { break };
        let tag = &rest[start..start + len];
        let inner = &tag[2..tag.len() - 2];
        let (open, inner) = split_control(inner, true);
        let (close, inner) = split_control(inner, false);
        let replacement = match inner.trim() {
            "generation" => Some("if true"),
            "endgeneration" => Some("endif"),
            _ => None,
        };
        out.push_str(&rest[..start]);
        match replacement {
            Some(word) => out.push_str(&format!("{{%{open} {word} {close}%}}")),
            None => out.push_str(tag),
        }
        rest = &rest[start + len..];
    }
    out.push_str(rest);
    out
}

/// Splits a white-space control sign off one end of a tag.
fn split_control(inner: &str, front: bool) -> (&'static str, &str) {
    for sign in ["-", "+"] {
        let rest = if front { inner.strip_prefix(sign) } else { inner.strip_suffix(sign) };
        if let Some(rest) = rest {
            return (sign, rest);
        }
    }
    ("", inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_tags_become_conditions() {
        let source = "{% if a %}x{%- generation -%}y{% endgeneration %}{% endif %}{% raw";
        let want = "{% if a %}x{%- if true -%}y{% endif %}{% endif %}{% raw";
        assert_eq!(without_generation_tags(source), want);
    }

    #[test]
    fn a_tag_that_ends_within_its_beginning_is_no_tag() {
        for source in ["{%}", "{%}{%", "a {%} b %}", "{%%}"] {
            assert_eq!(without_generation_tags(source), source);
        }
    }
}
