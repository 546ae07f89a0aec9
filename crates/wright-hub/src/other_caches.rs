//! Models that other programs hold on this disk, to be used where they lie.
//!
//! Hugging Face's cache, ollama's store, llama.cpp's cache and LM Studio's folder. Nothing there is
//! ever written or removed: each belongs to its program, which has its own way to do that.

use crate::reference::{Reference, mentions};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Entries of folders that are looked at before giving up: no cache of models has more.
const ENTRIES_MAX: usize = 20_000;

/// A model file of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What to ask for it by: a reference.
    pub id: String,
    pub path: PathBuf,
    /// The program that holds it.
    pub store: &'static str,
    pub bytes: u64,
    /// Where the store names files by their hash.
    pub sha256: Option<String>,
}

impl Found {
    /// Whether this is what `reference` asks for.
    pub fn is(&self, reference: &Reference) -> bool {
        let Reference::HuggingFace { repository, file, .. } = reference else {
            return self.id.eq_ignore_ascii_case(&reference.canonical());
        };
        let Some(rest) = self.id.strip_prefix("hf:") else { return false };
        let Some((own, name)) = rest.split_once(':') else { return false };
        own.eq_ignore_ascii_case(repository)
            && file.as_deref().is_none_or(|wanted| wanted == name || mentions(name, wanted))
    }

    /// How its program removes it.
    pub fn removal(&self) -> String {
        match (self.store, self.id.strip_prefix("ollama:")) {
            ("ollama", Some(id)) => format!("ollama rm {}", id.trim_start_matches("library/")),
            ("Hugging Face", _) => "huggingface-cli delete-cache".to_owned(),
            _ => format!("delete {} yourself", self.path.display()),
        }
    }
}

/// Everything that is found, each file once, by store and name.
pub fn find() -> Vec<Found> {
    find_by(|name| std::env::var_os(name))
}

fn find_by(variable: impl Fn(&str) -> Option<OsString>) -> Vec<Found> {
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = folder("HOME").or_else(|| folder("USERPROFILE"));
    let below = |path: &str| home.as_ref().map(|home| home.join(path));
    let cache = folder("XDG_CACHE_HOME").or_else(|| below(".cache"));
    let in_cache = |path: &str| cache.as_ref().map(|cache| cache.join(path));
    let hub = folder("HF_HUB_CACHE")
        .or_else(|| folder("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| in_cache("huggingface/hub"));
    let ollama = [
        folder("OLLAMA_MODELS"),
        below(".ollama/models"),
        Some(PathBuf::from("/usr/share/ollama/.ollama/models")),
    ];
    let llama = [folder("LLAMA_CACHE"), in_cache("llama.cpp"), below("Library/Caches/llama.cpp")];
    let studio = [below(".lmstudio/models"), in_cache("lm-studio/models")];
    let mut found = Vec::new();
    hub.iter().for_each(|path| hugging_face(path, &mut found));
    ollama.iter().flatten().for_each(|path| in_ollama(path, &mut found));
    llama.iter().flatten().for_each(|path| plain("llama.cpp", path, 1, &mut found));
    studio.iter().flatten().for_each(|path| plain("LM Studio", path, 3, &mut found));
    found.sort_by(|a, b| (a.store, &a.id).cmp(&(b.store, &b.id)));
    found.dedup_by(|a, b| a.id == b.id);
    found
}

/// Files below `folder`, at most `depth` folders deep.
fn files_below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![(folder.to_owned(), depth)];
    let mut n_seen = 0;
    while let Some((folder, depth)) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            n_seen += 1;
            if n_seen > ENTRIES_MAX {
                return files;
            }
            let path = entry.path();
            match path.is_dir() {
                true if depth > 1 => waiting.push((path, depth - 1)),
                true => {}
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}

/// Whether it is a model by its name: whole, first of its parts, and no mere projector.
fn is_model(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.ends_with(".gguf")
        && !["mmproj", "imatrix", "-of-0"].iter().any(|part| name.contains(part))
        && !name.starts_with("ggml-vocab")
}

fn found(id: String, path: PathBuf, store: &'static str) -> Option<Found> {
    let metadata = fs::metadata(&path).ok().filter(|m| m.is_file() && m.len() > 0)?;
    let target = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    let name = target.file_name()?.to_string_lossy().into_owned();
    let hash = name.strip_prefix("sha256-").unwrap_or(&name).to_owned();
    let is_hash = hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
    Some(Found { id, path, store, bytes: metadata.len(), sha256: is_hash.then_some(hash) })
}

/// `models--org--repo/snapshots/REVISION/FILE`, links to blobs that are named by their hash.
fn hugging_face(hub: &Path, all: &mut Vec<Found>) {
    for entry in fs::read_dir(hub).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(repository) = name.strip_prefix("models--") else { continue };
        let repository = repository.replacen("--", "/", 1);
        for path in files_below(&entry.path().join("snapshots"), 4) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_model(&path) {
                all.extend(found(format!("hf:{repository}:{file}"), path, "Hugging Face"));
            }
        }
    }
}

