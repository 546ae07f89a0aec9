//! Deleting rows: turns, then what nothing refers to any more.

use super::{DeleteReport, Doomed};
use crate::Error;
use crate::record::searchable;
use crate::tree::chain_keys;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// Texts and bytes that were deleted, to be searched for afterwards.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub contents: Vec<Vec<u8>>,
    /// Words of deleted turns, in the form of the index.
    pub words: Vec<String>,
    /// Hashes of messages that stay, because others need them.
    pub kept_messages: BTreeSet<i64>,
}

impl Removed {
    fn push(&mut self, content: Option<impl Into<Vec<u8>>>) {
        let content = content.map(Into::into).unwrap_or_default();
        if !content.is_empty() {
            self.contents.push(content);
        }
    }
}

/// Deletes what is doomed and everything that only it needed.
pub(super) fn delete(
    db: &Connection,
    doomed: Doomed<'_>,
    turns: &[i64],
    removed: &mut Removed,
    report: &mut DeleteReport,
) -> Result<(), Error> {
    let mut messages = BTreeSet::new();
    let mut fragments = BTreeSet::new();
    let mut conversations = BTreeSet::new();
    if let Doomed::Conversation(id) = doomed {
        let (key, tip): (i64, Option<i64>) =
            db.query_row("SELECT key, tip FROM conversations WHERE id = ?1", [id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        conversations.insert(key);
        messages.extend(chain_keys(db, tip, None)?);
    }
    for turn in turns {
        delete_turn(db, *turn, &mut messages, &mut fragments, &mut conversations, removed)?;
        report.n_turns += 1;
    }
    for conversation in conversations {
        end_conversation(db, doomed, conversation, removed, report)?;
    }
    delete_messages(db, messages, &mut fragments, removed, report)?;
    if let Doomed::Fragment(hash) = doomed {
        fragments.extend(
            db.query_row("SELECT key FROM fragments WHERE hash = ?1", [hash], |row| row.get(0))
                .optional()?
                .into_iter()
                .collect::<Vec<i64>>(),
        );
    }
    delete_fragments(db, doomed, fragments, removed, report)?;
    delete_leftovers(db)
}

fn delete_turn(
    db: &Connection,
    turn: i64,
    messages: &mut BTreeSet<i64>,
    fragments: &mut BTreeSet<i64>,
    conversations: &mut BTreeSet<i64>,
    removed: &mut Removed,
) -> Result<(), Error> {
    let (prompt, tip, conversation, response): (Option<i64>, Option<i64>, i64, Option<String>) = db
        .prepare_cached(
            "SELECT prompt, tip, conversation, response_json FROM turns WHERE key = ?1",
        )?
        .query_row([turn], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let (typed, answered) = searchable(db, prompt, tip)?;
    db.prepare_cached(
        "INSERT INTO words(words, rowid, prompt, response) VALUES('delete', ?1, ?2, ?3)",
    )?
    .execute(params![turn, typed, answered])?;
    removed.words.extend([typed, answered]);
    removed.push(response);
    let mut used = db.prepare_cached("SELECT fragment FROM turn_fragments WHERE turn = ?1")?;
    for fragment in used.query_map([turn], |row| row.get::<_, i64>(0))? {
        fragments.insert(fragment?);
    }
    for table in ["turn_fragments", "turn_tools", "turn_calls", "turn_files"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE turn = ?1"))?.execute([turn])?;
    }
    db.prepare_cached("DELETE FROM turns WHERE key = ?1")?.execute([turn])?;
    messages.extend(chain_keys(db, tip, None)?);
    messages.extend(chain_keys(db, prompt, None)?);
    conversations.insert(conversation);
    Ok(())
}

/// Deletes a conversation without turns; one that has some goes back to its last one's answer.
fn end_conversation(
    db: &Connection,
    doomed: Doomed<'_>,
    conversation: i64,
    removed: &mut Removed,
    report: &mut DeleteReport,
) -> Result<(), Error> {
    let last: Option<Option<i64>> = db
        .prepare_cached("SELECT tip FROM turns WHERE conversation = ?1 ORDER BY key DESC LIMIT 1")?
        .query_row([conversation], |row| row.get(0))
        .optional()?;
    match last {
        Some(tip) => {
            db.prepare_cached(
                "UPDATE conversations SET tip = ?2 WHERE key = ?1 AND tip IS NOT ?2",
            )?
            .execute(params![conversation, tip])?;
        }
        None if matches!(doomed, Doomed::Fragment(_)) => {}
        None => {
            let name: Option<String> = db
                .prepare_cached("DELETE FROM conversations WHERE key = ?1 RETURNING name")?
                .query_row([conversation], |row| row.get(0))?;
            removed.push(name);
            report.n_conversations += 1;
        }
    }
    Ok(())
}

/// Deletes messages that nothing needs, from the ends of chains towards their beginnings.
fn delete_messages(
    db: &Connection,
    messages: BTreeSet<i64>,
    fragments: &mut BTreeSet<i64>,
    removed: &mut Removed,
    report: &mut DeleteReport,
) -> Result<(), Error> {
    let mut is_needed = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE parent = ?1)
           OR EXISTS (SELECT 1 FROM turns WHERE prompt = ?1)
           OR EXISTS (SELECT 1 FROM turns WHERE tip = ?1)
           OR EXISTS (SELECT 1 FROM conversations WHERE tip = ?1)",
    )?;
    // A message's key is above that of its parent.
    for message in messages.into_iter().rev() {
        if is_needed.query_row([message], |row| row.get(0))? {
            removed.kept_messages.insert(message);
            continue;
        }
        delete_parts(db, message, fragments, removed, report)?;
        let metadata: Option<String> = db
            .prepare_cached("DELETE FROM messages WHERE key = ?1 RETURNING provider_metadata")?
            .query_row([message], |row| row.get(0))?;
        removed.push(metadata);
        report.n_messages += 1;
    }
    Ok(())
}

fn delete_parts(
    db: &Connection,
    message: i64,
    fragments: &mut BTreeSet<i64>,
    removed: &mut Removed,
    report: &mut DeleteReport,
) -> Result<(), Error> {
    let mut parts =
        db.prepare_cached("SELECT key, text, payload, detail FROM parts WHERE message = ?1")?;
    let mut rows = parts.query([message])?;
    let mut attachments = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let part: i64 = row.get(0)?;
        for column in 1..4 {
            removed.push(row.get::<_, Option<String>>(column)?);
        }
        let mut used =
            db.prepare_cached("DELETE FROM part_fragments WHERE part = ?1 RETURNING fragment")?;
        for fragment in used.query_map([part], |row| row.get::<_, i64>(0))? {
            fragments.insert(fragment?);
        }
        let mut used =
            db.prepare_cached("DELETE FROM part_attachments WHERE part = ?1 RETURNING attachment")?;
        for attachment in used.query_map([part], |row| row.get::<_, i64>(0))? {
            attachments.insert(attachment?);
        }
    }
    drop(rows);
    db.prepare_cached("DELETE FROM parts WHERE message = ?1")?.execute([message])?;
    for attachment in attachments {
        delete_attachment(db, attachment, removed, report)?;
    }
    Ok(())
}

