//! The tree of messages: equal beginnings of conversations are stored once.

use crate::hash::sha256_hex;
use crate::node::{Attachment, Columns, Identity, Node, Piece, truthy};
use crate::{Error, Json, Object};
use rusqlite::{Connection, OptionalExtension, params};

/// A chain longer than this is taken for a circle in a damaged file.
const CHAIN_MAX: usize = 1 << 20;

/// A message in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub key: i64,
    pub identity: Identity,
}

/// Fragments of a turn, by which text may be stored as a reference.
pub(crate) type Fragments = Vec<(i64, String)>;

/// Stores `node` after `parent` unless it is there already. `identity` overrides the hash, for
/// messages whose attachments can no longer be read.
pub(crate) fn ensure_message(
    db: &Connection,
    node: &Node,
    parent: Option<&Stored>,
    fragments: &Fragments,
) -> Result<Stored, Error> {
    let identity = node.identity(parent.map(|parent| &parent.identity));
    ensure_as(db, node, parent, fragments, identity)
}

/// As [`ensure_message`], under an identity that is known.
pub(crate) fn ensure_as(
    db: &Connection,
    node: &Node,
    parent: Option<&Stored>,
    fragments: &Fragments,
    identity: Identity,
) -> Result<Stored, Error> {
    if let Some(key) = find(db, &identity)? {
        return Ok(Stored { key, identity });
    }
    let metadata = truthy(node.provider_metadata.as_ref()).map(Json::spaced);
    db.prepare_cached(
        "INSERT INTO messages(hash, variant, parent, role, provider_metadata)
         VALUES(?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        identity.hash,
        identity.variant,
        parent.map(|parent| parent.key),
        node.role,
        metadata
    ])?;
    let key = db.last_insert_rowid();
    for (position, piece) in node.pieces.iter().enumerate() {
        write_piece(db, key, position, piece, fragments)?;
    }
    Ok(Stored { key, identity })
}

/// The key of a message.
pub(crate) fn find(db: &Connection, identity: &Identity) -> Result<Option<i64>, Error> {
    let mut statement =
        db.prepare_cached("SELECT key FROM messages WHERE hash = ?1 AND variant = ?2")?;
    let key = statement.query_row(params![identity.hash, identity.variant], |row| row.get(0));
    Ok(key.optional()?)
}

/// Identity of a message that is there.
pub(crate) fn stored(db: &Connection, key: i64) -> Result<Stored, Error> {
    let mut statement = db.prepare_cached("SELECT hash, variant FROM messages WHERE key = ?1")?;
    let identity = statement
        .query_row([key], |row| Ok(Identity { hash: row.get(0)?, variant: row.get(1)? }))?;
    Ok(Stored { key, identity })
}

fn write_piece(
    db: &Connection,
    message: i64,
    position: usize,
    piece: &Piece,
    fragments: &Fragments,
) -> Result<(), Error> {
    let mut payload = piece.payload();
    let mut text = piece.body.prose();
    let mut used = Vec::new();
    if let Some((references, keys)) = text.and_then(|text| borrow(text, fragments)) {
        payload.insert("text_ref", references);
        used = keys;
        text = None;
    }
    let payload = (!payload.is_empty()).then(|| Json::from(payload).spaced());
    db.prepare_cached(
        "INSERT INTO parts(message, position, type, tool_name, text, payload, detail)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        message,
        position as i64,
        piece.body.kind(),
        piece.body.tool_name(),
        text,
        payload,
        piece.detail
    ])?;
    let part = db.last_insert_rowid();
    for (position, fragment) in used.into_iter().enumerate() {
        db.prepare_cached("INSERT INTO part_fragments VALUES(?1, ?2, ?3)")?.execute(params![
            part,
            position as i64,
            fragment
        ])?;
    }
    for (position, attachment) in piece.body.attachments().iter().enumerate() {
        let attachment = ensure_attachment(db, attachment)?;
        db.prepare_cached("INSERT INTO part_attachments VALUES(?1, ?2, ?3)")?.execute(params![
            part,
            position as i64,
            attachment
        ])?;
    }
    Ok(())
}

