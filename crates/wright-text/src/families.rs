//! What distinguishes one family of chat models from another, one row a family: how it writes
//! reasoning and tool calls, where calls of past turns go, and which tokens end an answer.
//!
//! Model files name no family, so the words of a chat template identify the row. Reasoning, calls
//! and history are looked up independently, because templates combine them: a distilled model may
//! write the reasoning of one family and the calls of another. A new family is one new row in
//! `families/table.rs`; how the body of a call is parsed is the caller's business.
//!
//! A tag is text, whatever tokens spell it. Where tags are control tokens, which no text can hold,
//! reasoning is recognized anywhere in an answer; elsewhere only at its very start, so that a text
//! *about* a tag stays text.

mod table;

use table::FAMILIES;

/// One family. Unset fields mean that nothing is known, or nothing needed.
#[derive(Debug)]
pub(crate) struct Family {
    /// Models of this family.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and for failures of tests"))]
    pub models: &'static str,
    pub reasoning: Option<ReasoningFormat>,
    pub calls: Option<CallFormat>,
    /// For templates that ignore the calls of past turns.
    pub history: Option<CallHistory>,
    /// Texts of control tokens that end an answer, in addition to those that a file names.
    pub end_tokens: &'static [&'static str],
    /// A control token that identifies the family where a file has no template, and the built-in
    /// template to use then.
    pub template: Option<(&'static str, &'static str)>,
}

/// How a family writes reasoning.
#[derive(Debug)]
pub struct ReasoningFormat {
    /// Words of a template that identify the format: all of them.
    template_contains: &'static [&'static str],
    pub open: &'static str,
    pub close: &'static str,
    /// Whether it may come after the answer has begun.
    pub anywhere: bool,
    /// Tags around an answer that are not part of it.
    pub ignored_tags: &'static [&'static str],
}

/// How a family writes tool calls.
#[derive(Debug)]
pub struct CallFormat {
    /// Words of a template that identify the format: all of them.
    template_contains: &'static [&'static str],
    /// Tags that open a section of calls. [`BARE_OBJECT`] and [`BARE_LIST`] only open an answer,
    /// and are part of the call.
    pub open: &'static [&'static str],
    /// What ends each call of a section, if calls are reported before the section ends.
    pub call_end: Option<&'static str>,
    /// Tags that close a section; if there are none, the next section or the answer's end does.
    pub close: &'static [&'static str],
    /// How the body of a section, or each call, can be written: without `open` and `close`.
    pub syntaxes: &'static [CallSyntax],
    /// Tags around an answer that are not part of it.
    pub ignored_tags: &'static [&'static str],
    /// Control tokens within a call that occur in no syntax.
    pub inner_tags: &'static [&'static str],
}

