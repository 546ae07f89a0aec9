//! The `responses` table, in which `llm` kept its log before messages were content-addressed.
//!
//! A response becomes a turn: what was sent with it becomes messages after those of the responses
//! before it in the same conversation.

use super::messages::{load_attachment, parse};
use super::source::{Source, integer, required, text};
use super::turns::{conversation, is_present, known_schema};
use super::{ImportReport, Maps};
use crate::node::{Body, Node, Piece};
use crate::record::{TurnRow, ensure_model, insert_turn, set_tip};
use crate::tree::{Fragments, Stored, ensure_message, load_message, stored};
use crate::{Error, Json, clock, time};
use rusqlite::{Connection, params};

/// Ids of all responses that are not turns as well, oldest first.
pub(super) fn ids(source: &Source) -> Result<Vec<String>, Error> {
    let tail = match source.has("turns") {
        true => "WHERE id NOT IN (SELECT id FROM turns) ORDER BY id",
        false => "ORDER BY id",
    };
    let mut ids = Vec::new();
    source.rows("responses", &["id"], tail, &[], |row| {
        ids.extend(text(row, 0).unwrap_or_default());
        Ok(())
    })?;
    Ok(ids)
}

/// Takes over one response, unless it is there. What cannot be understood is noted in `report`.
pub(super) fn import(
    source: &Source,
    db: &Connection,
    maps: &mut Maps,
    report: &mut ImportReport,
    id: &str,
) -> Result<(), Error> {
    if is_present(db, id)? {
        report.n_present += 1;
        return Ok(());
    }
    super::guarded(db, maps, report, id, |maps, report| import_new(source, db, maps, report, id))
}

/// The text columns of a response.
struct Texts {
    prompt: String,
    system: String,
    response: String,
    reasoning: String,
    conversation: Option<String>,
    model: String,
    resolved: Option<String>,
}

fn load(source: &Source, id: &str) -> Result<Option<(Texts, TurnRow)>, Error> {
    let columns = [
        "prompt",
        "system",
        "response",
        "reasoning",
        "conversation_id",
        "model",
        "resolved_model",
        "options_json",
        "schema_id",
        "input_tokens",
        "output_tokens",
        "token_details",
        "duration_ms",
        "datetime_utc",
        "response_json",
    ];
    let mut found = None;
    source.rows("responses", &columns, "WHERE id = ?1", &[&id], |row| {
        let texts = Texts {
            prompt: text(row, 0)?.unwrap_or_default(),
            system: text(row, 1)?.unwrap_or_default(),
            response: text(row, 2)?.unwrap_or_default(),
            reasoning: text(row, 3)?.unwrap_or_default(),
            conversation: text(row, 4)?,
            model: required(row, 5, "model")?,
            resolved: text(row, 6)?,
        };
        let turn = TurnRow {
            options: text(row, 7)?.filter(|options| options != "{}"),
            schema: text(row, 8)?,
            prompt_tokens: integer(row, 9)?,
            completion_tokens: integer(row, 10)?,
            token_details: text(row, 11)?,
            duration_ms: integer(row, 12)?,
            started_ms: text(row, 13)?.and_then(|text| time::parse_time(&text)).unwrap_or(0),
            response_json: text(row, 14)?,
            ..TurnRow::default()
        };
        found = Some((texts, turn));
        Ok(())
    })?;
    Ok(found)
}

