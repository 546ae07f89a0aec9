//! What is stored beside turns: conversations, fragments, schemas, attachments, sums by day.

use crate::chat::from_node;
use crate::tree::{ensure_fragment, load_chain};
use crate::{Error, Json, SqliteStore, hash};
use rusqlite::{OptionalExtension, params};
use std::collections::HashSet;
use wright_chat::{Cost, Message};

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub id: String,
    pub name: Option<String>,
    /// Id of the conversation that it shares its beginning with.
    pub forked_from: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    pub n_turns: u64,
    /// Model of the newest turn.
    pub model: Option<String>,
}

/// What is needed to continue a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    pub id: String,
    /// Model of the newest turn.
    pub model: Option<String>,
    pub messages: Vec<Message>,
}

/// A stored fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// SHA-256 of the text.
    pub hash: String,
    pub content: String,
    pub source: Option<String>,
    pub created_ms: i64,
    pub aliases: Vec<String>,
}

/// A stored schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    pub id: String,
    /// JSON.
    pub content: String,
    pub names: Vec<String>,
    pub n_turns: u64,
}

/// Sums over the turns of one day with one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayStats {
    /// Days since 1970 (UTC); see [`crate::format_day`].
    pub day: i64,
    pub model: String,
    pub provider: Option<String>,
    pub n_turns: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cost: Cost,
    pub duration_ms: u64,
}

