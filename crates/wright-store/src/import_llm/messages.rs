//! Messages, parts, fragments and attachments.

use super::source::{Source, bytes, integer, required, text};
use super::{ImportReport, Maps};
use crate::hash::{sha256_hex, url_id};
use crate::node::{Attachment, Columns, Identity, Node, Piece};
use crate::tree::{Fragments, Stored, ensure_as, ensure_fragment};
use crate::{Error, Json, Object, time};
use rusqlite::{Connection, params};
use std::collections::HashSet;

/// Takes over all fragments and their aliases, also those that nothing uses.
pub(super) fn import_fragments(
    source: &Source,
    db: &Connection,
    maps: &mut Maps,
) -> Result<(), Error> {
    let columns = ["id", "content", "source", "datetime_utc"];
    source.rows("fragments", &columns, "ORDER BY id", &[], |row| {
        let (Some(id), Ok(Some(content))) = (integer(row, 0)?, text(row, 1)) else { return Ok(()) };
        let source = text(row, 2).unwrap_or_default();
        let created_ms = text(row, 3).unwrap_or_default().and_then(|text| time::parse_time(&text));
        let key = ensure_fragment(db, &content, source.as_deref(), created_ms.unwrap_or(0))?;
        maps.fragments.insert(id, key);
        Ok(())
    })?;
    source.rows("fragment_aliases", &["alias", "fragment_id"], "", &[], |row| {
        let alias = text(row, 0).unwrap_or_default();
        let fragment = integer(row, 1)?.and_then(|id| maps.fragments.get(&id));
        if let (Some(alias), Some(fragment)) = (alias, fragment) {
            // An alias of its own stays.
            db.prepare_cached("INSERT OR IGNORE INTO fragment_aliases VALUES(?1, ?2)")?
                .execute(params![alias, fragment])?;
        }
        Ok(())
    })
}

/// Stores the message `tip` and all before it, and gives the message here.
pub(super) fn import_chain(
    source: &Source,
    db: &Connection,
    maps: &mut Maps,
    report: &mut ImportReport,
    tip: &str,
) -> Result<Stored, Error> {
    // Down to the first message that is known, then up again.
    let mut pending = Vec::new();
    let mut seen = HashSet::new();
    let mut at = Some(tip.to_owned());
    while let Some(hash) = at.take_if(|hash| !maps.messages.contains_key(hash.as_str())) {
        if !seen.insert(hash.clone()) {
            return Err(Error::Malformed("messages form a circle".to_owned()));
        }
        let mut row = None;
        let columns = ["parent_hash", "role", "provider_metadata"];
        source.rows("messages", &columns, "WHERE hash = ?1", &[&hash], |found| {
            row = Some((text(found, 0)?, required(found, 1, "role")?, text(found, 2)?));
            Ok(())
        })?;
        let (parent, role, metadata) =
            row.ok_or_else(|| Error::Malformed(format!("message {hash} is missing")))?;
        at = parent;
        pending.push((hash, role, metadata));
    }
    let mut parent = at.and_then(|hash| maps.messages.get(&hash).cloned());
    while let Some((hash, role, metadata)) = pending.pop() {
        let (node, fragments) = load_node(source, maps, &hash, role, metadata)?;
        let mut identity = node.identity(parent.as_ref().map(|parent| &parent.identity));
        if identity.hash != hash {
            report.n_changed += 1;
            identity = Identity { hash: hash.clone(), ..identity };
        }
        let stored = ensure_as(db, &node, parent.as_ref(), &fragments, identity)?;
        maps.messages.insert(hash, stored.clone());
        parent = Some(stored);
    }
    parent.ok_or_else(|| Error::Malformed(format!("message {tip} is missing")))
}