/// Text as references to the fragments in it and what stands between them: the earliest
/// occurrence first, of two at one place the longer. `None` if it borrows nothing.
fn borrow(text: &str, fragments: &Fragments) -> Option<(Json, Vec<i64>)> {
    let literal = |text: &str| {
        let mut piece = Object::new();
        piece.insert("literal", text);
        Json::from(piece)
    };
    let (mut pieces, mut used, mut rest) = (Vec::new(), Vec::new(), text);
    while !rest.is_empty() {
        let found = fragments.iter().filter(|(_, content)| !content.is_empty());
        let found = found.filter_map(|(key, content)| Some((rest.find(content)?, content, *key)));
        // `min_by_key` keeps the first of equal ones.
        let best = found.min_by_key(|(at, content, _)| (*at, std::cmp::Reverse(content.len())));
        let Some((at, content, key)) = best else {
            pieces.push(literal(rest));
            break;
        };
        if at > 0 {
            pieces.push(literal(&rest[..at]));
        }
        let mut piece = Object::new();
        piece.insert("fragment", key);
        pieces.push(piece.into());
        used.push(key);
        rest = &rest[at + content.len()..];
    }
    (!used.is_empty()).then_some((pieces.into(), used))
}

/// Stores an attachment unless it is there, and gives its key.
pub(crate) fn ensure_attachment(db: &Connection, attachment: &Attachment) -> Result<i64, Error> {
    if let Some(content) = &attachment.content {
        db.prepare_cached("INSERT OR IGNORE INTO blobs VALUES(?1, ?2)")?
            .execute(params![attachment.id, content])?;
    }
    let columns = params![attachment.id, attachment.mime, attachment.path, attachment.url];
    let known = db
        .prepare_cached(
            "SELECT key FROM attachments
             WHERE hash = ?1 AND mime IS ?2 AND path IS ?3 AND url IS ?4",
        )?
        .query_row(columns, |row| row.get(0))
        .optional()?;
    if let Some(key) = known {
        return Ok(key);
    }
    db.prepare_cached("INSERT INTO attachments(hash, mime, path, url) VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![attachment.id, attachment.mime, attachment.path, attachment.url])?;
    Ok(db.last_insert_rowid())
}

/// Stores a fragment unless it is there, and gives its key.
pub(crate) fn ensure_fragment(
    db: &Connection,
    content: &str,
    source: Option<&str>,
    now_ms: i64,
) -> Result<i64, Error> {
    let hash = sha256_hex(content.as_bytes());
    db.prepare_cached(
        "INSERT INTO fragments(hash, content, source, created_ms) VALUES(?1, ?2, ?3, ?4)
         ON CONFLICT(hash) DO NOTHING",
    )?
    .execute(params![hash, content, source, now_ms])?;
    let mut statement = db.prepare_cached("SELECT key FROM fragments WHERE hash = ?1")?;
    Ok(statement.query_row([hash], |row| row.get(0))?)
}

/// Keys of the messages from the first after `until` up to `tip`, oldest first.
pub(crate) fn chain_keys(
    db: &Connection,
    tip: Option<i64>,
    until: Option<i64>,
) -> Result<Vec<i64>, Error> {
    let mut keys = Vec::new();
    let mut at = tip;
    let mut statement = db.prepare_cached("SELECT parent FROM messages WHERE key = ?1")?;
    while let Some(key) = at.filter(|_| at != until) {
        if keys.len() == CHAIN_MAX {
            return Err(Error::Corrupt("messages form a circle".to_owned()));
        }
        keys.push(key);
        at = statement
            .query_row([key], |row| row.get(0))
            .optional()?
            .ok_or_else(|| Error::Corrupt(format!("message {key} is missing")))?;
    }
    keys.reverse();
    Ok(keys)
}

/// The messages from the first after `until` up to `tip`, oldest first.
pub(crate) fn load_chain(
    db: &Connection,
    tip: Option<i64>,
    until: Option<i64>,
) -> Result<Vec<Node>, Error> {
    chain_keys(db, tip, until)?.into_iter().map(|key| load_message(db, key)).collect()
}

/// One message with everything in it.
pub(crate) fn load_message(db: &Connection, key: i64) -> Result<Node, Error> {
    let mut statement =
        db.prepare_cached("SELECT role, provider_metadata FROM messages WHERE key = ?1")?;
    let (role, metadata) = statement
        .query_row([key], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))?;
    let provider_metadata = metadata.as_deref().map(parse).transpose()?;
    let mut statement = db.prepare_cached(
        "SELECT key, type, text, payload, detail FROM parts WHERE message = ?1 ORDER BY position",
    )?;
    let mut rows = statement.query([key])?;
    let mut pieces = Vec::new();
    while let Some(row) = rows.next()? {
        let (part, kind): (i64, String) = (row.get(0)?, row.get(1)?);
        let payload: Option<String> = row.get(3)?;
        let mut payload = match payload.as_deref().map(parse).transpose()? {
            None => Object::new(),
            Some(Json::Object(payload)) => payload,
            Some(_) => return Err(Error::Malformed("payload is not an object".to_owned())),
        };
        let text = match payload.remove("text_ref") {
            None => row.get(2)?,
            Some(references) => Some(resolve(db, &references)?),
        };
        let attachments = load_attachments(db, part)?;
        let columns = Columns { kind: &kind, text, payload, attachments, detail: row.get(4)? };
        pieces.push(columns.piece().map_err(Error::Malformed)?);
    }
    Ok(Node { role, pieces, provider_metadata })
}

