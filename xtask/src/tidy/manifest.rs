//! The parts of a `Cargo.toml` that the rules read: the package's name and its dependencies.
//!
//! It reads the TOML that people write in manifests (tables, dotted keys, inline tables, arrays
//! over several lines) and knows nothing else.

use std::collections::BTreeMap;

/// Which list of a manifest a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Normal,
    Dev,
    Build,
    Workspace,
}

/// One dependency, as its manifest states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub section: Section,
    pub name: String,
    pub line: usize,
    /// It is taken from `[workspace.dependencies]`.
    pub from_workspace: bool,
    /// It is a crate of this repository, by its path.
    pub has_path: bool,
    /// It is there only where a feature asks for it.
    pub is_optional: bool,
    /// A comment on its line, or on the line above, says why it is there.
    pub has_why: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub name: Option<String>,
    pub dependencies: Vec<Dependency>,
    /// What each feature switches on, as it is written.
    pub features: BTreeMap<String, Vec<String>>,
}

impl Manifest {
    pub fn parse(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut table = Vec::new();
        let mut above_is_comment = false;
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        while at < lines.len() {
            let line = at + 1;
            let (mut code, mut comment) = split_comment(lines[at]);
            let mut value = code.to_owned();
            while open_brackets(&value) > 0 && at + 1 < lines.len() {
                at += 1;
                let (more, more_comment) = split_comment(lines[at]);
                value.push_str(more);
                comment = if comment.is_empty() { more_comment } else { comment };
            }
            at += 1;
            code = value.trim();
            if let Some(header) = code.strip_prefix('[').and_then(|c| c.strip_suffix(']')) {
                table = split_key(header.trim_matches(['[', ']']));
                let entry = has_entry_table(&table);
                if let Some((section, name)) = entry {
                    let has_why = above_is_comment || !comment.is_empty();
                    manifest.dependencies.push(named(section, name, line, has_why));
                }
            } else if let Some((key, value)) = code.split_once('=') {
                let why = above_is_comment || !comment.is_empty();
                manifest.read_entry(&table, &split_key(key), value.trim(), line, why);
            }
            above_is_comment = code.is_empty() && !comment.is_empty();
        }
        manifest
    }

    fn read_entry(
        &mut self,
        table: &[String],
        key: &[String],
        value: &str,
        line: usize,
        why: bool,
    ) {
        if table == ["package"] && key == ["name"] {
            self.name = Some(value.trim_matches('"').to_owned());
            return;
        }
        if table == ["features"] {
            let parts = value.split('"').skip(1).step_by(2).map(str::to_owned).collect();
            self.features.insert(key[0].clone(), parts);
            return;
        }
        if has_entry_table(table).is_some() {
            if let (Some(last), [field]) = (self.dependencies.last_mut(), key) {
                last.from_workspace |= field == "workspace" && value == "true";
                last.has_path |= field == "path";
                last.is_optional |= field == "optional" && value == "true";
            }
            return;
        }
        let Some(section) = section_of(table) else { return };
        let mut dependency = named(section, &key[0], line, why);
        match key.get(1).map(String::as_str) {
            Some(field) => {
                dependency.from_workspace = field == "workspace" && value == "true";
                dependency.has_path = field == "path";
            }
            None => {
                dependency.from_workspace = inline_field(value, "workspace") == Some("true");
                dependency.has_path = inline_field(value, "path").is_some();
                dependency.is_optional = inline_field(value, "optional") == Some("true");
            }
        }
        self.dependencies.push(dependency);
    }
}

fn named(section: Section, name: &str, line: usize, has_why: bool) -> Dependency {
    let name = name.to_owned();
    Dependency {
        section,
        name,
        line,
        from_workspace: false,
        has_path: false,
        is_optional: false,
        has_why,
    }
}

/// The list that `[table]` is, if it is one of dependencies.
fn section_of(table: &[String]) -> Option<Section> {
    let last = table.last()?.as_str();
    match (table[0].as_str(), last) {
        ("workspace", "dependencies") if table.len() == 2 => Some(Section::Workspace),
        ("dependencies" | "target", "dependencies") => Some(Section::Normal),
        ("dev-dependencies" | "target", "dev-dependencies") => Some(Section::Dev),
        ("build-dependencies" | "target", "build-dependencies") => Some(Section::Build),
        _ => None,
    }
}

/// For `[dependencies.name]`: the list and the name.
fn has_entry_table(table: &[String]) -> Option<(Section, &str)> {
    let (name, list) = table.split_last()?;
    Some((section_of(list)?, name.as_str()))
}

/// The value of `field` in an inline table.
fn inline_field<'a>(value: &'a str, field: &str) -> Option<&'a str> {
    let inner = value.strip_prefix('{')?.strip_suffix('}')?;
    inner.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == field).then(|| value.trim())
    })
}

/// Splits `a.'b.c'.d` at the dots outside quotes.
fn split_key(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for c in key.trim().chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '.') => parts.push(String::new()),
            (_, c) => parts.last_mut().expect("never empty").push(c),
        }
    }
    parts.iter().map(|p| p.trim().to_owned()).collect()
}

/// Splits a line at the `#` that starts its comment.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '#') => return (line[..at].trim(), line[at + 1..].trim()),
            _ => {}
        }
    }
    (line.trim(), "")
}

fn open_brackets(value: &str) -> i32 {
    let mut quote = None;
    let mut depth = 0;
    for c in value.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            _ => {}
        }
    }
    depth
}
