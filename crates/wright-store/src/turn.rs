//! Logging a turn: one call of a model, with everything needed to repeat it.

use crate::chat::to_node;
use crate::node::Node;
use crate::record::{
    TurnRow, conversation_key, conversation_name, ensure_model, insert_conversation, insert_turn,
    set_tip,
};
use crate::tree::{
    Fragments, Stored, ensure_as, ensure_fragment, ensure_message, find, load_chain,
};
use crate::{Error, Json, Object, SqliteStore, clock, hash, replay};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use wright_chat::{Message, Prompt, Request, Response, ResponseFormat, Role, Tool, Usage, to_json};

/// The conversation that a turn belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place<'a> {
    /// A conversation that begins with this turn.
    #[default]
    New,
    /// The conversation with this id, which the turn continues.
    In(&'a str),
    /// A new conversation that shares its beginning with the one with this id.
    ForkOf(&'a str),
}

/// Which prompt a fragment was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FragmentKind {
    Prompt,
    System,
}

impl FragmentKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            FragmentKind::Prompt => "prompt",
            FragmentKind::System => "system",
        }
    }
}

/// A fragment that a turn was given. Its text stands in the messages of the request, too, and is
/// stored once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentUse<'a> {
    pub kind: FragmentKind,
    pub content: &'a str,
    /// Where the text came from: a path, a URL, `-`.
    pub source: Option<&'a str>,
}

/// A turn to be logged.
#[derive(Debug, Clone)]
pub struct NewTurn<'a> {
    pub place: Place<'a>,
    pub request: &'a Request,
    pub response: &'a Response,
    /// The name of the model as it was asked for.
    pub model: &'a str,
    /// Where the model runs: `local`, or the name of a service.
    pub provider: &'a str,
    /// Milliseconds since 1970 at which the request was made.
    pub started_ms: i64,
    /// Milliseconds from the request to the end of the answer.
    pub duration_ms: i64,
    pub fragments: &'a [FragmentUse<'a>],
    /// What, beside request and files, the answer depends on.
    pub setup: Option<&'a replay::Setup>,
    /// The local files that made the answer, in the order in which they were applied.
    pub files: &'a [replay::FileUse<'a>],
    /// The response of a provider as it came, where it is kept.
    pub raw_response: Option<&'a serde_json::Value>,
}

impl<'a> NewTurn<'a> {
    /// A turn in a new conversation, of which no more is known.
    pub fn new(
        model: &'a str,
        provider: &'a str,
        request: &'a Request,
        response: &'a Response,
        started_ms: i64,
    ) -> Self {
        NewTurn {
            place: Place::New,
            request,
            response,
            model,
            provider,
            started_ms,
            duration_ms: 0,
            fragments: &[],
            setup: None,
            files: &[],
            raw_response: None,
        }
    }
}

/// Where a turn was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Id of the turn, a ULID.
    pub turn: String,
    /// Id of its conversation.
    pub conversation: String,
}

impl SqliteStore {
    /// See [`crate::Store::log`].
    pub(crate) fn log_turn(&mut self, turn: &NewTurn<'_>) -> Result<Logged, Error> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let logged = write(&transaction, turn)?;
        transaction.commit()?;
        Ok(logged)
    }
}

