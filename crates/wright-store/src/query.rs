//! Finding turns: the newest, those of a conversation, those with certain words.

use crate::chat::from_node;
use crate::tree::{load_chain, load_message};
use crate::{Error, SqliteStore, words};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use wright_chat::{Cost, Message, Usage, from_json};

/// Of a search in order of relevance, so many of the newest matches are compared: a word that
/// stands in every tenth turn must not cost a look at each.
const RANKED_MAX: usize = 5000;

/// So many turns are sorted rather than looking through all.
const SORTED_MAX: i64 = 10_000;

/// Which turns are wanted. Those that are set must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Name of the model, as asked for or as resolved.
    pub model: Option<String>,
    /// Id of the conversation.
    pub conversation: Option<String>,
    /// Fragments, each by hash or alias, that the turn was given.
    pub fragments: Vec<String>,
    /// Tools whose results the turn was given.
    pub tools: Vec<String>,
    /// Whether it was given the result of any tool.
    pub any_tool: bool,
    /// Schema, by id or name.
    pub schema: Option<String>,
    /// Only turns after the one with this id.
    pub after: Option<String>,
    /// Only the turn with this id and those after it.
    pub since: Option<String>,
    /// Words in the prompt or the answer, in any order; case and accents do not count. `"…"` is a
    /// phrase, `wor*` a beginning; `AND`, `OR`, `NOT` and parentheses combine, and `prompt:` or
    /// `response:` before a word says where it stands. Scripts without spaces are found by any
    /// run of their characters.
    pub words: Option<String>,
    /// Best matches first instead of newest first.
    pub by_relevance: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Filter {
    /// The newest `limit` turns.
    pub fn newest(limit: usize) -> Self {
        Filter { limit: Some(limit), ..Filter::default() }
    }

    /// Turns with these words, newest first.
    pub fn words(words: impl Into<String>) -> Self {
        Filter { words: Some(words.into()), ..Filter::default() }
    }

    /// All turns of a conversation.
    pub fn conversation(id: impl Into<String>) -> Self {
        Filter { conversation: Some(id.into()), ..Filter::default() }
    }
}

/// A fragment that a turn was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedFragment {
    pub hash: String,
    /// `prompt` or `system`.
    pub kind: String,
    pub source: Option<String>,
    pub aliases: Vec<String>,
}

/// A logged turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub id: String,
    pub conversation: String,
    pub conversation_name: Option<String>,
    pub model: String,
    pub resolved_model: Option<String>,
    pub provider: Option<String>,
    /// Milliseconds since 1970.
    pub started_ms: i64,
    pub duration_ms: Option<i64>,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    /// Counts of other tokens, as JSON.
    pub token_details: Option<String>,
    /// All that is known of tokens, time and money; not of imported turns.
    pub usage: Option<Usage>,
    pub cost: Option<Cost>,
    /// Why the answer ended.
    pub finish: Option<String>,
    /// Options that were set, as JSON.
    pub options: Option<String>,
    /// Id of the schema.
    pub schema: Option<String>,
    /// The system prompt.
    pub system: Option<String>,
    /// What was new in this turn: a prompt, results of tools.
    pub input: Vec<Message>,
    pub answer: Vec<Message>,
    pub fragments: Vec<UsedFragment>,
    /// Names of the tools that the model was offered.
    pub tools: Vec<String>,
}

/// A query in the making: conditions and the values in them.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition with one `?` for each of `values`.
    fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.to_owned());
        self.values.extend(values);
    }
}

/// A turn "used" a tool if a result of it was among its input: in the last message of the prompt,
/// or before it if a new prompt came with the results.
const TOOL_RESULT: &str = "(turns.prompt IN (
      SELECT message FROM parts WHERE type = 'tool_result' AND TOOL)
    OR turns.prompt IN (
      SELECT messages.key FROM parts JOIN messages ON messages.parent = parts.message
      WHERE messages.role = 'user' AND type = 'tool_result' AND TOOL))";

const FRAGMENT: &str = "turns.key IN (
    SELECT turn FROM turn_fragments JOIN fragments ON fragments.key = fragment
    WHERE hash = ? OR fragments.key IN (
      SELECT fragment FROM fragment_aliases WHERE alias = ?))";

