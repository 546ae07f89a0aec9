//! Looking for what is left of deleted text, and getting rid of it.

use super::rows::Removed;
use super::{DeleteReport, sorted};
use crate::schema::TOKENIZER;
use crate::{Error, SqliteStore};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Length of the pieces of deleted text that are searched for. A row that was moved leaves much
/// longer copies.
const PIECE_BYTES: usize = 16;

/// Pieces of one text.
const PIECES_MAX: usize = 64;

/// Fewer letters of a word are not worth rewriting the index for.
const BEGINNING_BYTES: usize = 4;

/// Bytes of a file that are searched at a time.
const BLOCK_BYTES: usize = 1 << 20;

impl SqliteStore {
    /// Empties the WAL, and rewrites the file if pieces of what was removed are left in it that no
    /// row holds.
    pub(super) fn scrub(
        &mut self,
        removed: &Removed,
        must_rewrite: bool,
        patience: Duration,
        report: &mut DeleteReport,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let left = || patience.saturating_sub(started.elapsed());
        report.wal_bytes_left = self.empty_wal(left())?;
        self.find_sharers(removed, report)?;
        let pieces = self.pieces_of_nobody(removed, report)?;
        let has_signposts = self.has_signposts(removed)?;
        if has_signposts || must_rewrite {
            self.rewrite_words()?;
        }
        let is_left = report.wal_bytes_left == 0 && is_in_file(&self.path, &pieces)?;
        if is_left || must_rewrite {
            self.db.execute_batch("VACUUM")?;
            report.was_rewritten = true;
        }
        if is_left || must_rewrite || has_signposts {
            report.wal_bytes_left = self.empty_wal(left())?;
        }
        Ok(())
    }

    /// Moves the WAL into the file and empties it; gives the bytes that could not be.
    fn empty_wal(&self, patience: Duration) -> Result<u64, Error> {
        let started = Instant::now();
        self.db.busy_timeout(Duration::from_millis(50))?;
        let emptied = loop {
            let is_busy = self
                .db
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
                .map(|busy| busy != 0);
            match is_busy.map_err(Error::from) {
                Ok(false) => break Ok(()),
                Ok(true) | Err(Error::Busy) if started.elapsed() >= patience => break Ok(()),
                Ok(true) | Err(Error::Busy) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => break Err(error),
            }
        };
        self.db.busy_timeout(crate::open::BUSY_WAIT)?;
        emptied?;
        let wal = wal_path(&self.path);
        Ok(std::fs::metadata(wal).map_or(0, |found| found.len()))
    }

