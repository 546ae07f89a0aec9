//! Medians and ratios as a Markdown table, and the page that keeps them.
//!
//! The page has a section for each processor, with one table; a row is known by its model and test,
//! so that a machine may be measured in parts.

use super::goals::{Goal, goal};
use super::measure::Measured;
use crate::Failure;
use crate::wright::said;
use std::fs;
use std::process::Command;

const HEAD: &str = "\
| model | test | unit | Wright | other | ratio | pairs | goal | date |
|---|---|---|---|---|---|---|---|---|
";

/// A table with a row for each comparison.
///
/// # Errors
/// If `date` does not run.
pub fn table(rows: &[Measured]) -> Result<String, Failure> {
    let date = date()?;
    Ok(rows.iter().fold(HEAD.to_owned(), |text, row| text + &line(row, &date)))
}

fn line(row: &Measured, date: &str) -> String {
    let ratio = ratio(row);
    let goal = goal(row).map_or(String::new(), |goal| told(goal, row, ratio));
    let (ours, theirs, n) = (spread(&row.ours), spread(&row.theirs), row.ours.len());
    let (model, test, unit) = (&row.model, &row.test, row.unit);
    format!(
        "| {model} | {test} | {unit} | {ours} | {theirs} | {ratio:.2} | {n} | {goal} | {date} |\n"
    )
}

/// What is wanted, and whether it is missed.
fn told(goal: Goal, row: &Measured, ratio: f64) -> String {
    let missed = if goal.is_met(median(&row.ours), ratio) { "" } else { ", missed" };
    match goal {
        Goal::Ratio(least) => format!("≥ {least}{missed}"),
        Goal::Most(most) => format!("≤ {most} {}{missed}", row.unit),
    }
}

/// How many times better Wright is.
fn ratio(row: &Measured) -> f64 {
    let (ours, theirs) = (median(&row.ours), median(&row.theirs));
    if row.less_is_better { theirs / ours } else { ours / theirs }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The median, with the least and the greatest value.
fn spread(values: &[f64]) -> String {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.1} ({min:.1}–{max:.1})", median(values))
}

/// The page with `rows` in this machine's section, in the place of those with the same names.
///
/// # Errors
/// If `date` does not run.
pub fn merged(page: &str, threads: usize, rows: &[Measured]) -> Result<String, Failure> {
    let heading = format!("## {}, {threads} threads", processor());
    Ok(merge(page, &heading, &table(rows)?))
}

fn merge(page: &str, heading: &str, table: &str) -> String {
    let mut sections: Vec<String> = Vec::new();
    for line in page.lines() {
        if line.starts_with("## ") || sections.is_empty() {
            sections.push(String::new());
        }
        sections.last_mut().into_iter().for_each(|s| *s += &format!("{line}\n"));
    }
    let is_ours = |section: &String| section.lines().next() == Some(heading);
    if !sections.iter().any(is_ours) {
        sections.push(format!("{heading}\n\n{HEAD}"));
    }
    let name = |line: &str| line.split('|').take(3).map(str::to_owned).collect::<Vec<_>>();
    for section in sections.iter_mut().filter(|s| is_ours(s)) {
        let mut lines: Vec<&str> = section.trim_end().lines().collect();
        for new in table.lines().skip(HEAD.lines().count()) {
            match lines.iter_mut().find(|old| name(old) == name(new)) {
                Some(old) => *old = new,
                None => lines.push(new),
            }
        }
        *section = lines.join("\n") + "\n";
    }
    let sections: Vec<&str> = sections.iter().map(|s| s.trim_end()).collect();
    sections.join("\n\n") + "\n"
}

/// Today, as `2026-11-24`.
///
/// # Errors
/// If `date` does not run.
pub fn date() -> Result<String, Failure> {
    let (date, _) = said(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    Ok(date.trim().to_owned())
}

/// The processor by its name and, since names hide much, its family, where Linux tells them.
pub fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let of = |line: &str| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        };
        cpuinfo.lines().find_map(of)
    };
    match (value("model name"), value("cpu family"), value("model")) {
        (Some(name), Some(family), Some(model)) => {
            format!("{name} (family {family}, model {model})")
        }
        (name, ..) => name.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(test: &str, less_is_better: bool) -> Measured {
        let mut row = Measured::new("SmolLM2 Q4_1", test, "u", less_is_better);
        (row.ours, row.theirs) = (vec![30.0, 10.0, 20.0], vec![4.0, 6.0]);
        row
    }

    #[test]
    fn ratios_are_of_medians_and_say_how_much_better() {
        assert_eq!(ratio(&row("t", false)), 4.0);
        assert_eq!(ratio(&row("t", true)), 0.25);
        let met = line(&row("t", false), "today");
        let start = "| SmolLM2 Q4_1 | t | u | 20.0 (10.0–30.0) | 5.0 (4.0–6.0) | 4.00 | 3 |";
        assert!(met.starts_with(start), "{met}");
        assert!(line(&row("pp512", false), "").contains("| ≥ 4 |"));
        assert!(line(&row("load, and one token", true), "").contains("≥ 1, missed"));
    }

    #[test]
    fn rows_replace_those_of_the_same_name_on_the_same_processor() {
        let page = format!("# Title\n\nWords.\n\n## A\n\n{HEAD}| m | t | 1 |\n| m | u | 2 |\n");
        let again = merge(&page, "## A", &format!("{HEAD}| m | u | 3 |\n| n | u | 4 |\n"));
        assert_eq!(again, page.replace("| 2 |", "| 3 |") + "| n | u | 4 |\n");
        let other = merge(&page, "## B", &format!("{HEAD}| m | t | 5 |\n"));
        assert_eq!(other, format!("{page}\n## B\n\n{HEAD}| m | t | 5 |\n"));
    }
}
