//! "What went in": the report that `wright pack` left beside the shards, or what the shards
//! themselves tell.

use super::Facts;
use super::facts::table;
use crate::chart::escaped;
use crate::units;
use serde_json::Value;
use std::fmt::Write;
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

/// What `report.json` tells. It is data from outside: what it lacks is left out.
fn packed(out: &mut String, report: &Value) {
    if let Some(how) = report["split"]["how"].as_str() {
        let _ = writeln!(out, "<p class=\"note\">Held out: {}.</p>", escaped(how));
    }
    amounts(out, "By licence", &report["licences"], true);
    amounts(out, "By source", &report["sources"], false);
    dropped(out, report);
    skipped(out, report);
}

/// A table of names with documents, bytes and tokens, the largest first.
fn amounts(out: &mut String, title: &str, value: &Value, open: bool) {
    let rows = largest_first(value);
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
        let number = |name: &str| amount[name].as_u64().unwrap_or(0);
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             </tr>",
            escaped(name),
            number("documents"),
            units::bytes(number("bytes")),
            units::count(number("tokens"))
        );
    }
    out.push_str("</table>");
    if rows.len() > ROWS_MAX {
        let _ = write!(out, "<p class=\"note\">… and {} more.</p>", rows.len() - ROWS_MAX);
    }
    out.push_str("</details>\n");
}

/// What was dropped, with examples.
fn dropped(out: &mut String, report: &Value) {
    let all = report["dropped"].as_array().map(Vec::as_slice).unwrap_or_default();
    let documents = |value: &Value| value["documents"].as_u64().unwrap_or(0);
    let sum: u64 = all.iter().map(documents).sum();
    if sum == 0 {
        return;
    }
    let found = documents(&report["found"]);
    let _ = writeln!(out, "<h3>What was left out: {sum} of {found} documents</h3>");
    for kind in all.iter().filter(|kind| documents(kind) > 0) {
        let text = |name: &str| escaped(kind[name].as_str().unwrap_or_default());
        let meaning = match kind["meaning"].as_str() {
            Some(_) => text("meaning"),
            None => text("reason"),
        };
        let _ = write!(
            out,
            "<details><summary>{meaning}<span>{}, {}</span></summary>",
            documents(kind),
            units::bytes(kind["bytes"].as_u64().unwrap_or(0))
        );
        for example in kind["examples"].as_array().into_iter().flatten().take(EXAMPLES_MAX) {
            let text = |name: &str| escaped(example[name].as_str().unwrap_or_default());
            let _ = write!(
                out,
                "<blockquote dir=\"auto\">{}<br><code>{}</code></blockquote>",
                text("text"),
                text("source")
            );
        }
        out.push_str("</details>\n");
    }
}

/// Files that could not be read.
fn skipped(out: &mut String, report: &Value) {
    for kind in report["skipped"].as_array().into_iter().flatten() {
        let reason = escaped(kind["reason"].as_str().unwrap_or_default());
        let files = kind["files"].as_u64().unwrap_or(0);
        let _ =
            write!(out, "<details><summary>Passed over: {reason}<span>{files}</span></summary>");
        for example in kind["examples"].as_array().into_iter().flatten().take(EXAMPLES_MAX) {
            let example = escaped(example.as_str().unwrap_or_default());
            let _ = write!(out, "<blockquote>{example}</blockquote>");
        }
        out.push_str("</details>\n");
    }
}

/// What a table of the report says by name, that of the most text first.
pub fn largest_first(table: &Value) -> Vec<(&str, &Value)> {
    let mut rows: Vec<(&str, &Value)> =
        table.as_object().into_iter().flatten().map(|(name, amount)| (&**name, amount)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.1["bytes"].as_u64().unwrap_or(0)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_of_data_is_shown_and_never_obeyed() {
        let evil = "<b onclick=x>&";
        let amount = json!({ "documents": 3, "bytes": 2000, "tokens": 500 });
        let report = json!({
            "found": { "documents": 5 },
            "licences": { "MIT": amount, evil: { "documents": 1, "bytes": 9000 } },
            "sources": { "a.txt": amount },
            "dropped": [
                { "reason": "repeats", "meaning": evil, "documents": 2, "bytes": 10,
                  "examples": [{ "source": evil, "text": evil }] },
                { "reason": "none", "documents": 0, "examples": [] },
            ],
            "skipped": [{ "reason": "binary", "files": 1, "examples": [evil, 7] }],
            "split": { "how": evil },
        });
        let mut out = String::new();
        packed(&mut out, &report);
        assert!(!out.contains("<b "), "{out}");
        assert!(out.contains("2 of 5 documents") && out.contains("2.0 kB"), "{out}");
        let (evil_at, mit_at) = (out.find("&lt;b onclick=x&gt;&amp;</td>"), out.find("MIT"));
        assert!(evil_at.unwrap() < mit_at.unwrap(), "the largest first");
        assert_eq!(largest_first(&report["licences"])[1].0, "MIT");
        let mut nothing = String::new();
        packed(&mut nothing, &json!({ "dropped": 3, "licences": [1], "sources": null }));
        assert_eq!(nothing, "");
    }
}
