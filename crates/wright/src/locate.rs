//! From what `-m` says to a model file on this disk, fetching it first if it is only known by name.

use crate::catalogue::{Catalogue, Entry};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{pull, spelling};
use std::fs;
use std::path::{Path, PathBuf};

/// A model file that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What to call it.
    pub id: String,
    pub path: PathBuf,
    /// Its entry in the catalogue, if it has one.
    pub entry: Option<Entry>,
}

/// What a name stands for, before anything is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    Here(Located),
    /// Known, but not on this disk.
    Fetchable(Entry),
}

/// The file of the model that was asked for, or of the default one; fetched if need be.
///
/// # Errors
/// If there is no such model, or it cannot be fetched.
pub fn model(context: &Context, asked: Option<&str>) -> Result<Located, Failure> {
    let name = match asked {
        Some(name) => name.to_owned(),
        None => context.default_model().0,
    };
    match meaning(&context.catalogue, &context.home.models, &name)? {
        Meaning::Here(located) => Ok(located),
        Meaning::Fetchable(entry) => {
            let path = pull::ensure(&entry, &context.home, &context.interrupt)?;
            Ok(Located { id: entry.name.clone(), path, entry: Some(entry) })
        }
    }
}

/// What `name` stands for: a path, a name of the catalogue, or a file in the folder of models.
///
/// # Errors
/// If it stands for nothing.
pub fn meaning(catalogue: &Catalogue, models: &Path, name: &str) -> Result<Meaning, Failure> {
    let here = |id: &str, path: PathBuf| {
        Ok(Meaning::Here(Located { id: id.to_owned(), path, entry: None }))
    };
    let as_path = Path::new(name);
    if name.contains(['/', '\\']) || is_gguf(as_path) {
        let kept = models.join(as_path.file_name().unwrap_or_default());
        return match as_path {
            path if path.exists() => here(&stem(path), path.to_owned()),
            _ if !name.contains(['/', '\\']) && kept.is_file() => here(&stem(&kept), kept),
            path => Err(Failure::new(Exit::NotFound, format!("no file {}", path.display()))
                .hint("check the path; `wright models` lists models that go by name")),
        };
    }
    if let Some(entry) = catalogue.find(name) {
        let path = models.join(&entry.file);
        return Ok(match is_whole(&path, entry.bytes) {
            true => {
                let (id, entry) = (entry.name.clone(), Some(entry.clone()));
                Meaning::Here(Located { id, path, entry })
            }
            false => Meaning::Fetchable(entry.clone()),
        });
    }
    let kept = kept_files(models);
    if let Some(path) = kept.iter().find(|path| stem(path).eq_ignore_ascii_case(name)) {
        return here(&stem(path), path.clone());
    }
    if as_path.is_file() {
        return here(&stem(as_path), as_path.to_owned());
    }
    Err(unknown(catalogue, &kept, name))
}

fn unknown(catalogue: &Catalogue, kept: &[PathBuf], name: &str) -> Failure {
    let failure = Failure::new(Exit::NotFound, format!("no model is called '{name}'"));
    let stems: Vec<String> = kept.iter().map(|path| stem(path)).collect();
    let known = catalogue
        .entries
        .iter()
        .flat_map(|entry| std::iter::once(&entry.name).chain(&entry.aliases).map(String::as_str));
    match spelling::closest(name, known.chain(stems.iter().map(String::as_str)), 3) {
        Some(close) => failure.hint(format!("did you mean {close}? `wright models` lists all")),
        None => failure.hint("`wright models` lists the names; -m also takes a path to a .gguf"),
    }
}

/// Every model file in the folder of models, sorted by name.
pub fn kept_files(models: &Path) -> Vec<PathBuf> {
    // A folder that does not exist yet holds no models.
    let entries = fs::read_dir(models).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_gguf(path) && path.is_file()).collect();
    files.sort();
    files
}

/// Whether the file is there in its full length. Its hash was checked when it was put there.
pub fn is_whole(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes)
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(meaning: Meaning) -> Located {
        match meaning {
            Meaning::Here(located) => located,
            Meaning::Fetchable(entry) => panic!("{} would be fetched", entry.name),
        }
    }

    #[test]
    fn names_paths_and_kept_files() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path();
        let catalogue = Catalogue::built_in().unwrap();
        let find = |name: &str| meaning(&catalogue, models, name);
        assert!(matches!(find("smollm2").unwrap(), Meaning::Fetchable(_)));

        let path = models.join("Mine.Q4.gguf");
        fs::write(&path, "x").unwrap();
        assert_eq!(here(find("mine.q4").unwrap()).path, path);
        assert_eq!(here(find("Mine.Q4.gguf").unwrap()).path, path);
        assert_eq!(here(find(path.to_str().unwrap()).unwrap()).id, "Mine.Q4");

        let failure = find("smolm2").unwrap_err();
        assert_eq!(failure.exit, Exit::NotFound);
        assert!(failure.hint.unwrap().contains("smollm2"));
        assert_eq!(find("./none.gguf").unwrap_err().exit, Exit::NotFound);
    }

    #[test]
    fn a_file_of_the_wrong_length_is_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::built_in().unwrap();
        let entry = catalogue.find("smollm2").unwrap();
        fs::write(folder.path().join(&entry.file), "cut short").unwrap();
        let found = meaning(&catalogue, folder.path(), "smollm2").unwrap();
        assert!(matches!(found, Meaning::Fetchable(_)));
    }
}
