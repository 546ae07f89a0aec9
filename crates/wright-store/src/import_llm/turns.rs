//! Turns with their tools, fragments and schemas, and the threads that they belong to.

use super::source::{Source, integer, required, text};
use super::{ImportReport, Maps, messages};
use crate::record::{
    TurnRow, conversation_key, ensure_model, insert_conversation, insert_turn, set_tip,
};
use crate::{Error, clock, time};
use rusqlite::{Connection, OptionalExtension, params};

/// Ids of all turns, oldest first.
pub(super) fn ids(source: &Source) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    source.rows("turns", &["id"], "ORDER BY id", &[], |row| {
        ids.extend(text(row, 0).unwrap_or_default());
        Ok(())
    })?;
    Ok(ids)
}

/// Whether the memory has the turn.
pub(super) fn is_present(db: &Connection, id: &str) -> Result<bool, Error> {
    let mut statement = db.prepare_cached("SELECT 1 FROM turns WHERE id = ?1")?;
    Ok(statement.query_row([id], |_| Ok(())).optional()?.is_some())
}

pub(super) fn import_schemas(source: &Source, db: &Connection) -> Result<(), Error> {
    source.rows("schemas", &["id", "content"], "", &[], |row| {
        if let (Ok(Some(id)), Ok(Some(content))) = (text(row, 0), text(row, 1)) {
            db.prepare_cached("INSERT OR IGNORE INTO schemas VALUES(?1, ?2)")?
                .execute([id, content])?;
        }
        Ok(())
    })
}

/// Takes over tools and the configured instances of tools.
pub(super) fn import_tools(source: &Source, db: &Connection, maps: &mut Maps) -> Result<(), Error> {
    let columns = ["id", "hash", "name", "description", "input_schema", "plugin"];
    source.rows("tools", &columns, "ORDER BY id", &[], |row| {
        let (Some(id), Ok(Some(hash)), Ok(Some(name))) =
            (integer(row, 0)?, text(row, 1), text(row, 2))
        else {
            return Ok(());
        };
        let schema = text(row, 4).unwrap_or_default().unwrap_or_else(|| "{}".to_owned());
        let (description, plugin) = (text(row, 3)?, text(row, 5)?);
        let tool = [Some(name), description, Some(schema), plugin];
        maps.tools.insert(id, ensure_tool(db, &hash, &tool)?);
        Ok(())
    })?;
    let columns = ["id", "plugin", "name", "arguments"];
    source.rows("tool_instances", &columns, "ORDER BY id", &[], |row| {
        if let Some(id) = integer(row, 0)? {
            let instance = [text(row, 1)?, text(row, 2)?, text(row, 3)?];
            maps.instances.insert(id, ensure_instance(db, &instance)?);
        }
        Ok(())
    })
}

