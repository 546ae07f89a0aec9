//! Members of tar and zip archives, each read as a file of its own.

use crate::document::{Item, Sink, SkipReason};
use crate::read::Reading;
use crate::text;
use std::io::{Cursor, Read, Seek};
use std::sync::Arc;

/// Why a member is not looked at, by its path in the archive.
fn passed_over(member: &str) -> Option<SkipReason> {
    let hidden = |part: &str| part.starts_with('.') && part != "." && part != "..";
    member.split('/').any(|part| hidden(part) || part == "__MACOSX").then_some(SkipReason::Hidden)
}

/// `archive/member`, without what leads nowhere.
fn path_of(archive: &str, member: &str) -> Arc<str> {
    let parts = member.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | ".."));
    let parts: Vec<&str> = parts.collect();
    format!("{archive}/{}", parts.join("/")).into()
}

impl Reading<'_> {
    /// The members of a tar archive, in its order. False if the sink wants no more.
    pub(crate) fn tar(
        &self,
        path: &Arc<str>,
        from: &mut dyn Read,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> bool {
        let mut archive = tar::Archive::new(from);
        let entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return sink(text::skipped(path, &error, false)),
        };
        for entry in entries {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => return sink(text::skipped(path, &error, true)),
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
                None => self.stream(&path, &member, &mut entry, depth + 1, sink),
            };
            if !goes_on {
                return false;
            }
        }
        true
    }

    /// The members of a zip archive that comes as a stream: it is held in memory.
    pub(crate) fn zip_stream(
        &self,
        path: &Arc<str>,
        from: &mut dyn Read,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> bool {
        let most = self.options.file_bytes;
        match self.whole(path, from, most) {
            Ok(bytes) => self.zip(path, &mut Cursor::new(bytes), depth, sink),
            Err(skipped) => sink(*skipped),
        }
    }

    /// The members of a zip archive, in the order of their paths.
    pub(crate) fn zip<R: Read + Seek>(
        &self,
        path: &Arc<str>,
        from: &mut R,
        depth: usize,
        sink: &mut Sink<'_>,
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
                    self.budget.add_raw(file.compressed_size());
                    let mut file = self.budget.unpacked(&mut file);
                    self.stream(&path, &member, &mut file, depth + 1, sink)
                }
            };
            if !goes_on {
                return false;
            }
        }
        true
    }
}
