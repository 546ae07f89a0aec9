//! The live display of a training run: loss, speed, remaining time and samples.

use crate::cli::failure::Failure;
use crate::terminal;
use crate::terminal::progress::bar_width;
use crate::train::training::sample::Sampled;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};
use wright_host::units;
use wright_train::{Report, Skip};

/// Without a terminal, a line at most this often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Steps over which rates are taken.
const RECENT: usize = 20;
/// The shortest bar that still says something.
const BAR_COLUMNS: usize = 10;
/// Lines of a sample at most, and columns of each.
const SAMPLE_LINES: usize = 8;
const SAMPLE_COLUMNS: usize = 96;

/// What a run is known to take before it starts.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// Steps that were done before, and seconds that they took.
    pub done: u64,
    pub elapsed_s: f64,
    /// What of them went to steps alone.
    pub steps_s: f64,
    pub total: u64,
    pub flops_a_token: f64,
    /// What this machine can compute in a second at best.
    pub peak_flops: f64,
}

/// The progress of a run.
pub struct Live {
    course: Course,
    started: Instant,
    /// When each of the latest steps ended, and its tokens.
    recent: VecDeque<(Instant, usize)>,
    /// When the latest step ended, and what went to other things than steps since the start.
    last_step: Instant,
    apart: Duration,
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
    /// Of what this machine can compute at best.
    peak_share: f64,
    left_s: f64,
}

impl Live {
    pub fn start(course: Course, json: bool) -> Live {
        let now = Instant::now();
        let live = terminal::stderr_is_live() && !json;
        Live {
            course,
            started: now,
            recent: VecDeque::from([(now, 0)]),
            last_step: now,
            apart: Duration::ZERO,
            loss: f64::NAN,
            line_due: now,
            bar: live.then(|| draw(course.done, course.total)),
            json,
        }
    }

    /// Seconds that the run has taken, its earlier parts included.
    pub fn elapsed_s(&self) -> f64 {
        self.course.elapsed_s + self.started.elapsed().as_secs_f64()
    }

    /// What of them went to steps alone.
    fn steps_s(&self) -> f64 {
        self.course.steps_s + (self.started.elapsed() - self.apart).as_secs_f64()
    }

    /// A step has ended. Returns its object for the log.
    ///
    /// # Errors
    /// If stdout, where JSON goes, cannot be written.
    pub fn step(&mut self, report: &Report) -> Result<Value, Failure> {
        self.last_step = Instant::now();
        self.recent.push_back((self.last_step, report.n_tokens));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let pace = self.pace(report.step);
        self.loss =
            if self.loss.is_finite() { self.loss * 0.9 + report.loss * 0.1 } else { report.loss };
        let tenth = |x: f64| (x * 10.0).round() / 10.0;
        let object = json!({
            "step": report.step, "loss": report.loss, "rate": report.rate,
            "gradient_norm": report.gradient_norm, "skipped": report.skipped.map(skip_name),
            "tok_s": pace.tok_s.round(), "gflop_s": tenth(pace.gflop_s),
            "peak_share": (pace.peak_share * 1000.0).round() / 1000.0,
            "elapsed_s": tenth(self.elapsed_s()), "steps_s": tenth(self.steps_s()),
            "left_s": pace.left_s.round(),
        });
        if let Some(skip) = report.skipped {
            self.say(&format!("step {} skipped: {}", report.step, skip_reason(skip)));
        }
        let (step, total) = (report.step, self.course.total);
        if self.json {
            terminal::print(&format!("{object}\n"))?;
        } else if let Some(bar) = &self.bar {
            let counter = 2 * total.to_string().len() + 1;
            let room = usize::from(bar_width()).saturating_sub(BAR_COLUMNS + counter + 4);
            bar.set_position(step);
            bar.set_message(message(self.loss, pace, room));
        } else if Instant::now() >= self.line_due || step == total {
            self.line_due = Instant::now() + LINE_EVERY;
            let said = message(self.loss, pace, usize::MAX);
            let _ = writeln!(io::stderr(), "step {step}/{total}  {said}");
        }
        Ok(object)
    }