/// Reads JSON that the store itself wrote.
pub(crate) fn parse(text: &str) -> Result<Json, Error> {
    Json::parse(text).map_err(|error| Error::Malformed(error.to_string()))
}

/// Puts fragments back into a text.
fn resolve(db: &Connection, references: &Json) -> Result<String, Error> {
    let wrong = || Error::Malformed("text_ref is not a list of literals and fragments".to_owned());
    let mut text = String::new();
    for piece in references.as_array().ok_or_else(wrong)? {
        let piece = piece.as_object().ok_or_else(wrong)?;
        if let Some(literal) = piece.get("literal") {
            text.push_str(literal.as_str().ok_or_else(wrong)?);
        } else {
            let key = piece.get("fragment").and_then(Json::as_i64).ok_or_else(wrong)?;
            let mut statement =
                db.prepare_cached("SELECT content FROM fragments WHERE key = ?1")?;
            let content = statement.query_row([key], |row| row.get::<_, String>(0)).optional()?;
            text.push_str(&content.unwrap_or_default());
        }
    }
    Ok(text)
}

fn load_attachments(db: &Connection, part: i64) -> Result<Vec<Attachment>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT attachments.hash, mime, path, url, content
         FROM part_attachments JOIN attachments ON attachments.key = attachment
         LEFT JOIN blobs ON blobs.hash = attachments.hash
         WHERE part = ?1 ORDER BY position",
    )?;
    let rows = statement.query_map([part], |row| {
        Ok(Attachment {
            id: row.get(0)?,
            mime: row.get(1)?,
            path: row.get(2)?,
            url: row.get(3)?,
            content: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The literal text of a part, without what it borrows: what full-text search finds.
pub(crate) fn literal_text(text: Option<String>, payload: Option<&str>) -> Result<String, Error> {
    if let Some(text) = text {
        return Ok(text);
    }
    let Some(payload) = payload else { return Ok(String::new()) };
    let payload = parse(payload)?;
    let references = payload.as_object().and_then(|object| object.get("text_ref"));
    let pieces = references.and_then(Json::as_array).unwrap_or(&[]);
    let literals = pieces.iter().filter_map(|piece| piece.as_object()?.get("literal")?.as_str());
    Ok(literals.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_borrows_the_earliest_and_of_two_the_longest_fragment() {
        let fragments = vec![(1, "ab".to_owned()), (2, "abc".to_owned()), (3, String::new())];
        let (references, used) = borrow("xabcab", &fragments).unwrap();
        let expected = r#"[{"literal": "x"}, {"fragment": 2}, {"fragment": 1}]"#;
        assert_eq!(references.spaced(), expected);
        assert_eq!(used, [2, 1]);
        assert!(borrow("xyz", &fragments).is_none());
        assert!(borrow("", &fragments).is_none());
    }
}
