//! The model card: README.md of the result in Hugging Face's layout. It states what the model is,
//! its training data, its held-out loss and samples, and claims nothing beyond that.

use super::report::Facts;
use crate::train::training::watch;
use std::fmt::Write;
use wright_data::report::largest_first;
use wright_host::units;

/// Names in a table at most.
const ROWS_MAX: usize = 50;

pub fn card(facts: &Facts<'_>) -> String {
    let plan = facts.plan;
    let mut out = format!(
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n\n# {}\n\n\
         A {} model of {} parameters, trained from nothing with Wright {}.\n\n",
        line(&plan.name()),
        plan.shape.family.name(),
        plan.shape.n_parameters(),
        env!("CARGO_PKG_VERSION")
    );
    result(&mut out, facts);
    data(&mut out, facts);
    samples(&mut out, facts);
    let _ = write!(out, "## Configuration\n\n{}", fenced("toml", plan.text.trim()));
    out
}

fn result(out: &mut String, facts: &Facts<'_>) {
    let tokens = units::count(facts.tokens_learnt());
    let _ = write!(out, "It was trained on {tokens} tokens in {} steps.", facts.step);
    if let Some(last) = facts.history().last() {
        let said = watch::in_words(last.loss, last.bits_per_byte);
        let what = if last.all { "Held-out text" } else { "The first part of the held-out text" };
        let _ = write!(out, " {what}, on which it was not trained, has a loss of {said}.");
    }
    out.push_str(
        " It is a base model that continues text. It can be wrong, and it reflects its training \
         data, good or bad.\n\n",
    );
}

/// Sources and licences, as far as they are known, and checksums of what was learnt from.
fn data(out: &mut String, facts: &Facts<'_>) {
    out.push_str("## Training data\n\n");
    if let Some(report) = facts.data_report {
        for (title, table) in [("licence", &report.licences), ("source", &report.sources)] {
            let rows = largest_first(table);
            if rows.is_empty() {
                continue;
            }
            let _ = writeln!(out, "| {title} | documents | bytes |\n|---|--:|--:|");
            for (name, amount) in rows.iter().take(ROWS_MAX) {
                let (documents, bytes) = (amount.documents, amount.bytes);
                let _ = writeln!(out, "| {} | {documents} | {bytes} |", cell(name));
            }
            if rows.len() > ROWS_MAX {
                let _ = writeln!(out, "| … and {} more | | |", rows.len() - ROWS_MAX);
            }
            out.push('\n');
        }
    }
    out.push_str("| file | documents | tokens | checksum |\n|---|--:|--:|---|\n");
    let shards = facts.plan.config.data.train.iter().zip(&facts.plan.train);
    for (path, shard) in shards {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:016x} |",
            cell(path),
            shard.n_docs(),
            shard.n_ids(),
            shard.checksum()
        );
    }
    for (name, hash) in facts.hashes {
        let _ = writeln!(out, "| {} | | | SHA-256 {hash} |", cell(name));
    }
    out.push('\n');
}

fn samples(out: &mut String, facts: &Facts<'_>) {
    let all = &facts.history().samples;
    let Some(latest) = all.last().map(|sample| sample.step) else { return };
    out.push_str("## Samples\n\n");
    for sample in all.iter().filter(|sample| sample.step == latest) {
        let more = if sample.ended { "" } else { " …" };
        let text = format!("{}{}{more}", sample.prompt, sample.text.trim_end());
        let _ = writeln!(out, "From `{}`:\n\n{}", line(&sample.prompt), fenced("text", &text));
    }
}

/// One line without marks that mean something in Markdown.
fn line(text: &str) -> String {
    let plain = |c: char| if c.is_control() || "`<>[]*_#|\\".contains(c) { ' ' } else { c };
    text.chars().map(plain).collect::<String>().trim().to_owned()
}

/// A name in a table.
fn cell(text: &str) -> String {
    let plain = |c: char| if c.is_control() || "`|".contains(c) { ' ' } else { c };
    format!("`{}`", text.chars().map(plain).collect::<String>().trim())
}

/// A block that nothing in `text` can end.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_inside_their_place() {
        assert_eq!(fenced("", "a ```` b"), "`````\na ```` b\n`````\n");
        assert_eq!(fenced("toml", "x"), "```toml\nx\n```\n");
        assert_eq!(cell("a|b`\n"), "`a b`");
        assert_eq!(line("# [x](y)\n"), "x (y)");
    }
}