fn import_new(
    source: &Source,
    db: &Connection,
    maps: &Maps,
    report: &mut ImportReport,
    id: &str,
) -> Result<(), Error> {
    let Some((texts, mut turn)) = load(source, id)? else { return Ok(()) };
    turn.schema = turn.schema.map(|schema| known_schema(db, schema)).transpose()?.flatten();
    turn.model = ensure_model(db, &texts.model, texts.resolved.as_deref(), None)?;
    let thread = texts.conversation.as_deref();
    turn.conversation = conversation(source, db, report, thread, turn.started_ms)?;
    let tip: Option<i64> = db
        .prepare_cached("SELECT tip FROM conversations WHERE key = ?1")?
        .query_row([turn.conversation], |row| row.get(0))?;
    let mut parent = tip.map(|tip| stored(db, tip)).transpose()?;
    let (before, fragments) = prompt_messages(source, maps, &texts, id)?;
    for node in before {
        if node.role == "system" && is_said_already(db, parent.as_ref(), &node)? {
            continue;
        }
        parent = Some(ensure_message(db, &node, parent.as_ref(), &fragments)?);
    }
    turn.prompt = parent.as_ref().map(|message| message.key);
    let answer = answer(source, &texts, id)?;
    let tip = ensure_message(db, &answer, parent.as_ref(), &Fragments::new())?;
    turn.tip = Some(tip.key);
    let key = clock::key_of(db, id, turn.started_ms)?;
    insert_turn(db, (key, id), &turn)?;
    set_tip(db, turn.conversation, turn.tip)?;
    import_links(source, db, maps, key, id)
}

/// Whether the conversation began with the same system prompt.
fn is_said_already(db: &Connection, tip: Option<&Stored>, node: &Node) -> Result<bool, Error> {
    let Some(tip) = tip else { return Ok(false) };
    let keys = crate::tree::chain_keys(db, Some(tip.key), None)?;
    Ok(match keys.first() {
        Some(first) => load_message(db, *first)? == *node,
        None => false,
    })
}

fn node(role: &str, pieces: Vec<Piece>) -> Node {
    Node { role: role.to_owned(), pieces, provider_metadata: None }
}

/// What the model was sent: a system prompt, results of tools, and the prompt with its fragments
/// and attachments.
fn prompt_messages(
    source: &Source,
    maps: &Maps,
    texts: &Texts,
    id: &str,
) -> Result<(Vec<Node>, Fragments), Error> {
    let mut fragments = Fragments::new();
    let mut nodes = Vec::new();
    let mut system = load_fragments(source, maps, "system_fragments", id, &mut fragments)?;
    system.push(texts.system.clone());
    system.retain_mut(|text| {
        *text = text.trim().to_owned();
        !text.is_empty()
    });
    if !system.is_empty() {
        let text = system.join("\n\n");
        nodes.push(node("system", vec![Piece::new(Body::Text { text })]));
    }
    let results = tool_results(source, id)?;
    if !results.is_empty() {
        nodes.push(node("tool", results));
    }
    let mut prompt = load_fragments(source, maps, "prompt_fragments", id, &mut fragments)?;
    prompt.extend(Some(&texts.prompt).filter(|text| !text.is_empty()).cloned());
    let text = prompt.join("\n");
    let mut pieces = Vec::new();
    if !text.is_empty() {
        pieces.push(Piece::new(Body::Text { text }));
    }
    let tail = "WHERE response_id = ?1 ORDER BY \"order\"";
    source.rows("prompt_attachments", &["attachment_id"], tail, &[&id], |row| {
        if let Some(id) = text_of(row)? {
            let attachment = load_attachment(source, &id)?;
            pieces.extend(attachment.map(|found| Piece::new(Body::Attachment(Some(found)))));
        }
        Ok(())
    })?;
    if !pieces.is_empty() {
        nodes.push(node("user", pieces));
    }
    Ok((nodes, fragments))
}

fn text_of(row: &rusqlite::Row<'_>) -> Result<Option<String>, Error> {
    text(row, 0)
}

/// Contents of the fragments of a response; their keys here are added to `fragments`.
fn load_fragments(
    source: &Source,
    maps: &Maps,
    table: &'static str,
    id: &str,
    fragments: &mut Fragments,
) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    let tail = "WHERE response_id = ?1 ORDER BY \"order\"";
    source.rows(table, &["fragment_id"], tail, &[&id], |row| {
        ids.extend(integer(row, 0)?);
        Ok(())
    })?;
    let mut contents = Vec::new();
    for fragment in ids {
        let Some(key) = maps.fragments.get(&fragment) else { continue };
        source.rows("fragments", &["content"], "WHERE id = ?1", &[&fragment], |row| {
            let content = text(row, 0)?.unwrap_or_default();
            fragments.push((*key, content.clone()));
            contents.push(content);
            Ok(())
        })?;
    }
    Ok(contents)
}

