//! What an answer was made of, so that it can be made again or one can tell what has changed.

use crate::chat::from_node;
use crate::hash::{blake2b_16, hex};
use crate::tree::{load_chain, parse};
use crate::{Error, SqliteStore};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use wright_chat::{Message, Options, Part, Prompt, Request, ResponseFormat, Text, Tool, from_json};

/// What, beside the request and the files, an answer depends on. Equal setups are stored once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Setup {
    /// Version of Wright.
    pub version: String,
    /// Instructions of the processor that the kernels used, such as `avx512`.
    pub instruction_set: String,
    /// Source of the chat template.
    pub chat_template: Option<String>,
    /// Any other input, by name: type of the KV cache, length of the context, exact arithmetic.
    pub inputs: BTreeMap<String, Value>,
}

/// A local file by what identifies it without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamp {
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    pub inode: u64,
}

/// A file that took part in an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct FileUse<'a> {
    /// `model`, `adapter`, `projector`.
    pub role: &'a str,
    pub stamp: &'a FileStamp,
    /// SHA-256 in hexadecimal digits, if it is known already.
    pub sha256: Option<&'a str>,
    /// How the file was used, such as the scale of an adapter.
    pub detail: Option<&'a str>,
}

/// A file that took part in a logged answer.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedFile {
    pub role: String,
    pub stamp: FileStamp,
    pub sha256: Option<String>,
    pub detail: Option<String>,
}

/// A logged turn with everything needed to repeat it.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    pub turn: String,
    pub model: String,
    /// Where the model runs; `None` for turns that were imported.
    pub provider: Option<String>,
    pub request: Request,
    /// What the model answered: one message, several where a provider ran tools itself.
    pub answer: Vec<Message>,
    /// Why the answer ended, as in [`wright_chat::FinishReason`].
    pub finish: Option<String>,
    pub setup: Option<Setup>,
    pub files: Vec<LoggedFile>,
}

/// An input that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which input: `version`, `chat template`, `model file`, ….
    pub input: String,
    pub then: String,
    pub now: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: was {}, is {}", self.input, self.then, self.now)
    }
}

/// Something that is not there.
const NONE: &str = "none";

impl Replay {
    /// Which inputs differ from those of today. `files` are the files that would be used now, with
    /// their hashes.
    pub fn changes(&self, setup: &Setup, files: &[LoggedFile]) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut compare = |input: &str, then: String, now: String| {
            if then != now {
                changes.push(Change { input: input.to_owned(), then, now });
            }
        };
        if let Some(then) = &self.setup {
            compare("version", then.version.clone(), setup.version.clone());
            let (sets, now) = (then.instruction_set.clone(), setup.instruction_set.clone());
            compare("instruction set", sets, now);
            compare("chat template", template(then), template(setup));
            let names = then.inputs.keys().chain(setup.inputs.keys());
            let mut names: Vec<&String> = names.collect();
            names.sort();
            names.dedup();
            for name in names {
                let value = |setup: &Setup| {
                    setup.inputs.get(name).map_or(NONE.to_owned(), Value::to_string)
                };
                compare(name, value(then), value(setup));
            }
        }
        for at in 0..self.files.len().max(files.len()) {
            let (then, now) = (self.files.get(at), files.get(at));
            let role = then.or(now).map_or("", |file| file.role.as_str());
            compare(&format!("{role} file"), content(then), content(now));
            let detail = |file: Option<&LoggedFile>| {
                file.and_then(|file| file.detail.clone()).unwrap_or(NONE.to_owned())
            };
            compare(&format!("use of the {role} file"), detail(then), detail(now));
        }
        changes
    }
}

/// A chat template by its hash: sources are too long to show.
fn template(setup: &Setup) -> String {
    match &setup.chat_template {
        Some(source) => format!("BLAKE2 {}", hex(&blake2b_16(source.as_bytes()))),
        None => NONE.to_owned(),
    }
}

