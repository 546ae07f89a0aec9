//! Medians and ratios as a Markdown table, and the page that keeps them.

use super::measure::Measured;
use crate::Failure;
use crate::wright::said;
use std::fs;
use std::process::Command;

/// A table with a row for each comparison.
pub fn table(rows: &[Measured]) -> String {
    let mut text = String::from(
        "| model | test | unit | Wright | llama.cpp | ratio | pairs |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let what = format!("| {} | {} | {} ", row.model, row.test, row.unit);
        let line = match &row.missing {
            Some(why) => format!("{what}| not measured: {why} | | | |\n"),
            None => {
                let ratio = ratio(row);
                format!(
                    "{what}| {} | {} | {ratio:.2} | {} |\n",
                    spread(&row.ours),
                    spread(&row.theirs),
                    row.ours.len()
                )
            }
        };
        text.push_str(&line);
    }
    text
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

/// The whole of `bench/RESULTS.md`.
///
/// # Errors
/// If `date` does not run.
pub fn page(table: &str, threads: usize, pairs: usize) -> Result<String, Failure> {
    Ok(format!(
        "# Wright beside llama.cpp\n\n\
         {}, {}, {threads} threads.\n\
         Medians (least to greatest) of {pairs} interleaved pairs on the same files; llama.cpp as\n\
         in `llama-cpp-python` 0.3.36, built for this processor. Written by\n\
         `cargo xtask bench-peers --write`.\n\n{table}",
        date()?,
        processor()
    ))
}

/// Today, as `2026-11-24`.
///
/// # Errors
/// If `date` does not run.
pub fn date() -> Result<String, Failure> {
    let (date, _) = said(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    Ok(date.trim().to_owned())
}

/// The processor's name where Linux tells it.
pub fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |name| name.trim_start_matches([' ', '\t', ':']).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(less_is_better: bool, missing: Option<&str>) -> Measured {
        Measured {
            model: "M".to_owned(),
            test: "t".to_owned(),
            unit: "u",
            ours: vec![30.0, 10.0, 20.0],
            theirs: vec![4.0, 6.0],
            less_is_better,
            missing: missing.map(str::to_owned),
        }
    }

    #[test]
    fn ratios_are_of_medians_and_say_how_much_better() {
        assert_eq!(ratio(&row(false, None)), 4.0);
        assert_eq!(ratio(&row(true, None)), 0.25);
        let table = table(&[row(false, None), row(false, Some("no flag"))]);
        assert!(table.contains("| M | t | u | 20.0 (10.0–30.0) | 5.0 (4.0–6.0) | 4.00 | 3 |"));
        assert!(table.contains("not measured: no flag"));
    }
}
