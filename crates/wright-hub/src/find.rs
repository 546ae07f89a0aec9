//! From a name to what it stands for: a model file on this disk, or where to fetch it from.

use crate::catalogue::{Catalogue, Entry};
use crate::error::{Error, ErrorKind, Hint};
use crate::other_caches::Found;
use crate::receipt;
use crate::reference::Reference;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A model file that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Located {
    /// What to call it.
    pub id: String,
    pub path: PathBuf,
    /// Its entry in the catalogue, if it has one.
    pub entry: Option<Entry>,
    /// The other program that holds it, if one does.
    pub store: Option<Found>,
}

impl Located {
    /// A file, called by its name.
    pub fn at(path: PathBuf) -> Located {
        Located { id: stem(&path), path, ..Located::default() }
    }
}

/// What a name stands for, before anything is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    Here(Located),
    /// Known, but not on this disk.
    Fetchable(Entry),
    /// Known to another place.
    Elsewhere(Reference),
    Folder(PathBuf),
}

/// Everything that a name is looked up in.
pub struct Known<'a> {
    pub catalogue: &'a Catalogue,
    pub models: &'a Path,
    /// Names that the person gave.
    pub aliases: &'a BTreeMap<String, String>,
    /// What other programs hold.
    pub stores: Vec<Found>,
}

/// What `name` stands for: a name that the person gave, a path, a name of the catalogue, a file
/// in the folder of models or in another program's, or a reference to a place elsewhere.
///
/// # Errors
/// If it stands for nothing.
pub fn meaning(known: &Known<'_>, name: &str) -> Result<Meaning, Error> {
    let alias = known.aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    let name = alias.map_or(name, |(_, meant)| meant.as_str());
    let as_path = Path::new(name);
    let is_json = as_path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let is_path = name.contains(['/', '\\']) || is_gguf(as_path) || is_json;
    if is_path && as_path.is_dir() {
        return Ok(folder(as_path));
    }
    if is_path && as_path.exists() {
        return here(as_path.to_owned());
    }
    if let Some(entry) = known.catalogue.find(name) {
        return Ok(of_catalogue(known, entry));
    }
    let kept = kept_files(known.models);
    let is_kept = |path: &&PathBuf| {
        stem(path).eq_ignore_ascii_case(name) || path.file_name() == Some(as_path.as_os_str())
    };
    if let Some(path) = kept.iter().find(is_kept) {
        return here(path.clone());
    }
    if as_path.join(TRAINED).is_file() {
        return Ok(folder(as_path));
    }
    if let Some(reference) = Reference::parse(name) {
        return of_reference(known, reference);
    }
    if let Some(found) = known.stores.iter().find(|found| {
        found.id.eq_ignore_ascii_case(name) || stem(&found.path).eq_ignore_ascii_case(name)
    }) {
        return Ok(held(found));
    }
    if as_path.is_file() {
        return here(as_path.to_owned());
    }
    if is_path {
        return Err(no_file(as_path));
    }
    Err(unknown(known, &kept, name))
}

fn here(path: PathBuf) -> Result<Meaning, Error> {
    Ok(Meaning::Here(Located::at(path)))
}

/// A folder that `wright train` made stands for the model in it, called by the folder's name.
fn folder(path: &Path) -> Meaning {
    let model = path.join(TRAINED);
    match model.is_file() {
        true => Meaning::Here(Located { id: stem(path), path: model, ..Located::default() }),
        false => Meaning::Folder(path.to_owned()),
    }
}

/// The result of a training in its folder.
const TRAINED: &str = "model.gguf";

/// Whether `name` is the folder of a training that is done.
pub fn is_training(name: &str) -> bool {
    Path::new(name).join(TRAINED).is_file()
}

/// A file of another program, used where it lies.
fn held(found: &Found) -> Meaning {
    let (id, path) = (found.id.clone(), found.path.clone());
    Meaning::Here(Located { id, path, entry: None, store: Some(found.clone()) })
}

fn of_catalogue(known: &Known<'_>, entry: &Entry) -> Meaning {
    let id = entry.name.clone();
    let path = known.models.join(&entry.file);
    if is_whole(&path, entry.bytes) {
        return Meaning::Here(Located { id, path, entry: Some(entry.clone()), store: None });
    }
    // The same bytes under another program's roof serve as well.
    let same = |found: &&Found| {
        found.bytes == entry.bytes && found.sha256.as_deref() == Some(entry.sha256.as_str())
    };
    match known.stores.iter().find(same) {
        Some(found) => {
            let (path, store) = (found.path.clone(), Some(found.clone()));
            Meaning::Here(Located { id, path, entry: Some(entry.clone()), store })
        }
        None => Meaning::Fetchable(entry.clone()),
    }
}

