//! Lines as SVG.

use super::{Lines, Mark, Series};
use crate::style::Size;
use crate::text::escape;
use std::fmt::Write;

/// How far the plot lies from the edges of the picture.
const LEFT_MIN: f64 = 44.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 24.0;

/// Where the plot lies.
struct Frame {
    left: f64,
    w: f64,
    h: f64,
}

/// About how wide a text of 12 pixels is.
fn text_width(text: &str) -> f64 {
    6.6 * text.chars().count() as f64
}

impl Lines {
    /// Draws it, in the whole height of `size`, which it returns.
    pub(crate) fn svg(&self, out: &mut String, size: Size) -> f64 {
        let h = (size.height - TOP - BOTTOM).max(1.0);
        let numbers = self.y.ticks((h / 38.0).floor());
        let widest = numbers.iter().map(|(_, text)| text_width(text)).fold(0.0, f64::max);
        let left = LEFT_MIN.max(widest.ceil() + 10.0);
        let frame = Frame { left, w: (size.width - left - RIGHT).max(1.0), h };
        let legend_end = self.legend(out, &frame);
        self.y_axis(out, &numbers, &frame);
        self.x_axis(out, &frame);
        self.y_label(out, &frame, legend_end);
        // An element of its own cuts off what lies outside of the axes, but for half a dot.
        let w = frame.w + 4.0;
        let _ = write!(out, "<svg x=\"{left}\" y=\"{TOP}\" width=\"{w}\" height=\"{h}\">");
        self.series.iter().for_each(|series| self.marks(out, series, &frame));
        out.push_str("</svg>");
        size.height
    }

    /// Returns where it ends.
    fn legend(&self, out: &mut String, frame: &Frame) -> f64 {
        let mut x = frame.left;
        for series in self.named() {
            let (color, name) = (series.color.class(), escape(&series.name));
            let _ = match series.mark {
                Mark::Dots => {
                    let x = x + 8.0;
                    write!(out, "<circle class=\"{color} fill\" cx=\"{x:.1}\" cy=\"13\" r=\"4\"/>")
                }
                Mark::Line | Mark::Band => {
                    write!(out, "<path class=\"{color} line\" d=\"M{x:.1} 13h16\"/>")
                }
            };
            let at = x + 22.0;
            let _ = write!(out, "<text class=\"name\" x=\"{at:.1}\" y=\"17\">{name}</text>");
            x = at + text_width(&series.name) + 18.0;
        }
        x
    }

    fn y_axis(&self, out: &mut String, ticks: &[(f64, String)], frame: &Frame) {
        let Frame { left, w, h } = frame;
        for (value, text) in ticks {
            let y = TOP + h - self.y.fraction(*value) * h;
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{left} {y:.1}h{w:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                left - 8.0,
                y + 4.0
            );
        }
    }

    /// What is measured, above the plot, where the legend leaves room for it.
    fn y_label(&self, out: &mut String, frame: &Frame, legend_end: f64) {
        let end = frame.left + frame.w;
        if end - text_width(&self.y.label) > legend_end {
            let label = escape(&self.y.label);
            let _ = write!(out, "<text x=\"{end}\" y=\"17\" text-anchor=\"end\">{label}</text>");
        }
    }

