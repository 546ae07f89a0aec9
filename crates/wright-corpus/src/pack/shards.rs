//! Kept texts to shards, with a line in the manifest for each document.

use crate::Work;
use crate::data_folder::{MANIFEST, REPORT, TOKENIZER};
use crate::error::Error;
use crate::pack::collect::{Collected, Record};
use crate::pack::holdout::{self, Held};
use crate::pack::options::PackOptions;
use crate::pack::spool::Texts;
use crate::pack::staging::Staging;
use crate::walk;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use wright_data::duplicates::{hex, text_hash};
use wright_data::holdout::{Part, parts};
use wright_data::licence::UNKNOWN;
use wright_data::report::{
    Amount, Divided, Entry, FORMAT, Half, LicenceFrom, PartOf, Report, Settings, Split, Tokenizer,
    VERSION,
};
use wright_host::{Count, atomic_file};
use wright_train::Vocabulary;
use wright_train::shard::ShardBuilder;

/// A shard is closed when it has this many bytes of ids.
const SHARD_BYTES: usize = 64 << 20;
/// Sources that a report counts one by one.
const SOURCES_MAX: usize = 100;

/// One half of the data while it is written.
struct Shards<'a> {
    split: Split,
    vocabulary: (usize, u64),
    staging: &'a Staging,
    shard: ShardBuilder,
    /// Documents in `shard`.
    index: u64,
    half: Half,
}

impl<'a> Shards<'a> {
    fn new(split: Split, vocabulary: (usize, u64), staging: &'a Staging) -> Result<Self, Error> {
        let shard = ShardBuilder::new(vocabulary.0, vocabulary.1)?;
        Ok(Shards { split, vocabulary, staging, shard, index: 0, half: Half::default() })
    }

    /// The file of the shard that is being filled.
    fn name(&self) -> String {
        let number = self.half.shards.len();
        match (self.split, number) {
            (Split::Train, _) => format!("train-{number:05}.shard"),
            (Split::Validation, 0) => "validation.shard".to_owned(),
            (Split::Validation, _) => format!("validation-{number:05}.shard"),
        }
    }

    /// Adds a document. Returns where it lies.
    fn push(&mut self, ids: &[u32], bytes: u64) -> Result<(String, u64), Error> {
        self.shard.push(ids)?;
        self.half.amount.add(bytes, ids.len() as u64);
        let place = (self.name(), self.index);
        self.index += 1;
        if self.shard.id_bytes() >= SHARD_BYTES {
            self.close()?;
        }
        Ok(place)
    }

    fn close(&mut self) -> Result<(), Error> {
        let name = self.name();
        let path = self.staging.file(&name);
        let next = ShardBuilder::new(self.vocabulary.0, self.vocabulary.1);
        let bytes = std::mem::replace(&mut self.shard, next?).finish();
        atomic_file::replace(&path, |to| to.write_all(&bytes))?;
        self.half.shards.push(name);
        self.index = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Half, Error> {
        if self.index > 0 || self.half.shards.is_empty() {
            self.close()?;
        }
        Ok(self.half)
    }
}

/// What writing needs to know.
pub struct Packing<'a> {
    pub options: &'a PackOptions,
    pub collected: &'a Collected,
    pub texts: &'a Texts,
    pub held: &'a Held,
    pub vocabulary: &'a Vocabulary,
    pub staging: &'a Staging,
}

/// What came of it.
pub struct Written {
    train: Half,
    validation: Half,
    licences: BTreeMap<String, Amount>,
    sources: BTreeMap<String, Amount>,
}

/// A part of a document as ids.
struct Encoded {
    part: Part,
    sha256: String,
    ids: Vec<u32>,
}

