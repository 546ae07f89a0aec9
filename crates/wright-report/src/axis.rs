//! Linear axes: ranges and ticks of round numbers.

use std::ops::Range;

/// An axis: what it measures, and the range that is drawn. What lies outside is cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is measured and in which unit, such as `nats per token`.
    pub label: String,
    pub range: Range<f64>,
}

impl Axis {
    pub fn new(label: impl Into<String>, range: Range<f64>) -> Axis {
        Axis { label: label.into(), range }
    }

    /// An axis of round numbers that holds all of `values`; those that are not finite do not count.
    ///
    /// ```
    /// let axis = wright_report::Axis::around("loss", [1.93, f64::NAN, 4.4]);
    /// assert_eq!(axis.range, 1.0..5.0);
    /// ```
    pub fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Axis {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        Axis::new(label, round_range(low, high))
    }

    /// Where a value lies between the ends: 0 to 1, or beyond.
    pub(crate) fn fraction(&self, value: f64) -> f64 {
        (value - self.range.start) / (self.range.end - self.range.start)
    }

    /// About `n` ticks: their values and how they are written.
    pub(crate) fn ticks(&self, n: f64) -> Vec<(f64, String)> {
        ticks(&self.range, n)
    }
}

/// The step between about `n` round numbers over `span`: 1, 2 or 5 times a power of ten.
fn tick_step(span: f64, n: f64) -> f64 {
    let rough = span / n.max(1.0);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|m| m * power >= rough * 0.999);
    step.unwrap_or(10.0) * power
}

/// A range of round numbers that holds `low` to `high`; a range of one around `low` if these are no
/// range.
pub fn round_range(low: f64, high: f64) -> Range<f64> {
    if !(low.is_finite() && high.is_finite() && low < high) {
        let middle = if low.is_finite() { low } else { 0.0 };
        return middle - 0.5..middle + 0.5;
    }
    let step = tick_step(high - low, 4.0);
    (low / step).floor() * step..(high / step).ceil() * step
}

fn ticks(range: &Range<f64>, n: f64) -> Vec<(f64, String)> {
    let step = tick_step(range.end - range.start, n);
    let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    let first = (range.start / step - 1e-6).ceil() as i64;
    let last = (range.end / step + 1e-6).floor() as i64;
    let text = |x: f64| match x {
        x if x >= 10_000.0 && step >= 1000.0 => format!("{:.0} k", x / 1000.0),
        x => format!("{x:.digits$}"),
    };
    (first..=last).take(100).map(|i| (i as f64 * step, text(i as f64 * step))).collect()
}

/// A value as a label: four significant digits, without zeros at the end.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { format!("{value}") };
    }
    let size = value.abs().log10().floor();
    if !(-4.0..9.0).contains(&size) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.*}", (3.0 - size).max(0.0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let texts = |range, n| ticks(&range, n).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(texts(1.0..3.0, 4.0), ["1.0", "1.5", "2.0", "2.5", "3.0"]);
        assert_eq!(texts(0.0..3017.0, 6.0), ["0", "1000", "2000", "3000"]);
        assert_eq!(texts(0.0..40_000.0, 4.0), ["0", "10 k", "20 k", "30 k", "40 k"]);
        assert_eq!(texts(-1.0..1.0, 2.0), ["-1", "0", "1"]);
    }

    #[test]
    fn a_range_holds_its_values_and_is_never_empty() {
        assert_eq!(round_range(2.0, 2.0), 1.5..2.5);
        assert_eq!(round_range(1.93, 4.4), 1.0..5.0);
        assert_eq!(round_range(f64::NAN, f64::NAN), -0.5..0.5);
        assert_eq!(Axis::around("x", []).range, -0.5..0.5);
    }

    #[test]
    fn numbers_keep_four_digits() {
        let all = [0.0, 12.0, 0.12345, 1234.56, 123_456.0, -2.5, 1e-7, f64::NAN];
        let texts: Vec<String> = all.into_iter().map(number).collect();
        assert_eq!(texts, ["0", "12", "0.1235", "1235", "123456", "-2.5", "1.000e-7", "NaN"]);
    }
}