    fn x_axis(&self, out: &mut String, frame: &Frame) {
        let Frame { left, w, h } = frame;
        let mut numbers = self.x.ticks((w / 84.0).floor());
        let Some((last, mut text)) = numbers.pop() else { return };
        // The last number says what is measured.
        let _ = write!(text, " {}", self.x.label);
        let (x, long) = (left + self.x.fraction(last) * w, text_width(&text));
        let overflows = x > left + w - 14.0 || x + long / 2.0 > left + w + RIGHT;
        let (anchor, begin) =
            if overflows { ("end", x - long) } else { ("middle", x - long / 2.0) };
        let y = TOP + h + 17.0;
        for (value, text) in numbers {
            let x = left + self.x.fraction(value) * w;
            if x + text_width(&text) / 2.0 < begin {
                let _ = write!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{text}</text>"
                );
            }
        }
        let text = escape(&text);
        let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>");
    }

    fn marks(&self, out: &mut String, series: &Series, frame: &Frame) {
        let (w, h) = (frame.w, frame.h);
        let color = series.color.class();
        // Far outside is as good as anywhere outside, and keeps numbers short.
        let place = |(x, y): (f64, f64)| {
            let x = (self.x.fraction(x) * w).clamp(-w, 2.0 * w);
            (x, (h - self.y.fraction(y) * h).clamp(-h, 2.0 * h))
        };
        let points: Vec<(f64, f64)> = series.finite().map(place).collect();
        match series.mark {
            Mark::Line => {
                let d = path(&columns(&points, w, |ys| [mean(ys)]).concat());
                let _ = write!(out, "<path class=\"{color} line\" d=\"{d}\"/>");
            }
            Mark::Band => {
                let both = columns(&points, w, |ys| {
                    let fold = |f: fn(f64, f64) -> f64| ys.iter().copied().reduce(f).unwrap_or(0.0);
                    [fold(f64::min), fold(f64::max)]
                });
                let there = both.iter().map(|[low, _]| *low);
                let back = both.iter().rev().map(|[_, high]| *high);
                let d = path(&there.chain(back).collect::<Vec<_>>());
                let _ = write!(out, "<path class=\"{color} fill band\" d=\"{d}Z\"/>");
            }
            Mark::Dots => {
                let d = path(&points);
                let _ = write!(out, "<path class=\"{color} line thin\" d=\"{d}\"/>");
                for (x, y) in points {
                    let _ = write!(
                        out,
                        "<circle class=\"{color} fill\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
                    );
                }
            }
        }
    }
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
    use crate::{Axis, Chart, Color, Plot};

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        let series = |mark, name: &str| Series {
            name: name.into(),
            color: Color::First,
            mark,
            points: points.clone(),
        };
        let lines = Lines {
            x: Axis::new("steps", 0.0..100.0),
            y: Axis::new("loss", 1.0..3.0),
            series: vec![
                series(Mark::Band, ""),
                series(Mark::Line, "training"),
                series(Mark::Dots, "held-out"),
            ],
        };
        Chart::new("a <chart> & \"more\"", Plot::Lines(lines))
    }

    /// Between the axes there are 100 by 100 pixels.
    const SIZE: Size = Size { width: 156.0, height: 158.0 };

    #[test]
    fn points_lie_where_their_numbers_say() {
        let svg = chart(vec![(0.0, 1.0), (50.0, 2.0), (100.0, 3.0)]).to_svg(SIZE);
        assert!(svg.contains("class=\"first line\" d=\"M0.0 100.0L50.0 50.0L100.0 0.0\""), "{svg}");
        assert!(svg.contains("cx=\"50.0\" cy=\"50.0\" r=\"3.5\""));
        assert!(svg.contains("a &lt;chart&gt; &amp; &quot;more&quot;"));
        assert_eq!(svg.matches(">training<").count(), 1);
        assert!(svg.ends_with("</svg></svg>"));
    }

    #[test]
    fn many_points_become_as_many_as_there_are_columns() {
        let points: Vec<(f64, f64)> =
            (0..10_000).map(|i| (f64::from(i) / 100.0, 2.0 + f64::from(i % 2))).collect();
        let lines = columns(&points, 100.0, |ys| [mean(ys)]);
        assert_eq!(lines.len(), 50);
        assert!(lines.iter().all(|[(_, y)]| (y - 2.5).abs() < 1e-9), "means");
    }

    #[test]
    fn no_point_one_point_and_values_beyond_measure_still_make_a_chart() {
        let wild = vec![(f64::NAN, 1.0), (0.0, f64::MAX), (f64::INFINITY, 0.0)];
        for points in [vec![], vec![(1.0, 2.0)], wild] {
            let svg = chart(points).to_svg_file(SIZE);
            assert!(svg.contains("<style>") && !svg.contains("NaN") && !svg.contains("inf"));
        }
    }

    #[test]
    fn a_long_axis_label_stays_inside_and_covers_no_number() {
        let mut chart = chart(vec![]);
        let Plot::Lines(lines) = &mut chart.plot else { unreachable!() };
        lines.x.label = "thousands of tokens".into();
        let svg = chart.to_svg(SIZE);
        let last = ">100 thousands of tokens<";
        assert!(
            svg.contains(&format!("text-anchor=\"end\"{last}")) && !svg.contains(">50<"),
            "{svg}"
        );
        lines_with_large_values();
    }

    fn lines_with_large_values() {
        let lines = Lines::of("x", "y", [("a", vec![(0.0, 1e6 + 1.0), (1.0, 1e6 + 2.0)])]);
        let svg = Chart::new("t", Plot::Lines(lines)).to_svg(SIZE);
        assert!(svg.contains("<svg x=\"70\"") && svg.contains(">1000001.5<"), "{svg}");
    }
}
