//! Charts as SVG text: lines, bands and dots over two linear axes, with a legend above them. They
//! are drawn for the width that they will have, so that text stays legible on a phone, and their
//! colours follow the reader's light or dark page. No scripts, no fonts of their own.
//!
//! What is drawn is decided elsewhere: this file knows numbers, names and places alone.

use std::fmt::Write;
use std::ops::Range;

/// How far numbers lie from the chart's edges.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 24.0;

/// Classes of a chart and the variables that colour them; a page may set the variables itself.
pub const STYLE: &str = "\
.chart{--ink:#22211e;--muted:#78736a;--rule:#e6e1d6;--first:#0b6e63;--second:#c2571a;display:block;\
width:100%;height:auto;font:12px system-ui,sans-serif;font-variant-numeric:tabular-nums}\
.chart text{fill:var(--muted)}.chart .name{fill:var(--ink)}\
.chart .grid{stroke:var(--rule);stroke-width:1}\
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
.chart .thin{stroke-width:1.25;stroke-dasharray:1 4}\
.chart .band{opacity:.18;stroke:none}\
.chart .first.line{stroke:var(--first)}.chart .second.line{stroke:var(--second)}\
.chart .first.fill{fill:var(--first)}.chart .second.fill{fill:var(--second)}\
@media(prefers-color-scheme:dark){.chart{--ink:#ece8df;--muted:#9b958a;--rule:#35322d;\
--first:#4fd1bf;--second:#f39a5b}}";

/// Colours, by their place in the legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    First,
    Second,
}

impl Ink {
    fn class(self) -> &'static str {
        match self {
            Ink::First => "first",
            Ink::Second => "second",
        }
    }
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Line,
    /// From the least to the greatest of what lies close together: for noise.
    Band,
    /// Dots that a thin line joins.
    Dots,
}

/// Points in ascending order of x. A series with no name is not in the legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub name: String,
    pub ink: Ink,
    pub mark: Mark,
    pub points: Vec<(f64, f64)>,
}

/// An axis: what it counts, and from where to where. What lies outside is cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub label: String,
    pub range: Range<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What it shows, for those who hear it.
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

/// Width and height in pixels, at which text has its own size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

/// `text` as the content of an element or of an attribute in quotes; characters that are no part
/// of a text or turn its direction are shown as a replacement.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The step between about `n` round numbers over `span`: 1, 2 or 5 times a power of ten.
fn tick_step(span: f64, n: f64) -> f64 {
    let rough = span / n.max(1.0);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|m| m * power >= rough * 0.999);
    step.unwrap_or(10.0) * power
}

/// A range of round numbers around `low` to `high`.
pub fn round_range(low: f64, high: f64) -> Range<f64> {
    if !(low.is_finite() && high.is_finite() && low < high) {
        let middle = if low.is_finite() { low } else { 0.0 };
        return middle - 0.5..middle + 0.5;
    }
    let step = tick_step(high - low, 4.0);
    (low / step).floor() * step..(high / step).ceil() * step
}

/// Numbers to write along an axis.
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

impl Chart {
    /// An `<svg>` element to stand in a page that has [`STYLE`].
    pub fn svg(&self, size: Size) -> String {
        let Size { width, height } = size;
        let title = escaped(&self.title);
        let mut out = format!(
            "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
             viewBox=\"0 0 {width} {height}\" aria-label=\"{title}\"><title>{title}</title>"
        );
        let legend_end = self.legend(&mut out);
        self.axes(&mut out, size, legend_end);
        let (w, h) = inner(size);
        // An element of its own cuts off what lies outside of the axes, but for half a dot.
        let w = w + 4.0;
        let _ = write!(out, "<svg x=\"{LEFT}\" y=\"{TOP}\" width=\"{w}\" height=\"{h}\">");
        self.series.iter().for_each(|series| self.marks(&mut out, series, size));
        out.push_str("</svg></svg>");
        out
    }