impl SqliteStore {
    /// Keys of the turns that pass `filter`, in its order.
    pub(crate) fn turn_keys(&self, filter: &Filter) -> Result<Vec<i64>, Error> {
        let mut conditions = Conditions::default();
        if let Some(typed) = &filter.words {
            conditions.add("words MATCH ?", [words::query(typed)?.into()]);
        }
        self.add_filters(filter, &mut conditions)?;
        let is_search = filter.words.is_some();
        let needs_turns = conditions.sql.len() > usize::from(is_search);
        let (from, key) = match (is_search, needs_turns) {
            (true, true) => ("words JOIN turns ON turns.key = words.rowid", "words.rowid"),
            (true, false) => ("words", "words.rowid"),
            _ => ("turns", "turns.key"),
        };
        let condition = match conditions.sql.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", conditions.sql.join(" AND ")),
        };
        let limit = filter.limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1);
        let newest = format!("FROM {from} {condition} ORDER BY {key} DESC LIMIT");
        let sql = match is_search && filter.by_relevance {
            true => format!(
                "SELECT key FROM (SELECT {key} AS key, bm25(words, 10.0, 1.0) AS rank
                 {newest} {RANKED_MAX}) ORDER BY rank, key DESC LIMIT {limit}"
            ),
            false => format!("SELECT {key} {newest} {limit}"),
        };
        let in_query = |error: rusqlite::Error| match &filter.words {
            Some(typed) if error.to_string().contains("fts5:") => Error::BadQuery {
                query: typed.clone(),
                reason: "operators or parentheses do not match up".to_owned(),
            },
            _ => error.into(),
        };
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement
            .query_map(params_from_iter(conditions.values), |row| row.get(0))
            .map_err(in_query)?;
        rows.collect::<Result<_, _>>().map_err(in_query)
    }

    fn add_filters(&self, filter: &Filter, conditions: &mut Conditions) -> Result<(), Error> {
        if let Some(model) = &filter.model {
            self.add_model(model, conditions)?;
        }
        if let Some(id) = &filter.conversation {
            let sql = "turns.conversation = (SELECT key FROM conversations WHERE id = ?)";
            conditions.add(sql, [id.clone().into()]);
        }
        for fragment in &filter.fragments {
            let value = Value::from(fragment.clone());
            conditions.add(FRAGMENT, [value.clone(), value]);
        }
        if filter.any_tool {
            conditions.add(&TOOL_RESULT.replace("TOOL", "tool_name IS NOT NULL"), []);
        }
        for tool in &filter.tools {
            let value = Value::from(tool.clone());
            conditions.add(&TOOL_RESULT.replace("TOOL", "tool_name = ?"), [value.clone(), value]);
        }
        if let Some(schema) = &filter.schema {
            let value = Value::from(schema.clone());
            let sql = "turns.schema = ifnull((SELECT schema FROM schema_names WHERE name = ?), ?)";
            conditions.add(sql, [value.clone(), value]);
        }
        for (id, by_key, by_id) in [
            (&filter.after, "turns.key > ?", "turns.id > ?"),
            (&filter.since, "turns.key >= ?", "turns.id >= ?"),
        ] {
            let Some(id) = id else { continue };
            // Keys are in order of ids, and the table in order of keys.
            let mut statement = self.db.prepare_cached("SELECT key FROM turns WHERE id = ?1")?;
            match statement.query_row([id], |row| row.get::<_, i64>(0)).optional()? {
                Some(key) => conditions.add(by_key, [key.into()]),
                None => conditions.add(by_id, [id.clone().into()]),
            }
        }
        Ok(())
    }

    /// Turns of one model are found by an index, which is in order of time. Of a name with several
    /// entries the turns would have to be sorted, so where they are many, all turns are looked
    /// through from the newest.
    fn add_model(&self, model: &str, conditions: &mut Conditions) -> Result<(), Error> {
        let mut statement =
            self.db.prepare_cached("SELECT key FROM models WHERE name = ?1 OR resolved = ?1")?;
        let keys = statement.query_map([model], |row| row.get::<_, i64>(0))?;
        let keys: Vec<i64> = keys.collect::<Result<_, _>>()?;
        match keys[..] {
            [key] => conditions.add("turns.model = ?", [key.into()]),
            _ => {
                let list: Vec<String> = keys.iter().map(i64::to_string).collect();
                let list = list.join(", ");
                let sql =
                    format!("SELECT ifnull(sum(turns), 0) FROM daily WHERE model IN ({list})");
                let n_turns: i64 = self.db.query_row(&sql, [], |row| row.get(0))?;
                // A plus keeps the index from being used.
                let plus = if n_turns > SORTED_MAX { "+" } else { "" };
                conditions.add(&format!("{plus}turns.model IN ({list})"), []);
            }
        }
        Ok(())
    }

    /// A turn with its messages.
    pub(crate) fn load_turn(&self, key: i64) -> Result<Turn, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT turns.id, conversations.id, conversations.name, models.name, resolved,
               provider, started_ms, duration_ms, prompt_tokens, completion_tokens, token_details,
               usage, cost_pico_usd, finish, options, schema, prompt, turns.tip
             FROM turns JOIN conversations ON conversations.key = conversation
             JOIN models ON models.key = model WHERE turns.key = ?1",
        )?;
        let mut rows = statement.query([key])?;
        let row = rows.next()?.ok_or_else(|| Error::not_found("turn", key.to_string()))?;
        let mut turn = columns(row)?;
        let (prompt, tip): (Option<i64>, Option<i64>) = (row.get(16)?, row.get(17)?);
        let answer = load_chain(&self.db, tip, prompt)?;
        turn.answer = answer.iter().map(from_node).collect::<Result<_, _>>()?;
        if let Some(prompt) = prompt {
            (turn.system, turn.input) = self.load_input(prompt)?;
        }
        turn.fragments = self.used_fragments(key)?;
        let mut statement = self.db.prepare_cached(
            "SELECT name FROM turn_tools JOIN tools ON tools.key = tool WHERE turn = ?1
             ORDER BY position",
        )?;
        let names = statement.query_map([key], |row| row.get(0))?;
        turn.tools = names.collect::<Result<_, _>>()?;
        Ok(turn)
    }

    /// The system prompt at the beginning of a chain, and the messages of people and tools at its
    /// end.
    fn load_input(&self, prompt: i64) -> Result<(Option<String>, Vec<Message>), Error> {
        let mut statement = self.db.prepare_cached(
            "WITH RECURSIVE chain(key, parent, role, depth) AS (
               SELECT key, parent, role, 0 FROM messages WHERE key = ?1
               UNION ALL SELECT m.key, m.parent, m.role, depth + 1
               FROM messages AS m JOIN chain ON m.key = chain.parent WHERE depth < 1048576)
             SELECT key, role FROM chain ORDER BY depth",
        )?;
        let rows = statement
            .query_map([prompt], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let chain: Vec<(i64, String)> = rows.collect::<Result<_, _>>()?;
        let system = match chain.last() {
            Some((key, role)) if role == "system" => {
                Some(from_node(&load_message(&self.db, *key)?)?.plain_text())
            }
            _ => None,
        };
        let input = chain.iter().take_while(|(_, role)| role == "user" || role == "tool");
        let input = input.map(|(key, _)| from_node(&load_message(&self.db, *key)?));
        let mut input: Vec<Message> = input.collect::<Result<_, _>>()?;
        input.reverse();
        Ok((system.filter(|text| !text.is_empty()), input))
    }

    fn used_fragments(&self, turn: i64) -> Result<Vec<UsedFragment>, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT fragments.key, hash, kind, source
             FROM turn_fragments JOIN fragments ON fragments.key = fragment
             WHERE turn = ?1 ORDER BY kind, position",
        )?;
        let mut rows = statement.query([turn])?;
        let mut used = Vec::new();
        while let Some(row) = rows.next()? {
            used.push(UsedFragment {
                hash: row.get(1)?,
                kind: row.get(2)?,
                source: row.get(3)?,
                aliases: self.fragment_aliases(row.get(0)?)?,
            });
        }
        Ok(used)
    }

    pub(crate) fn fragment_aliases(&self, fragment: i64) -> Result<Vec<String>, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT alias FROM fragment_aliases WHERE fragment = ?1 ORDER BY alias",
        )?;
        let aliases = statement.query_map(params![fragment], |row| row.get(0))?;
        Ok(aliases.collect::<Result<_, _>>()?)
    }
}

/// The columns of a turn, without messages.
fn columns(row: &Row<'_>) -> Result<Turn, Error> {
    let usage: Option<String> = row.get(11)?;
    let usage = usage
        .map(|usage| serde_json::from_str(&usage))
        .transpose()
        .map_err(|error| Error::Malformed(error.to_string()))?
        .map(from_json)
        .transpose()
        .map_err(|error| Error::Malformed(error.to_string()))?;
    let cost: Option<i64> = row.get(12)?;
    Ok(Turn {
        id: row.get(0)?,
        conversation: row.get(1)?,
        conversation_name: row.get(2)?,
        model: row.get(3)?,
        resolved_model: row.get(4)?,
        provider: row.get(5)?,
        started_ms: row.get(6)?,
        duration_ms: row.get(7)?,
        prompt_tokens: row.get(8)?,
        completion_tokens: row.get(9)?,
        token_details: row.get(10)?,
        usage,
        cost: cost.map(|cost| Cost(u64::try_from(cost).unwrap_or(0))),
        finish: row.get(13)?,
        options: row.get(14)?,
        schema: row.get(15)?,
        system: None,
        input: Vec::new(),
        answer: Vec::new(),
        fragments: Vec::new(),
        tools: Vec::new(),
    })
}
