//! Chat templates: a conversation becomes the text that a model was trained to continue.
//!
//! A template is the model's own Jinja source, or a [built-in](Template::built_in) one. It runs in
//! a sandbox with a budget of work and memory, gets the time as an argument, and cannot turn data
//! into control tokens (see `guard.rs` for how).

pub(crate) mod builtin;
mod clock;
mod conversation;
mod engine;
mod guard;
mod namespaces;
mod past_calls;
mod python;
mod rank;

pub use clock::Now;
pub use rank::RankPrompt;

use crate::families::{self, CallHistory};
use crate::rendered::{Rendered, Span};
use crate::{Error, Tokenizer};
use conversation::{MessageFormat, PastCalls};
use engine::Engine;
use guard::{Marks, Mode, Names};
use minijinja::value::Value;
use serde_json::json;
use std::sync::OnceLock;
use wright_chat::{Message, Part, Role, Tool, ToolCall};

/// A chat template, parsed for one tokenizer.
///
/// ```
/// use wright_chat::Message;
/// use wright_text::{Algorithm, RenderOptions, Spec, Template, Tokenizer};
///
/// let mut spec = Spec::new(Algorithm::ByteBpe);
/// spec.pre = "gpt-2";
/// spec.tokens = vec![b"h", b"i"];
/// let tokenizer = Tokenizer::new(&spec)?;
/// let template = Template::built_in("chatml", &tokenizer)?;
/// let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
/// let rendered = template.render(&[Message::user("hi")], &[], &options)?;
/// assert_eq!(rendered.text(), "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
/// # Ok::<(), wright_text::Error>(())
/// ```
#[derive(Debug)]
pub struct Template {
    engine: Engine,
    names: Names,
    /// What the template may print as `bos_token` and so on.
    special: serde_json::Map<String, serde_json::Value>,
    /// What it looks for in a message.
    format: MessageFormat,
    /// How it wants calls of tools.
    calls: OnceLock<PastCalls>,
    /// `None` if the template fails on the trial conversation.
    takes_system: OnceLock<Option<bool>>,
    takes_tools: OnceLock<Option<bool>>,
}

/// How to render.
#[derive(Debug, Clone, Default)]
pub struct RenderOptions {
    /// Append the prefix of the model's answer.
    pub add_generation_prompt: bool,
    /// For templates that print the date. Without it they have no `strftime_now`.
    pub now: Option<Now>,
    /// Tell which text came from which message; costs another render.
    pub spans: bool,
    /// More variables for the template, such as `enable_thinking`. From the operator: not guarded.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl Template {
    /// Parses the Jinja source that a model carries.
    ///
    /// # Errors
    /// [`Error::TemplateSyntax`], or [`Error::TemplateTooMuch`] for a source beyond any reason.
    pub fn parse(source: &str, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let mut special = serde_json::Map::new();
        let ids = [
            ("bos_token", tokenizer.bos()),
            ("eos_token", tokenizer.eos()),
            ("unk_token", tokenizer.unk()),
            ("pad_token", tokenizer.pad()),
        ];
        for (name, id) in ids {
            let text = id.map(|id| String::from_utf8_lossy(tokenizer.token_bytes(id)).into_owned());
            special.insert(name.to_owned(), json!(text.unwrap_or_default()));
        }
        let mut template = Template {
            engine: Engine::new(source)?,
            names: names(tokenizer),
            special,
            format: MessageFormat::usual(source),
            calls: OnceLock::new(),
            takes_system: OnceLock::new(),
            takes_tools: OnceLock::new(),
        };
        template.format.typed = template.wants_typed_content();
        Ok(template)
    }

    /// One of the templates that come with this crate: `chatml`, `gemma`, `llama2`, `llama3`,
    /// `mistral`, `phi3` or `zephyr`.
    ///
    /// # Errors
    /// [`Error::UnknownTemplate`].
    pub fn built_in(name: &str, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let source =
            builtin::source(name).ok_or_else(|| Error::UnknownTemplate(name.to_owned()))?;
        Self::parse(source, tokenizer)
    }

