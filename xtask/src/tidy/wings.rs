//! The wings of the binary: an arrow only points down the table in ARCHITECTURE.md, and no verb
//! names another verb.
//!
//! Rows of the table whose head has the columns `modules` and `verbs` are levels, from the top
//! down. Modules of one row do not name each other. The crate's root may name all of them.

use super::Violation;
use super::edges::{PAGE, quoted};
use super::modules::{Arrow, Modules, Path};
use super::source::Source;
use super::tree::Tree;
use std::collections::BTreeMap;

const RULE: &str = "wings";
const FOLDER: &str = "crates/wright/src/";

/// The table: the level of each top-level module, and the verbs.
#[derive(Debug, Default)]
struct Table {
    /// With the line of its row.
    levels: BTreeMap<String, (usize, usize)>,
    verbs: Vec<(Path, usize)>,
}

pub fn check(tree: &Tree, sources: &[Source<'_>], found: &mut Vec<Violation>) {
    let modules = Modules::of(FOLDER, sources);
    if modules.paths().all(Vec::is_empty) {
        return;
    }
    let table = read_table(tree.get(PAGE).unwrap_or_default());
    check_rows(&modules, &table, found);
    for arrow in modules.arrows() {
        if let Some(message) = complaint(&table, &arrow) {
            let path = modules.file(&arrow.from).map_or("", |file| file.path);
            found.push(Violation::new(path, arrow.line, RULE, message));
        }
    }
}

fn read_table(page: &str) -> Table {
    let mut table = Table::default();
    let (mut inside, mut level) = (false, 0);
    for (i, line) in page.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        if !line.trim_start().starts_with('|') {
            inside = false;
        } else if cells.len() >= 2 && cells[..2] == ["modules", "verbs"] {
            inside = true;
        } else if inside && cells.len() >= 2 && cells[0].contains('`') {
            level += 1;
            table.levels.extend(quoted(cells[0]).map(|name| (name, (level, i + 1))));
            let path = |verb: String| verb.split("::").map(str::to_owned).collect();
            table.verbs.extend(quoted(cells[1]).map(|verb| (path(verb), i + 1)));
        }
    }
    table
}

/// Every module stands in the table, and all that the table names is there.
fn check_rows(modules: &Modules<'_, '_>, table: &Table, found: &mut Vec<Violation>) {
    for path in modules.paths().filter(|path| path.len() == 1) {
        if !table.levels.contains_key(&path[0]) {
            let message = format!("`{}` has no place in the table of wings in {PAGE}", path[0]);
            let file = modules.file(path).map_or("", |file| file.path);
            found.push(Violation::new(file, 0, RULE, message));
        }
    }
    let named = table.levels.iter().map(|(name, &(_, line))| (vec![name.clone()], line));
    for (path, line) in named.chain(table.verbs.iter().cloned()) {
        if modules.file(&path).is_none() {
            let message = format!("the table names `{}`, and there is none", path.join("::"));
            found.push(Violation::new(PAGE, line, RULE, message));
        }
    }
}

/// What is wrong with an arrow, if anything is.
fn complaint(table: &Table, arrow: &Arrow) -> Option<String> {
    let (Some(from), Some(to)) = (arrow.from.first(), arrow.to.first()) else { return None };
    if from == to {
        return between_verbs(table, arrow);
    }
    let (upper, lower) = (table.levels.get(from)?.0, table.levels.get(to)?.0);
    (upper >= lower).then(|| {
        let way = if upper == lower { "beside" } else { "above" };
        format!("`{from}` may not name `{to}`, which stands {way} it in the table of wings")
    })
}

/// What is wrong with an arrow inside a wing: a verb is named by its wing alone.
fn between_verbs(table: &Table, arrow: &Arrow) -> Option<String> {
    let verb = |path: &Path| table.verbs.iter().find(|(verb, _)| path.starts_with(verb));
    let (to, _) = verb(&arrow.to)?;
    let is_its_own = arrow.from.starts_with(to) || arrow.from.len() < to.len();
    (!is_its_own).then(|| {
        let (from, to) = (arrow.from.join("::"), to.join("::"));
        format!("`{from}` may not name `{to}`: that is a verb; move what both need below them")
    })
}
