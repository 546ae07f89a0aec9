//! Chat templates print what Jinja2 in Python prints: the real ones that llama.cpp's source
//! carries, over conversations with system prompts, tools, calls, results and reasoning.
//!
//! What Wright refuses on purpose is counted and named apart: a template that would leave out the
//! system prompt or the tools that it was given.

use super::{Check, Setting};
use crate::{Failure, wright};
use serde_json::Value;
use std::fs;
use std::process::Command;
use wright_chat::{Message, Origin, Part, Role, Text, Tool, ToolCall, ToolResult};
use wright_text::{Algorithm, Error, Now, RenderOptions, Spec, Template, TokenKind, Tokenizer};

/// 2024-07-26 13:20 UTC, as in `template_renders.py`.
const NOW: Now = Now { unix_s: 1_722_000_000, utc_offset_s: 0 };

/// Templates whose calls and tools come out in another way, and why.
const KNOWN: &[(&str, &str)] = &[
    (
        "meetkai-functionary-medium-v3.1.jinja",
        "it adds JSON to a string marked as safe, and the Markup of Python then escapes quotes",
    ),
    ("LFM2-8B-A1B.jinja", "it passes over calls: Wright puts them into the content"),
    ("LFM2.5-Instruct.jinja", "as LFM2-8B-A1B"),
    ("ibm-granite-granite-3.3-2B-Instruct.jinja", "as LFM2-8B-A1B"),
];

#[derive(Debug, Default)]
struct Tally {
    equal: usize,
    /// Refused since the template shows no system prompt, or no tools.
    deaf: Vec<String>,
    /// Python cannot, Wright can, as it would for a person.
    more: usize,
    wrong: Vec<String>,
    /// Different, as [`KNOWN`] says.
    known: usize,
}

pub fn compare(setting: &Setting) -> Result<Vec<Check>, Failure> {
    let folder = setting.peers.source("models/templates")?;
    let script = setting.workspace.join("xtask/peers/template_renders.py");
    let mut python = Command::new(setting.peers.python()?);
    let renders: Value = serde_json::from_str(&wright::said(python.arg(script).arg(&folder))?.0)?;
    let tokenizer = tokenizer()?;
    let mut tally = Tally::default();
    for render in renders.as_array().ok_or("the script printed no list")? {
        let name = render["template"].as_str().unwrap_or_default();
        let source = fs::read_to_string(folder.join(name))?;
        let what = format!("{name}, conversation {}", render["conversation"]);
        compare_one(&mut tally, &what, &source, &tokenizer, render);
    }
    let detail = format!(
        "{} renders equal, {} refused that leave out what they were given, {} that Python cannot \
         do, {} of {} templates that differ for a known reason\nrefused: {}\nwrong: {}",
        tally.equal,
        tally.deaf.len(),
        tally.more,
        tally.known,
        KNOWN.len(),
        tally.deaf.join("; "),
        tally.wrong.join("\n")
    );
    Ok(vec![Check::new("templates", tally.wrong.is_empty(), detail)])
}

fn compare_one(tally: &mut Tally, what: &str, source: &str, tokenizer: &Tokenizer, render: &Value) {
    let ours = rendered(source, tokenizer, render);
    let forms = ["plain", "typed", "written"];
    let texts: Vec<&str> = forms.iter().filter_map(|form| render[form]["text"].as_str()).collect();
    match (&ours, texts.is_empty()) {
        (Ok(text), false) if texts.contains(&text.as_str()) => tally.equal += 1,
        (Ok(_), false) if KNOWN.iter().any(|(name, _)| what.starts_with(name)) => tally.known += 1,
        (Ok(text), false) => tally.wrong.push(format!("{what}: {}", difference(text, texts[0]))),
        (Ok(_), true) => tally.more += 1,
        (Err(Error::NoSystemRole | Error::NoTools), _) => tally.deaf.push(what.to_owned()),
        (Err(error), false) => tally.wrong.push(format!("{what}: {error}")),
        (Err(_), true) => {}
    }
}

/// Two control tokens are all that a template needs to know.
fn tokenizer() -> Result<Tokenizer, Failure> {
    let mut spec = Spec::new(Algorithm::ByteBpe);
    spec.pre = "gpt-2";
    spec.tokens = vec![b"<BOS>", b"<EOS>"];
    spec.kinds = vec![TokenKind::Control; 2];
    (spec.bos, spec.eos) = (Some(0), Some(1));
    Ok(Tokenizer::new(&spec)?)
}

fn rendered(source: &str, tokenizer: &Tokenizer, render: &Value) -> Result<String, Error> {
    let template = Template::parse(source, tokenizer)?;
    let list = |name: &str| render[name].as_array().cloned().unwrap_or_default();
    let messages: Vec<Message> = list("messages").iter().map(message).collect();
    let tools: Vec<Tool> = list("tools").iter().map(tool).collect();
    let options =
        RenderOptions { add_generation_prompt: true, now: Some(NOW), ..RenderOptions::default() };
    Ok(template.render(&messages, &tools, &options)?.text())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn message(json: &Value) -> Message {
    let role = match json["role"].as_str() {
        Some("system") => Role::System,
        Some("user") => Role::User,
        Some("tool") => Role::Tool,
        _ => Role::Assistant,
    };
    let content = Text::new(Origin::User, text(&json["content"]));
    if role == Role::Tool {
        let call = ToolCall::new(text(&json["tool_call_id"]), text(&json["name"]), "");
        return Message::tool_results([ToolResult::ok(&call, content.text)]);
    }
    let thought = json["reasoning_content"].as_str();
    let thought = thought.map(Part::reasoning);
    let calls = json["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let function = &call["function"];
        let arguments = spaced(&function["arguments"]);
        Part::from(ToolCall::new(text(&call["id"]), text(&function["name"]), arguments))
    });
    let parts = thought.into_iter().chain([content.into()]).chain(calls);
    Message::new(role, parts.collect())
}

/// JSON with Python's blanks, as a model would write it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{key:?}: {}", spaced(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

fn tool(json: &Value) -> Tool {
    let function = &json["function"];
    Tool {
        name: text(&function["name"]),
        description: text(&function["description"]),
        parameters: function["parameters"].clone(),
    }
}

/// Where two texts part.
fn difference(ours: &str, theirs: &str) -> String {
    let same = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        let bytes = &text.as_bytes()[same.saturating_sub(20)..text.len().min(same + 40)];
        format!("{:?}", String::from_utf8_lossy(bytes))
    };
    format!("Wright {} Python {}", around(ours), around(theirs))
}