    /// A file of its own.
    pub fn file(&self, size: Size) -> String {
        let svg = self.svg(size);
        let style = format!(
            "<style>{STYLE}.chart{{background:#fdfcf9}}\
             @media(prefers-color-scheme:dark){{.chart{{background:#191816}}}}</style>"
        );
        let head = svg.find('>').map_or(0, |at| at + 1);
        format!("{}{style}{}\n", &svg[..head], &svg[head..])
    }

    /// Returns where it ends.
    fn legend(&self, out: &mut String) -> f64 {
        let mut x = LEFT;
        for series in self.series.iter().filter(|series| !series.name.is_empty()) {
            let (ink, name) = (series.ink.class(), escaped(&series.name));
            let _ = match series.mark {
                Mark::Dots => {
                    write!(
                        out,
                        "<circle class=\"{ink} fill\" cx=\"{:.1}\" cy=\"13\" r=\"4\"/>",
                        x + 8.0
                    )
                }
                Mark::Line | Mark::Band => {
                    write!(out, "<path class=\"{ink} line\" d=\"M{x:.1} 13h16\"/>")
                }
            };
            let _ =
                write!(out, "<text class=\"name\" x=\"{:.1}\" y=\"17\">{name}</text>", x + 22.0);
            x += 22.0 + text_width(&series.name) + 18.0;
        }
        x
    }

