//! Bars as SVG.

use super::{Bar, Bars};
use crate::axis::Axis;
use crate::text::{escape, fit_pixels, tenths_wide};
use std::fmt::Write;

const FONT: usize = 12;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 42.0;
const RIGHT: f64 = 12.0;
/// A bar, and what lies between bars of a category and between categories.
const BAR: f64 = 16.0;
const GAP: f64 = 2.0;
const GROUP_GAP: f64 = 9.0;

/// Where the plot lies.
struct Frame {
    left: f64,
    w: f64,
    axis: Axis,
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        self.left + self.axis.fraction(value).clamp(0.0, 1.0) * self.w
    }
}

fn pixels(text: &str) -> f64 {
    tenths_wide(text, FONT) as f64 / 10.0
}

impl Bars {
    /// Draws it, as high as it needs to be. Returns that height.
    pub(crate) fn svg(&self, out: &mut String, width: f64) -> f64 {
        let names = self.categories.iter().map(|name| pixels(name)).fold(0.0, f64::max);
        let left = names.min(width * 0.4) + 12.0;
        let bars = self.series.iter().flat_map(|s| (0..self.categories.len()).map(|n| s.bar(n)));
        let values = bars.flatten().map(|bar| pixels(&bar.text())).fold(0.0, f64::max);
        let room = (values + 10.0).min(width * 0.3);
        let w = (width - left - room - RIGHT).max(20.0);
        let frame = Frame { left, w, axis: self.axis() };
        let group = self.series.len() as f64 * (BAR + GAP) - GAP;
        let h = self.categories.len() as f64 * (group + GROUP_GAP) + GROUP_GAP;
        self.legend(out, left);
        axis(out, &frame, h, width);
        for (n, name) in self.categories.iter().enumerate() {
            let top = TOP + GROUP_GAP + n as f64 * (group + GROUP_GAP);
            let shown = escape(&fit_pixels(name, FONT, left - 12.0));
            let _ = write!(
                out,
                "<g><title>{}</title><text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{shown}</text></g>",
                escape(name),
                left - 8.0,
                top + group / 2.0 + 4.0
            );
            for (k, series) in self.series.iter().enumerate() {
                if let Some(value) = series.bar(n) {
                    let top = top + k as f64 * (BAR + GAP);
                    bar(out, &frame, value, top, series.color.class());
                }
            }
        }
        TOP + h + BOTTOM
    }

    fn legend(&self, out: &mut String, left: f64) {
        let mut x = left;
        if self.series.len() > 1 {
            for series in &self.series {
                let _ = write!(
                    out,
                    "<rect class=\"{} fill\" x=\"{x:.1}\" y=\"7\" width=\"12\" height=\"12\"/>\
                     <text class=\"name\" x=\"{:.1}\" y=\"17\">{}</text>",
                    series.color.class(),
                    x + 18.0,
                    escape(&series.name)
                );
                x += 18.0 + pixels(&series.name) + 18.0;
            }
        }
    }
}

/// Vertical lines at round numbers, with these and what is measured below them.
fn axis(out: &mut String, frame: &Frame, h: f64, width: f64) {
    let y = TOP + h + 17.0;
    for (value, text) in frame.axis.ticks((frame.w / 64.0).floor()) {
        let x = frame.x(value);
        let class = if value == 0.0 { "zero" } else { "grid" };
        let _ = write!(
            out,
            "<path class=\"{class}\" d=\"M{x:.1} {TOP}v{h:.1}\"/>\
             <text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>"
        );
    }
    let label = escape(&fit_pixels(&frame.axis.label, FONT, width - frame.left));
    let (x, y) = (frame.left, y + 16.0);
    let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>");
}

/// A bar from zero, its interval, and its value beside it.
fn bar(out: &mut String, frame: &Frame, bar: Bar, top: f64, color: &str) {
    let (zero, end) = (frame.x(0.0), frame.x(bar.value));
    let (x, w) = (zero.min(end), (end - zero).abs());
    let _ = write!(
        out,
        "<rect class=\"{color} fill\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" \
         height=\"{BAR}\" rx=\"1.5\"/>"
    );
    let mut right = zero.max(end);
    if let Some((low, high)) = bar.interval {
        let (low, high, y) = (frame.x(low), frame.x(high), top + BAR / 2.0);
        let _ = write!(
            out,
            "<path class=\"whisker\" d=\"M{low:.1} {y:.1}H{high:.1}M{low:.1} {:.1}v8M{high:.1} \
             {:.1}v8\"/>",
            y - 4.0,
            y - 4.0
        );
        right = right.max(high);
    }
    let (x, y) = (right + 6.0, top + BAR / 2.0 + 4.0);
    let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(&bar.text()));
}

#[cfg(test)]
mod tests {
    use crate::{Bar, BarSeries, Bars, Chart, Color, Plot, Size};

    const SIZE: Size = Size { width: 400.0, height: 1.0 };

    #[test]
    fn bars_begin_at_zero_and_end_at_their_values() {
        let bars = Bars::of("points", [("a", 10.0), ("b", -5.0), ("c", f64::NAN)]);
        let axis = bars.axis();
        assert_eq!(axis.range, -5.0..10.0);
        let svg = Chart::new("t", Plot::Bars(bars)).to_svg(SIZE);
        let rects: Vec<(f64, f64)> = svg
            .split("<rect ")
            .skip(1)
            .map(|rect| {
                let of = |name: &str| -> f64 {
                    let at = rect.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
                    rect[at..].split('"').next().unwrap().parse().unwrap()
                };
                (of(" x"), of("width"))
            })
            .collect();
        assert_eq!(rects.len(), 2, "no bar without a number: {svg}");
        let ((a, wide_a), (b, wide_b)) = (rects[0], rects[1]);
        assert!((b + wide_b - a).abs() < 0.11, "both touch zero");
        assert!((wide_a / wide_b - 2.0).abs() < 0.01);
    }

    #[test]
    fn groups_have_a_legend_and_long_names_are_cut_but_told() {
        let name = "a <very> long name ".repeat(20);
        let interval = Some((1.0, 3.0));
        let one = |name: &str, color| BarSeries {
            name: name.into(),
            color,
            bars: vec![Some(Bar { value: 2.0, interval })],
        };
        let bars = Bars {
            label: "seconds".into(),
            categories: vec![name.clone()],
            series: vec![one("old", Color::First), one("new", Color::Second)],
        };
        let chart = Chart::new("t", Plot::Bars(bars));
        let svg = chart.to_svg(SIZE);
        assert!(svg.contains(">old</text>") && svg.contains(">new</text>"));
        assert!(svg.contains("…</text></g>") && svg.matches("&lt;very&gt;").count() > 20);
        assert_eq!(svg.matches("class=\"whisker\"").count(), 2);
        assert_eq!(chart.to_table().rows[0][1].text, "2 (1 to 3)");
        for empty in [vec![], vec![("x", 0.0)]] {
            let svg = Chart::new("t", Plot::Bars(Bars::of("n", empty))).to_svg(SIZE);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