fn tool_results(source: &Source, id: &str) -> Result<Vec<Piece>, Error> {
    let mut found = Vec::new();
    let columns = ["id", "name", "output", "tool_call_id", "exception"];
    source.rows("tool_results", &columns, "WHERE response_id = ?1 ORDER BY id", &[&id], |row| {
        found.push((
            integer(row, 0)?,
            Body::ToolResult {
                name: text(row, 1)?.unwrap_or_default(),
                output: text(row, 2)?.unwrap_or_default(),
                id: text(row, 3)?,
                is_server_side: false,
                exception: text(row, 4)?,
                attachments: Vec::new(),
            },
        ));
        Ok(())
    })?;
    let mut pieces = Vec::new();
    for (result, mut body) in found {
        let tail = "WHERE tool_result_id = ?1 ORDER BY \"order\"";
        if let Body::ToolResult { attachments, .. } = &mut body {
            source.rows(
                "tool_results_attachments",
                &["attachment_id"],
                tail,
                &[&result],
                |row| {
                    if let Some(id) = text_of(row)? {
                        attachments.extend(load_attachment(source, &id)?);
                    }
                    Ok(())
                },
            )?;
        }
        pieces.push(Piece::new(body));
    }
    Ok(pieces)
}

/// What the model answered: reasoning, text, tool calls.
fn answer(source: &Source, texts: &Texts, id: &str) -> Result<Node, Error> {
    let mut pieces = Vec::new();
    if !texts.reasoning.is_empty() {
        let text = texts.reasoning.clone();
        pieces.push(Piece::new(Body::Reasoning { text, is_redacted: false }));
    }
    if !texts.response.is_empty() {
        pieces.push(Piece::new(Body::Text { text: texts.response.clone() }));
    }
    let columns = ["name", "arguments", "tool_call_id"];
    source.rows("tool_calls", &columns, "WHERE response_id = ?1 ORDER BY id", &[&id], |row| {
        let arguments = text(row, 1)?.unwrap_or_else(|| "{}".to_owned());
        pieces.push(Piece::new(Body::ToolCall {
            name: text(row, 0)?.unwrap_or_default(),
            arguments: parse(&arguments).unwrap_or(Json::Str(arguments)),
            id: text(row, 2)?,
            is_server_side: false,
        }));
        Ok(())
    })?;
    Ok(node("assistant", pieces))
}

fn import_links(
    source: &Source,
    db: &Connection,
    maps: &Maps,
    turn: i64,
    id: &str,
) -> Result<(), Error> {
    for (table, kind) in [("prompt_fragments", "prompt"), ("system_fragments", "system")] {
        let mut position = 0;
        let tail = "WHERE response_id = ?1 ORDER BY \"order\"";
        source.rows(table, &["fragment_id"], tail, &[&id], |row| {
            if let Some(fragment) = integer(row, 0)?.and_then(|id| maps.fragments.get(&id)) {
                db.prepare_cached("INSERT INTO turn_fragments VALUES(?1, ?2, ?3, ?4)")?
                    .execute(params![turn, kind, position, fragment])?;
                position += 1;
            }
            Ok(())
        })?;
    }
    let mut position = 0;
    let tail = "WHERE response_id = ?1 ORDER BY tool_id";
    source.rows("tool_responses", &["tool_id"], tail, &[&id], |row| {
        if let Some(tool) = integer(row, 0)?.and_then(|id| maps.tools.get(&id)) {
            db.prepare_cached("INSERT INTO turn_tools VALUES(?1, ?2, ?3, NULL)")?
                .execute(params![turn, position, tool])?;
            position += 1;
        }
        Ok(())
    })?;
    let columns = ["tool_call_id", "instance_id"];
    source.rows("tool_results", &columns, "WHERE response_id = ?1", &[&id], |row| {
        let instance = integer(row, 1)?.and_then(|id| maps.instances.get(&id));
        if let (Some(call), Some(instance)) = (text(row, 0)?, instance) {
            db.prepare_cached("INSERT OR IGNORE INTO turn_calls VALUES(?1, ?2, ?3)")?
                .execute(params![turn, call, instance])?;
        }
        Ok(())
    })
}
