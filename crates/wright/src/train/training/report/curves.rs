//! The curves of a training.

use super::{Facts, State};
use crate::train::training::history::History;
use wright_report::{Axis, Chart, Color, Lines, Mark, Page, Plot, Series, Size, round_range};

const WIDE: Size = Size { width: 688.0, height: 340.0 };
const NARROW: Size = Size { width: 350.0, height: 280.0 };
const WIDE_STRIP: Size = Size { width: 688.0, height: 170.0 };
const NARROW_STRIP: Size = Size { width: 350.0, height: 160.0 };

/// Training loss, as it was and smoothed, and that of held-out text, in nats per token.
pub fn loss(history: &History, n_steps: u64) -> Chart {
    // So that the line follows what happens in a fiftieth of the run.
    let smooth = history.smooth_losses(history.steps.len() / 40);
    let raw = history.steps.iter().filter(|step| step.loss.is_finite());
    let raw = raw.map(|step| (step.step as f64, step.loss)).collect();
    let held_out: Vec<(f64, f64)> =
        history.validations.iter().filter(|v| !v.all).map(|v| (v.step as f64, v.loss)).collect();
    let y = loss_range(&smooth, &held_out);
    let named = |name: &str, points: &[(f64, f64)]| match points.last() {
        Some((_, value)) => format!("{name} {value:.3}"),
        None => String::new(),
    };
    let series = vec![
        Series { name: String::new(), color: Color::First, mark: Mark::Band, points: raw },
        Series {
            name: named("training", &smooth),
            color: Color::First,
            mark: Mark::Line,
            points: smooth,
        },
        Series {
            name: named("held-out", &held_out),
            color: Color::Second,
            mark: Mark::Dots,
            points: held_out,
        },
    ];
    let lines = Lines { x: steps_axis(n_steps), y: Axis::new("nats per token", y), series };
    Chart::new("Training and held-out loss by step", Plot::Lines(lines))
}

/// The first steps fall from so high that the rest would be a flat line: they are cut off.
fn loss_range(smooth: &[(f64, f64)], held_out: &[(f64, f64)]) -> std::ops::Range<f64> {
    let all = smooth.iter().chain(held_out).map(|p| p.1);
    let low = all.fold(f64::INFINITY, f64::min);
    let settled = smooth.get(smooth.len() / 40).map_or(low, |p| p.1);
    let high = held_out.iter().map(|p| p.1).fold(settled, f64::max);
    round_range(low, high)
}

fn steps_axis(n_steps: u64) -> Axis {
    Axis { label: "steps".into(), range: 0.0..n_steps.max(1) as f64 }
}

fn bits(history: &History, n_steps: u64) -> Option<Chart> {
    let partial = history.validations.iter().filter(|v| !v.all);
    let points: Vec<(f64, f64)> =
        partial.filter_map(|v| Some((v.step as f64, v.bits_per_byte?))).collect();
    if points.len() < 2 {
        return None;
    }
    let low = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| p.1).fold(0.0, f64::max);
    let series = vec![Series {
        name: format!("held-out {:.3}", points[points.len() - 1].1),
        color: Color::Second,
        mark: Mark::Dots,
        points,
    }];
    let y = Axis::new("bits per byte", round_range(low, high));
    let lines = Lines { x: steps_axis(n_steps), y, series };
    Some(Chart::new("Held-out bits per byte by step", Plot::Lines(lines)))
}

fn rate(history: &History, n_steps: u64) -> Chart {
    let points: Vec<(f64, f64)> =
        history.steps.iter().map(|step| (step.step as f64, step.rate * 1000.0)).collect();
    let high = points.iter().map(|p| p.1).fold(0.0, f64::max);
    let series = vec![Series {
        name: "learning rate".into(),
        color: Color::First,
        mark: Mark::Line,
        points,
    }];
    let y = Axis::new("thousandths", round_range(0.0, high));
    let lines = Lines { x: steps_axis(n_steps), y, series };
    Chart::new("Learning rate by step", Plot::Lines(lines))
}

/// "How it learnt".
pub fn section(page: &mut Page, facts: &Facts<'_>) {
    let history = facts.history();
    if history.steps.is_empty() {
        return;
    }
    // A run in progress fills the width with what there is.
    let n_steps = match facts.state {
        State::Done => facts.plan.config.train.steps,
        State::Running | State::Stopped => facts.step,
    };
    page.section("How it learnt").chart(&loss(history, n_steps), WIDE, NARROW);
    if let Some(chart) = bits(history, n_steps) {
        page.chart(&chart, WIDE_STRIP, NARROW_STRIP);
    }
    page.chart(&rate(history, n_steps), WIDE_STRIP, NARROW_STRIP);
    if let Some(best) = history.best() {
        let bits = best.bits_per_byte.map_or(String::new(), |b| format!(", {b:.4} bits per byte"));
        page.note(&format!(
            "The model was not trained on the held-out text. Lower is better. Best point: {:.4} \
             nats per token{bits}, at step {}.",
            best.loss, best.step
        ));
    }
}