/// What identifies a file's content: its hash, or as long as that is unknown its stamp.
fn content(file: Option<&LoggedFile>) -> String {
    match file {
        None => NONE.to_owned(),
        Some(LoggedFile { sha256: Some(hash), .. }) => format!("SHA-256 {hash}"),
        Some(LoggedFile { stamp, .. }) => {
            format!("{} of {} bytes, modified at {} ns", stamp.path, stamp.size, stamp.modified_ns)
        }
    }
}

/// The key of a setup, which is stored if it is new.
pub(crate) fn ensure_setup(db: &Connection, setup: &Setup) -> Result<i64, Error> {
    let record =
        serde_json::to_string(setup).map_err(|error| Error::Malformed(error.to_string()))?;
    let hash = hex(&blake2b_16(record.as_bytes()));
    db.prepare_cached("INSERT OR IGNORE INTO setups(hash, record) VALUES(?1, ?2)")?
        .execute(params![hash, record])?;
    let mut statement = db.prepare_cached("SELECT key FROM setups WHERE hash = ?1")?;
    Ok(statement.query_row([hash], |row| row.get(0))?)
}

/// Notes the files of a turn.
pub(crate) fn write_files(db: &Connection, turn: i64, files: &[FileUse<'_>]) -> Result<(), Error> {
    for (position, file) in files.iter().enumerate() {
        let key = ensure_file(db, file.stamp, file.sha256)?;
        db.prepare_cached("INSERT INTO turn_files VALUES(?1, ?2, ?3, ?4, ?5)")?
            .execute(params![turn, position as i64, file.role, key, file.detail])?;
    }
    Ok(())
}

fn ensure_file(db: &Connection, stamp: &FileStamp, sha256: Option<&str>) -> Result<i64, Error> {
    let size = i64::try_from(stamp.size).unwrap_or(i64::MAX);
    // The bits of an inode: SQLite has no unsigned integers.
    let inode = stamp.inode as i64;
    db.prepare_cached(
        "INSERT INTO files(path, size, modified_ns, inode, sha256) VALUES(?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET sha256 = ifnull(excluded.sha256, sha256)",
    )?
    .execute(params![stamp.path, size, stamp.modified_ns, inode, sha256])?;
    let mut statement = db.prepare_cached(
        "SELECT key FROM files
         WHERE path = ?1 AND size = ?2 AND modified_ns = ?3 AND inode = ?4",
    )?;
    Ok(statement
        .query_row(params![stamp.path, size, stamp.modified_ns, inode], |row| row.get(0))?)
}

impl SqliteStore {
    /// The hash of a file that has not changed since it was hashed.
    ///
    /// # Errors
    /// If the database fails.
    pub fn file_hash(&self, stamp: &FileStamp) -> Result<Option<String>, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT sha256 FROM files
             WHERE path = ?1 AND size = ?2 AND modified_ns = ?3 AND inode = ?4",
        )?;
        let size = i64::try_from(stamp.size).unwrap_or(i64::MAX);
        let columns = params![stamp.path, size, stamp.modified_ns, stamp.inode as i64];
        Ok(statement.query_row(columns, |row| row.get(0)).optional()?.flatten())
    }

    /// Notes the hash of a file, also for the turns that it took part in.
    ///
    /// # Errors
    /// If the database fails.
    pub fn set_file_hash(&mut self, stamp: &FileStamp, sha256: &str) -> Result<(), Error> {
        ensure_file(&self.db, stamp, Some(sha256)).map(|_| ())
    }

    /// See [`crate::Store::replay`].
    pub(crate) fn load_replay(&self, id: &str) -> Result<Replay, Error> {
        let mut statement = self.db.prepare_cached(
            "SELECT turns.key, prompt, tip, models.name, provider, options, request,
               schemas.content, record, finish
             FROM turns JOIN models ON models.key = model
             LEFT JOIN schemas ON schemas.id = schema
             LEFT JOIN setups ON setups.key = setup
             WHERE turns.id = ?1",
        )?;
        let mut rows = statement.query([id])?;
        let row = rows.next()?.ok_or_else(|| Error::not_found("turn", id))?;
        let (key, prompt, tip) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let options: Option<String> = row.get(5)?;
        let rest: Option<String> = row.get(6)?;
        let schema: Option<String> = row.get(7)?;
        let setup: Option<String> = row.get(8)?;
        let malformed = |error: serde_json::Error| Error::Malformed(error.to_string());
        let mut request = request_of(&self.db, prompt, rest.as_deref())?;
        if let Some(options) = options {
            // Options of another program are kept as they are where they are not ours.
            request.options = serde_json::from_str(&options).unwrap_or_else(|_| foreign(&options));
        }
        if let Some(schema) = schema {
            request.format = Some(ResponseFormat::JsonSchema(parse(&schema)?.to_serde()));
        }
        request.tools = load_tools(&self.db, key)?;
        let answer = load_chain(&self.db, tip, prompt)?;
        Ok(Replay {
            turn: id.to_owned(),
            model: row.get(3)?,
            provider: row.get(4)?,
            request,
            answer: answer.iter().map(from_node).collect::<Result<_, _>>()?,
            finish: row.get(9)?,
            setup: setup
                .map(|setup| serde_json::from_str(&setup))
                .transpose()
                .map_err(malformed)?,
            files: load_files(&self.db, key)?,
        })
    }
}

