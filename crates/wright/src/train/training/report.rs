//! `report.html` and `curve.svg`: the report of a training run, on one page without scripts, fonts
//! or anything else that has to be loaded.
//!
//! Texts in it come from anywhere (documents, models, file names): [`Page`] escapes all of them,
//! and forbids itself to load or run anything.

mod curves;
mod data;
mod facts;

use crate::cli::failure::Failure;
use crate::train::training::folder::Folder;
use crate::train::training::history::{History, Sample};
use crate::train::training::setup::Plan;
use wright_data::report::Report;
use wright_host::{atomic_file, units};
use wright_report::{Page, Passage, Size};

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
    put(
        "curve.svg",
        curves::loss(facts.history(), facts.plan.config.train.steps).to_svg_file(size),
    )?;
    put("report.html", page(facts).to_html())
}

fn page(facts: &Facts<'_>) -> Page {
    let mut page = Page::new(&format!("{}: how it was trained", facts.plan.name()));
    head(&mut page, facts);
    samples(&mut page, facts.history());
    curves::section(&mut page, facts);
    data::section(&mut page, facts);
    facts::plan(&mut page, facts);
    facts::model(&mut page, facts);
    facts::usage(&mut page, facts);
    facts::machine(&mut page, facts);
    page
}

fn head(page: &mut Page, facts: &Facts<'_>) {
    let (plan, history) = (facts.plan, facts.history());
    let total = plan.config.train.steps;
    match facts.state {
        State::Done => page.state(&format!("finished after {total} steps"), false),
        State::Stopped => page.state(&format!("stopped at step {} of {total}", facts.step), true),
        State::Running => page.state(&format!("in progress: step {} of {total}", facts.step), true),
    };
    page.heading(&plan.name()).lead(&format!(
        "A {} model of {} parameters, trained from nothing on {} with {}.",
        plan.shape.family.name(),
        units::count(plan.shape.n_parameters() as u64),
        facts.machine.processor,
        threads(facts.machine.threads),
    ));
    let mut figures = Vec::new();
    let mut figure = |value: String, label: &str| figures.push((value, label.to_owned()));
    if let Some(last) = history.last() {
        match last.bits_per_byte {
            Some(bits) => figure(format!("{bits:.3}"), "bits per byte, held-out text"),
            None => figure(format!("{:.3}", last.loss), "nats per token, held-out text"),
        }
    } else if let Some(step) = history.steps.last() {
        figure(format!("{:.3}", step.loss), "nats per token, training text");
    }
    figure(units::count(facts.tokens_learnt()), "training tokens");
    figure(units::seconds(history.elapsed_s), "time");
    if let Some(bytes) = facts.peak_memory {
        figure(units::bytes(bytes), "peak memory");
    }
    page.key_figures(&figures);
    for (_, trouble) in &history.troubles {
        page.note(&format!("On the way, {trouble}."));
    }
}

fn threads(n: usize) -> String {
    if n == 1 { "one thread".into() } else { format!("{n} threads") }
}

/// What it writes now, then how it came to that.
fn samples(page: &mut Page, history: &History) {
    let Some(latest) = history.samples.last().map(|sample| sample.step) else { return };
    let now = history.samples.iter().filter(|sample| sample.step == latest);
    let now: Vec<&Sample> = now.collect();
    page.section("What it writes");
    for sample in &now {
        page.passage(passage(sample));
    }
    page.note(
        "Grey is what it was given; the rest is its own, drawn with a seed that was the same at \
         every step.",
    );
    let earlier = |sample: &&Sample| sample.step < latest && sample.prompt == now[0].prompt;
    let growth: Vec<&Sample> = history.samples.iter().filter(earlier).collect();
    if growth.is_empty() {
        return;
    }
    page.section("How it came to that");
    let all = growth.into_iter().chain([now[0]]);
    page.passages(all.map(|sample| (format!("step {}", sample.step), passage(sample))));
}

fn passage(sample: &Sample) -> Passage<'_> {
    Passage { given: &sample.prompt, text: &sample.text, goes_on: !sample.ended }
}

#[cfg(test)]
mod tests;