impl SqliteStore {
    /// Conversations, the one with the newest turn first.
    pub(crate) fn list_conversations(&self, limit: usize) -> Result<Vec<Conversation>, Error> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        // From the newest turn on, until there are enough; then those without turns.
        for sql in [
            "SELECT conversation FROM turns ORDER BY key DESC",
            "SELECT key FROM conversations ORDER BY key DESC",
        ] {
            let mut statement = self.db.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while keys.len() < limit
                && let Some(row) = rows.next()?
            {
                let key: i64 = row.get(0)?;
                if seen.insert(key) {
                    keys.push(key);
                }
            }
        }
        keys.into_iter().map(|key| self.load_conversation(key)).collect()
    }

    fn load_conversation(&self, key: i64) -> Result<Conversation, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, name, forked_from, created_ms,
               (SELECT count(*) FROM turns WHERE conversation = c.key),
               (SELECT models.name FROM turns JOIN models ON models.key = model
                WHERE conversation = c.key ORDER BY turns.key DESC LIMIT 1)
             FROM conversations AS c WHERE key = ?1",
        )?;
        Ok(statement.query_row([key], |row| {
            Ok(Conversation {
                id: row.get(0)?,
                name: row.get(1)?,
                forked_from: row.get(2)?,
                created_ms: row.get(3)?,
                n_turns: row.get::<_, i64>(4)?.unsigned_abs(),
                model: row.get(5)?,
            })
        })?)
    }

    /// See [`crate::Store::latest_conversation`].
    pub(crate) fn newest_conversation(&self) -> Result<Option<String>, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT conversations.id FROM turns JOIN conversations
             ON conversations.key = conversation ORDER BY turns.key DESC LIMIT 1",
        )?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?)
    }

    /// See [`crate::Store::continuation`].
    pub(crate) fn load_continuation(&self, id: &str) -> Result<Continuation, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT tip, (SELECT models.name FROM turns JOIN models ON models.key = model
               WHERE conversation = conversations.key ORDER BY turns.key DESC LIMIT 1)
             FROM conversations WHERE id = ?1",
        )?;
        let found = statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (tip, model) = found.ok_or_else(|| Error::not_found("conversation", id))?;
        let nodes = load_chain(&self.db, tip, None)?;
        let messages = nodes.iter().map(from_node).collect::<Result<_, _>>()?;
        Ok(Continuation { id: id.to_owned(), model, messages })
    }

    /// Stores a text as a fragment and gives its hash.
    ///
    /// # Errors
    /// If the database fails.
    pub fn add_fragment(&mut self, content: &str, source: Option<&str>) -> Result<String, Error> {
        ensure_fragment(&self.db, content, source, self.now_ms()?)?;
        Ok(hash::sha256_hex(content.as_bytes()))
    }

    /// A fragment by its hash or alias.
    ///
    /// # Errors
    /// If the database fails.
    pub fn fragment(&self, name: &str) -> Result<Option<Fragment>, Error> {
        let sql = "key IN (SELECT fragment FROM fragment_aliases WHERE alias = ?1) OR hash = ?1";
        Ok(self.select_fragments(sql, Some(name))?.pop())
    }

    /// All fragments, or those with `words` in their text, source or aliases, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn fragments(&self, words: Option<&str>) -> Result<Vec<Fragment>, Error> {
        let sql =
            "?1 IS NULL OR instr(lower(content), lower(?1)) OR instr(lower(source), lower(?1))
            OR EXISTS (SELECT 1 FROM fragment_aliases
                       WHERE fragment = key AND instr(lower(alias), lower(?1)))";
        self.select_fragments(sql, words)
    }

    fn select_fragments(&self, sql: &str, value: Option<&str>) -> Result<Vec<Fragment>, Error> {
        let sql = format!(
            "SELECT key, hash, content, source, created_ms FROM fragments WHERE {sql}
             ORDER BY key DESC"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query([value])?;
        let mut fragments = Vec::new();
        while let Some(row) = rows.next()? {
            fragments.push(Fragment {
                hash: row.get(1)?,
                content: row.get(2)?,
                source: row.get(3)?,
                created_ms: row.get(4)?,
                aliases: self.fragment_aliases(row.get(0)?)?,
            });
        }
        Ok(fragments)
    }

    /// Gives a fragment another name; a name that is taken moves.
    ///
    /// # Errors
    /// If there is no such fragment, or the database fails.
    pub fn set_fragment_alias(&mut self, alias: &str, hash: &str) -> Result<(), Error> {
        let changed = self.db.execute(
            "INSERT INTO fragment_aliases SELECT ?1, key FROM fragments WHERE hash = ?2
             ON CONFLICT DO UPDATE SET fragment = excluded.fragment",
            params![alias, hash],
        )?;
        if changed == 0 { Err(Error::not_found("fragment", hash)) } else { Ok(()) }
    }

    /// Takes a name from a fragment, which stays.
    ///
    /// # Errors
    /// If there is no such alias, or the database fails.
    pub fn remove_fragment_alias(&mut self, alias: &str) -> Result<(), Error> {
        match self.db.execute("DELETE FROM fragment_aliases WHERE alias = ?1", [alias])? {
            0 => Err(Error::not_found("fragment alias", alias)),
            _ => Ok(()),
        }
    }

    /// Stores a schema and gives its id.
    ///
    /// # Errors
    /// If the database fails.
    pub fn add_schema(&mut self, schema: &Json) -> Result<String, Error> {
        let (id, content) = hash::schema_id(schema);
        self.db.execute("INSERT OR IGNORE INTO schemas VALUES(?1, ?2)", [&id, &content])?;
        Ok(id)
    }

    /// Names a schema; a name that is taken moves.
    ///
    /// # Errors
    /// If there is no such schema, or the database fails.
    pub fn name_schema(&mut self, name: &str, id: &str) -> Result<(), Error> {
        let changed = self.db.execute(
            "INSERT INTO schema_names SELECT ?1, id FROM schemas WHERE id = ?2
             ON CONFLICT DO UPDATE SET schema = excluded.schema",
            [name, id],
        )?;
        if changed == 0 { Err(Error::not_found("schema", id)) } else { Ok(()) }
    }

    /// A schema by its id or name.
    ///
    /// # Errors
    /// If the database fails.
    pub fn schema(&self, name: &str) -> Result<Option<Schema>, Error> {
        let sql = "id = ?1 OR id = (SELECT schema FROM schema_names WHERE name = ?1)";
        Ok(self.select_schemas(sql, Some(name))?.pop())
    }

    /// All schemas, or those with `words` in their text or names.
    ///
    /// # Errors
    /// If the database fails.
    pub fn schemas(&self, words: Option<&str>) -> Result<Vec<Schema>, Error> {
        let sql = "?1 IS NULL OR instr(lower(content), lower(?1)) OR EXISTS (
            SELECT 1 FROM schema_names WHERE schema = id AND instr(lower(name), lower(?1)))";
        self.select_schemas(sql, words)
    }

    fn select_schemas(&self, sql: &str, value: Option<&str>) -> Result<Vec<Schema>, Error> {
        let sql = format!(
            "SELECT id, content, (SELECT count(*) FROM turns WHERE schema = id) FROM schemas
             WHERE {sql} ORDER BY id"
        );
        let mut names = self
            .db
            .prepare_cached("SELECT name FROM schema_names WHERE schema = ?1 ORDER BY name")?;
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query([value])?;
        let mut schemas = Vec::new();
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            let found = names.query_map([&id], |row| row.get(0))?;
            let names = found.collect::<Result<_, _>>()?;
            let n_turns = row.get::<_, i64>(2)?.unsigned_abs();
            schemas.push(Schema { id, content: row.get(1)?, names, n_turns });
        }
        Ok(schemas)
    }

    /// Deletes a schema and its names. One that turns used stays with them, without its names;
    /// then the answer is `false`.
    ///
    /// # Errors
    /// If there is no such schema, or the database fails.
    pub fn delete_schema(&mut self, name: &str) -> Result<bool, Error> {
        let schema = self.schema(name)?.ok_or_else(|| Error::not_found("schema", name))?;
        let transaction = self.db.transaction()?;
        transaction.execute("DELETE FROM schema_names WHERE schema = ?1", [&schema.id])?;
        if schema.n_turns == 0 {
            transaction.execute("DELETE FROM schemas WHERE id = ?1", [&schema.id])?;
        }
        transaction.commit()?;
        Ok(schema.n_turns == 0)
    }

    /// The bytes of an attachment by their SHA-256.
    ///
    /// # Errors
    /// If the database fails.
    pub fn attachment(&self, sha256: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut statement = self.db.prepare_cached("SELECT content FROM blobs WHERE hash = ?1")?;
        Ok(statement.query_row([sha256], |row| row.get(0)).optional()?)
    }

    /// See [`crate::Store::stats`].
    pub(crate) fn load_stats(&self) -> Result<Vec<DayStats>, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT day, name, provider, sum(turns), sum(prompt_tokens), sum(completion_tokens),
               sum(cost_pico_usd), sum(duration_ms)
             FROM daily JOIN models ON models.key = model
             GROUP BY day, name, provider ORDER BY day DESC, sum(turns) DESC, name",
        )?;
        let rows = statement.query_map([], |row| {
            let number = |at: usize| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0));
            Ok(DayStats {
                day: row.get(0)?,
                model: row.get(1)?,
                provider: row.get(2)?,
                n_turns: number(3)?,
                prompt_tokens: number(4)?,
                completion_tokens: number(5)?,
                cost: Cost(number(6)?),
                duration_ms: number(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether this is the first time that anybody asks for `name`: to say something once.
    ///
    /// # Errors
    /// If the database fails.
    pub fn is_first_time(&mut self, name: &str) -> Result<bool, Error> {
        let sql = "INSERT OR IGNORE INTO meta VALUES('once ' || ?1, 1)";
        Ok(self.db.execute(sql, [name])? == 1)
    }
}