fn write(db: &Connection, turn: &NewTurn<'_>) -> Result<Logged, Error> {
    let end_ms = turn.started_ms.saturating_add(turn.duration_ms);
    let (conversation, conversation_id) = place(db, turn)?;
    let fragments = turn
        .fragments
        .iter()
        .map(|used| {
            let key = ensure_fragment(db, used.content, used.source, end_ms)?;
            Ok((key, used.content.to_owned()))
        })
        .collect::<Result<Fragments, Error>>()?;
    let prompt = ensure_prompt(db, turn, &fragments)?;
    let answer = to_node(&turn.response.message);
    let tip = ensure_message(db, &answer, prompt.as_ref(), &Fragments::new())?;
    let usage = &turn.response.usage;
    let row = TurnRow {
        conversation,
        prompt: prompt.map(|message| message.key),
        tip: Some(tip.key),
        model: ensure_model(
            db,
            turn.model,
            turn.response.resolved_model.as_deref(),
            Some(turn.provider),
        )?,
        options: options(turn.request),
        request: request_rest(turn.request),
        schema: schema(db, turn.request)?,
        setup: turn.setup.map(|setup| replay::ensure_setup(db, setup)).transpose()?,
        finish: finish(turn.response),
        prompt_tokens: Some(i64::from(usage.prompt_tokens)),
        completion_tokens: Some(i64::from(usage.completion_tokens)),
        token_details: token_details(usage),
        usage: Some(to_json(usage).to_string()),
        cost_pico_usd: usage.cost.map(|cost| i64::try_from(cost.0).unwrap_or(i64::MAX)),
        started_ms: turn.started_ms,
        duration_ms: Some(turn.duration_ms),
        provider_data: turn
            .response
            .provider
            .as_ref()
            .and_then(|provider| serde_json::to_string(provider).ok()),
        response_json: turn.raw_response.map(|raw| escape_markers(&Json::from(raw)).spaced()),
    };
    let (key, id) = clock::new_turn(db, end_ms)?;
    insert_turn(db, (key, &id), &row)?;
    set_tip(db, conversation, row.tip)?;
    let mut positions = [0, 0];
    for (used, (fragment, _)) in turn.fragments.iter().zip(&fragments) {
        let position = &mut positions[usize::from(used.kind == FragmentKind::System)];
        db.prepare_cached("INSERT INTO turn_fragments VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![key, used.kind.as_str(), *position, fragment])?;
        *position += 1;
    }
    write_tools(db, key, &turn.request.tools)?;
    replay::write_files(db, key, turn.files)?;
    Ok(Logged { turn: id, conversation: conversation_id })
}

/// The conversation of a turn, which is created where it is new.
fn place(db: &Connection, turn: &NewTurn<'_>) -> Result<(i64, String), Error> {
    if let Place::In(id) = turn.place {
        let key = conversation_key(db, id)?.ok_or_else(|| Error::not_found("conversation", id))?;
        return Ok((key, id.to_owned()));
    }
    let name = conversation_name(&first_words(&turn.request.prompt));
    let (key, id) = insert_conversation(db, None, Some(&name), turn.started_ms)?;
    if let Place::ForkOf(origin) = turn.place {
        if conversation_key(db, origin)?.is_none() {
            return Err(Error::not_found("conversation", origin));
        }
        db.execute(
            "UPDATE conversations SET forked_from = ?2 WHERE key = ?1",
            params![key, origin],
        )?;
    }
    Ok((key, id))
}

/// What a conversation is named after: the last thing that a person said.
fn first_words(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Raw(text) => text.text.clone(),
        Prompt::Fill { prefix, .. } => prefix.text.clone(),
        Prompt::Chat(messages) => {
            let said = messages.iter().rev().find(|message| message.role == Role::User);
            said.or(messages.first()).map(Message::plain_text).unwrap_or_default()
        }
    }
}

/// The messages of a prompt in the form of the store.
pub(crate) fn prompt_nodes(prompt: &Prompt) -> Vec<Node> {
    let text = |text: &wright_chat::Text| wright_chat::Part::from(text.clone());
    match prompt {
        Prompt::Chat(messages) => messages.iter().map(to_node).collect(),
        Prompt::Raw(raw) => vec![to_node(&Message::new(Role::User, vec![text(raw)]))],
        Prompt::Fill { prefix, suffix } => {
            vec![to_node(&Message::new(Role::User, vec![text(prefix), text(suffix)]))]
        }
    }
}

/// Stores the messages of the prompt that are new, and gives the last one.
fn ensure_prompt(
    db: &Connection,
    turn: &NewTurn<'_>,
    fragments: &Fragments,
) -> Result<Option<Stored>, Error> {
    let nodes = prompt_nodes(&turn.request.prompt);
    let mut identities = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let identity = node.identity(identities.last());
        identities.push(identity);
    }
    // Most of a long conversation is there already: look from its end.
    let mut known = None;
    let mut from = 0;
    for (at, identity) in identities.iter().enumerate().rev() {
        if let Some(key) = find(db, identity)? {
            known = Some(Stored { key, identity: identity.clone() });
            from = at + 1;
            break;
        }
    }
    if known.is_none()
        && let Place::In(id) | Place::ForkOf(id) = turn.place
        && let Some((stored, n_nodes)) = imported_beginning(db, id, &turn.request.prompt)?
    {
        known = Some(stored);
        from = n_nodes;
    }
    let is_as_imported =
        from > 0 && known.as_ref().is_some_and(|known| known.identity != identities[from - 1]);
    for (node, identity) in nodes.iter().zip(identities).skip(from) {
        let identity = match is_as_imported {
            true => node.identity(known.as_ref().map(|known| &known.identity)),
            false => identity,
        };
        known = Some(ensure_as(db, node, known.as_ref(), fragments, identity)?);
    }
    Ok(known)
}

