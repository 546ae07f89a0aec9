//! The folder of a run: locked while it trains, with its last checkpoint, its log and its results.
//!
//! ```text
//! checkpoint      the state at the last step that `checkpoint_every` divides
//! interrupted     a later state, where Ctrl-C ended the run
//! log.jsonl       an object for each step, validation and sample
//! report.html     what a person wants to know of the run; curve.svg is its picture
//! model.gguf      the result, for Wright and llama.cpp; during the run the model so far
//! model/          the same in the layout of Hugging Face
//! ```

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::terminal;
use crate::train::training::history::History;
use crate::train::training::setup::Plan;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use wright_host::{Mapped, atomic_file, lock};
use wright_train::checkpoint::Checkpoint;
use wright_train::{Error, Run};

const CHECKPOINT: &str = "checkpoint";
const INTERRUPTED: &str = "interrupted";

/// An open folder.
pub struct Folder {
    path: PathBuf,
    log: Option<File>,
    history: History,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, and locks it.
    ///
    /// # Errors
    /// If it cannot be made, or another training runs in it.
    pub fn open(path: &Path) -> Result<Folder, Failure> {
        let failed = |verb: &str, error: &io::Error| {
            let failure = Failure::io(verb, path, error);
            failure.hint("choose a writable folder with --out")
        };
        fs::create_dir_all(path).map_err(|error| failed("make", &error))?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(path.join(".lock"));
        let lock = lock.map_err(|error| failed("write to", &error))?;
        if !lock::try_lock(&lock).map_err(|error| failed("lock", &error))? {
            let what = format!("another training run is using {}", path.display());
            return Err(Failure::new(Exit::Busy, what)
                .hint("wait for it, stop it with Ctrl-C, or choose another folder with --out"));
        }
        for name in [CHECKPOINT, INTERRUPTED] {
            // What a killed run had half written.
            atomic_file::remove_left_overs(&path.join(name));
        }
        Ok(Folder { path: path.to_owned(), log: None, history: History::default(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The states that are there, the latest first.
    pub fn states(&self) -> Vec<PathBuf> {
        let paths = [INTERRUPTED, CHECKPOINT].map(|name| self.file(name));
        paths.into_iter().filter(|path| path.is_file()).collect()
    }

    /// Where a rollback goes: Ctrl-C's state does not count, so that a run that was interrupted
    /// goes the way of one that was not.
    pub fn checkpoint(&self) -> Option<PathBuf> {
        Some(self.file(CHECKPOINT)).filter(|path| path.is_file())
    }

    /// Saves the state, in the place of the one before.
    ///
    /// # Errors
    /// If it cannot be written; the one before is whole then.
    pub fn save(&self, run: &Run, plan: &Plan, interrupted: bool) -> Result<(), Failure> {
        let path = self.file(if interrupted { INTERRUPTED } else { CHECKPOINT });
        let written = atomic_file::replace(&path, |to| {
            match run.write_checkpoint(to, &plan.text, &plan.data()) {
                Err(Error::Write(error)) => Err(error),
                Err(error) => Err(io::Error::other(error)),
                Ok(()) => Ok(()),
            }
        });
        written.map_err(|error| {
            Failure::from(error).hint(
                "earlier checkpoints are intact: free some space, then continue with --resume",
            )
        })?;
        if !interrupted {
            let _ = fs::remove_file(self.file(INTERRUPTED));
        }
        Ok(())
    }

    /// Opens the log for what comes after `step`; lines beyond it go.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open_log(&mut self, step: u64) -> Result<(), Failure> {
        let path = self.file("log.jsonl");
        let kept = kept_lines(&path, step).unwrap_or_default();
        kept.iter().for_each(|(_, object)| self.history.note(object));
        let kept: String = kept.into_iter().map(|(line, _)| line + "\n").collect();
        atomic_file::replace(&path, |to| to.write_all(kept.as_bytes()))?;
        let log = File::options().append(true).open(&path);
        self.log = Some(log.map_err(|error| Failure::io("write", &path, &error))?);
        Ok(())
    }

    /// What the log tells, what it told before this process included.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Adds an object to the log. A log that cannot be written is said once and given up: it is
    /// no reason to stop a training.
    pub fn log(&mut self, object: &Value) {
        self.history.note(object);
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.write_all(format!("{object}\n").as_bytes()) {
            terminal::note(&format!("log.jsonl ends here: {error}"));
            self.log = None;
        }
    }
}

/// The lines of a log up to `step`, but for those that the end of a run writes again.
fn kept_lines(path: &Path, step: u64) -> io::Result<Vec<(String, Value)>> {
    let mut kept = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        let Ok(object) = serde_json::from_str::<Value>(&line) else { break };
        if object["step"].as_u64().is_none_or(|at| at > step) {
            break;
        }
        if object["done"].is_null() && object["all"].is_null() {
            kept.push((line, object));
        }
    }
    Ok(kept)
}

/// A checkpoint's file.
///
/// # Errors
/// If it cannot be read.
pub fn mapped(path: &Path) -> Result<Mapped, Failure> {
    Ok(Mapped::open(path)?)
}

/// What a mapped checkpoint holds.
///
/// # Errors
/// If it is damaged.
pub fn checkpoint<'m>(path: &Path, mapped: &'m Mapped) -> Result<Checkpoint<'m>, Failure> {
    Checkpoint::read(mapped.as_ref()).map_err(|error| {
        Failure::new(Exit::BadInput, format!("{}: {error}", path.display()))
            .hint("remove that file: an earlier checkpoint is used if there is one")
    })
}
