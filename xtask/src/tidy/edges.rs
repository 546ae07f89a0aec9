//! The arrows between rooms: the manifests say exactly what the table in ARCHITECTURE.md says.

use super::Violation;
use super::manifest::{Manifest, Section};
use super::tree::Tree;
use std::collections::{BTreeMap, BTreeSet};

pub const PAGE: &str = "ARCHITECTURE.md";
const ROOT: &str = "Cargo.toml";
const RULE: &str = "edges";

/// A room's row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    line: usize,
    depends_on: BTreeSet<String>,
}

pub fn check(tree: &Tree, found: &mut Vec<Violation>) {
    check_whys(tree, found);
    let crates = read_crates(tree, found);
    check_workspace_keys(&crates, found);
    let Some(page) = tree.get(PAGE) else {
        found.push(Violation::new(PAGE, 0, RULE, "the page with the table of rooms is missing"));
        return;
    };
    let table = read_table(page);
    if table.is_empty() {
        let message = "there is no table with the columns `crate` and `depends on`";
        found.push(Violation::new(PAGE, 0, RULE, message));
        return;
    }
    compare(&table, &crates, found);
    check_cycles(&crates, found);
}

/// Manifests by the crate's name, with their paths.
type Crates = BTreeMap<String, (String, Manifest)>;

fn read_crates(tree: &Tree, found: &mut Vec<Violation>) -> Crates {
    let mut crates = Crates::new();
    for (path, text) in tree.iter() {
        if !is_member(path) {
            continue;
        }
        let manifest = Manifest::parse(text);
        match manifest.name.clone() {
            Some(name) => {
                crates.insert(name, (path.to_owned(), manifest));
            }
            None => found.push(Violation::new(path, 0, RULE, "the package has no name")),
        }
    }
    crates
}

/// Whether this is the manifest of a member of the workspace.
fn is_member(path: &str) -> bool {
    matches!(
        path.split('/').collect::<Vec<_>>().as_slice(),
        ["crates", _, "Cargo.toml"] | ["xtask", "Cargo.toml"]
    )
}

/// Reads the rows of the table whose head has the columns `crate` and `depends on`.
fn read_table(page: &str) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for (i, line) in page.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        if !line.trim_start().starts_with('|') {
            inside = false;
        } else if cells.len() >= 2 && cells[0] == "crate" && cells[1] == "depends on" {
            inside = true;
        } else if inside && cells.len() >= 2 && cells[0].starts_with('`') {
            let depends_on = quoted(cells[1]).collect();
            if let Some(name) = quoted(cells[0]).next() {
                rows.insert(name, Row { line: i + 1, depends_on });
            }
        }
    }
    rows
}

/// The words in backquotes.
pub fn quoted(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn compare(table: &BTreeMap<String, Row>, crates: &Crates, found: &mut Vec<Violation>) {
    for (name, row) in table {
        let Some((path, manifest)) = crates.get(name) else {
            let message = format!("`{name}` stands in the table, but there is no such crate");
            found.push(Violation::new(PAGE, row.line, RULE, message));
            continue;
        };
        let mut named = BTreeSet::new();
        for dependency in &manifest.dependencies {
            let inside = crates.contains_key(&dependency.name);
            if !inside || !matches!(dependency.section, Section::Normal | Section::Build) {
                continue;
            }
            named.insert(dependency.name.clone());
            if !row.depends_on.contains(&dependency.name) {
                let message = format!(
                    "`{name}` may not depend on `{}`: the table in {PAGE} has no such arrow",
                    dependency.name
                );
                found.push(Violation::new(path, dependency.line, RULE, message));
            }
        }
        for missing in row.depends_on.difference(&named) {
            let message =
                format!("the table says that `{name}` depends on `{missing}`; it does not");
            found.push(Violation::new(PAGE, row.line, RULE, message));
        }
    }
    for (name, (path, _)) in crates.iter().filter(|(name, _)| !table.contains_key(*name)) {
        let message = format!("`{name}` has no row in the table of rooms in {PAGE}");
        found.push(Violation::new(path, 0, RULE, message));
    }
}

/// Dependencies of tests are free, but must not close a circle.
fn check_cycles(crates: &Crates, found: &mut Vec<Violation>) {
    for (name, (path, manifest)) in crates {
        for dependency in manifest.dependencies.iter().filter(|d| d.section == Section::Dev) {
            let mut seen = BTreeSet::new();
            if reaches(crates, &dependency.name, name, &mut seen) {
                let message = format!(
                    "a circle: `{name}` tests with `{}`, which depends on `{name}`",
                    dependency.name
                );
                found.push(Violation::new(path, dependency.line, RULE, message));
            }
        }
    }
}

fn reaches(crates: &Crates, from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
    if from == to {
        return true;
    }
    let Some((_, manifest)) = crates.get(from) else { return false };
    seen.insert(from.to_owned())
        && manifest.dependencies.iter().any(|d| reaches(crates, &d.name, to, seen))
}

fn check_whys(tree: &Tree, found: &mut Vec<Violation>) {
    let Some(text) = tree.get(ROOT) else { return };
    for dependency in Manifest::parse(text).dependencies {
        let theirs = dependency.section == Section::Workspace && !dependency.has_path;
        if theirs && !dependency.has_why {
            let message = format!("`{}` wants a comment: why is it needed?", dependency.name);
            found.push(Violation::new(ROOT, dependency.line, "dependencies", message));
        }
    }
}

fn check_workspace_keys(crates: &Crates, found: &mut Vec<Violation>) {
    for (path, manifest) in crates.values() {
        for dependency in manifest.dependencies.iter().filter(|d| !d.from_workspace) {
            let message = format!(
                "`{0}` has to come from the workspace: `{0}.workspace = true`",
                dependency.name
            );
            found.push(Violation::new(path, dependency.line, "dependencies", message));
        }
    }
}
