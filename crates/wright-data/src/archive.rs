//! Members of tar and zip archives, each read as a file of its own.

use crate::compression::Budget;
use crate::document::{Item, Sink, SkipReason};
use std::io::{Read, Seek};
use std::sync::Arc;

/// Why a member is not looked at, by its path in the archive.
fn passed_over(member: &str) -> Option<SkipReason> {
    let hidden = |part: &str| part.starts_with('.') && part != "." && part != "..";
    member.split('/').any(|part| hidden(part) || part == "__MACOSX").then_some(SkipReason::Hidden)
}

/// `archive/member`, without empty and `.` parts.
fn path_of(archive: &str, member: &str) -> Arc<str> {
    let parts = member.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | ".."));
    let parts: Vec<&str> = parts.collect();
    format!("{archive}/{}", parts.join("/")).into()
}

/// Reads one member as a file of its own, from its path, its name in the archive and its bytes.
/// False if the sink wants no more.
pub(crate) type ReadMember<'a> =
    dyn FnMut(&Arc<str>, &str, &mut dyn Read, &mut Sink<'_>) -> bool + 'a;

/// The members of a tar archive, in its order. False if the sink wants no more.
pub(crate) fn tar(
    path: &Arc<str>,
    from: &mut dyn Read,
    sink: &mut Sink<'_>,
    read: &mut ReadMember<'_>,
) -> bool {
    let mut archive = tar::Archive::new(from);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => return sink(Item::unreadable(path, &error, false)),
    };
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => return sink(Item::unreadable(path, &error, true)),
        };
        let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        let path = path_of(path, &member);
        let skip = match passed_over(&member) {
            None if !kind.is_file() => Some(SkipReason::NoFile),
            other => other,
        };
        let goes_on = match skip {
            Some(reason) => sink(Item::Skipped { path, reason, detail: String::new() }),
            None => read(&path, &member, &mut entry, sink),
        };
        if !goes_on {
            return false;
        }
    }
    true
}

/// The members of a zip archive, in the order of their paths. False if the sink wants no more.
pub(crate) fn zip<R: Read + Seek>(
    path: &Arc<str>,
    from: &mut R,
    budget: &Budget,
    sink: &mut Sink<'_>,
    read: &mut ReadMember<'_>,
) -> bool {
    let damaged = |path: &Arc<str>, error: zip::result::ZipError| Item::Skipped {
        path: Arc::clone(path),
        reason: SkipReason::Damaged,
        detail: error.to_string(),
    };
    let mut archive = match zip::ZipArchive::new(from) {
        Ok(archive) => archive,
        Err(error) => return sink(damaged(path, error)),
    };
    let mut members: Vec<(String, usize)> = Vec::new();
    for index in 0..archive.len() {
        let name = match archive.name_for_index(index) {
            Some(Ok(name)) => name.into_owned(),
            _ => format!("member {index}"),
        };
        if !name.ends_with('/') {
            members.push((name, index));
        }
    }
    members.sort();
    for (member, index) in members {
        let path = path_of(path, &member);
        let goes_on = match (passed_over(&member), archive.by_index(index)) {
            (Some(reason), _) => sink(Item::Skipped { path, reason, detail: String::new() }),
            (None, Err(error)) => sink(damaged(&path, error)),
            (None, Ok(mut file)) => {
                budget.add_raw(file.compressed_size());
                read(&path, &member, &mut budget.unpacked(&mut file), sink)
            }
        };
        if !goes_on {
            return false;
        }
    }
    true
}
