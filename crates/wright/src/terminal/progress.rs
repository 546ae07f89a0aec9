//! Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere.

use crate::terminal;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::time::{Duration, Instant};
use wright_host::{Count, Reporter, units};

/// Without a terminal, a line at most this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Reports what libraries do on the terminal.
pub struct Terminal;

impl Reporter for Terminal {
    fn note(&self, text: &str) {
        terminal::note(text);
    }

    fn start(&self, label: &str, total: u64, count: Count) -> Box<dyn wright_host::Progress> {
        Box::new(Progress::start(label, total, count))
    }
}

impl wright_host::Progress for Progress {
    fn set(&mut self, done: u64) {
        Progress::set(self, done);
    }

    fn say(&self, text: &str) {
        Progress::say(self, text);
    }

    fn finish(self: Box<Self>) {
        Progress::finish(*self);
    }
}

/// The progress of one piece of work.
pub struct Progress {
    label: String,
    total: u64,
    count: Count,
    started: Instant,
    line_due: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `total` is what will have been done at the end; `label` says what it is.
    pub fn start(label: &str, total: u64, count: Count) -> Self {
        let started = Instant::now();
        let bar = terminal::stderr_is_live().then(|| draw(label, total, count));
        let progress = Progress {
            label: label.to_owned(),
            total,
            count,
            started,
            line_due: started + LINE_EVERY,
            bar,
        };
        if progress.bar.is_none() {
            let size = if total > 0 { progress.amount(total) } else { String::new() };
            let _ = writeln!(io::stderr(), "{label}: {size} …");
        }
        progress
    }

    /// `done` of the total are done. Values may go down or beyond the total.
    pub fn set(&mut self, done: u64) {
        let done = if self.total > 0 { done.min(self.total) } else { done };
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if Instant::now() >= self.line_due {
            self.line_due = Instant::now() + LINE_EVERY;
            let line = line(&self.label, done, self.total, self.started.elapsed(), self.count);
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// Something to say beside the bar, such as an intermediate result.
    pub fn say(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Takes the bar away; what it was about is said in the line that follows it.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            terminal::BARS.remove(bar);
        }
    }

    fn amount(&self, n: u64) -> String {
        amount(n, self.count)
    }
}

fn amount(n: u64, count: Count) -> String {
    match count {
        Count::Bytes => units::bytes(n),
        Count::Things(name) if n < 10_000 => format!("{n} {name}"),
        Count::Things(name) => format!("{} {name}", units::count(n)),
    }
}

/// A plain line: `label: 40% of 98.4 MB, 12.3 MB/s, 5 s left`.
fn line(label: &str, done: u64, total: u64, elapsed: Duration, count: Count) -> String {
    if total == 0 && done > 0 {
        let rate = done as f64 / elapsed.as_secs_f64().max(1e-9);
        return format!("{label}: {}, {}/s", amount(done, count), amount(rate as u64, count));
    }
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
    let size = amount(total, count);
    let per_s = done as f64 / elapsed.as_secs_f64().max(1e-9);
    if done == 0 {
        return format!("{label}: {percent}% of {size}");
    }
    let rate = match count {
        Count::Bytes => format!("{}/s", units::bytes(per_s as u64)),
        Count::Things(name) if per_s < 100.0 => format!("{per_s:.1} {name}/s"),
        Count::Things(_) => format!("{}/s", amount(per_s as u64, count)),
    };
    if done == total {
        return format!("{label}: {percent}% of {size}, {rate}");
    }
    let left = units::seconds((total - done) as f64 / per_s);
    format!("{label}: {percent}% of {size}, {rate}, {left} left")
}

fn draw(label: &str, total: u64, count: Count) -> ProgressBar {
    let bar = terminal::BARS.add(ProgressBar::new(total));
    let narrow = bar_width() < 70;
    let numbers = match (count, narrow) {
        (Count::Bytes, false) => {
            "{decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left"
        }
        (Count::Bytes, true) => "{percent}% {decimal_bytes_per_sec} {eta}",
        (Count::Things(_), false) => "{human_pos}/{human_len}  {per_sec}  {eta} left  {msg}",
        (Count::Things(_), true) => "{human_pos}/{human_len} {eta} {msg}",
    };
    let template = match narrow {
        false => format!("{{prefix}}  {{wide_bar}}  {numbers}"),
        true => format!("{{wide_bar}} {numbers}"),
    };
    // The template is made of the words above; if it were wrong, the default style still serves.
    let style = ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─");
    bar.set_style(style);
    bar.set_prefix(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Columns of the terminal on stderr.
#[cfg(unix)]
pub fn bar_width() -> u16 {
    rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| size.ws_col)
}

#[cfg(not(unix))]
pub fn bar_width() -> u16 {
    80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_says_rate_and_time_left() {
        let elapsed = Duration::from_secs(4);
        let said = line("smol", 40_000_000, 100_000_000, elapsed, Count::Bytes);
        assert_eq!(said, "smol: 40% of 100.0 MB, 10.0 MB/s, 6.0 s left");
        let said = line("text", 3, 12, elapsed, Count::Things("windows"));
        assert_eq!(said, "text: 25% of 12 windows, 0.8 windows/s, 12 s left");
        let said = line("q", 5_000_000_000, 6_738_415_616, elapsed, Count::Things("values"));
        assert_eq!(said, "q: 74% of 6.7 G values, 1.2 G values/s, 1.4 s left");
        assert_eq!(line("x", 0, 10, elapsed, Count::Bytes), "x: 0% of 10 bytes");
        let whole = line("x", 8, 8, elapsed, Count::Bytes);
        assert_eq!(whole, "x: 100% of 8 bytes, 2 bytes/s");
        assert_eq!(line("x", 0, 0, elapsed, Count::Bytes), "x: 100% of 0 bytes");
    }

    #[test]
    fn templates_are_sound() {
        for count in [Count::Bytes, Count::Things("windows")] {
            draw("label", 10, count).finish_and_clear();
        }
    }
}
