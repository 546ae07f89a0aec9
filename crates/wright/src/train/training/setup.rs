//! What a run is to do, found out and checked before any time is spent.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::terminal::{self, stdin};
use crate::train::packed::open_shard;
use std::path::{Path, PathBuf};
use wright_corpus::REPORT;
use wright_data::report::Report;
use wright_host::{disk, machine, units};
use wright_model::Cost;
use wright_model::{Rows, SeqId};
use wright_train::memory::Memory;
use wright_train::{ModelShape, RunConfig, Shard, Vocabulary};

/// Left free on the disk beyond what a run needs.
const SPARE_BYTES: u64 = 16 << 20;

/// A run that can begin.
pub struct Plan {
    pub config: RunConfig,
    /// The configuration as it was written.
    pub text: String,
    pub path: PathBuf,
    pub shape: ModelShape,
    pub vocabulary: Vocabulary,
    pub train: Vec<Shard>,
    pub validation: Vec<Shard>,
    pub threads: usize,
    pub recompute: bool,
    pub memory: Memory,
}

impl Plan {
    /// Reads the configuration and opens all that it names.
    ///
    /// # Errors
    /// If anything is wrong with it, its shards, its tokenizer, or this machine's memory.
    pub fn read(path: &Path, threads: Option<usize>) -> Result<Plan, Failure> {
        let text = stdin::file(path)?;
        let within = |error| Failure::from(error).in_file(path);
        let config = RunConfig::parse(&text).map_err(within)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let open = |paths: &[String]| -> Result<Vec<Shard>, Failure> {
            paths.iter().map(|path| open_shard(&folder.join(path))).collect()
        };
        let (train, validation) = (open(&config.data.train)?, open(&config.data.validation)?);
        let mut shape = config.shape().map_err(within)?;
        // The data know their vocabulary; a preset's is only what suits its size.
        shape.n_vocab = config.model.n_vocab.unwrap_or(train[0].n_vocab());
        shape.check().map_err(within)?;
        let vocabulary = vocabulary(&config, folder, &shape)?;
        check_vocabularies(&config, &shape, &vocabulary, [&train, &validation])?;
        let threads = threads.unwrap_or(match config.train.threads {
            0 => machine::usable_processors(),
            n => n,
        });
        let (memory, recompute) = memory(&config, &shape)?;
        let path = path.to_owned();
        Ok(Plan {
            config,
            text,
            path,
            shape,
            vocabulary,
            train,
            validation,
            threads,
            recompute,
            memory,
        })
    }

    /// Where the run goes unless it is told otherwise: beside the configuration, under its name.
    pub fn default_folder(&self) -> PathBuf {
        let folder = self.path.with_extension("");
        if folder == self.path { self.path.with_extension("run") } else { folder }
    }

    /// What the model is called: as its configuration, or as the folder of a `plan.toml`.
    pub fn name(&self) -> String {
        let folder = self.path.parent().and_then(Path::file_name);
        let stem = self.path.file_stem().unwrap_or_default();
        let name = folder.filter(|_| stem == "plan").unwrap_or(stem);
        name.to_string_lossy().into_owned()
    }

    /// Checksums of the training data, in order.
    pub fn data(&self) -> Vec<u64> {
        self.train.iter().map(Shard::checksum).collect()
    }

    /// The report of packed data, where the shards lie in such a folder. One that cannot be read
    /// is no reason not to train: it is said, and left out.
    pub fn data_report(&self) -> Option<Report> {
        let path = self.beside_data(REPORT).filter(|path| path.is_file())?;
        let say = |error: &wright_corpus::Error| {
            let what = "the report of this run will not describe its training data";
            terminal::note(&format!("{what}: {error}"));
        };
        wright_corpus::read_report(&path).inspect_err(say).ok()
    }

    /// A file of the folder that the shards lie in.
    pub fn beside_data(&self, name: &str) -> Option<PathBuf> {
        let shard = self.path.parent()?.join(self.config.data.train.first()?);
        Some(shard.with_file_name(name))
    }

    /// Operations for one token of a step: three times those of the forward pass.
    pub fn flops_a_token(&self, model: &wright_model::Model) -> f64 {
        let n = self.shape.n_ctx;
        let mut rows = Rows::default();
        rows.push(SeqId(0), 0, &vec![0; n], 0..n);
        3.0 * Cost::of(model, &rows, 4).flops as f64 / n as f64
    }