impl Packing<'_> {
    /// Writes shards and manifest.
    ///
    /// # Errors
    /// If the disk is full, or the person stopped it.
    pub fn write(&self, work: &Work<'_>) -> Result<Written, Error> {
        let vocabulary = (self.vocabulary.n_vocab(), self.vocabulary.hash());
        let encoder = self.vocabulary.encoder()?;
        let mut train = Shards::new(Split::Train, vocabulary, self.staging)?;
        let mut validation = Shards::new(Split::Validation, vocabulary, self.staging)?;
        let mut manifest = Manifest::create(self.staging.file(MANIFEST))?;
        let (mut licences, mut sources) = (BTreeMap::new(), BTreeMap::new());
        let records = &self.collected.records;
        let total = self.collected.kept_bytes;
        let mut progress = work.reporter.start("encoding", total, Count::Bytes);
        let (mut number, mut done) = (0, 0);
        let encode = |number: u32, text: &str| {
            let held = self.held.get(&number).map(Vec::as_slice).unwrap_or_default();
            let parts = parts(text.len(), held);
            let is_whole = parts.len() == 1;
            let encode = |part: Part| {
                let text = &text[part.from..part.to];
                let hash = match is_whole {
                    true => records[number as usize].hash,
                    false => text_hash(text),
                };
                Encoded { part, sha256: hex(&hash), ids: encoder.document(text) }
            };
            parts.into_iter().map(encode).collect::<Vec<Encoded>>()
        };
        let take = |encoded: Vec<Encoded>| {
            let record: &Record = &records[number];
            number += 1;
            for encoded in encoded {
                let shards = if encoded.part.held_out { &mut validation } else { &mut train };
                let entry = self.pack(record, &encoded, shards, manifest.entries)?;
                for (counts, key) in
                    [(&mut licences, &entry.licence), (&mut sources, &entry.source)]
                {
                    let amount: &mut Amount = counts.entry(key.clone()).or_default();
                    amount.add(entry.bytes, entry.tokens);
                }
                manifest.push(&entry)?;
            }
            done += u64::from(record.len);
            progress.set(done);
            Ok(())
        };
        let written = holdout::each_text(records, self.texts, work, encode, take);
        progress.finish();
        written?;
        manifest.finish()?;
        Ok(Written {
            train: train.finish()?,
            validation: validation.finish()?,
            licences,
            sources: largest(sources),
        })
    }

    /// Puts a document in its shard.
    fn pack(
        &self,
        record: &Record,
        encoded: &Encoded,
        shards: &mut Shards<'_>,
        id: u64,
    ) -> Result<Entry, Error> {
        let part = encoded.part;
        let bytes = (part.to - part.from) as u64;
        let (shard, index) = shards.push(&encoded.ids, bytes)?;
        let (licence, licence_from) = self.licence(record);
        let is_whole = bytes == u64::from(record.len);
        let whole = || PartOf { sha256: hex(&record.hash), from_byte: part.from as u64 };
        Ok(Entry {
            id,
            source: record.path.to_string(),
            number: record.number,
            title: record.title.as_deref().map(str::to_owned),
            origin: record.origin.as_deref().map(str::to_owned),
            licence,
            licence_from,
            bytes,
            sha256: encoded.sha256.clone(),
            part_of: (!is_whole).then(whole),
            boilerplate_bytes: Some(record.boilerplate.into()).filter(|&n: &u64| n > 0),
            split: shards.split,
            shard,
            index,
            tokens: encoded.ids.len() as u64,
        })
    }

    /// The document's own word goes before its folder's, and that before the command line's.
    fn licence(&self, record: &Record) -> (String, LicenceFrom) {
        if let Some(licence) = &record.licence {
            return (licence.to_string(), LicenceFrom::Document);
        }
        if let Some(licence) = self.collected.folders.of(&record.path) {
            return (licence.to_owned(), LicenceFrom::Folder);
        }
        match &self.options.licence {
            Some(licence) => (licence.clone(), LicenceFrom::Option),
            None => (UNKNOWN.to_owned(), LicenceFrom::Nobody),
        }
    }

    /// Writes the tokenizer and, last, the report.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn finish(
        &self,
        written: Written,
        split: Divided,
        tokenizer: Tokenizer,
    ) -> Result<Report, Error> {
        let (options, collected) = (self.options, self.collected);
        let tally = &collected.tally;
        let report = Report {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: format!("wright {}", env!("CARGO_PKG_VERSION")),
            settings: settings(options),
            files: tally.files,
            file_bytes: tally.file_bytes,
            found: tally.found,
            dropped: collected.dropped.clone(),
            boilerplate: collected.boilerplate.clone(),
            skipped: tally.skipped.clone(),
            encodings: tally.encodings.clone(),
            notes: tally.notes.clone(),
            split,
            train: written.train,
            validation: written.validation,
            tokenizer,
            licences: written.licences,
            sources: written.sources,
        };
        let json = self.vocabulary.json().unwrap_or_default();
        self.json(TOKENIZER, &json)?;
        self.json(REPORT, &report)?;
        Ok(report)
    }

    fn json(&self, name: &str, value: &impl serde::Serialize) -> Result<(), Error> {
        let path = self.staging.file(name);
        Ok(atomic_file::replace(&path, |to| {
            serde_json::to_writer_pretty(&mut *to, value)?;
            to.write_all(b"\n")
        })?)
    }
}

fn settings(options: &PackOptions) -> Settings {
    let paths = options.paths.iter().map(|path| walk::name(path)).collect();
    Settings {
        paths,
        tokenizer: options.tokenizer.clone(),
        vocab: options.vocab,
        holdout: options.holdout,
        licence: options.licence.clone(),
        split: options.reading.separator.clone(),
        fields: options.reading.fields.clone(),
        filters: options.filters,
        keep_duplicates: options.keep_duplicates,
        keep_boilerplate: options.keep_boilerplate,
    }
}

/// The largest counts by themselves, the others as one.
fn largest(sources: BTreeMap<String, Amount>) -> BTreeMap<String, Amount> {
    if sources.len() <= SOURCES_MAX {
        return sources;
    }
    let mut all: Vec<(String, Amount)> = sources.into_iter().collect();
    all.sort_by_key(|(name, amount)| (std::cmp::Reverse(amount.bytes), name.clone()));
    let mut others = Amount::default();
    for (_, amount) in all.drain(SOURCES_MAX..) {
        others.documents += amount.documents;
        others.bytes += amount.bytes;
        others.tokens += amount.tokens;
    }
    all.push(("others".to_owned(), others));
    all.into_iter().collect()
}

/// `manifest.jsonl` while it grows.
struct Manifest {
    to: BufWriter<File>,
    path: PathBuf,
    entries: u64,
}

impl Manifest {
    fn create(path: PathBuf) -> Result<Manifest, Error> {
        let file = File::create(&path).map_err(|error| Error::io("make", &path, error))?;
        Ok(Manifest { to: BufWriter::new(file), path, entries: 0 })
    }

    fn push(&mut self, entry: &Entry) -> Result<(), Error> {
        self.entries += 1;
        let mut line = serde_json::to_string(entry).unwrap_or_default();
        line.push('\n');
        let written = self.to.write_all(line.as_bytes());
        written.map_err(|error| Error::io("write", &self.path, error))
    }

    fn finish(mut self) -> Result<(), Error> {
        let written = self.to.flush().and_then(|()| self.to.get_ref().sync_all());
        written.map_err(|error| Error::io("write", &self.path, error))
    }
}
