//! `instr`, `replace` and the trims in linear time.
//!
//! SQLite's own take the product of two lengths, in a single step that no clock interrupts: two
//! values of a few megabytes would hold a processor for minutes.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};
use std::borrow::Cow;
use std::collections::HashSet;

/// Replaces the functions on this connection. Results of `replace` are at most `bytes_max` long.
pub(super) fn replace_quadratic(db: &Connection, bytes_max: usize) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function("instr", 2, flags, instr)?;
    db.create_scalar_function("replace", 3, flags, move |context| replace(context, bytes_max))?;
    for (name, left, right) in
        [("trim", true, true), ("ltrim", true, false), ("rtrim", false, true)]
    {
        db.create_scalar_function(name, 1, flags, move |context| trim(context, left, right))?;
        db.create_scalar_function(name, 2, flags, move |context| trim(context, left, right))?;
    }
    Ok(())
}

/// An argument as text; `None` for null.
fn text<'a>(context: &'a Context<'_>, at: usize) -> Option<Cow<'a, str>> {
    Some(match context.get_raw(at) {
        ValueRef::Null => return None,
        ValueRef::Integer(value) => value.to_string().into(),
        ValueRef::Real(value) => crate::Json::Float(value).canonical().into(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
    })
}

/// Place of the second argument in the first, from 1: in bytes for two blobs, in characters
/// otherwise; 0 if it is not there.
fn instr(context: &mut Context<'_>) -> Result<Option<i64>> {
    if let (ValueRef::Blob(hay), ValueRef::Blob(needle)) = (context.get_raw(0), context.get_raw(1))
    {
        return Ok(Some(find_bytes(hay, needle).map_or(0, |at| at as i64 + 1)));
    }
    let (Some(hay), Some(needle)) = (text(context, 0), text(context, 1)) else { return Ok(None) };
    let place = hay.find(needle.as_ref()).map_or(0, |at| hay[..at].chars().count() as i64 + 1);
    Ok(Some(place))
}

/// Bytes in bytes, by the algorithm for text: each byte becomes the character of its number.
fn find_bytes(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let hay = latin(hay);
    hay.find(&latin(needle)).map(|at| hay[..at].chars().count())
}

fn replace(context: &Context<'_>, bytes_max: usize) -> Result<Option<String>> {
    let arguments = (text(context, 0), text(context, 1), text(context, 2));
    let (Some(text), Some(from), Some(to)) = arguments else { return Ok(None) };
    if from.is_empty() {
        return Ok(Some(text.into_owned()));
    }
    let n_found = text.matches(from.as_ref()).count();
    let length = text.len() + n_found.saturating_mul(to.len());
    if length > bytes_max {
        return Err(rusqlite::Error::UserFunctionError("string or blob too big".into()));
    }
    Ok(Some(text.replace(from.as_ref(), &to)))
}

fn trim(context: &Context<'_>, left: bool, right: bool) -> Result<Value> {
    let Some(text) = text(context, 0) else { return Ok(Value::Null) };
    let set: HashSet<char> = match context.len() {
        1 => HashSet::from([' ']),
        _ => match self::text(context, 1) {
            Some(set) => set.chars().collect(),
            None => return Ok(Value::Null),
        },
    };
    let mut rest = text.as_ref();
    if left {
        rest = rest.trim_start_matches(|char| set.contains(&char));
    }
    if right {
        rest = rest.trim_end_matches(|char| set.contains(&char));
    }
    Ok(Value::Text(rest.to_owned()))
}
