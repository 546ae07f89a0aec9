//! SECURITY.md names the tests that hold its promises: each of them has to exist.

use super::Violation;
use super::source::Source;
use super::tree::Tree;
use std::collections::BTreeSet;

const PAGE: &str = "SECURITY.md";
/// Fewer underscores make a module or a field.
const UNDERSCORES_MIN: usize = 2;

pub fn check(tree: &Tree, sources: &[Source<'_>], found: &mut Vec<Violation>) {
    let Some(page) = tree.get(PAGE) else { return };
    let functions: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.tokens.windows(2))
        .filter(|pair| pair[0].text == "fn")
        .map(|pair| pair[1].text)
        .collect();
    for (i, line) in page.lines().enumerate() {
        let spans = line.split('`').skip(1).step_by(2);
        for name in spans.filter(|span| is_test_name(span) && !functions.contains(span)) {
            let message = format!("no test is called `{name}`");
            found.push(Violation::new(PAGE, i + 1, "promises", message));
        }
    }
}

fn is_test_name(span: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    span.chars().all(is_inner) && span.matches('_').count() >= UNDERSCORES_MIN
}