/// How the body of a call is written.
///
/// Most are patterns: a call as the model writes it, with placeholders in braces for what differs.
/// `<function={name}>{arguments}</function>` is a call, and `<parameter={key}>{lines}</parameter>`
/// one of its arguments. The placeholders: `{name}` of the function, `{id}` of the call, `{path}`
/// for both as Kimi writes them, `{json}` and `{object}` for all arguments as JSON or as a Python
/// literal, `{arguments}` for the arguments by their own patterns, `{key}`, `{value}`, `{lines}` (a
/// value on lines of its own), `{type}` of a value, `{_}` for anything, `{ }` for white space.
#[derive(Debug, Clone, Copy)]
pub enum CallSyntax {
    /// A JSON object with a name and arguments, several of them, or a list of them.
    Json,
    /// The same list without its `[`, which is part of the opening tag.
    JsonItems,
    /// `[{"name": {arguments}}]`.
    JsonKeyed,
    /// `[name(key=value), …]`.
    Python,
    /// The pattern of a call, and those of its arguments.
    Pattern(&'static str, &'static [&'static str]),
    /// Elements named as the arguments, each tag after this mark (MiniMax M3).
    Elements(&'static str),
}

/// How a family writes calls of past turns into the content of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallHistory {
    template_contains: &'static str,
    pub open: &'static str,
    pub close: &'static str,
    pub notation: CallNotation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallNotation {
    /// `f(a="x", b=[1, None])`
    Python,
    /// `{"name": "f", "arguments": {"a": "x"}}`
    Json,
}

/// What a row leaves out.
const UNKNOWN: Family = Family {
    models: "",
    reasoning: None,
    calls: None,
    history: None,
    end_tokens: &[],
    template: None,
};

/// What a row leaves out of its reasoning.
const REASONING: ReasoningFormat = ReasoningFormat {
    template_contains: &[],
    open: "",
    close: "",
    anywhere: false,
    ignored_tags: &[],
};

/// What a row leaves out of its calls.
const CALLS: CallFormat = CallFormat {
    template_contains: &[],
    open: &[],
    call_end: None,
    close: &[],
    syntaxes: &[],
    ignored_tags: &[],
    inner_tags: &[],
};

/// An answer that is one JSON object and nothing else (Llama 3).
pub const BARE_OBJECT: &str = "{";
/// An answer that is one list and nothing else (Llama 4).
pub const BARE_LIST: &str = "[";

/// Fields in which templates look for the reasoning of past turns, the most common first. Which of
/// them a template reads its source shows, so this is not a fact of a family.
pub(crate) const REASONING_FIELDS: &[&str] =
    &["reasoning_content", "thinking", "reasoning", "thought"];

impl ReasoningFormat {
    /// The format of the family whose template this is; `None` if it is not known to reason.
    pub fn of_template(source: &str) -> Option<&'static ReasoningFormat> {
        let mut formats = FAMILIES.iter().filter_map(|family| family.reasoning.as_ref());
        formats.find(|format| contains_all(source, format.template_contains))
    }

    /// Whether a control token of this text belongs to the format.
    pub fn has_token(&self, token: &str) -> bool {
        let own = [self.open, self.close];
        own.iter().chain(self.ignored_tags).any(|tag| tag.contains(token))
    }
}

impl CallFormat {
    /// The format of the family whose template this is; `None` if it is not known to call tools.
    pub fn of_template(source: &str) -> Option<&'static CallFormat> {
        let mut formats = FAMILIES.iter().filter_map(|family| family.calls.as_ref());
        formats.find(|format| contains_all(source, format.template_contains))
    }

    /// Whether a call is recognized by being the whole answer.
    pub fn is_bare(&self) -> bool {
        matches!(self.open, [BARE_OBJECT | BARE_LIST])
    }

    /// Whether a control token of this text belongs to the format.
    pub fn has_token(&self, token: &str) -> bool {
        let tags = [self.open, self.close, self.ignored_tags, self.inner_tags];
        let mut tags = tags.into_iter().flatten().chain(&self.call_end);
        tags.any(|tag| tag.contains(token))
            || self.syntaxes.iter().any(|syntax| syntax.has_token(token))
    }
}

impl CallSyntax {
    /// Whether a control token of this text can occur in such a call.
    fn has_token(&self, token: &str) -> bool {
        match self {
            CallSyntax::Pattern(call, arguments) => {
                call.contains(token) || arguments.iter().any(|pattern| pattern.contains(token))
            }
            CallSyntax::Elements(mark) => mark.contains(token),
            _ => false,
        }
    }
}

impl CallHistory {
    /// That of the family whose template this is.
    pub fn of_template(source: &str) -> Option<&'static CallHistory> {
        let mut known = FAMILIES.iter().filter_map(|family| family.history.as_ref());
        known.find(|history| source.contains(history.template_contains))
    }
}

/// The name of the built-in template of the first family with a control token of a vocabulary.
pub(crate) fn built_in_template(is_control: impl Fn(&str) -> bool) -> Option<&'static str> {
    let mut known = FAMILIES.iter().filter_map(|family| family.template);
    known.find(|(token, _)| is_control(token)).map(|(_, name)| name)
}

/// Texts of all families' tokens that end an answer.
pub(crate) fn end_tokens() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.end_tokens.iter().copied())
}

fn contains_all(source: &str, words: &[&str]) -> bool {
    words.iter().all(|words| source.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_can_be_reached() {
        for family in FAMILIES {
            if let Some(format) = &family.reasoning {
                let found = ReasoningFormat::of_template(&format.template_contains.concat());
                assert!(std::ptr::eq(found.unwrap(), format), "{}", family.models);
            }
            if let Some(format) = &family.calls {
                let found = CallFormat::of_template(&format.template_contains.concat());
                assert!(std::ptr::eq(found.unwrap(), format), "{}", family.models);
            }
            if let Some(history) = &family.history {
                let found = CallHistory::of_template(history.template_contains);
                assert!(std::ptr::eq(found.unwrap(), history), "{}", family.models);
            }
            if let Some((token, name)) = family.template {
                assert_eq!(built_in_template(|text| text == token), Some(name));
            }
        }
        let none = "{{ messages }}";
        assert!(ReasoningFormat::of_template(none).is_none());
        assert!(CallFormat::of_template(none).is_none());
        assert!(CallHistory::of_template(none).is_none());
        assert!(built_in_template(|_| false).is_none());
    }

    #[test]
    fn a_token_ends_answers_in_one_row_only() {
        let mut all: Vec<&str> = end_tokens().collect();
        all.sort_unstable();
        let n = all.len();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    #[test]
    fn every_built_in_template_that_a_row_names_exists() {
        let named = FAMILIES.iter().filter_map(|family| family.template);
        assert!(
            named
                .map(|(_, name)| name)
                .all(|name| crate::template::builtin::source(name).is_some())
        );
    }
}
