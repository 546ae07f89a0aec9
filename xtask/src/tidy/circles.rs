//! No circle of files: those of a crate depend on one another in one direction only.
//!
//! A file may name its parents, for what a module shares with its children stands there; every
//! other circle of arrows is reported once, with the files along it.

use super::Violation;
use super::marks::Marks;
use super::modules::{Arrow, Modules, Path};
use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

const RULE: &str = "circle";
pub fn check(sources: &[Source<'_>], marks: &Marks<'_>, found: &mut Vec<Violation>) {
    let folders: BTreeSet<String> = sources.iter().filter_map(|s| source_folder(s.path)).collect();
    for folder in &folders {
        let modules = Modules::of(folder, sources);
        check_crate(&modules, marks, found);
    }
}

/// `crates/wright/src/` of a file in there.
fn source_folder(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["crates", name, "src", ..] => Some(format!("crates/{name}/src/")),
        ["xtask", "src", ..] => Some("xtask/src/".to_owned()),
        _ => None,
    }
}

fn check_crate(modules: &Modules<'_, '_>, marks: &Marks<'_>, found: &mut Vec<Violation>) {
    let all = modules.arrows();
    let groups = groups(&all);
    // An exception counts where its arrow is part of a circle.
    let kept: Vec<Arrow> = all
        .into_iter()
        .filter(|arrow| {
            let inside = groups.get(&arrow.from) == groups.get(&arrow.to);
            let path = modules.file(&arrow.from).map_or("", |file| file.path);
            !(inside && marks.except(RULE, path, arrow.line.saturating_sub(1), arrow.line))
        })
        .collect();
    let groups = self::groups(&kept);
    let mut reported = BTreeSet::new();
    for arrow in &kept {
        let group = groups.get(&arrow.from);
        if group != groups.get(&arrow.to) || !reported.insert(group) {
            continue;
        }
        let way = way_back(&kept, arrow);
        let names: Vec<String> = way.iter().map(|path| path.join("::")).collect();
        let file = modules.file(&arrow.from).map_or("", |file| file.path);
        let message = format!("a circle of files: {}", names.join(" → "));
        found.push(Violation::new(file, arrow.line, RULE, message));
    }
}

/// The shortest circle that `arrow` is part of, from its start back to it.
fn way_back(arrows: &[Arrow], arrow: &Arrow) -> Vec<Path> {
    let mut before: BTreeMap<&Path, &Path> = BTreeMap::new();
    let mut waiting = std::collections::VecDeque::from([&arrow.to]);
    while let Some(at) = waiting.pop_front() {
        if *at == arrow.from {
            break;
        }
        for next in arrows.iter().filter(|a| a.from == *at).map(|a| &a.to) {
            if *next != arrow.to && !before.contains_key(next) {
                before.insert(next, at);
                waiting.push_back(next);
            }
        }
    }
    let mut way = vec![arrow.from.clone()];
    let mut at = &arrow.from;
    while let Some(previous) = before.get(at) {
        at = previous;
        way.push(at.clone());
        if *at == arrow.to {
            break;
        }
    }
    way.push(arrow.from.clone());
    way.reverse();
    way
}

/// A number for each module, equal for those that reach each other (Tarjan 1972; the recursion is
/// as deep as the longest chain of files).
fn groups(arrows: &[Arrow]) -> BTreeMap<Path, usize> {
    let mut next: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().push(&arrow.to);
        next.entry(&arrow.to).or_default();
    }
    let mut search = Search::new(&next);
    for &module in next.keys() {
        if !search.index.contains_key(module) {
            search.visit(module);
        }
    }
    search.groups.into_iter().map(|(path, group)| (path.clone(), group)).collect()
}

struct Search<'p, 'n> {
    next: &'n BTreeMap<&'p Path, Vec<&'p Path>>,
    index: BTreeMap<&'p Path, usize>,
    low: BTreeMap<&'p Path, usize>,
    stack: Vec<&'p Path>,
    groups: BTreeMap<&'p Path, usize>,
}

impl<'p, 'n> Search<'p, 'n> {
    fn new(next: &'n BTreeMap<&'p Path, Vec<&'p Path>>) -> Self {
        let (index, low, groups) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Search { next, index, low, stack: Vec::new(), groups }
    }

    fn visit(&mut self, module: &'p Path) {
        let number = self.index.len();
        self.index.insert(module, number);
        self.low.insert(module, number);
        self.stack.push(module);
        for &to in &self.next[module] {
            if !self.index.contains_key(to) {
                self.visit(to);
                let low = self.low[module].min(self.low[to]);
                self.low.insert(module, low);
            } else if !self.groups.contains_key(to) {
                let low = self.low[module].min(self.index[to]);
                self.low.insert(module, low);
            }
        }
        if self.low[module] == number {
            while let Some(member) = self.stack.pop() {
                self.groups.insert(member, number);
                if member == module {
                    break;
                }
            }
        }
    }
}