    fn pace(&self, step: u64) -> Pace {
        let tokens: usize = self.recent.iter().skip(1).map(|r| r.1).sum();
        let (first, last) = (self.recent[0].0, self.recent[self.recent.len() - 1].0);
        let seconds = (last - first).as_secs_f64().max(1e-9);
        let tok_s = tokens as f64 / seconds;
        let steps = (self.recent.len() - 1) as f64;
        let flop_s = tok_s * self.course.flops_a_token;
        // Samples, checkpoints and the like go on taking what they took so far.
        let here = step.saturating_sub(self.course.done).max(1) as f64;
        let a_step = seconds / steps.max(1.0) + self.apart.as_secs_f64() / here;
        Pace {
            tok_s,
            gflop_s: flop_s / 1e9,
            peak_share: flop_s / self.course.peak_flops,
            left_s: self.course.total.saturating_sub(step) as f64 * a_step,
        }
    }

    /// The time since the last step was not the training's.
    pub fn pause(&mut self) {
        let now = Instant::now();
        self.apart += now - self.last_step;
        self.last_step = now;
        self.recent = VecDeque::from([(now, 0)]);
    }

    /// Something worth knowing, above the bar.
    pub fn say(&self, text: &str) {
        self.above(|| terminal::note(text));
    }

    fn above(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// An object for scripts, or words for people.
    ///
    /// # Errors
    /// If stdout, where JSON goes, cannot be written.
    pub fn tell(&self, object: &Value, words: &str) -> Result<(), Failure> {
        match self.json {
            true => terminal::print(&format!("{object}\n")).map(drop),
            false => {
                self.say(words);
                Ok(())
            }
        }
    }

    /// What the model writes, above the bar.
    ///
    /// # Errors
    /// If stdout, where JSON goes, cannot be written.
    pub fn samples(&self, object: &Value, step: u64, all: &[Sampled]) -> Result<(), Failure> {
        if self.json {
            return terminal::print(&format!("{object}\n")).map(drop);
        }
        let columns = usize::from(bar_width()).clamp(24, SAMPLE_COLUMNS + 2) - 2;
        self.above(|| {
            let mut stderr = io::stderr().lock();
            let _ = writeln!(stderr, "{}", terminal::faint(&format!("sample at step {step}:")));
            for sample in all {
                let _ = writeln!(stderr, "{}", page(sample, columns));
            }
        });
        Ok(())
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A sample as indented lines of at most so many columns, the prompt faint.
fn page(sample: &Sampled, columns: usize) -> String {
    let prompt = terminal::shown(&sample.prompt);
    let text = terminal::shown(&sample.text);
    let mut lines = wrapped(&format!("{prompt}{text}"), columns);
    let cut = lines.len() > SAMPLE_LINES;
    lines.truncate(SAMPLE_LINES);
    if let Some(last) = lines.last_mut()
        && (cut || !sample.ended)
    {
        last.push_str(" …");
    }
    let first = lines.first_mut();
    if let Some((line, rest)) = first.and_then(|line| {
        let rest = line.strip_prefix(prompt.trim_end())?.to_owned();
        Some((line, rest))
    }) {
        *line = format!("{}{rest}", terminal::faint(prompt.trim_end()));
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

/// Lines of whole words, of at most so many columns; blank lines are left out, and a word that is
/// too long is cut.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines().filter(|line| !line.trim().is_empty()) {
        let (mut line, mut width) = (String::new(), 0);
        for word in paragraph.split_whitespace() {
            let word: String = word.chars().take(columns).collect();
            let n = word.chars().count();
            if width > 0 && width + 1 + n > columns {
                lines.push(std::mem::take(&mut line));
                width = 0;
            }
            if width > 0 {
                line.push(' ');
                width += 1;
            }
            line.push_str(&word);
            width += n;
        }
        lines.push(line);
    }
    lines
}

fn skip_name(skip: Skip) -> &'static str {
    match skip {
        Skip::NotFinite => "not-finite",
        Skip::Spike => "spike",
    }
}

fn skip_reason(skip: Skip) -> &'static str {
    match skip {
        Skip::NotFinite => "the loss or its gradient was not finite; the weights are unchanged",
        Skip::Spike => "the gradient or the loss was far above normal; the weights are unchanged",
    }
}

/// The numbers of a line: all of them if they fit into so many columns, else those that matter
/// most.
fn message(loss: f64, pace: Pace, columns: usize) -> String {
    let left = match pace.left_s > 0.0 {
        true => format!("  {} left", units::seconds(pace.left_s)),
        false => String::new(),
    };
    let (loss, tok_s) = (format!("loss {loss:.3}"), units::count(pace.tok_s as u64));
    let Pace { gflop_s, peak_share, .. } = pace;
    let digits = usize::from(gflop_s < 9.95);
    let percent = format!("{:.0}% of peak", peak_share * 100.0);
    let forms = [
        format!("{loss}  {tok_s} tok/s  {gflop_s:.digits$} GFLOP/s, {percent}{left}"),
        format!("{loss}  {tok_s} tok/s  {percent}{left}"),
        format!("{loss}  {tok_s} tok/s{left}"),
        format!("{loss}{left}"),
    ];
    let fits = forms.iter().find(|form| form.chars().count() <= columns);
    fits.unwrap_or(&loss).clone()
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

    const PACE: Pace = Pace { tok_s: 11_111.0, gflop_s: 131.2, peak_share: 0.634, left_s: 123.0 };

    #[test]
    fn a_line_tells_what_fits() {
        let said = message(3.2149, PACE, 80);
        let whole = "loss 3.215  11.1 k tok/s  131 GFLOP/s, 63% of peak  2 min 3 s left";
        assert_eq!(said, whole);
        assert_eq!(
            message(3.2149, PACE, 56),
            "loss 3.215  11.1 k tok/s  63% of peak  2 min 3 s left"
        );
        assert_eq!(message(3.2149, PACE, 44), "loss 3.215  11.1 k tok/s  2 min 3 s left");
        assert_eq!(message(3.2149, PACE, 30), "loss 3.215  2 min 3 s left");
        assert_eq!(message(3.2149, PACE, 3), "loss 3.215");
        draw(3, 10).finish_and_clear();
    }

    #[test]
    fn pace_is_that_of_the_latest_steps_and_time_left_knows_what_else_there_is() {
        let course = Course {
            done: 50,
            elapsed_s: 7.0,
            steps_s: 6.0,
            total: 100,
            flops_a_token: 2e9,
            peak_flops: 40e9,
        };
        let mut live = Live::start(course, true);
        let start = Instant::now();
        let at = |s| (start + Duration::from_secs(s), 10);
        live.recent = VecDeque::from([at(0), at(2), at(4)]);
        let pace = live.pace(60);
        let seen = (pace.tok_s, pace.gflop_s, pace.peak_share, pace.left_s);
        assert_eq!(seen, (5.0, 10.0, 0.25, 80.0));
        live.apart = Duration::from_secs(5);
        assert_eq!(live.pace(60).left_s, 100.0, "half a second a step for samples");
        assert!(live.elapsed_s() >= 7.0);
    }

    #[test]
    fn a_sample_is_a_page_of_whole_words() {
        let sample = Sampled {
            prompt: "The cat".into(),
            text: " sat on the mat.\n\nIt \x1b[2Jwas a very fat cat".into(),
            ended: false,
        };
        let said = page(&sample, 20);
        assert_eq!(said, "  The cat sat on the\n  mat.\n  It ␛[2Jwas a very\n  fat cat …\n");
        assert_eq!(wrapped("abcdefgh ij", 4), ["abcd", "ij"]);
        let long = Sampled { prompt: String::new(), text: "a\n".repeat(20), ended: true };
        assert!(page(&long, 20).ends_with("a …\n"));
        assert_eq!(page(&long, 20).lines().count(), SAMPLE_LINES);
    }
}
