//! Exceptions made in the open: comments that read `tidy: RULE: reason`.

use super::Violation;
use super::source::Source;
use std::cell::Cell;

/// What may be excepted, and where its marker stands.
const RULES: &[(&str, &str)] = &[
    ("long", "above a long function, or before the first item of a long file"),
    ("wide", "on the line or the line above"),
    ("path", "on the line or the line above"),
    ("circle", "on the import that closes the circle, or the line above"),
    ("prose", "on the line or the line above"),
];

struct Mark<'a> {
    path: &'a str,
    line: usize,
    rule: &'a str,
    used: Cell<bool>,
}

/// Every marker in the tree.
pub struct Marks<'a> {
    marks: Vec<Mark<'a>>,
}

impl<'a> Marks<'a> {
    /// Collects the markers, and reports those that name no rule or give no reason.
    pub fn read(sources: &[Source<'a>], found: &mut Vec<Violation>) -> Self {
        let mut marks = Vec::new();
        for source in sources {
            for comment in &source.comments {
                let Some(rest) = comment.text.trim_start().strip_prefix("tidy:") else { continue };
                let (rule, reason) = rest.split_once(':').unwrap_or((rest, ""));
                let rule = rule.trim();
                if !RULES.iter().any(|(known, _)| *known == rule) {
                    let known: Vec<&str> = RULES.iter().map(|(known, _)| *known).collect();
                    let message =
                        format!("no rule `{rule}` can be excepted, only {}", known.join(", "));
                    found.push(Violation::new(source.path, comment.line, "marks", message));
                } else if reason.trim().is_empty() {
                    let message = format!("the exception wants a reason: `tidy: {rule}: why`");
                    found.push(Violation::new(source.path, comment.line, "marks", message));
                } else {
                    let (path, line) = (source.path, comment.line);
                    marks.push(Mark { path, line, rule, used: Cell::new(false) });
                }
            }
        }
        Self { marks }
    }

    /// Whether a marker for `rule` stands in lines `from..=to` of the file; it then counts as used.
    pub fn except(&self, rule: &str, path: &str, from: usize, to: usize) -> bool {
        let mut any = false;
        for mark in &self.marks {
            if mark.rule == rule && mark.path == path && (from..=to).contains(&mark.line) {
                mark.used.set(true);
                any = true;
            }
        }
        any
    }

    /// Reports markers that excepted nothing.
    pub fn report_unused(&self, found: &mut Vec<Violation>) {
        for mark in self.marks.iter().filter(|m| !m.used.get()) {
            let place = RULES.iter().find(|(rule, _)| *rule == mark.rule).map_or("", |r| r.1);
            let message = format!(
                "this exception from `{}` excepts nothing: remove it (it belongs {place})",
                mark.rule
            );
            found.push(Violation::new(mark.path, mark.line, "marks", message));
        }
    }
}