    /// The built-in template of the family that a tokenizer's control tokens identify, for models
    /// whose files carry no template; `None` if they identify none, as in most base models.
    pub fn built_in_for(tokenizer: &Tokenizer) -> Option<Self> {
        let is_control =
            |text: &str| tokenizer.find(text).is_some_and(|id| tokenizer.is_control(id));
        // A test compiles each built-in template.
        Self::built_in(families::built_in_template(is_control)?, tokenizer).ok()
    }

    /// The names that [`Template::built_in`] knows.
    pub fn built_in_names() -> Vec<&'static str> {
        builtin::names()
    }

    /// The Jinja source.
    pub fn source(&self) -> &str {
        &self.engine.source
    }

    /// Whether the template renders a system message.
    pub fn takes_system(&self) -> bool {
        self.shows_system() == Some(true)
    }

    fn shows_system(&self) -> Option<bool> {
        *self.takes_system.get_or_init(|| {
            let conversation = [Message::system("wright-system"), Message::user("wright-user")];
            self.shows(&conversation, &[], self.format, "wright-system")
        })
    }

    /// Whether the template renders tools.
    pub fn takes_tools(&self) -> bool {
        self.shows_tools() == Some(true)
    }

    fn shows_tools(&self) -> Option<bool> {
        *self.takes_tools.get_or_init(|| {
            let tool = Tool {
                name: "wright-tool".to_owned(),
                description: "A tool.".to_owned(),
                parameters: json!({ "type": "object", "properties": {}, "required": [] }),
            };
            self.shows(&[Message::user("wright-user")], &[tool], self.format, "wright-tool")
        })
    }

    /// Some templates read content only as a list of parts: those that lose or refuse a string.
    fn wants_typed_content(&self) -> bool {
        let conversation = [Message::user("wright-user")];
        let shows = |typed, text| {
            let format = MessageFormat { typed, ..self.format };
            self.shows(&conversation, &[], format, text) == Some(true)
        };
        // A template that prints the list as it is shows the names of its fields.
        !shows(false, "wright-user") && shows(true, "wright-user") && !shows(true, "'type'")
    }

    /// Some templates take the arguments of calls only as text: those that fail on an object.
    /// Some pass over calls, and show them only as a part of the content.
    fn wanted_calls(&self) -> PastCalls {
        *self.calls.get_or_init(|| {
            let arguments = r#"{"wright-key": "wright-value"}"#;
            let call = ToolCall::new("abcdefghi", "wright-tool", arguments);
            let said = Message::new(Role::Assistant, vec![Part::from(call)]);
            let conversation = [Message::user("wright-user"), said];
            let shows = |calls: &PastCalls| {
                let format = MessageFormat { calls: *calls, ..self.format };
                self.shows(&conversation, &[], format, "wright-value") == Some(true)
            };
            let in_content = CallHistory::of_template(self.source()).map(PastCalls::InContent);
            let known = [PastCalls::Objects, PastCalls::JsonText].into_iter().chain(in_content);
            let mut known = known.filter(shows);
            known.next().unwrap_or(PastCalls::Objects)
        })
    }

    /// What `messages` are written in.
    fn format_for(&self, messages: &[Message]) -> MessageFormat {
        let calls = messages.iter().any(|message| message.tool_calls().next().is_some());
        match calls {
            true => MessageFormat { calls: self.wanted_calls(), ..self.format },
            false => self.format,
        }
    }

    /// Whether `text` shows in a trial; `None` if the template fails on it.
    fn shows(
        &self,
        messages: &[Message],
        tools: &[Tool],
        format: MessageFormat,
        text: &str,
    ) -> Option<bool> {
        let options = RenderOptions {
            add_generation_prompt: true,
            now: Some(Now { unix_s: 0, utc_offset_s: 0 }),
            ..RenderOptions::default()
        };
        let plain = |text: &str, _| text.to_owned();
        let rendered = self.run(messages, tools, &options, format, &plain).ok()?;
        Some(rendered.contains(text))
    }

    /// Renders `messages`, offering `tools`.
    /// Nothing in them becomes a control token, whatever it says, not even together with the
    /// template's own text.
    ///
    /// # Errors
    /// If the template rejects the conversation, ignores the system message or the tools, exceeds
    /// its budget, or fails; and for media.
    pub fn render(
        &self,
        messages: &[Message],
        tools: &[Tool],
        options: &RenderOptions,
    ) -> Result<Rendered, Error> {
        let plain = |text: &str, _| text.to_owned();
        let format = self.format_for(messages);
        let plain_text = self.context(messages, tools, options, format, &plain)?.to_string();
        let free = guard::free_noncharacters(&[&plain_text, &self.engine.source]);
        let (&marker, free) = free.split_first().ok_or(Error::NoMarker)?;
        let write = |mode| move |text: &str, _: Option<usize>| self.names.write(text, mode, marker);
        let guarded = self.run(messages, tools, options, format, &write(Mode::Guarded))?;
        let severed = self.run(messages, tools, options, format, &write(Mode::Severed))?;
        let is_system = |message: &Message| message.role == Role::System;
        if messages.iter().any(is_system) && self.shows_system() == Some(false) {
            return Err(Error::NoSystemRole);
        }
        if !tools.is_empty() && self.shows_tools() == Some(false) {
            return Err(Error::NoTools);
        }
        let trusted =
            self.names.in_order(&guarded, marker) == self.names.in_order(&severed, marker);
        let marked = if trusted { guarded } else { severed };
        let mut rendered = Rendered { marked, marker: Some(marker), spans: Vec::new() };
        if options.spans {
            rendered.spans = self.spans(messages, tools, options, free, &rendered)?;
        }
        Ok(rendered)
    }

    /// Renders once more with marks around each content, and reads them.
    fn spans(
        &self,
        messages: &[Message],
        tools: &[Tool],
        options: &RenderOptions,
        free: &[char],
        rendered: &Rendered,
    ) -> Result<Vec<Span>, Error> {
        let marks = Marks::new(free).ok_or(Error::NoMarker)?;
        let write = |text: &str, message: Option<usize>| match message {
            Some(index) => marks.write(text, index),
            None => text.to_owned(),
        };
        let marked = self.run(messages, tools, options, self.format_for(messages), &write)?;
        match marks.read(&marked) {
            Some((text, spans)) if text == rendered.text() => Ok(spans),
            _ => Err(Error::NoSpans),
        }
    }

    fn context(
        &self,
        messages: &[Message],
        tools: &[Tool],
        options: &RenderOptions,
        format: MessageFormat,
        write: &guard::Writer,
    ) -> Result<serde_json::Value, Error> {
        let mut context = self.special.clone();
        let tools = if tools.is_empty() {
            serde_json::Value::Null
        } else {
            conversation::tools(tools, write)
        };
        context
            .insert("messages".to_owned(), conversation::messages(messages, format, write)?.into());
        context.insert("tools".to_owned(), tools);
        context.insert("documents".to_owned(), serde_json::Value::Null);
        context.insert("add_generation_prompt".to_owned(), json!(options.add_generation_prompt));
        context.extend(options.extra.clone());
        Ok(serde_json::Value::Object(context))
    }

    fn run(
        &self,
        messages: &[Message],
        tools: &[Tool],
        options: &RenderOptions,
        format: MessageFormat,
        write: &guard::Writer,
    ) -> Result<String, Error> {
        let context = self.context(messages, tools, options, format, write)?;
        let n_bytes = size(&context);
        self.engine.run(value(&context), options.now, n_bytes, messages.len())
    }
}

/// The names of a tokenizer's control tokens.
fn names(tokenizer: &Tokenizer) -> Names {
    let texts: Vec<Vec<u8>> = (0..tokenizer.n_vocab() as u32)
        .filter(|&id| tokenizer.is_control(id))
        .map(|id| tokenizer.token_bytes(id).to_vec())
        .collect();
    Names::new(tokenizer.controls().clone(), &texts)
}

/// JSON as the template engine's own values.
fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(flag) => Value::from(*flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (_, Some(number)) => Value::from(number),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::from(items.iter().map(value).collect::<Vec<_>>()),
        serde_json::Value::Object(fields) => {
            Value::from_pairs(fields.iter().map(|(key, json)| (key.as_str(), value(json))))
        }
    }
}

/// About how many bytes a value holds.
fn size(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len() + 8,
        serde_json::Value::Array(items) => items.iter().map(size).sum::<usize>() + 8,
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(key, value)| key.len() + size(value)).sum::<usize>() + 8
        }
        _ => 8,
    }
}
