//! What a person sees of a training while it runs: loss, rates, time left.

use crate::failure::Failure;
use crate::{terminal, units};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};
use wright_train::{Report, Skip};

/// Without a terminal, a line at most this often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Steps over which rates are taken.
const RECENT: usize = 20;

/// The progress of a run.
pub struct Live {
    total: u64,
    flops_a_token: f64,
    /// When each of the latest steps ended, and its tokens.
    recent: VecDeque<(Instant, usize)>,
    loss: f64,
    line_due: Instant,
    bar: Option<ProgressBar>,
    json: bool,
}

/// Rates over the latest steps.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pace {
    tok_s: f64,
    gflop_s: f64,
    left_s: f64,
}

impl Live {
    pub fn start(done: u64, total: u64, flops_a_token: f64, json: bool) -> Live {
        let now = Instant::now();
        let bar = (terminal::stderr_is_live() && !json).then(|| draw(done, total));
        let recent = VecDeque::from([(now, 0)]);
        Live { total, flops_a_token, recent, loss: f64::NAN, line_due: now, bar, json }
    }

    /// A step has ended. Returns its object for the log.
    ///
    /// # Errors
    /// If stdout, where JSON goes, cannot be written.
    pub fn step(&mut self, report: &Report) -> Result<Value, Failure> {
        self.recent.push_back((Instant::now(), report.n_tokens));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let pace = self.pace(report.step);
        self.loss =
            if self.loss.is_finite() { self.loss * 0.9 + report.loss * 0.1 } else { report.loss };
        let object = json!({
            "step": report.step, "loss": report.loss, "rate": report.rate,
            "gradient_norm": report.gradient_norm, "skipped": report.skipped.map(skip_name),
            "tok_s": pace.tok_s.round(), "gflop_s": (pace.gflop_s * 10.0).round() / 10.0,
        });
        if let Some(skip) = report.skipped {
            self.say(&format!("step {} left out: {}", report.step, skip_reason(skip)));
        }
        if self.json {
            let mut told = object.clone();
            told["left_s"] = json!(pace.left_s.round());
            terminal::print(&format!("{told}\n"))?;
        } else if let Some(bar) = &self.bar {
            bar.set_position(report.step);
            bar.set_message(message(self.loss, pace));
        } else if Instant::now() >= self.line_due || report.step == self.total {
            self.line_due = Instant::now() + LINE_EVERY;
            let (step, total) = (report.step, self.total);
            let _ = writeln!(io::stderr(), "step {step}/{total}  {}", message(self.loss, pace));
        }
        Ok(object)
    }

    fn pace(&self, step: u64) -> Pace {
        let tokens: usize = self.recent.iter().skip(1).map(|r| r.1).sum();
        let (first, last) = (self.recent[0].0, self.recent[self.recent.len() - 1].0);
        let seconds = (last - first).as_secs_f64().max(1e-9);
        let tok_s = tokens as f64 / seconds;
        let steps = (self.recent.len() - 1) as f64;
        let left_s = self.total.saturating_sub(step) as f64 * seconds / steps.max(1.0);
        Pace { tok_s, gflop_s: tok_s * self.flops_a_token / 1e9, left_s }
    }

    /// Time went by that is not the training's.
    pub fn pause(&mut self) {
        self.recent = VecDeque::from([(Instant::now(), 0)]);
    }

    /// Something worth knowing, above the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| terminal::note(text)),
            None => terminal::note(text),
        }
    }

    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn skip_name(skip: Skip) -> &'static str {
    match skip {
        Skip::NotFinite => "not-finite",
        Skip::Spike => "spike",
    }
}

fn skip_reason(skip: Skip) -> &'static str {
    match skip {
        Skip::NotFinite => "the loss or its gradient was not finite; the weights are as before it",
        Skip::Spike => "the gradient or the loss was far above usual; the weights are as before it",
    }
}

fn message(loss: f64, pace: Pace) -> String {
    let left = match pace.left_s > 0.0 {
        true => format!("  {} left", units::seconds(pace.left_s)),
        false => String::new(),
    };
    let tok_s = units::count(pace.tok_s as u64);
    format!("loss {loss:.3}  {tok_s} tok/s  {:.0} GFLOP/s{left}", pace.gflop_s)
}

fn draw(done: u64, total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─");
    bar.set_style(style);
    bar.set_position(done);
    bar.tick();
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_loss_rates_and_time_left() {
        let pace = Pace { tok_s: 11_111.0, gflop_s: 131.2, left_s: 123.0 };
        let said = message(3.2149, pace);
        assert_eq!(said, "loss 3.215  11.1 k tok/s  131 GFLOP/s  2 min 3 s left");
        draw(3, 10).finish_and_clear();
    }

    #[test]
    fn pace_is_that_of_the_latest_steps() {
        let mut live = Live::start(0, 100, 2e9, true);
        let start = Instant::now();
        let at = |s| (start + Duration::from_secs(s), 10);
        live.recent = VecDeque::from([at(0), at(2), at(4)]);
        let pace = live.pace(60);
        assert_eq!((pace.tok_s, pace.gflop_s, pace.left_s), (5.0, 10.0, 80.0));
    }
}