    /// What the run will cost, for the person who starts it.
    pub fn costs(&self, folder: &Path) -> String {
        let (s, t) = (&self.shape, &self.config.train);
        let tokens: u64 = self.train.iter().map(|s| s.n_ids() as u64).sum();
        let documents: usize = self.train.iter().map(Shard::n_docs).sum();
        let learnt = t.steps * (t.batch * s.n_ctx) as u64;
        let memory = self.memory;
        let recompute = if self.recompute { ", recomputed in the backward pass" } else { "" };
        format!(
            "model   {} parameters: {}, {} layers of {}, {} heads ({} for keys), {} tokens{}\n\
             data    {} tokens in {documents} documents\n\
             steps   {} of {} rows of {} = {} tokens, {:.2} times the data\n\
             memory  about {} (weights and optimizer {}, activations {}{recompute})\n\
             disk    {} a checkpoint, {} for the results, in {}\n",
            units::count(s.n_parameters() as u64),
            s.family.name(),
            s.n_layer,
            s.n_embd,
            s.n_head,
            s.n_kv_head,
            s.n_vocab,
            if s.tied { ", tied" } else { "" },
            units::count(tokens),
            t.steps,
            t.batch,
            s.n_ctx,
            units::count(learnt),
            learnt as f64 / tokens as f64,
            units::bytes(memory.bytes()),
            units::bytes(memory.state_bytes),
            units::bytes(memory.activation_bytes),
            units::bytes(self.checkpoint_bytes()),
            units::bytes(self.export_bytes()),
            folder.display(),
        )
    }

    fn checkpoint_bytes(&self) -> u64 {
        12 * self.shape.n_parameters() as u64
    }

    fn export_bytes(&self) -> u64 {
        8 * self.shape.n_parameters() as u64
    }

    /// # Errors
    /// If the disk of `folder` cannot hold what the run will write.
    pub fn check_space(&self, folder: &Path) -> Result<(), Failure> {
        // A checkpoint is replaced by one that is written beside it.
        let need = 2 * self.checkpoint_bytes() + self.export_bytes() + SPARE_BYTES;
        match disk::free_bytes(folder) {
            Some(free) if free < need => {
                let what = format!(
                    "the disk of {} has {} free; this training run writes up to {}",
                    folder.display(),
                    units::bytes(free),
                    units::bytes(need)
                );
                Err(Failure::new(Exit::Io, what)
                    .hint("free some space, or choose a folder on another disk with --out"))
            }
            _ => Ok(()),
        }
    }
}

fn vocabulary(
    config: &RunConfig,
    folder: &Path,
    shape: &ModelShape,
) -> Result<Vocabulary, Failure> {
    match config.data.tokenizer.as_deref() {
        None => Ok(Vocabulary::None),
        Some("bytes") => Ok(Vocabulary::Bytes),
        Some(path) => Ok(wright_corpus::read_vocabulary(&folder.join(path), Some(shape.n_vocab))?),
    }
}

/// # Errors
/// If the model, the tokenizer and the shards are not of one vocabulary.
fn check_vocabularies(
    config: &RunConfig,
    shape: &ModelShape,
    vocabulary: &Vocabulary,
    shards: [&[Shard]; 2],
) -> Result<(), Failure> {
    let paths = config.data.train.iter().chain(&config.data.validation);
    for (path, shard) in paths.zip(shards.into_iter().flatten()) {
        if shard.n_vocab() != shape.n_vocab {
            let what = format!(
                "{path} was made with a vocabulary of {} tokens, and the model has {}",
                shard.n_vocab(),
                shape.n_vocab
            );
            return Err(Failure::new(Exit::BadInput, what).hint(
                "omit n_vocab to use the data's vocabulary, or recreate the shard with `wright \
                 shard`",
            ));
        }
        if *vocabulary != Vocabulary::None && shard.vocab_hash() != vocabulary.hash() {
            let what = format!("{path} was made with another tokenizer than data.tokenizer names");
            return Err(Failure::new(Exit::BadInput, what)
                .hint("name the tokenizer that the shard was made with, or recreate the shard"));
        }
    }
    Ok(())
}

/// The forecast, and whether activations have to be computed again.
fn memory(config: &RunConfig, shape: &ModelShape) -> Result<(Memory, bool), Failure> {
    let t = &config.train;
    let rows = if t.micro_batch == 0 { t.batch } else { t.micro_batch.min(t.batch) };
    let [plain, frugal] = [false, true].map(|again| Memory::forecast(shape, rows, again));
    let free = machine::available_memory().unwrap_or(u64::MAX);
    let (memory, recompute) = match t.recompute {
        Some(true) => (frugal, true),
        Some(false) => (plain, false),
        None if plain.bytes() <= free => (plain, false),
        None => (frugal, true),
    };
    if memory.bytes() > free {
        let what = format!(
            "this training run needs about {} of memory, but only {} are free",
            units::bytes(memory.bytes()),
            units::bytes(free)
        );
        return Err(Failure::new(Exit::Failed, what).hint(
            "set micro_batch to fewer rows than batch: the result is the same except for rounding",
        ));
    }
    Ok((memory, recompute))
}