    fn axes(&self, out: &mut String, size: Size, legend_end: f64) {
        let (w, h) = inner(size);
        for (value, text) in ticks(&self.y.range, (h / 38.0).floor()) {
            let y = TOP + h - self.y.part(value) * h;
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}h{w:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        let numbers = ticks(&self.x.range, (w / 84.0).floor());
        let n = numbers.len();
        for (index, (value, mut text)) in numbers.into_iter().enumerate() {
            let x = LEFT + self.x.part(value) * w;
            let anchor = if x > LEFT + w - 14.0 { "end" } else { "middle" };
            if index + 1 == n {
                // The last number says what is counted.
                let _ = write!(text, " {}", escaped(&self.x.label));
            }
            let y = TOP + h + 17.0;
            let _ =
                write!(out, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>");
        }
        let label = &self.y.label;
        if LEFT + w - text_width(label) > legend_end {
            let (x, label) = (LEFT + w, escaped(label));
            let _ = write!(out, "<text x=\"{x}\" y=\"17\" text-anchor=\"end\">{label}</text>");
        }
    }

    fn marks(&self, out: &mut String, series: &Series, size: Size) {
        let (w, h) = inner(size);
        let ink = series.ink.class();
        // Far outside is as good as anywhere outside, and keeps numbers short.
        let place = |&(x, y): &(f64, f64)| {
            let y = (h - self.y.part(y) * h).clamp(-h, 2.0 * h);
            (self.x.part(x) * w, y)
        };
        let points: Vec<(f64, f64)> = series.points.iter().map(place).collect();
        match series.mark {
            Mark::Line => {
                let d = path(&columns(&points, w, |ys| [mean(ys)]).concat());
                let _ = write!(out, "<path class=\"{ink} line\" d=\"{d}\"/>");
            }
            Mark::Band => {
                let both = columns(&points, w, |ys| {
                    let fold = |f: fn(f64, f64) -> f64| ys.iter().copied().reduce(f).unwrap_or(0.0);
                    [fold(f64::min), fold(f64::max)]
                });
                let there = both.iter().map(|[low, _]| *low);
                let back = both.iter().rev().map(|[_, high]| *high);
                let d = path(&there.chain(back).collect::<Vec<_>>());
                let _ = write!(out, "<path class=\"{ink} fill band\" d=\"{d}Z\"/>");
            }
            Mark::Dots => {
                let _ = write!(out, "<path class=\"{ink} line thin\" d=\"{}\"/>", path(&points));
                for (x, y) in points {
                    let _ = write!(
                        out,
                        "<circle class=\"{ink} fill\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
                    );
                }
            }
        }
    }
}

impl Axis {
    /// Where a value lies between the ends: 0 to 1.
    fn part(&self, value: f64) -> f64 {
        (value - self.range.start) / (self.range.end - self.range.start)
    }
}

/// Width and height between the axes.
fn inner(size: Size) -> (f64, f64) {
    (size.width - LEFT - RIGHT, size.height - TOP - BOTTOM)
}

/// About how wide a text of 12 pixels is.
fn text_width(text: &str) -> f64 {
    6.6 * text.chars().count() as f64
}

fn mean(ys: &[f64]) -> f64 {
    ys.iter().sum::<f64>() / ys.len() as f64
}

/// Points that share a column of two pixels become one for each number that `of` makes of them.
fn columns<const N: usize>(
    points: &[(f64, f64)],
    width: f64,
    of: impl Fn(&[f64]) -> [f64; N],
) -> Vec<[(f64, f64); N]> {
    let column = |x: f64| (x.clamp(0.0, width) / 2.0).floor() as u64;
    points
        .chunk_by(|a, b| column(a.0) == column(b.0))
        .map(|same| {
            let ys: Vec<f64> = same.iter().map(|p| p.1).collect();
            of(&ys).map(|y| (same[same.len() / 2].0, y))
        })
        .collect()
}

fn path(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let _ = write!(d, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        let series = |mark, name: &str| Series {
            name: name.into(),
            ink: Ink::First,
            mark,
            points: points.clone(),
        };
        Chart {
            title: "a <chart> & \"more\"".into(),
            x: Axis { label: "steps".into(), range: 0.0..100.0 },
            y: Axis { label: "loss".into(), range: 1.0..3.0 },
            series: vec![
                series(Mark::Band, ""),
                series(Mark::Line, "training"),
                series(Mark::Dots, "held-out"),
            ],
        }
    }

    const SIZE: Size = Size { width: 156.0, height: 158.0 };

    #[test]
    fn points_lie_where_their_numbers_say() {
        // Between the axes there are 100 by 100 pixels.
        assert_eq!(inner(SIZE), (100.0, 100.0));
        let svg = chart(vec![(0.0, 1.0), (50.0, 2.0), (100.0, 3.0)]).svg(SIZE);
        assert!(svg.contains("class=\"first line\" d=\"M0.0 100.0L50.0 50.0L100.0 0.0\""), "{svg}");
        assert!(svg.contains("cx=\"50.0\" cy=\"50.0\" r=\"3.5\""));
        assert!(svg.contains("a &lt;chart&gt; &amp; &quot;more&quot;"));
        assert_eq!(svg.matches(">training<").count(), 1);
        assert!(svg.ends_with("</svg></svg>"));
    }

    #[test]
    fn many_points_become_as_many_as_there_are_columns() {
        let noisy = (0..10_000).map(|i| (f64::from(i) / 100.0, 2.0 + f64::from(i % 2)));
        let chart = chart(noisy.collect());
        let points: Vec<(f64, f64)> = chart.series[0].points.clone();
        let lines = columns(&points, 100.0, |ys| [mean(ys)]);
        assert_eq!(lines.len(), 50);
        assert!(lines.iter().all(|[(_, y)]| (y - 2.5).abs() < 1e-9), "means");
    }

    #[test]
    fn no_point_one_point_and_flat_ranges_still_make_a_chart() {
        for points in [vec![], vec![(1.0, 2.0)], vec![(0.0, f64::MAX)]] {
            let svg = chart(points).file(SIZE);
            assert!(svg.contains("<style>") && !svg.contains("NaN") && !svg.contains("inf"));
        }
        assert_eq!(round_range(2.0, 2.0), 1.5..2.5);
        assert_eq!(round_range(1.93, 4.4), 1.0..5.0);
        assert_eq!(round_range(f64::NAN, f64::NAN), -0.5..0.5);
    }

    #[test]
    fn ticks_are_round_numbers() {
        let texts = |range, n| ticks(&range, n).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(texts(1.0..3.0, 4.0), ["1.0", "1.5", "2.0", "2.5", "3.0"]);
        assert_eq!(texts(0.0..3017.0, 6.0), ["0", "1000", "2000", "3000"]);
        assert_eq!(texts(0.0..40_000.0, 4.0), ["0", "10 k", "20 k", "30 k", "40 k"]);
        assert_eq!(escaped("\u{202e}a\u{7}\n'"), "\u{fffd}a\u{fffd}\n&#39;");
    }
}