/// Options of a program whose names or types are not ours.
fn foreign(options: &str) -> Options {
    let members = serde_json::from_str(options).unwrap_or_default();
    Options { extra: members, ..Options::default() }
}

/// The request again, without options, tools and schema.
fn request_of(db: &Connection, prompt: Option<i64>, rest: Option<&str>) -> Result<Request, Error> {
    let mut kind = "chat".to_owned();
    let mut request = Request::chat(Vec::new());
    if let Some(rest) = rest {
        let mut json: Value =
            serde_json::from_str(rest).map_err(|error| Error::Malformed(error.to_string()))?;
        let fields = json.as_object_mut();
        let named = fields.and_then(|fields| fields.shift_remove("prompt_kind"));
        if let Some(Value::String(named)) = named {
            kind = named;
        }
        request = from_json(json).map_err(|error| Error::Malformed(error.to_string()))?;
    }
    let nodes = load_chain(db, prompt, None)?;
    request.prompt = match (kind.as_str(), nodes.last()) {
        ("raw", Some(node)) => Prompt::Raw(text_at(node, 0)?),
        ("fill", Some(node)) => {
            Prompt::Fill { prefix: text_at(node, 0)?, suffix: text_at(node, 1)? }
        }
        _ => Prompt::Chat(nodes.iter().map(from_node).collect::<Result<_, _>>()?),
    };
    Ok(request)
}

fn text_at(node: &crate::node::Node, at: usize) -> Result<Text, Error> {
    let message = from_node(node)?;
    let text = message.parts.get(at).and_then(Part::as_text).cloned();
    text.ok_or_else(|| Error::Malformed("a prompt without its text".to_owned()))
}

fn load_tools(db: &Connection, turn: i64) -> Result<Vec<Tool>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT name, ifnull(description, ''), input_schema
         FROM turn_tools JOIN tools ON tools.key = tool WHERE turn = ?1 ORDER BY position",
    )?;
    let mut rows = statement.query([turn])?;
    let mut tools = Vec::new();
    while let Some(row) = rows.next()? {
        let schema: String = row.get(2)?;
        let parameters = parse(&schema)?.to_serde();
        tools.push(Tool { name: row.get(0)?, description: row.get(1)?, parameters });
    }
    Ok(tools)
}

fn load_files(db: &Connection, turn: i64) -> Result<Vec<LoggedFile>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT role, path, size, modified_ns, inode, sha256, detail
         FROM turn_files JOIN files ON files.key = file WHERE turn = ?1 ORDER BY position",
    )?;
    let rows = statement.query_map([turn], |row| {
        Ok(LoggedFile {
            role: row.get(0)?,
            stamp: FileStamp {
                path: row.get(1)?,
                size: row.get::<_, i64>(2)? as u64,
                modified_ns: row.get(3)?,
                inode: row.get::<_, i64>(4)? as u64,
            },
            sha256: row.get(5)?,
            detail: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