fn of_reference(known: &Known<'_>, reference: Reference) -> Result<Meaning, Error> {
    if let Reference::Local(path) = &reference {
        return Err(no_file(path));
    }
    if let Some((_, path)) = receipt::find(known.models, &reference.canonical()) {
        return here(path);
    }
    match known.stores.iter().find(|found| found.is(&reference)) {
        Some(found) => Ok(held(found)),
        None => Ok(Meaning::Elsewhere(reference)),
    }
}

fn no_file(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, format!("file not found: {}", path.display()))
        .advise(Hint::Path)
}

fn unknown(known: &Known<'_>, kept: &[PathBuf], name: &str) -> Error {
    let entries = known.catalogue.entries.iter();
    let names = entries
        .flat_map(|entry| std::iter::once(&entry.name).chain(&entry.aliases).cloned())
        .chain(known.aliases.keys().cloned())
        .chain(kept.iter().map(|path| stem(path)));
    Error::new(ErrorKind::NotFound, format!("unknown model '{name}'"))
        .advise(Hint::Names { asked: name.to_owned(), known: names.collect() })
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
/// With 0 for a length that is not known, any length will do.
pub fn is_whole(path: &Path, bytes: u64) -> bool {
    let fits = |len: u64| bytes == 0 || len == bytes;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && fits(metadata.len()))
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

    fn file_of(meaning: Meaning) -> Located {
        match meaning {
            Meaning::Here(located) => located,
            other => panic!("{other:?}"),
        }
    }

    /// Looks a name up with one other program's file and one name of the person's own.
    fn find(models: &Path, name: &str) -> Result<Meaning, Error> {
        let catalogue = Catalogue::built_in().unwrap();
        let smol = catalogue.find("smollm2").unwrap();
        let found = |id: &str, bytes, sha256| Found {
            id: id.into(),
            path: PathBuf::from("/elsewhere").join(id),
            store: "ollama",
            bytes,
            sha256,
        };
        let stores = vec![
            found("ollama:library/tiny:1b", 4, None),
            found("ollama:library/smol:135m", smol.bytes, Some("0".repeat(64))),
        ];
        let aliases = BTreeMap::from([("mine".to_owned(), "Mine.Q4".to_owned())]);
        meaning(&Known { catalogue: &catalogue, models, aliases: &aliases, stores }, name)
    }

    #[test]
    fn names_paths_and_kept_files() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path();
        let find = |name: &str| find(models, name);
        assert!(matches!(find("smollm2").unwrap(), Meaning::Fetchable(_)));

        let path = models.join("Mine.Q4.gguf");
        fs::write(&path, "x").unwrap();
        for name in ["mine.q4", "Mine.Q4.gguf", "mine", path.to_str().unwrap()] {
            assert_eq!(file_of(find(name).unwrap()).path, path, "{name}");
        }
        let error = find("smolm2").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let Some(Hint::Names { known: names, .. }) = error.hint() else { panic!("{error:?}") };
        assert!(names.iter().any(|name| name == "smollm2"), "{names:?}");
        assert_eq!(find("./none.gguf").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(find("none.gguf").unwrap_err().kind(), ErrorKind::NotFound);
        let folder = models.join("sub");
        fs::create_dir(&folder).unwrap();
        assert!(matches!(find(folder.to_str().unwrap()).unwrap(), Meaning::Folder(_)));
        fs::write(folder.join(TRAINED), "x").unwrap();
        let trained = file_of(find(folder.to_str().unwrap()).unwrap());
        assert_eq!((trained.id.as_str(), trained.path), ("sub", folder.join(TRAINED)));
    }

    #[test]
    fn references_lead_to_what_is_here_before_they_lead_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let find = |name: &str| find(folder.path(), name);
        let held = file_of(find("ollama://tiny:1b").unwrap());
        assert_eq!(held.store.unwrap().store, "ollama");
        assert!(matches!(find("org/repo:Q8_0").unwrap(), Meaning::Elsewhere(_)));
        let receipt = receipt::Receipt {
            file: "r-Q8_0.gguf".into(),
            reference: "hf:org/repo:Q8_0".into(),
            bytes: 1,
            ..receipt::Receipt::default()
        };
        receipt.write(folder.path()).unwrap();
        fs::write(folder.path().join("r-Q8_0.gguf"), "x").unwrap();
        assert_eq!(file_of(find("org/repo:Q8_0").unwrap()).id, "r-Q8_0");
    }

    #[test]
    fn a_file_of_the_wrong_length_is_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::built_in().unwrap();
        let entry = catalogue.find("smollm2").unwrap();
        fs::write(folder.path().join(&entry.file), "cut short").unwrap();
        assert!(matches!(find(folder.path(), "smollm2").unwrap(), Meaning::Fetchable(_)));
    }
}
