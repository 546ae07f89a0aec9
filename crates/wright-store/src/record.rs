//! One turn as rows: what logging and importing have in common.

use crate::clock;
use crate::tree::{chain_keys, literal_text};
use crate::{Error, words};
use rusqlite::{Connection, OptionalExtension, params};

/// The columns of a turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct TurnRow {
    pub conversation: i64,
    /// Last message of the prompt.
    pub prompt: Option<i64>,
    /// Last message of the answer.
    pub tip: Option<i64>,
    pub model: i64,
    pub options: Option<String>,
    pub request: Option<String>,
    pub schema: Option<String>,
    pub setup: Option<i64>,
    pub finish: Option<String>,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub token_details: Option<String>,
    pub usage: Option<String>,
    pub cost_pico_usd: Option<i64>,
    pub started_ms: i64,
    pub duration_ms: Option<i64>,
    pub provider_data: Option<String>,
    pub response_json: Option<String>,
}

/// Writes a turn and its words, and moves its conversation to the new tip.
pub(crate) fn insert_turn(
    db: &Connection,
    (key, id): (i64, &str),
    row: &TurnRow,
) -> Result<(), Error> {
    db.prepare_cached(
        "INSERT INTO turns VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
           ?15, ?16, ?17, ?18, ?19, ?20)",
    )?
    .execute(params![
        key,
        id,
        row.conversation,
        row.prompt,
        row.tip,
        row.model,
        row.options,
        row.request,
        row.schema,
        row.setup,
        row.finish,
        row.prompt_tokens,
        row.completion_tokens,
        row.token_details,
        row.usage,
        row.cost_pico_usd,
        row.started_ms,
        row.duration_ms,
        row.provider_data,
        row.response_json
    ])?;
    let (prompt, response) = searchable(db, row.prompt, row.tip)?;
    db.prepare_cached("INSERT INTO words(rowid, prompt, response) VALUES(?1, ?2, ?3)")?
        .execute(params![key, prompt, response])?;
    Ok(())
}

/// The words of a turn: the text that was typed, without fragments, and the text of the answer.
pub(crate) fn searchable(
    db: &Connection,
    prompt: Option<i64>,
    tip: Option<i64>,
) -> Result<(String, String), Error> {
    let (typed, answered) = typed_and_answered(db, prompt, tip, "\n")?;
    Ok((words::indexed(&typed), words::indexed(&answered)))
}

/// The text that was typed, without fragments, and the text of the answer; `between` stands
/// between the parts of each.
pub(crate) fn typed_and_answered(
    db: &Connection,
    prompt: Option<i64>,
    tip: Option<i64>,
    between: &str,
) -> Result<(String, String), Error> {
    let mut typed = Vec::new();
    if let Some(prompt) = prompt {
        push_texts(db, prompt, "user", &mut typed)?;
    }
    let mut answered = Vec::new();
    for message in chain_keys(db, tip, prompt)? {
        push_texts(db, message, "assistant", &mut answered)?;
    }
    Ok((typed.join(between), answered.join(between)))
}

/// Appends the literal texts of a message, if `role` speaks in it.
fn push_texts(
    db: &Connection,
    message: i64,
    role: &str,
    out: &mut Vec<String>,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(
        "SELECT text, payload FROM parts JOIN messages ON messages.key = message
         WHERE message = ?1 AND role = ?2 AND type = 'text' ORDER BY position",
    )?;
    let mut rows = statement.query(params![message, role])?;
    while let Some(row) = rows.next()? {
        let payload: Option<String> = row.get(1)?;
        out.push(literal_text(row.get(0)?, payload.as_deref())?);
    }
    Ok(())
}

/// The key of a model, which is stored if it is new.
pub(crate) fn ensure_model(
    db: &Connection,
    name: &str,
    resolved: Option<&str>,
    provider: Option<&str>,
) -> Result<i64, Error> {
    let columns = params![name, resolved, provider];
    let known = db
        .prepare_cached(
            "SELECT key FROM models WHERE name = ?1 AND ifnull(resolved, '') = ifnull(?2, '')
             AND ifnull(provider, '') = ifnull(?3, '')",
        )?
        .query_row(columns, |row| row.get(0))
        .optional()?;
    if let Some(key) = known {
        return Ok(key);
    }
    db.prepare_cached("INSERT INTO models(name, resolved, provider) VALUES(?1, ?2, ?3)")?
        .execute(columns)?;
    Ok(db.last_insert_rowid())
}

/// The key of a conversation by its id.
pub(crate) fn conversation_key(db: &Connection, id: &str) -> Result<Option<i64>, Error> {
    let mut statement = db.prepare_cached("SELECT key FROM conversations WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// Stores a conversation under `id`, or under a fresh id.
pub(crate) fn insert_conversation(
    db: &Connection,
    id: Option<&str>,
    name: Option<&str>,
    created_ms: i64,
) -> Result<(i64, String), Error> {
    let id = match id {
        Some(id) => id.to_owned(),
        None => clock::new_id(db, created_ms)?,
    };
    db.prepare_cached("INSERT INTO conversations(id, name, created_ms) VALUES(?1, ?2, ?3)")?
        .execute(params![id, name, created_ms])?;
    Ok((db.last_insert_rowid(), id))
}

/// Points a conversation at its last message.
pub(crate) fn set_tip(db: &Connection, conversation: i64, tip: Option<i64>) -> Result<(), Error> {
    db.prepare_cached("UPDATE conversations SET tip = ?2 WHERE key = ?1")?
        .execute(params![conversation, tip])?;
    Ok(())
}

/// The name of a conversation that begins with `text`: a line of up to 32 characters, as in `llm`.
pub(crate) fn conversation_name(text: &str) -> String {
    const LENGTH_MAX: usize = 32;
    let mut line = String::new();
    let mut was_space = false;
    for char in text.chars() {
        if !char.is_whitespace() {
            line.push(char);
        } else if !was_space {
            line.push(' ');
        }
        was_space = char.is_whitespace();
    }
    if line.chars().count() <= LENGTH_MAX {
        return line;
    }
    line.chars().take(LENGTH_MAX - 1).chain(['…']).collect()
}
