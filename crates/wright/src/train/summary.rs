//! What a person reads when packing is done: what went in, what was dropped, what came out.

use crate::train::tally;
use std::fmt::Write;
use wright_corpus::{DataFolder, REPORT, Tally};
use wright_data::report::{Amount, Half, Report};
use wright_host::units;

/// Licences and kinds of dropped documents that are listed.
const LINES_MAX: usize = 6;

/// What went in and came out, in lines.
pub fn text(data: &DataFolder) -> String {
    let mut said = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut said, data);
    said
}

fn write(to: &mut String, data: &DataFolder) -> std::fmt::Result {
    let report = &data.report;
    tally::write(&Tally::of(report), to)?;
    left_out(to, report)?;
    let mut licences: Vec<(&String, &Amount)> = report.licences.iter().collect();
    licences.sort_by_key(|(name, amount)| (std::cmp::Reverse(amount.bytes), (*name).clone()));
    for (name, amount) in licences.iter().take(LINES_MAX) {
        let bytes = units::bytes(amount.bytes);
        writeln!(to, "licence    {name}: {bytes} in {}", documents(amount.documents))?;
    }
    if licences.len() > LINES_MAX {
        writeln!(to, "           and {} more", licences.len() - LINES_MAX)?;
    }
    let tokenizer = &report.tokenizer;
    writeln!(to, "tokenizer  {} tokens, {}", tokenizer.n_vocab, tokenizer.from)?;
    writeln!(to, "train      {}", half(&report.train))?;
    let split = &report.split;
    writeln!(to, "held out   {}: {}", half(&report.validation), split.how)?;
    if split.passed_over > 0 {
        let n = split.passed_over;
        writeln!(to, "           {n} more also occur elsewhere and were not held out")?;
    }
    let shards = units::number_of((data.train.len() + data.validation.len()) as u64, "shard");
    writeln!(to, "written    {} with {shards} and {REPORT}", data.path.display())?;
    let (tokenizer, manifest) = (data.tokenizer.display(), data.manifest.display());
    writeln!(to, "           {tokenizer}, and {manifest} with each document's source")
}

/// Documents that were dropped, and paragraphs that were taken out, with examples.
fn left_out(to: &mut String, report: &Report) -> std::fmt::Result {
    for dropped in &report.dropped {
        writeln!(
            to,
            "dropped    {} ({}), {}: {}",
            documents(dropped.documents),
            units::bytes(dropped.bytes),
            dropped.reason.name(),
            dropped.meaning
        )?;
        for example in &dropped.examples {
            let repeats = example.repeats.as_ref().map(|of| format!(" repeats {of}"));
            let (source, repeats) = (&example.source, repeats.unwrap_or_default());
            writeln!(to, "           {source} {}{repeats}: {}", example.number, example.text)?;
        }
    }
    let gone = &report.boilerplate;
    if gone.documents > 0 {
        writeln!(
            to,
            "removed    {} that several documents share ({}), from {}",
            units::number_of(gone.paragraphs, "paragraph"),
            units::bytes(gone.bytes),
            documents(gone.documents)
        )?;
        for repeat in &gone.examples {
            let times = units::number_of(repeat.times, "time");
            writeln!(to, "           {times}, kept in {}: {}", repeat.source, repeat.text)?;
        }
    }
    Ok(())
}

fn half(half: &Half) -> String {
    let amount = half.amount;
    format!(
        "{} tokens, {} in {}, {:.2} bytes per token",
        units::count(amount.tokens),
        units::bytes(amount.bytes),
        documents(amount.documents),
        amount.bytes as f64 / amount.tokens.max(1) as f64
    )
}

fn documents(n: u64) -> String {
    units::number_of(n, "document")
}
