//! Packed data as a training takes them: shards, the vocabulary, and what a configuration says of
//! them.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use wright_corpus::DataFolder;
use wright_host::Mapped;
use wright_model::Bytes;
use wright_train::run_config::DataConfig;
use wright_train::{Shard, Vocabulary};

/// A folder of packed data, and its vocabulary.
pub struct Packed {
    folder: DataFolder,
    vocabulary: Vocabulary,
}

impl Packed {
    /// # Errors
    /// If it holds no packed data, or a tokenizer that cannot be used.
    pub fn open(folder: &Path) -> Result<Packed, Failure> {
        let folder = DataFolder::open(folder)?;
        let vocabulary = wright_corpus::read_vocabulary(&folder.tokenizer, None)?;
        Ok(Packed { folder, vocabulary })
    }

    /// The shards to learn from, and those held out.
    ///
    /// # Errors
    /// If one of them is damaged.
    pub fn shards(&self) -> Result<(Vec<Shard>, Vec<Shard>), Failure> {
        let open = |paths: &[PathBuf]| -> Result<Vec<Shard>, Failure> {
            paths.iter().map(|path| open_shard(path)).collect()
        };
        Ok((open(&self.folder.train)?, open(&self.folder.validation)?))
    }

    /// Bytes of text of each id.
    pub fn token_bytes(&self) -> Vec<u32> {
        self.vocabulary.token_bytes(self.vocabulary.n_vocab())
    }

    /// What a configuration that lies in `folder` says of these data.
    ///
    /// # Errors
    /// If a path is not text, which TOML cannot hold.
    pub fn config(&self, folder: &Path) -> Result<DataConfig, Failure> {
        let name = |path: &Path| -> Result<String, Failure> {
            let path = from(folder, path);
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| {
                let what = format!("{} is not valid UTF-8", path.display());
                Failure::usage(what).hint("rename that file or its folder")
            })
        };
        let names = |paths: &[PathBuf]| -> Result<Vec<String>, Failure> {
            paths.iter().map(|path| name(path)).collect()
        };
        Ok(DataConfig {
            train: names(&self.folder.train)?,
            validation: names(&self.folder.validation)?,
            tokenizer: Some(name(&self.folder.tokenizer)?),
        })
    }
}

/// A shard of which every byte was read once.
pub fn open_shard(path: &Path) -> Result<Shard, Failure> {
    let bytes: Arc<dyn Bytes> = Arc::new(Mapped::open(path)?);
    let shard = Shard::open(bytes).and_then(|shard| shard.verify().map(|()| shard));
    shard.map_err(|error| {
        Failure::new(Exit::BadInput, format!("{}: {error}", path.display()))
            .hint("recreate it with `wright shard`")
    })
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
    use std::fs;

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
}