    /// Conversations that need messages of what was deleted.
    fn find_sharers(&self, removed: &Removed, report: &mut DeleteReport) -> Result<(), Error> {
        let mut kept: BTreeSet<String> = report.kept.drain(..).collect();
        let mut seen = HashSet::new();
        let mut pending: Vec<i64> = removed.kept_messages.iter().copied().collect();
        let mut ends = self.db.prepare_cached(
            "SELECT id FROM conversations WHERE tip = ?1 OR key IN (
               SELECT conversation FROM turns WHERE prompt = ?1 OR tip = ?1)",
        )?;
        let mut children = self.db.prepare_cached("SELECT key FROM messages WHERE parent = ?1")?;
        while let Some(message) = pending.pop() {
            if !seen.insert(message) {
                continue;
            }
            for id in ends.query_map([message], |row| row.get(0))? {
                kept.insert(id?);
            }
            for child in children.query_map([message], |row| row.get(0))? {
                pending.push(child?);
            }
        }
        report.kept = sorted(kept);
        Ok(())
    }

    /// Pieces of the removed texts that no row holds. Rows that hold one are noted in `report`.
    fn pieces_of_nobody(
        &self,
        removed: &Removed,
        report: &mut DeleteReport,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let mut kept: BTreeSet<String> = report.kept.drain(..).collect();
        let mut pieces: HashSet<Vec<u8>> = HashSet::new();
        for content in &removed.contents {
            pieces.extend(pieces_of(content));
        }
        let finder = Finder::new(pieces.iter().map(Vec::as_slice));
        let mut held = HashSet::new();
        let messages = self.messages_with(removed, &finder, &mut held)?;
        for message in messages {
            kept.extend(self.conversation_of(message)?);
        }
        report.kept = sorted(kept);
        let others = [
            "SELECT content FROM fragments",
            "SELECT content FROM blobs",
            "SELECT name FROM conversations",
            "SELECT response_json FROM turns WHERE response_json IS NOT NULL",
            "SELECT provider_metadata FROM messages WHERE provider_metadata IS NOT NULL",
            "SELECT content FROM schemas",
            "SELECT description || input_schema FROM tools",
            "SELECT path FROM attachments UNION ALL SELECT url FROM attachments",
            "SELECT source FROM fragments UNION ALL SELECT record FROM setups",
        ];
        for sql in others {
            let mut statement = self.db.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Ok(Some(bytes)) = row.get_ref(0)?.as_bytes_or_null() {
                    finder.find(bytes, &mut held);
                }
            }
        }
        Ok(pieces.into_iter().filter(|piece| !held.contains(piece)).collect())
    }

    /// Messages in which one of the removed texts stands as a whole. Single pieces of them that
    /// stand anywhere are added to `held`.
    fn messages_with(
        &self,
        removed: &Removed,
        finder: &Finder<'_>,
        held: &mut HashSet<Vec<u8>>,
    ) -> Result<BTreeSet<i64>, Error> {
        let (short, long): (Vec<&[u8]>, Vec<&[u8]>) = removed
            .contents
            .iter()
            .map(Vec::as_slice)
            .partition(|content| content.len() < PIECE_BYTES);
        let short: HashSet<&[u8]> = short.into_iter().collect();
        let long = Finder::new(long.into_iter());
        let mut statement = self.db.prepare("SELECT message, text, payload, detail FROM parts")?;
        let mut rows = statement.query([])?;
        let mut messages = BTreeSet::new();
        while let Some(row) = rows.next()? {
            for column in 1..4 {
                let Ok(Some(text)) = row.get_ref(column)?.as_bytes_or_null() else { continue };
                let holds_piece = finder.find(text, held);
                if short.contains(text) || (holds_piece && long.find(text, &mut HashSet::new())) {
                    messages.insert(row.get(0)?);
                }
            }
        }
        Ok(messages)
    }

    /// One conversation that a message belongs to: that of the first turn from there on.
    fn conversation_of(&self, message: i64) -> Result<Option<String>, Error> {
        let mut statement = self.db.prepare_cached(
            "WITH RECURSIVE after(key) AS (
               SELECT ?1 UNION SELECT m.key FROM messages AS m JOIN after ON m.parent = after.key)
             SELECT conversations.id FROM conversations
             JOIN turns ON conversation = conversations.key
             JOIN after ON after.key IN (prompt, turns.tip) LIMIT 1",
        )?;
        Ok(statement.query_row([message], |row| row.get(0)).optional()?)
    }

    /// Whether the index keeps the beginning of a removed word that no word still in it has.
    fn has_signposts(&self, removed: &Removed) -> Result<bool, Error> {
        let mut segments = Vec::new();
        let mut next = self.db.prepare("SELECT min(segid) FROM words_idx WHERE segid > ?1")?;
        let mut last = -1;
        while let Some(segment) = next.query_row([last], |row| row.get::<_, Option<i64>>(0))? {
            segments.push(segment);
            last = segment;
        }
        let mut signpost =
            self.db.prepare("SELECT 1 FROM words_idx WHERE segid = ?1 AND term = ?2")?;
        let mut is_used =
            self.db.prepare("SELECT EXISTS (SELECT 1 FROM words WHERE words MATCH ?1)")?;
        for word in tokens(&removed.words)? {
            for end in BEGINNING_BYTES.min(word.len())..=word.len() {
                // The index puts a zero before each word.
                let term = [b"0", &word.as_bytes()[..end]].concat();
                let mut is_signpost = false;
                for segment in &segments {
                    is_signpost |= signpost.exists(params![segment, term])?;
                }
                let letters = &word[..word.floor_char_boundary(end)];
                if is_signpost
                    && !is_used.query_row([format!("\"{letters}\" *")], |row| row.get(0))?
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Writes the full-text index again, so that nothing but words in use is in it.
    fn rewrite_words(&self) -> Result<(), Error> {
        // One segment alone would be left as it is: an empty turn makes a second one.
        self.db.execute("INSERT INTO words(rowid, prompt) VALUES(-1, 'a')", [])?;
        self.db.execute("INSERT INTO words(words) VALUES('optimize')", [])?;
        let sql = "INSERT INTO words(words, rowid, prompt) VALUES('delete', -1, 'a')";
        self.db.execute(sql, [])?;
        Ok(())
    }
}

/// The words of texts as the index has them.
fn tokens(texts: &[String]) -> Result<BTreeSet<String>, Error> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(&format!(
        "CREATE VIRTUAL TABLE words USING fts5(text, content = '', tokenize = \"{TOKENIZER}\");
         CREATE VIRTUAL TABLE terms USING fts5vocab(words, row);"
    ))?;
    let mut insert = db.prepare("INSERT INTO words(text) VALUES(?1)")?;
    for text in texts {
        insert.execute([text])?;
    }
    let mut statement = db.prepare("SELECT term FROM terms")?;
    let terms = statement.query_map([], |row| row.get(0))?;
    Ok(terms.collect::<Result<_, _>>()?)
}

/// `x-wal` beside `x`.
fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Pieces spread evenly over a text; a short one as it is.
fn pieces_of(content: &[u8]) -> Vec<Vec<u8>> {
    if content.len() < PIECE_BYTES {
        // Fewer bytes may stand anywhere by chance.
        return if content.len() >= 8 { vec![content.to_vec()] } else { Vec::new() };
    }
    let last = content.len() - PIECE_BYTES;
    let step = (last / PIECES_MAX).max(PIECE_BYTES);
    let starts = (0..=last).step_by(step).chain([last]);
    starts.map(|at| content[at..at + PIECE_BYTES].to_vec()).collect()
}

/// Finds any of many pieces in one pass: by the first eight bytes, then in full.
struct Finder<'a> {
    pieces: HashMap<[u8; 8], Vec<&'a [u8]>>,
    /// Whether a piece begins with these two bytes: most places are left at once.
    beginnings: Vec<bool>,
}

