//! Heavy dependencies of the binary: off in a plain build, on with `full`.

use super::Violation;
use super::manifest::Manifest;
use super::tree::Tree;
use std::collections::BTreeSet;

const BINARY: &str = "crates/wright/Cargo.toml";
const RULE: &str = "features";

pub fn check(tree: &Tree, found: &mut Vec<Violation>) {
    let Some(text) = tree.get(BINARY) else { return };
    let manifest = Manifest::parse(text);
    if manifest.features.get("default").is_some_and(|parts| !parts.is_empty()) {
        let message = "a plain build has no features: leave `default` out";
        found.push(Violation::new(BINARY, 0, RULE, message));
    }
    let full = switched_on(&manifest, "full");
    for dependency in manifest.dependencies.iter().filter(|d| d.is_optional) {
        if !full.contains(&dependency.name) {
            let message = format!("`{}` is optional, but not part of `full`", dependency.name);
            found.push(Violation::new(BINARY, dependency.line, RULE, message));
        }
    }
}

/// The dependencies that a feature brings, itself or by features that it names.
fn switched_on(manifest: &Manifest, feature: &str) -> BTreeSet<String> {
    let (mut on, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![feature]);
    while let Some(feature) = open.pop() {
        if seen.insert(feature) {
            for part in manifest.features.get(feature).into_iter().flatten() {
                match part.strip_prefix("dep:") {
                    Some(name) => _ = on.insert(name.to_owned()),
                    None => open.push(part),
                }
            }
        }
    }
    on
}