/// `manifests/HOST/NAMESPACE/NAME/TAG` names blobs, among them the model's.
fn in_ollama(models: &Path, all: &mut Vec<Found>) {
    let manifests = models.join("manifests");
    for path in files_below(&manifests, 4) {
        let Ok(relative) = path.strip_prefix(&manifests) else { continue };
        let words: Vec<String> =
            relative.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let [_, namespace, name, tag] = words.as_slice() else { continue };
        let small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() < 1 << 20);
        let text = if small { fs::read_to_string(&path).unwrap_or_default() } else { continue };
        let manifest: Value = serde_json::from_str(&text).unwrap_or_default();
        let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let model = layers.iter().find(|layer| {
            layer["mediaType"].as_str().is_some_and(|kind| kind.ends_with("image.model"))
        });
        let digest = model.and_then(|layer| layer["digest"].as_str()?.strip_prefix("sha256:"));
        let Some(hash) = digest.filter(|h| h.chars().all(|c| c.is_ascii_hexdigit())) else {
            continue;
        };
        let blob = models.join("blobs").join(format!("sha256-{hash}"));
        all.extend(found(format!("ollama:{namespace}/{name}:{tag}"), blob, "ollama"));
    }
}

/// Files that go by their own names.
fn plain(store: &'static str, folder: &Path, depth: usize, all: &mut Vec<Found>) {
    for path in files_below(folder, depth) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if is_model(&path) {
            all.extend(found(stem, path, store));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A home folder in which each program holds a model.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        let hash = "ab".repeat(32);
        let hub = ".cache/huggingface/hub/models--org--a--b";
        write(&at(&format!("{hub}/blobs/{hash}")), "GGUF");
        fs::create_dir_all(at(&format!("{hub}/snapshots/1"))).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(
            at(&format!("{hub}/blobs/{hash}")),
            at(&format!("{hub}/snapshots/1/m-Q4_K_M.gguf")),
        )
        .unwrap();
        write(&at(&format!("{hub}/snapshots/1/mmproj-m.gguf")), "GGUF");
        write(&at(&format!("{hub}/blobs/{hash}.incomplete")), "GG");
        let ollama = ".ollama/models";
        let manifest = format!(
            r#"{{"layers":[{{"mediaType":"application/vnd.ollama.image.model",
            "digest":"sha256:{hash}"}}]}}"#
        );
        write(&at(&format!("{ollama}/manifests/registry.ollama.ai/library/tiny/1b")), &manifest);
        write(&at(&format!("{ollama}/manifests/registry.ollama.ai/library/odd/1b")), "{not json");
        write(&at(&format!("{ollama}/blobs/sha256-{hash}")), "GGUF");
        write(&at(".cache/llama.cpp/org_repo_x-q8_0.gguf"), "GGUF");
        write(&at(".cache/llama.cpp/y.gguf.downloadInProgress"), "GG");
        write(&at(".lmstudio/models/pub/repo/z-Q4_0.gguf"), "GGUF");
        home
    }

    #[test]
    #[cfg(unix)]
    fn what_each_program_holds_is_found_and_nothing_half_written_is() {
        let home = home();
        let all = find_by(|name| (name == "HOME").then(|| home.path().as_os_str().to_owned()));
        let seen: Vec<(&str, &str)> = all.iter().map(|f| (f.store, f.id.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("Hugging Face", "hf:org/a--b:m-Q4_K_M.gguf"),
                ("LM Studio", "z-Q4_0"),
                ("llama.cpp", "org_repo_x-q8_0"),
                ("ollama", "ollama:library/tiny:1b"),
            ]
        );
        assert_eq!(all[0].sha256.as_deref(), Some("ab".repeat(32).as_str()));
        assert_eq!(all[3].sha256, all[0].sha256);
        let is = |index: usize, text: &str| all[index].is(&Reference::parse(text).unwrap());
        assert!(is(0, "org/a--b") && is(0, "hf:org/a--b:Q4_K_M") && !is(0, "org/a--b:Q8_0"));
        assert!(is(3, "ollama://tiny:1b") && !is(3, "ollama://tiny"));
        assert_eq!(all[3].removal(), "ollama rm tiny:1b");
    }

    #[test]
    fn an_empty_home_contains_no_models() {
        let home = tempfile::tempdir().unwrap();
        let all = find_by(|name| (name == "HOME").then(|| home.path().as_os_str().to_owned()));
        assert!(all.iter().all(|found| found.path.starts_with("/usr/share")));
    }
}