impl<'a> Finder<'a> {
    fn new(pieces: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut finder = Finder { pieces: HashMap::new(), beginnings: vec![false; 1 << 16] };
        for piece in pieces {
            if let Some(first) = piece.first_chunk::<8>() {
                finder.beginnings[usize::from(u16::from_le_bytes([first[0], first[1]]))] = true;
                finder.pieces.entry(*first).or_default().push(piece);
            }
        }
        finder
    }

    /// Adds the pieces that stand in `bytes` to `found`; whether there are any.
    fn find(&self, bytes: &[u8], found: &mut HashSet<Vec<u8>>) -> bool {
        let mut is_any = false;
        for (at, first) in bytes.windows(8).enumerate() {
            if !self.beginnings[usize::from(u16::from_le_bytes([first[0], first[1]]))] {
                continue;
            }
            let Some(first) = first.first_chunk::<8>() else { continue };
            for piece in self.pieces.get(first).into_iter().flatten() {
                if bytes[at..].starts_with(piece) {
                    is_any = true;
                    found.insert(piece.to_vec());
                }
            }
        }
        is_any
    }
}

/// Whether the file holds any of the pieces.
fn is_in_file(path: &Path, pieces: &[Vec<u8>]) -> Result<bool, Error> {
    if pieces.is_empty() {
        return Ok(false);
    }
    let finder = Finder::new(pieces.iter().map(Vec::as_slice));
    let failed = |reason| Error::File { path: path.to_owned(), reason };
    let mut file = File::open(path).map_err(failed)?;
    let mut block = Vec::with_capacity(BLOCK_BYTES + PIECE_BYTES);
    let mut found = HashSet::new();
    loop {
        let n_read =
            (&mut file).take(BLOCK_BYTES as u64).read_to_end(&mut block).map_err(failed)?;
        if n_read == 0 {
            return Ok(false);
        }
        if finder.find(&block, &mut found) {
            return Ok(true);
        }
        // A piece may stand across the border of two blocks.
        block.drain(..block.len().saturating_sub(PIECE_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_wherever_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let text: Vec<u8> = (0..PIECE_BYTES * 200).map(|at| (at % 251) as u8).collect();
        let pieces = pieces_of(&text);
        assert!((PIECES_MAX..=PIECES_MAX + 2).contains(&pieces.len()), "{}", pieces.len());
        for at in [0, 1, BLOCK_BYTES - 40, BLOCK_BYTES - 8, BLOCK_BYTES, 2 * BLOCK_BYTES + 7] {
            let mut bytes = vec![b'x'; at];
            bytes.extend_from_slice(&text[..PIECE_BYTES]);
            bytes.extend_from_slice(b"xxx");
            std::fs::write(&path, &bytes).unwrap();
            assert!(is_in_file(&path, &pieces).unwrap(), "at {at}");
            bytes.truncate(at + PIECE_BYTES - 1);
            std::fs::write(&path, &bytes).unwrap();
            assert!(!is_in_file(&path, &pieces).unwrap(), "at {at}");
        }
        assert!(pieces_of(b"short").is_empty());
    }
}
