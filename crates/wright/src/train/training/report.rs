//! `report.html` and `curve.svg`: what a person wants to know of a training, on one page without
//! scripts, fonts or anything else that would have to be fetched.
//!
//! Texts in it come from anywhere (documents, models, file names), so all of them are escaped, and
//! the page forbids itself to load or run anything.

mod curves;
mod data;
mod facts;

use crate::chart::{STYLE, Size, escaped};
use crate::cli::failure::Failure;
use crate::train::training::folder::Folder;
use crate::train::training::history::{History, Sample};
use crate::train::training::setup::Plan;
use std::fmt::Write;
use wright_data::report::Report;
use wright_host::{atomic_file, units};

const PAGE_STYLE: &str = include_str!("report/page.css");
/// What the page may load: nothing. What it may do: look like itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    /// By Ctrl-C.
    Stopped,
    Done,
}

/// The machine that trains.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    pub processor: String,
    pub threads: usize,
    pub memory_bytes: Option<u64>,
    /// Operations a second at best, measured.
    pub peak_flops: f64,
}

/// Everything that the page tells.
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub folder: &'a Folder,
    pub machine: &'a Machine,
    pub state: State,
    /// Steps done.
    pub step: u64,
    pub flops_a_token: f64,
    pub peak_memory: Option<u64>,
    /// What `wright pack` said of the data.
    pub data_report: Option<&'a Report>,
    /// Names of results, and their SHA-256.
    pub hashes: &'a [(String, String)],
}

impl Facts<'_> {
    pub fn history(&self) -> &History {
        self.folder.history()
    }

    pub fn tokens_learnt(&self) -> u64 {
        self.step * (self.plan.config.train.batch * self.plan.shape.n_ctx) as u64
    }
}

/// Writes both files into the run's folder.
///
/// # Errors
/// If one of them cannot be written.
pub fn write(facts: &Facts<'_>) -> Result<(), Failure> {
    let put = |name: &str, text: String| {
        let path = facts.folder.file(name);
        Ok(atomic_file::replace(&path, |to| to.write_all(text.as_bytes()))?)
    };
    let size = Size { width: 720.0, height: 360.0 };
    put("curve.svg", curves::loss(facts.history(), facts.plan.config.train.steps).file(size))?;
    put("report.html", html(facts))
}

fn html(facts: &Facts<'_>) -> String {
    let name = escaped(&facts.plan.name());
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <title>{name}: how it was trained</title>\n<style>\n{PAGE_STYLE}{STYLE}\n</style></head>\
         <body><main>\n"
    );
    head(&mut out, facts);
    samples(&mut out, facts.history());
    curves::section(&mut out, facts);
    data::section(&mut out, facts);
    facts::plan(&mut out, facts);
    facts::model(&mut out, facts);
    facts::usage(&mut out, facts);
    facts::machine(&mut out, facts);
    out.push_str("</main></body></html>\n");
    out
}

fn head(out: &mut String, facts: &Facts<'_>) {
    let (plan, history) = (facts.plan, facts.history());
    let total = plan.config.train.steps;
    let (class, state) = match facts.state {
        State::Done => ("", format!("finished after {total} steps")),
        State::Stopped => (" open", format!("stopped at step {} of {total}", facts.step)),
        State::Running => (" open", format!("in progress: step {} of {total}", facts.step)),
    };
    let _ = write!(
        out,
        "<p class=\"state{class}\">{state}</p><h1>{}</h1>\n<p class=\"lead\">A {} model of {} \
         parameters, trained from nothing on {} with {}.</p>\n<div class=\"figures\">",
        escaped(&plan.name()),
        plan.shape.family.name(),
        units::count(plan.shape.n_parameters() as u64),
        escaped(&facts.machine.processor),
        threads(facts.machine.threads),
    );
    let mut figure = |value: String, label: &str| {
        let _ = write!(out, "<div class=\"figure\"><b>{value}</b><span>{label}</span></div>");
    };
    if let Some(last) = history.last() {
        match last.bits_per_byte {
            Some(bits) => figure(format!("{bits:.3}"), "bits per byte, held-out text"),
            None => figure(format!("{:.3}", last.loss), "nats a token, held-out text"),
        }
    } else if let Some(step) = history.steps.last() {
        figure(format!("{:.3}", step.loss), "nats a token in training");
    }
    figure(units::count(facts.tokens_learnt()), "tokens learnt from");
    figure(units::seconds(history.elapsed_s), "time");
    if let Some(bytes) = facts.peak_memory {
        figure(units::bytes(bytes), "memory at most");
    }
    out.push_str("</div>\n");
    for (_, trouble) in &history.troubles {
        let _ = write!(out, "<p class=\"note\">On the way, {}.</p>", escaped(trouble));
    }
}

fn threads(n: usize) -> String {
    if n == 1 { "one thread".into() } else { format!("{n} threads") }
}

/// What it writes now, then how it came to that.
fn samples(out: &mut String, history: &History) {
    let Some(latest) = history.samples.last().map(|sample| sample.step) else { return };
    let now = history.samples.iter().filter(|sample| sample.step == latest);
    let now: Vec<&Sample> = now.collect();
    out.push_str("<h2>What it writes</h2>\n");
    for sample in &now {
        let _ = writeln!(out, "<p class=\"sample\" dir=\"auto\">{}</p>", written(sample));
    }
    out.push_str(
        "<p class=\"note\">Grey is what it was given; the rest is its own, drawn with a seed \
         that was the same at every step.</p>\n",
    );
    let earlier = |sample: &&Sample| sample.step < latest && sample.prompt == now[0].prompt;
    let growth: Vec<&Sample> = history.samples.iter().filter(earlier).collect();
    if growth.is_empty() {
        return;
    }
    out.push_str("<h2>How it came to that</h2>\n<ol class=\"growth\">");
    for sample in growth.into_iter().chain([now[0]]) {
        let _ = write!(
            out,
            "<li><span class=\"at\">step {}</span><p class=\"sample\" dir=\"auto\">{}</p></li>",
            sample.step,
            written(sample)
        );
    }
    out.push_str("</ol>\n");
}

/// A sample without its blank lines.
fn written(sample: &Sample) -> String {
    let more = if sample.ended { "" } else { " <s>…</s>" };
    let begun = if sample.text.starts_with('\n') { "\n" } else { "" };
    let lines = sample.text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("\n");
    format!("<i>{}</i>{begun}{}{more}", escaped(&sample.prompt), escaped(&text))
}

#[cfg(test)]
mod tests;
