//! Packed data, as `wright pack` leaves them in a folder: the tokenizer, shards to learn from, and
//! a shard of held-out text.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::shard;
use crate::train::plan;
use std::fs;
use std::path::{Component, Path, PathBuf};
use wright_train::run_config::DataConfig;
use wright_train::{Shard, Vocabulary};

const TOKENIZER: &str = "tokenizer.json";
const VALIDATION: &str = "validation.shard";

/// A folder of packed data.
pub struct Packed {
    folder: PathBuf,
    train: Vec<PathBuf>,
    validation: Option<PathBuf>,
    vocabulary: Vocabulary,
}

impl Packed {
    /// Whether `folder` looks like packed data.
    pub fn is(folder: &Path) -> bool {
        folder.join(TOKENIZER).is_file() && !train_shards(folder).is_empty()
    }

    /// # Errors
    /// If it holds no packed data, or a tokenizer that cannot be used.
    pub fn open(folder: &Path) -> Result<Packed, Failure> {
        let train = train_shards(folder);
        if !Packed::is(folder) {
            let what = format!("{} holds no packed data", folder.display());
            let hint = "`wright pack` makes such a folder of text";
            return Err(Failure::new(Exit::BadInput, what).hint(hint));
        }
        let validation = Some(folder.join(VALIDATION)).filter(|path| path.is_file());
        let vocabulary = shard::vocabulary(&folder.join(TOKENIZER), None)?;
        Ok(Packed { folder: folder.to_owned(), train, validation, vocabulary })
    }

    /// The shards to learn from, and those held out.
    ///
    /// # Errors
    /// If one of them is damaged.
    pub fn shards(&self) -> Result<(Vec<Shard>, Vec<Shard>), Failure> {
        let open = |path: &PathBuf| plan::open_shard(path);
        let train = self.train.iter().map(open).collect::<Result<_, _>>()?;
        let validation = self.validation.iter().map(open).collect::<Result<_, _>>()?;
        Ok((train, validation))
    }

    /// Whether packing into `folder` was finished.
    pub fn is_whole(folder: &Path) -> bool {
        Packed::is(folder)
    }

    /// Bytes of text of each id.
    pub fn token_bytes(&self) -> Vec<u32> {
        self.vocabulary.token_bytes(self.vocabulary.n_vocab())
    }

    /// What a configuration that lies in `folder` says of these data.
    ///
    /// # Errors
    /// If a path is no text, which TOML cannot hold.
    pub fn config(&self, folder: &Path) -> Result<DataConfig, Failure> {
        let name = |path: &Path| -> Result<String, Failure> {
            let path = from(folder, path);
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| {
                let what = format!("{} is no text in UTF-8", path.display());
                Failure::usage(what).hint("rename that file or its folder")
            })
        };
        Ok(DataConfig {
            train: self.train.iter().map(|path| name(path)).collect::<Result<_, _>>()?,
            validation: self.validation.iter().map(|path| name(path)).collect::<Result<_, _>>()?,
            tokenizer: Some(name(&self.folder.join(TOKENIZER))?),
        })
    }
}

fn train_shards(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_train = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("train") && name.ends_with(".shard")
    };
    let mut all: Vec<PathBuf> = entries.filter(is_train).collect();
    all.sort();
    all
}

/// `path` as it is found from `folder`: both exist.
fn from(folder: &Path, path: &Path) -> PathBuf {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let (here, path) = (whole(here), whole(path));
    let shared = here.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    // Only siblings below the root are worth steps upwards.
    if shared < 2 {
        return path;
    }
    let up = here.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(path.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_folder_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("data")).unwrap();
        fs::create_dir_all(at("run/x")).unwrap();
        fs::write(at("data/a.shard"), "").unwrap();
        assert_eq!(from(folder.path(), &at("data/a.shard")), Path::new("data/a.shard"));
        assert_eq!(from(&at("run/x"), &at("data/a.shard")), Path::new("../../data/a.shard"));
    }

    #[test]
    fn a_folder_without_packed_data_is_refused_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Packed::open(folder.path()).err().unwrap();
        assert!(failure.hint.unwrap().contains("wright pack"));
    }
}
