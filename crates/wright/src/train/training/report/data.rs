//! "What went in": the report that `wright pack` left beside the shards, or what the shards
//! themselves tell.

use super::Facts;
use super::facts::table;
use crate::chart::escaped;
use std::collections::BTreeMap;
use std::fmt::Write;
use wright_data::report::{Amount, Boilerplate, Report, Skipped, largest_first};
use wright_host::units;
use wright_train::Shard;

/// Rows of a table that may have any number, and examples of one kind of loss.
const ROWS_MAX: usize = 100;
const EXAMPLES_MAX: usize = 5;

pub fn section(out: &mut String, facts: &Facts<'_>) {
    let plan = facts.plan;
    let (train, held_out) = (amount(&plan.train), amount(&plan.validation));
    out.push_str("<h2>What went in</h2>\n");
    let seen = facts.tokens_learnt() as f64 / train.1.max(1) as f64;
    let in_words = |(documents, tokens)| format!("{documents}, {} tokens", units::count(tokens));
    let mut rows = vec![("documents to learn from", in_words(train))];
    if held_out.0 > 0 {
        rows.push(("documents held out", in_words(held_out)));
    }
    rows.push(("times each was seen", format!("{seen:.2}")));
    table(out, &rows);
    if let Some(report) = facts.data_report {
        packed(out, report);
    }
}

/// Documents and tokens.
fn amount(shards: &[Shard]) -> (u64, u64) {
    let of = |shard: &Shard| (shard.n_docs() as u64, shard.n_ids() as u64);
    shards.iter().map(of).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

/// What `report.json` tells.
fn packed(out: &mut String, report: &Report) {
    let _ = writeln!(out, "<p class=\"note\">Held out: {}.</p>", escaped(&report.split.how));
    amounts(out, "By licence", &report.licences, true);
    amounts(out, "By source", &report.sources, false);
    dropped(out, report);
    boilerplate(out, &report.boilerplate);
    skipped(out, &report.skipped);
}

/// A table of names with documents, bytes and tokens, the largest first.
fn amounts(out: &mut String, title: &str, table: &BTreeMap<String, Amount>, open: bool) {
    let rows = largest_first(table);
    if rows.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<details{}><summary>{title}<span>{}</span></summary><table><thead><tr><th></th>\
         <th class=\"n\">documents</th><th class=\"n\">text</th><th class=\"n\">tokens</th></tr>\
         </thead>",
        if open { " open" } else { "" },
        rows.len()
    );
    for (name, amount) in rows.iter().take(ROWS_MAX) {
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             </tr>",
            escaped(name),
            amount.documents,
            units::bytes(amount.bytes),
            units::count(amount.tokens)
        );
    }
    out.push_str("</table>");
    if rows.len() > ROWS_MAX {
        let _ = write!(out, "<p class=\"note\">… and {} more.</p>", rows.len() - ROWS_MAX);
    }
    out.push_str("</details>\n");
}

/// What was dropped, with examples.
fn dropped(out: &mut String, report: &Report) {
    let sum: u64 = report.dropped.iter().map(|dropped| dropped.documents).sum();
    if sum == 0 {
        return;
    }
    let found = report.found.documents;
    let _ = writeln!(out, "<h3>What was left out: {sum} of {found} documents</h3>");
    for kind in report.dropped.iter().filter(|kind| kind.documents > 0) {
        summary(out, &kind.meaning, &format!("{}, {}", kind.documents, units::bytes(kind.bytes)));
        for example in kind.examples.iter().take(EXAMPLES_MAX) {
            quote(out, &example.text, &example.source);
        }
        out.push_str("</details>\n");
    }
}

/// Paragraphs that were taken out, with examples.
fn boilerplate(out: &mut String, gone: &Boilerplate) {
    if gone.documents == 0 {
        return;
    }
    let (documents, bytes) = (gone.documents, units::bytes(gone.bytes));
    let paragraphs = units::number_of(gone.paragraphs, "paragraph");
    let what = format!("taken out: {paragraphs} that many documents have");
    summary(out, &what, &format!("{documents}, {bytes}"));
    for repeat in gone.examples.iter().take(EXAMPLES_MAX) {
        let times = units::number_of(repeat.times, "time");
        quote(out, &repeat.text, &format!("{times}; kept in {}", repeat.source));
    }
    out.push_str("</details>\n");
}

/// Files that could not be read.
fn skipped(out: &mut String, all: &[Skipped]) {
    for kind in all {
        summary(out, &format!("passed over: {}", kind.reason.name()), &kind.files.to_string());
        for example in kind.examples.iter().take(EXAMPLES_MAX) {
            let _ = write!(out, "<blockquote>{}</blockquote>", escaped(example));
        }
        out.push_str("</details>\n");
    }
}

/// Opens a part that unfolds.
fn summary(out: &mut String, what: &str, amount: &str) {
    let (what, amount) = (escaped(what), escaped(amount));
    let _ = write!(out, "<details><summary>{what}<span>{amount}</span></summary>");
}

fn quote(out: &mut String, text: &str, from: &str) {
    let (text, from) = (escaped(text), escaped(from));
    let _ = write!(out, "<blockquote dir=\"auto\">{text}<br><code>{from}</code></blockquote>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_of_data_is_shown_and_never_obeyed() {
        let evil = "<b onclick=x>&";
        let amount = json!({ "documents": 3, "bytes": 2000, "tokens": 500 });
        let half = json!({ "documents": 3, "bytes": 1, "tokens": 1, "shards": [] });
        let report = json!({
            "format": "wright-data", "version": 1, "program": evil, "files": 1, "file_bytes": 1,
            "settings": { "paths": [evil], "holdout": 0.1, "fields": [], "filters": true,
                "keep_duplicates": false },
            "found": { "documents": 5, "bytes": 1 }, "encodings": {}, "notes": [evil],
            "licences": { "MIT": amount, evil: { "documents": 1, "bytes": 9000 } },
            "sources": { "a.txt": amount },
            "dropped": [
                { "reason": "too-short", "meaning": evil, "documents": 2, "bytes": 10,
                  "examples": [{ "source": evil, "number": 0, "bytes": 1, "text": evil }] },
                { "reason": "mojibake", "meaning": "none", "documents": 0, "bytes": 0,
                  "examples": [] },
            ],
            "boilerplate": { "paragraphs": 1, "documents": 4, "bytes": 3000, "examples": [
                { "source": evil, "number": 0, "times": 4, "bytes": 3000, "text": evil }] },
            "skipped": [{ "reason": "binary", "files": 1, "examples": [evil] }],
            "split": { "holdout": 0.1, "how": evil, "sections": 0, "passed_over": 0 },
            "train": half, "validation": half,
            "tokenizer": { "n_vocab": 1, "hash": evil, "from": evil, "trained_on_bytes": 0 },
        });
        let mut out = String::new();
        packed(&mut out, &Report::parse(&report.to_string()).unwrap());
        assert!(!out.contains("<b "), "{out}");
        assert!(out.contains("2 of 5 documents") && out.contains("2.0 kB"), "{out}");
        assert!(out.contains("1 paragraph that many") && out.contains("4, 3.0 kB"), "{out}");
        assert!(!out.contains("none"), "{out}");
        let (evil_at, mit_at) = (out.find("&lt;b onclick=x&gt;&amp;</td>"), out.find("MIT"));
        assert!(evil_at.unwrap() < mit_at.unwrap(), "the largest first");
    }
}
