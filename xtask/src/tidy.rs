//! `cargo xtask tidy`: the project's rules, as a program.
//!
//! ARCHITECTURE.md, SECURITY.md and the project's style are only useful while they are true, so
//! this reads the tree and reports where they are not. It looks at text: it does not compile or
//! format anything (`rustfmt` and `clippy` do), and it changes no files.
//!
//! A rule may be broken on purpose: a comment `tidy: RULE: reason` on the line, in the comment
//! above the function, or at the head of the file, is an exception. A marker without a reason, or
//! one that is no longer needed, is itself reported.

mod absences;
mod circles;
mod edges;
mod features;
mod lengths;
mod manifest;
mod marks;
mod modules;
mod names;
mod promises;
mod prose;
mod source;
mod spelling;
mod tree;
mod unsafety;
mod wings;
mod wording;
mod words;

#[cfg(test)]
mod tests;

use crate::Failure;
use std::fmt;
use std::path::Path;
use tree::Tree;

/// One place where the tree breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// From 1; 0 where the whole file is meant.
    line: usize,
    rule: &'static str,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line.max(1), self.message, self.rule)
    }
}

/// Every violation in `tree`, in order of place.
fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    let sources = source::read_all(tree);
    let marks = marks::Marks::read(&sources, &mut found);
    edges::check(tree, &mut found);
    features::check(tree, &mut found);
    lengths::check(tree, &sources, &marks, &mut found);
    names::check(tree, &sources, &mut found);
    unsafety::check(&sources, &mut found);
    words::check(tree, &sources, &marks, &mut found);
    absences::check(tree, &sources, &mut found);
    circles::check(&sources, &marks, &mut found);
    wings::check(tree, &sources, &mut found);
    promises::check(tree, &sources, &mut found);
    prose::check(tree, &sources, &marks, &mut found);
    marks.report_unused(&mut found);
    found.sort();
    found.dedup();
    found
}

/// Checks the workspace at `root` and prints what it finds; `Ok(true)` if that is nothing.
///
/// # Errors
/// If the tree cannot be read, or an argument is not known.
pub fn run(root: &Path, args: &[String]) -> Result<bool, Failure> {
    if let Some(arg) = args.first() {
        return Err(format!("tidy takes no arguments, and got `{arg}`").into());
    }
    let tree = Tree::read(root)?;
    let found = check(&tree);
    for violation in &found {
        println!("{violation}");
    }
    match found.len() {
        0 => println!("tidy: {} files, no problems", tree.len()),
        1 => println!("tidy: {} files, 1 problem", tree.len()),
        n => println!("tidy: {} files, {n} problems", tree.len()),
    }
    Ok(found.is_empty())
}
