//! Exporting turns as JSONL, Markdown or HTML.

use crate::query::{Filter, Turn};
use crate::{Error, SqliteStore, time};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use wright_chat::{Content, MediaSource, Message, Part, to_json};

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object on each line, with the version of its form under `v`.
    Jsonl,
    Markdown,
    /// One page that needs nothing from elsewhere; nothing of a conversation in it is markup.
    Html,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] Error),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Version of the JSON form of a turn.
const TURN_VERSION: u64 = 1;

impl SqliteStore {
    /// Writes the turns that pass `filter`, oldest first; gives their number.
    ///
    /// # Errors
    /// If the store cannot be read, or `out` not be written.
    pub fn export(
        &self,
        filter: &Filter,
        format: Format,
        out: &mut dyn Write,
    ) -> Result<usize, ExportError> {
        let mut keys = self.turn_keys(filter)?;
        keys.reverse();
        if format == Format::Html {
            out.write_all(include_str!("export/head.html").as_bytes())?;
        }
        let mut conversation = None;
        for key in &keys {
            let turn = self.load_turn(*key)?;
            let is_first = conversation.as_ref() != Some(&turn.conversation);
            let written = match format {
                Format::Jsonl => format!("{}\n", turn_json(&turn)),
                Format::Markdown => markdown(&turn, is_first),
                Format::Html => html(&turn, is_first),
            };
            out.write_all(written.as_bytes())?;
            conversation = Some(turn.conversation);
        }
        if format == Format::Html {
            out.write_all(b"</main>\n</html>\n")?;
        }
        Ok(keys.len())
    }
}

/// A turn as a JSON object with the version of its form under `v`.
pub fn turn_json(turn: &Turn) -> Value {
    let messages = |messages: &[Message]| messages.iter().map(to_json).collect::<Vec<_>>();
    let options = turn.options.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let fragments = turn.fragments.iter().map(|used| {
        json!({"hash": used.hash, "kind": used.kind, "source": used.source,
            "aliases": used.aliases})
    });
    json!({
        "v": TURN_VERSION,
        "id": turn.id,
        "conversation": turn.conversation,
        "conversation_name": turn.conversation_name,
        "model": turn.model,
        "resolved_model": turn.resolved_model,
        "provider": turn.provider,
        "started": time::format_time(turn.started_ms),
        "duration_ms": turn.duration_ms,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "usage": turn.usage.as_ref().map(to_json),
        "finish": turn.finish,
        "options": options,
        "schema": turn.schema,
        "system": turn.system,
        "input": messages(&turn.input),
        "answer": messages(&turn.answer),
        "fragments": fragments.collect::<Vec<_>>(),
        "tools": turn.tools,
    })
}

/// The heading of a part, and its text; `None` for what has nothing to show.
fn shown(part: &Part) -> Option<(String, String)> {
    match &part.content {
        Content::Text(text) => Some((String::new(), text.text.clone())),
        Content::Reasoning(text) => Some(("Reasoning".to_owned(), text.text.clone())),
        Content::ToolCall(call) => Some((format!("Call of {}", call.name), call.arguments.clone())),
        Content::ToolResult(result) => {
            let what = if result.is_error { "Error" } else { "Result" };
            Some((format!("{what} of {}", result.name), result.content.text.clone()))
        }
        Content::Media(media) => {
            let source = match &media.source {
                MediaSource::Data(data) => {
                    format!("{} bytes, SHA-256 {}", data.len(), crate::sha256_hex(data))
                }
                MediaSource::Url(url) => url.clone(),
                MediaSource::Sha256(hash) => format!("SHA-256 {hash}"),
            };
            Some((format!("Attachment {}", media.mime), source))
        }
        Content::Opaque => None,
    }
}

/// Messages of a turn with what they are called.
fn sections(turn: &Turn) -> Vec<(&'static str, Vec<(String, String)>)> {
    let mut sections = Vec::new();
    if let Some(system) = &turn.system {
        sections.push(("System", vec![(String::new(), system.clone())]));
    }
    let of = |messages: &[Message]| {
        messages.iter().flat_map(|message| &message.parts).filter_map(shown).collect::<Vec<_>>()
    };
    sections.push(("Prompt", of(&turn.input)));
    sections.push(("Answer", of(&turn.answer)));
    sections
}

/// Facts about a turn in one line.
fn facts(turn: &Turn) -> String {
    let mut facts = format!("{} · {}", time::format_time(turn.started_ms), turn.model);
    if let (Some(prompt), Some(completion)) = (turn.prompt_tokens, turn.completion_tokens) {
        let _ = write!(facts, " · {prompt} + {completion} tokens");
    }
    if let Some(duration_ms) = turn.duration_ms {
        let _ = write!(facts, " · {:.1} s", duration_ms as f64 / 1000.0);
    }
    if let Some(cost) = turn.cost {
        let _ = write!(facts, " · {cost}");
    }
    facts
}

fn title(turn: &Turn) -> &str {
    turn.conversation_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("Conversation")
}

fn markdown(turn: &Turn, is_first: bool) -> String {
    let mut out = String::new();
    if is_first {
        let _ = write!(out, "# {}\n\nConversation `{}`\n\n", title(turn).trim(), turn.conversation);
    }
    let _ = write!(out, "## `{}`\n\n{}\n\n", turn.id, facts(turn));
    for (name, parts) in sections(turn) {
        let _ = write!(out, "### {name}\n\n");
        for (heading, text) in parts {
            if heading.is_empty() {
                let _ = write!(out, "{}\n\n", text.trim_end());
                continue;
            }
            let fence = fence(&text);
            let _ = write!(out, "{heading}:\n\n{fence}\n{}\n{fence}\n\n", text.trim_end());
        }
    }
    out
}

/// A fence of more backticks than stand together in the text.
fn fence(text: &str) -> String {
    let longest = text.split(|char| char != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn html(turn: &Turn, is_first: bool) -> String {
    let mut out = String::new();
    if is_first {
        let _ = write!(
            out,
            "<h1>{}</h1>\n<p>Conversation <code>{}</code></p>\n",
            escaped(title(turn)),
            escaped(&turn.conversation)
        );
    }
    let _ = write!(
        out,
        "<article id=\"{0}\">\n<h2><code>{0}</code></h2>\n<p>{1}</p>\n",
        escaped(&turn.id),
        escaped(&facts(turn))
    );
    for (name, parts) in sections(turn) {
        let _ = write!(out, "<section class=\"{}\">\n<h3>{name}</h3>\n", name.to_lowercase());
        for (heading, text) in parts {
            if !heading.is_empty() {
                let _ = writeln!(out, "<h4>{}</h4>", escaped(&heading));
            }
            let _ = writeln!(out, "<pre>{}</pre>", escaped(&text));
        }
        out.push_str("</section>\n");
    }
    out.push_str("</article>\n");
    out
}

/// Text that is nothing but text in HTML, also within quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in HTML, and no use to a reader.
            '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f' => out.push('\u{fffd}'),
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escaped("<script>'\"&\0"), "&lt;script&gt;&#39;&quot;&amp;\u{fffd}");
        assert_eq!(fence("a ```` b `` c"), "`````");
        assert_eq!(fence("plain"), "```");
    }
}