fn ensure_tool(db: &Connection, hash: &str, tool: &[Option<String>; 4]) -> Result<i64, Error> {
    let [name, description, schema, plugin] = tool;
    db.prepare_cached(
        "INSERT OR IGNORE INTO tools(hash, name, description, input_schema, plugin)
         VALUES(?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![hash, name, description, schema, plugin])?;
    let mut statement = db.prepare_cached("SELECT key FROM tools WHERE hash = ?1")?;
    Ok(statement.query_row([hash], |row| row.get(0))?)
}

fn ensure_instance(db: &Connection, instance: &[Option<String>; 3]) -> Result<i64, Error> {
    let [plugin, name, arguments] = instance;
    let columns = params![plugin, name, arguments];
    let known = db
        .prepare_cached(
            "SELECT key FROM tool_instances
             WHERE plugin IS ?1 AND name IS ?2 AND arguments IS ?3",
        )?
        .query_row(columns, |row| row.get(0))
        .optional()?;
    if let Some(key) = known {
        return Ok(key);
    }
    db.prepare_cached("INSERT INTO tool_instances(plugin, name, arguments) VALUES(?1, ?2, ?3)")?
        .execute(columns)?;
    Ok(db.last_insert_rowid())
}

/// Takes over one turn, unless it is there. What cannot be understood is noted in `report`.
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

fn import_new(
    source: &Source,
    db: &Connection,
    maps: &mut Maps,
    report: &mut ImportReport,
    id: &str,
) -> Result<(), Error> {
    let columns = [
        "thread_id",
        "parent_message_hash",
        "tip_message_hash",
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
    source.rows("turns", &columns, "WHERE id = ?1", &[&id], |row| {
        let ends = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        let model = (required(row, 3, "model")?, text(row, 4)?);
        let turn = TurnRow {
            options: text(row, 5)?,
            schema: text(row, 6)?,
            prompt_tokens: integer(row, 7)?,
            completion_tokens: integer(row, 8)?,
            token_details: text(row, 9)?,
            duration_ms: integer(row, 10)?,
            started_ms: text(row, 11)?.and_then(|text| time::parse_time(&text)).unwrap_or(0),
            response_json: text(row, 12)?,
            ..TurnRow::default()
        };
        found = Some((ends, model, turn));
        Ok(())
    })?;
    let Some(((thread, prompt, tip), (model, resolved), mut turn)) = found else { return Ok(()) };
    let mut chain = |hash: Option<String>| {
        hash.map(|hash| messages::import_chain(source, db, maps, report, &hash)).transpose()
    };
    let (prompt, tip) = (chain(prompt)?, chain(tip)?);
    turn.prompt = prompt.map(|message| message.key);
    turn.tip = tip.map(|message| message.key);
    turn.schema = turn.schema.map(|schema| known_schema(db, schema)).transpose()?.flatten();
    turn.model = ensure_model(db, &model, resolved.as_deref(), None)?;
    turn.conversation = conversation(source, db, report, thread.as_deref(), turn.started_ms)?;
    let key = clock::key_of(db, id, turn.started_ms)?;
    insert_turn(db, (key, id), &turn)?;
    set_tip(db, turn.conversation, turn.tip)?;
    import_links(source, db, maps, (key, id))
}

/// The schema's id if the schema itself is known.
pub(super) fn known_schema(db: &Connection, id: String) -> Result<Option<String>, Error> {
    let mut statement = db.prepare_cached("SELECT id FROM schemas WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// The conversation of a thread; a turn without a thread gets one of its own.
pub(super) fn conversation(
    source: &Source,
    db: &Connection,
    report: &mut ImportReport,
    thread: Option<&str>,
    time_ms: i64,
) -> Result<i64, Error> {
    if let Some(key) = thread.map(|id| conversation_key(db, id)).transpose()?.flatten() {
        return Ok(key);
    }
    let (mut name, mut forked_from, mut created_ms) = (None, None, time_ms);
    if let Some(id) = thread {
        let columns = ["name", "forked_from", "datetime_utc"];
        source.rows("threads", &columns, "WHERE id = ?1", &[&id], |row| {
            (name, forked_from) = (text(row, 0)?, text(row, 1)?);
            created_ms = text(row, 2)?.and_then(|t| time::parse_time(&t)).unwrap_or(time_ms);
            Ok(())
        })?;
        source.rows("conversations", &["name"], "WHERE id = ?1", &[&id], |row| {
            name = name.take().or(text(row, 0)?);
            Ok(())
        })?;
    }
    report.n_conversations += 1;
    let (key, _) = insert_conversation(db, thread, name.as_deref(), created_ms)?;
    db.prepare_cached("UPDATE conversations SET forked_from = ?2 WHERE key = ?1")?
        .execute(params![key, forked_from])?;
    Ok(key)
}

fn import_links(
    source: &Source,
    db: &Connection,
    maps: &Maps,
    (key, id): (i64, &str),
) -> Result<(), Error> {
    let columns = ["fragment_id", "kind", "order"];
    let tail = "WHERE turn_id = ?1 ORDER BY kind, \"order\"";
    source.rows("turn_fragments", &columns, tail, &[&id], |row| {
        let fragment = integer(row, 0)?.and_then(|id| maps.fragments.get(&id));
        if let Some(fragment) = fragment {
            db.prepare_cached("INSERT OR IGNORE INTO turn_fragments VALUES(?1, ?2, ?3, ?4)")?
                .execute(params![key, required(row, 1, "kind")?, integer(row, 2)?, fragment])?;
        }
        Ok(())
    })?;
    let mut position = 0;
    let columns = ["tool_id", "instance_id"];
    source.rows("turn_tools", &columns, "WHERE turn_id = ?1 ORDER BY rowid", &[&id], |row| {
        let tool = integer(row, 0)?.and_then(|id| maps.tools.get(&id));
        let instance = integer(row, 1)?.and_then(|id| maps.instances.get(&id));
        if let Some(tool) = tool {
            db.prepare_cached("INSERT INTO turn_tools VALUES(?1, ?2, ?3, ?4)")?
                .execute(params![key, position, tool, instance])?;
            position += 1;
        }
        Ok(())
    })?;
    let columns = ["tool_call_id", "instance_id"];
    source.rows("tool_instantiations", &columns, "WHERE turn_id = ?1", &[&id], |row| {
        let instance = integer(row, 1)?.and_then(|id| maps.instances.get(&id));
        if let Some(call) = text(row, 0)? {
            db.prepare_cached("INSERT OR IGNORE INTO turn_calls VALUES(?1, ?2, ?3)")?
                .execute(params![key, call, instance])?;
        }
        Ok(())
    })
}

/// Takes over threads: where they point, and those that have no turns.
pub(super) fn import_threads(
    source: &Source,
    db: &Connection,
    maps: &mut Maps,
    report: &mut ImportReport,
) -> Result<(), Error> {
    let mut threads = Vec::new();
    let columns = ["id", "tip_message_hash"];
    source.rows("threads", &columns, "ORDER BY rowid", &[], |row| {
        if let Ok(Some(id)) = text(row, 0) {
            threads.push((id, text(row, 1).unwrap_or_default()));
        }
        Ok(())
    })?;
    for (id, tip) in threads {
        let is_new = conversation_key(db, &id)?.is_none();
        let tip = match tip {
            None => None,
            Some(tip) => match messages::import_chain(source, db, maps, report, &tip) {
                Ok(message) => Some(message.key),
                Err(Error::Malformed(reason)) => {
                    report.skip(&id, reason);
                    continue;
                }
                Err(error) => return Err(error),
            },
        };
        let key = conversation(source, db, report, Some(&id), 0)?;
        if is_new || has_no_turns_of_its_own(source, db, key)? {
            set_tip(db, key, tip)?;
        }
    }
    Ok(())
}

/// Whether every turn of a conversation comes from the source: then the source knows its tip.
fn has_no_turns_of_its_own(source: &Source, db: &Connection, key: i64) -> Result<bool, Error> {
    let mut statement = db
        .prepare_cached("SELECT id FROM turns WHERE conversation = ?1 ORDER BY key DESC LIMIT 1")?;
    let newest: Option<String> = statement.query_row([key], |row| row.get(0)).optional()?;
    let Some(newest) = newest else { return Ok(true) };
    let mut is_from_source = false;
    source.rows("turns", &["id"], "WHERE id = ?1", &[&newest], |_| {
        is_from_source = true;
        Ok(())
    })?;
    Ok(is_from_source)
}