/// A message as the source has it, with the fragments that its text borrows.
fn load_node(
    source: &Source,
    maps: &Maps,
    hash: &str,
    role: String,
    metadata: Option<String>,
) -> Result<(Node, Fragments), Error> {
    let mut pieces = Vec::new();
    let mut fragments = Fragments::new();
    let columns = ["id", "type", "text", "payload"];
    source.rows(
        "parts",
        &columns,
        "WHERE message_hash = ?1 ORDER BY position",
        &[&hash],
        |row| {
            let kind = required(row, 1, "type of part")?;
            let mut payload = match text(row, 3)?.as_deref().map(parse).transpose()? {
                None => Object::new(),
                Some(Json::Object(payload)) => payload,
                Some(_) => return Err(Error::Malformed("payload is not an object".to_owned())),
            };
            let text = match payload.remove("text_ref") {
                None => text(row, 2)?,
                Some(references) => Some(resolve(source, maps, &references, &mut fragments)?),
            };
            let attachments = load_attachments(source, &mut payload)?;
            pieces.push(piece(Columns { kind: &kind, text, payload, attachments, detail: None })?);
            Ok(())
        },
    )?;
    let provider_metadata = metadata.as_deref().map(parse).transpose()?;
    Ok((Node { role, pieces, provider_metadata }, fragments))
}

fn piece(columns: Columns<'_>) -> Result<Piece, Error> {
    columns.piece().map_err(Error::Malformed)
}

pub(super) fn parse(text: &str) -> Result<Json, Error> {
    Json::parse(text).map_err(|error| Error::Malformed(error.to_string()))
}

/// Text with its fragments put back in, which are noted in `used` under their keys here.
fn resolve(
    source: &Source,
    maps: &Maps,
    references: &Json,
    used: &mut Fragments,
) -> Result<String, Error> {
    let wrong = || Error::Malformed("text_ref is not a list of literals and fragments".to_owned());
    let mut resolved = String::new();
    for piece in references.as_array().ok_or_else(wrong)? {
        let piece = piece.as_object().ok_or_else(wrong)?;
        if let Some(literal) = piece.get("literal") {
            resolved.push_str(literal.as_str().ok_or_else(wrong)?);
            continue;
        }
        let id = piece.get("fragment").and_then(Json::as_i64).ok_or_else(wrong)?;
        let key = *maps
            .fragments
            .get(&id)
            .ok_or_else(|| Error::Malformed(format!("fragment {id} is missing")))?;
        if let Some((_, content)) = used.iter().find(|(known, _)| *known == key) {
            resolved.push_str(content);
            continue;
        }
        source.rows("fragments", &["content"], "WHERE id = ?1", &[&id], |row| {
            let content = text(row, 0)?.unwrap_or_default();
            resolved.push_str(&content);
            used.push((key, content));
            Ok(())
        })?;
    }
    Ok(resolved)
}

/// Takes the attachments that a payload refers to out of it.
fn load_attachments(source: &Source, payload: &mut Object) -> Result<Vec<Attachment>, Error> {
    let single = payload.remove("attachment");
    let several = payload.remove("attachments");
    let references = match (&single, &several) {
        (Some(single), _) => std::slice::from_ref(single),
        (None, Some(Json::Array(several))) => several,
        _ => &[],
    };
    let mut attachments = Vec::new();
    for reference in references {
        let id = reference.as_object().and_then(|object| object.get("id")).and_then(Json::as_str);
        let id = id.ok_or_else(|| Error::Malformed("attachment without an id".to_owned()))?;
        let found = load_attachment(source, id)?;
        attachments
            .push(found.ok_or_else(|| Error::Malformed(format!("attachment {id} is missing")))?);
    }
    Ok(attachments)
}

pub(super) fn load_attachment(source: &Source, id: &str) -> Result<Option<Attachment>, Error> {
    let mut attachment = None;
    let columns = ["type", "path", "url", "content"];
    source.rows("attachments", &columns, "WHERE id = ?1", &[&id], |row| {
        let content = bytes(row, 3)?.filter(|content| !content.is_empty());
        let (path, url) = (text(row, 1)?, text(row, 2)?);
        // The column's id may be another one where two types share the same bytes.
        let hash = match (&content, &path, &url) {
            (Some(content), _, _) => sha256_hex(content),
            (None, None, Some(url)) => url_id(url),
            _ => id.split(';').next().unwrap_or(id).to_owned(),
        };
        attachment = Some(Attachment { id: hash, mime: text(row, 0)?, path, url, content });
        Ok(())
    })?;
    Ok(attachment)
}
