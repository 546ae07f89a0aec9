//! Bars on a terminal, to an eighth of a column.

use super::{Bar, Bars};
use crate::axis::Axis;
use crate::style::Color;
use crate::text::{columns, fit, one_line};

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

impl Bars {
    pub(crate) fn terminal(&self, width: usize, colors: bool) -> String {
        let several = self.series.len() > 1;
        let legend = self.series.iter().filter(|_| several);
        let marks = if several && !colors { 2 } else { 0 };
        let mut out: Vec<String> = vec![
            legend.map(|s| s.color.legend(&s.name, colors)).chain([one_line(&self.label)]).fold(
                String::new(),
                |line, part| {
                    if line.is_empty() { part } else { format!("{line}   {part}") }
                },
            ),
        ];
        let names = self.categories.iter().map(|name| columns(&one_line(name))).max().unwrap_or(0);
        let names = names.min(width * 2 / 5);
        let all = self.series.iter().flat_map(|s| (0..self.categories.len()).map(|n| s.bar(n)));
        let values = all.flatten().map(|bar| columns(&bar.text())).max().unwrap_or(0);
        let room = width.saturating_sub(names + values + marks + 2).max(8);
        let axis = self.axis();
        for (n, category) in self.categories.iter().enumerate() {
            for (k, series) in self.series.iter().enumerate() {
                let name = if k == 0 { one_line(category) } else { String::new() };
                let mark = match marks {
                    0 => String::new(),
                    _ => format!("{} ", series.color.mark()),
                };
                let bar = series.bar(n);
                let bar = bar.map_or(String::new(), |bar| {
                    line(bar, &axis, room, Some(series.color).filter(|_| colors))
                });
                out.push(format!("{} {mark}{bar}", fit(&name, names)));
            }
        }
        out.join("\n")
    }
}

/// A bar in `room` columns, and its value.
fn line(bar: Bar, axis: &Axis, room: usize, color: Option<Color>) -> String {
    let at =
        |value: f64| (axis.fraction(value).clamp(0.0, 1.0) * (room * 8) as f64).round() as usize;
    let (zero, end) = (at(0.0), at(bar.value));
    // Zero lies between two columns.
    let zero = zero / 8 * 8;
    let blocks = match end >= zero {
        true => {
            let n = (end - zero).max(usize::from(bar.value > 0.0));
            format!("{}{}", "█".repeat(n / 8), EIGHTHS[n % 8])
        }
        // To the left there are only halves.
        false => {
            let halves = (zero - end).div_ceil(4);
            let half = if halves % 2 == 1 { "▐" } else { "" };
            format!("{half}{}", "█".repeat(halves / 2))
        }
    };
    let before = match end >= zero {
        true => zero / 8,
        false => (zero / 8).saturating_sub(columns(&blocks)),
    };
    let painted = match color {
        Some(color) => color.paint(&blocks),
        None => blocks.clone(),
    };
    let after = zero.div_ceil(8).saturating_sub(before + columns(&blocks));
    format!("{}{painted}{} {}", " ".repeat(before), " ".repeat(after), bar.text())
}

#[cfg(test)]
mod tests {
    use crate::{BarSeries, Bars, Chart, Color, Plot};

    #[test]
    fn lengths_are_true_to_an_eighth() {
        let bars = Bars::of("n", [("all", 8.0), ("half", 4.0), ("little", 0.01), ("none", 0.0)]);
        let text = Chart::new("Title", Plot::Bars(bars)).to_terminal(40, false);
        let full = 40 - "little".len() - "0.01".len() - 2;
        let wanted = [
            "Title".to_owned(),
            "n".to_owned(),
            format!("all    {} 8", "█".repeat(full)),
            format!("half   {} 4", "█".repeat(full / 2)),
            "little ▏ 0.01".to_owned(),
            "none    0".to_owned(),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn negative_bars_go_left_and_series_are_marked() {
        let bars = Bars::of("n", [("a", -2.0), ("b", 2.0)]);
        let text = Chart::new("t", Plot::Bars(bars)).to_terminal(45, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], format!("a {} -2", "█".repeat(20)), "{text}");
        assert_eq!(lines[3], format!("b {}{} 2", " ".repeat(20), "█".repeat(20)), "{text}");
        let series = |name: &str, color, value: f64| BarSeries {
            name: name.into(),
            color,
            bars: vec![Some(value.into())],
        };
        let both = vec![series("old", Color::First, 1.0), series("new", Color::Second, 2.0)];
        let bars = Bars { label: "s".into(), categories: vec!["狐".into()], series: both };
        let chart = Chart::new("t", Plot::Bars(bars));
        let text = chart.to_terminal(44, false);
        assert!(text.contains("● old   ○ new   s") && text.contains("狐 ● ██"), "{text}");
        let colored = chart.to_terminal(44, true);
        assert!(colored.contains("\u{1b}[36m█") && !colored.contains('●'), "{colored}");
    }
}