/// The stored messages of a conversation if the prompt begins with them, although their hashes
/// are others: messages of `llm` can hold what those of models cannot.
fn imported_beginning(
    db: &Connection,
    id: &str,
    prompt: &Prompt,
) -> Result<Option<(Stored, usize)>, Error> {
    let Prompt::Chat(messages) = prompt else { return Ok(None) };
    let tip: Option<Option<i64>> = db
        .prepare_cached("SELECT tip FROM conversations WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(tip) = tip.flatten() else { return Ok(None) };
    let nodes = load_chain(db, Some(tip), None)?;
    let is_beginning = nodes.len() <= messages.len()
        && nodes.iter().zip(messages).all(|(node, message)| {
            crate::chat::from_node(node).is_ok_and(|stored| stored == *message)
        });
    match is_beginning {
        true => Ok(Some((crate::tree::stored(db, tip)?, nodes.len()))),
        false => Ok(None),
    }
}

/// Options that are set, in the form that `llm` shows; `None` if all are the model's own.
fn options(request: &Request) -> Option<String> {
    // By way of text: there 0.7 as f32 is still 0.7.
    let text = serde_json::to_string(&request.options).ok()?;
    let Ok(Json::Object(options)) = Json::parse(&text) else { return None };
    let is_empty = |value: &Json| match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        _ => false,
    };
    let mut set = Object::new();
    for (key, value) in options.iter().filter(|(_, value)| !is_empty(value)) {
        set.insert(key, value.clone());
    }
    (!set.is_empty()).then(|| Json::from(set).spaced())
}

/// What a request asks beside messages, options, tools and schema; `None` if nothing.
///
/// It is the JSON form of a request with an empty prompt, whose kind stands under `prompt_kind`.
fn request_rest(request: &Request) -> Option<String> {
    let mut rest = Request::chat(Vec::new());
    rest.tool_choice = request.tool_choice.clone();
    rest.parallel_tool_calls = request.parallel_tool_calls;
    rest.adapters = request.adapters.clone();
    rest.logprobs = request.logprobs;
    rest.format = match &request.format {
        Some(ResponseFormat::JsonSchema(_)) | None => None,
        other => other.clone(),
    };
    let kind = match request.prompt {
        Prompt::Chat(_) => "chat",
        Prompt::Raw(_) => "raw",
        Prompt::Fill { .. } => "fill",
    };
    if kind == "chat" && rest == Request::chat(Vec::new()) {
        return None;
    }
    let mut json = to_json(&rest);
    json["prompt_kind"] = kind.into();
    Some(json.to_string())
}

fn schema(db: &Connection, request: &Request) -> Result<Option<String>, Error> {
    let Some(ResponseFormat::JsonSchema(schema)) = &request.format else { return Ok(None) };
    let (id, content) = hash::schema_id(&Json::from(schema));
    db.prepare_cached("INSERT OR IGNORE INTO schemas VALUES(?1, ?2)")?
        .execute(params![id, content])?;
    Ok(Some(id))
}

fn finish(response: &Response) -> Option<String> {
    let value = serde_json::to_value(response.finish).ok()?;
    value.as_str().map(str::to_owned)
}

/// Counts of tokens that have no column, as `llm` shows them.
fn token_details(usage: &Usage) -> Option<String> {
    let mut details = Object::new();
    let counts = [
        ("cached_tokens", usage.cached_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("reasoning_tokens", usage.reasoning_tokens.unwrap_or(0)),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        details.insert(name, i64::from(count));
    }
    (!details.is_empty()).then(|| Json::from(details).spaced())
}

fn write_tools(db: &Connection, turn: i64, tools: &[Tool]) -> Result<(), Error> {
    for (position, tool) in tools.iter().enumerate() {
        let schema = Json::from(&tool.parameters);
        let hash = hash::tool_hash(&tool.name, Some(&tool.description), &schema, None);
        db.prepare_cached(
            "INSERT OR IGNORE INTO tools(hash, name, description, input_schema)
             VALUES(?1, ?2, ?3, ?4)",
        )?
        .execute(params![hash, tool.name, tool.description, schema.spaced()])?;
        db.prepare_cached(
            "INSERT INTO turn_tools SELECT ?1, ?2, key, NULL FROM tools WHERE hash = ?3",
        )?
        .execute(params![turn, position as i64, hash])?;
    }
    Ok(())
}

/// `llm` reads objects of the single key `$`, `$r` or `$raw` as references; so that a payload is
/// read as it is, each is wrapped once more.
fn escape_markers(value: &Json) -> Json {
    match value {
        Json::Array(items) => Json::Array(items.iter().map(escape_markers).collect()),
        Json::Object(object) => {
            let mut escaped = Object::new();
            for (key, value) in object.iter() {
                escaped.insert(key, escape_markers(value));
            }
            let mut keys = object.iter().map(|(key, _)| key);
            let is_marker = matches!((keys.next(), keys.next()), (Some("$" | "$r" | "$raw"), None));
            if !is_marker {
                return escaped.into();
            }
            let mut wrapper = Object::new();
            wrapper.insert("$raw", escaped);
            wrapper.into()
        }
        other => other.clone(),
    }
}