fn delete_attachment(
    db: &Connection,
    attachment: i64,
    removed: &mut Removed,
    report: &mut DeleteReport,
) -> Result<(), Error> {
    let deleted: Option<(String, Option<String>, Option<String>)> = db
        .prepare_cached(
            "DELETE FROM attachments WHERE key = ?1
             AND NOT EXISTS (SELECT 1 FROM part_attachments WHERE attachment = ?1)
             RETURNING hash, path, url",
        )?
        .query_row([attachment], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((hash, path, url)) = deleted else { return Ok(()) };
    removed.push(path);
    removed.push(url);
    let content: Option<Vec<u8>> = db
        .prepare_cached(
            "DELETE FROM blobs WHERE hash = ?1
             AND NOT EXISTS (SELECT 1 FROM attachments WHERE hash = ?1) RETURNING content",
        )?
        .query_row([hash], |row| row.get(0))
        .optional()?;
    if content.is_some() {
        report.n_attachments += 1;
    }
    removed.push(content);
    Ok(())
}

/// Deletes fragments that no turn and no part uses. One with an alias stays, unless it is what was
/// asked for: somebody gave it a name to keep it.
fn delete_fragments(
    db: &Connection,
    doomed: Doomed<'_>,
    fragments: BTreeSet<i64>,
    removed: &mut Removed,
    report: &mut DeleteReport,
) -> Result<(), Error> {
    let mut is_used = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM part_fragments WHERE fragment = ?1)
           OR EXISTS (SELECT 1 FROM turn_fragments WHERE fragment = ?1)",
    )?;
    let mut has_alias =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM fragment_aliases WHERE fragment = ?1)")?;
    for fragment in fragments {
        let is_asked_for = matches!(doomed, Doomed::Fragment(_));
        let is_kept = is_used.query_row([fragment], |row| row.get::<_, bool>(0))?
            || (!is_asked_for && has_alias.query_row([fragment], |row| row.get(0))?);
        if is_kept {
            let hash =
                db.query_row("SELECT hash FROM fragments WHERE key = ?1", [fragment], |r| {
                    r.get(0)
                })?;
            report.kept_fragments.push(hash);
            continue;
        }
        db.execute("DELETE FROM fragment_aliases WHERE fragment = ?1", [fragment])?;
        let (content, source): (String, Option<String>) = db
            .prepare_cached("DELETE FROM fragments WHERE key = ?1 RETURNING content, source")?
            .query_row([fragment], |row| Ok((row.get(0)?, row.get(1)?)))?;
        removed.push(Some(content));
        removed.push(source);
        report.n_fragments += 1;
    }
    Ok(())
}

/// What turns shared and no turn uses any more: setups, tools, schemas without a name.
fn delete_leftovers(db: &Connection) -> Result<(), Error> {
    db.execute_batch(
        "DELETE FROM setups WHERE NOT EXISTS (SELECT 1 FROM turns WHERE setup = setups.key);
         DELETE FROM tools WHERE NOT EXISTS (SELECT 1 FROM turn_tools WHERE tool = tools.key);
         DELETE FROM tool_instances WHERE
           NOT EXISTS (SELECT 1 FROM turn_tools WHERE instance = tool_instances.key)
           AND NOT EXISTS (SELECT 1 FROM turn_calls WHERE instance = tool_instances.key);
         DELETE FROM schemas WHERE
           NOT EXISTS (SELECT 1 FROM turns WHERE schema = schemas.id)
           AND NOT EXISTS (SELECT 1 FROM schema_names WHERE schema = schemas.id);",
    )?;
    Ok(())
}
