//! Tag clouds: words as large as they weigh, the heaviest in the middle.
//!
//! Where words lie depends on words and weights alone and is computed in whole numbers, so it is
//! the same everywhere. Boxes never overlap: an SVG tells each word how wide it has to be, whatever
//! font the reader has.

mod place;

use crate::axis::number;
use crate::style::Size;
use crate::table::{Align, Table};
use crate::text::{columns, escape, fit, fit_pixels, one_line, tenths_wide};
use place::{Box, Canvas, place};
use std::fmt::Write;

/// Words that a cloud shows at most; the table has all.
const TAGS_MAX: usize = 150;
/// Font sizes in pixels: none is smaller, the heaviest is as large where there is room.
const FONT_MIN: usize = 11;
const FONT_MAX: usize = 96;
/// Tags are cut to so many pixels at the size of a font of 11, and to so many columns.
const TAG_PIXELS: f64 = 220.0;
const TAG_COLUMNS: usize = 32;

/// Words with their weights, such as counts.
#[derive(Debug, Clone, PartialEq)]
pub struct TagCloud {
    /// What the weights measure.
    pub label: String,
    pub tags: Vec<(String, f64)>,
}

/// How much a tag weighs beside the others: each has a look of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Strong,
    Middle,
    Weak,
}

impl TagCloud {
    pub fn of<N: Into<String>>(
        label: impl Into<String>,
        tags: impl IntoIterator<Item = (N, f64)>,
    ) -> TagCloud {
        let tags = tags.into_iter().map(|(name, weight)| (name.into(), weight)).collect();
        TagCloud { label: label.into(), tags }
    }

    /// Those of a positive weight, the heaviest first, then by name.
    fn sorted(&self) -> Vec<(&str, f64)> {
        let tags = self.tags.iter().filter(|(_, weight)| weight.is_finite() && *weight > 0.0);
        let mut tags: Vec<(&str, f64)> = tags.map(|(name, weight)| (&**name, *weight)).collect();
        tags.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        tags
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new([("", Align::Left), (&self.label, Align::Right)]);
        for (name, weight) in self.sorted() {
            table.push([name.to_owned(), number(weight)]);
        }
        table
    }

    /// Draws it within `size`. Where not all words fit at the sizes they should have, all become
    /// smaller; what does not fit at the least size is left out, and their number is shown.
    pub(crate) fn svg(&self, out: &mut String, size: Size) -> f64 {
        let tags = self.sorted();
        let shown = &tags[..tags.len().min(TAGS_MAX)];
        // In tenths of a pixel; a line at the bottom says what is missing.
        let canvas = Canvas {
            width: (size.width.clamp(100.0, 1e4) * 10.0) as i64,
            height: ((size.height.clamp(60.0, 1e4) - 22.0) * 10.0) as i64,
            step: (40, 20),
        };
        let texts: Vec<String> = shown
            .iter()
            .map(|(name, _)| fit_pixels(&one_line(name), FONT_MIN, TAG_PIXELS))
            .collect();
        let mut largest = FONT_MAX.min(size.height as usize / 3).max(FONT_MIN);
        let (fonts, places) = loop {
            let fonts: Vec<usize> =
                shown.iter().map(|tag| font(tag.1 / shown[0].1, largest)).collect();
            let boxes: Vec<Box> = texts.iter().zip(&fonts).map(|(t, f)| text_box(t, *f)).collect();
            let places = place(&boxes, canvas);
            if largest <= FONT_MIN || places.iter().all(Option::is_some) {
                break (fonts, places);
            }
            largest = (largest * 9 / 10).max(FONT_MIN);
        };
        let mut n = 0;
        for ((text, (name, weight)), (font, at)) in
            texts.iter().zip(shown).zip(fonts.into_iter().zip(places))
        {
            let Some((x, y)) = at else { continue };
            n += 1;
            let class = match tier(weight / shown[0].1) {
                Tier::Strong => " strong",
                Tier::Middle => "",
                Tier::Weak => " weak",
            };
            let wide = tenths_wide(text, font) as f64 / 10.0;
            let (x, y) = (x as f64 / 10.0 + 3.0, y as f64 / 10.0 + font as f64 * 0.95);
            let _ = write!(
                out,
                "<text class=\"tag{class}\" font-size=\"{font}\" x=\"{x:.1}\" y=\"{y:.1}\" \
                 textLength=\"{wide:.1}\" lengthAdjust=\"spacingAndGlyphs\">\
                 <title>{}: {}</title>{}</text>",
                escape(name),
                number(*weight),
                escape(text)
            );
        }
        let y = size.height - 6.0;
        let label = escape(&self.legend(n, tags.len()));
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{y}\" text-anchor=\"end\">{label}</text>",
            size.width - 4.0
        );
        size.height
    }

    fn legend(&self, shown: usize, all: usize) -> String {
        match all - shown {
            0 => format!("by {}", self.label),
            more => format!("by {}; {more} more are in the table", self.label),
        }
    }

    /// The words around the heaviest. In colors the heavy ones are bold and the light ones faint;
    /// without, a block before each word is as high as it is heavy.
    pub(crate) fn terminal(&self, width: usize, colors: bool) -> String {
        let tags = self.sorted();
        let shown = &tags[..tags.len().min(TAGS_MAX)];
        let texts: Vec<String> = shown
            .iter()
            .map(|(name, weight)| {
                let name = one_line(name);
                let name = fit(&name, columns(&name).min(TAG_COLUMNS));
                if colors { name } else { format!("{} {name}", block(weight / shown[0].1)) }
            })
            .collect();
        // Two blanks between words.
        let boxes: Vec<Box> =
            texts.iter().map(|text| Box { width: columns(text) as i64 + 2, height: 1 }).collect();
        let total: i64 = boxes.iter().map(|tag| tag.width).sum();
        let width = width as i64;
        let mut rows = (total / width + 1).max(3);
        let places = loop {
            let places = place(&boxes, Canvas { width, height: rows, step: (1, 1) });
            if places.iter().all(Option::is_some) || rows > 2 * total {
                break places;
            }
            rows += 1;
        };
        let mut lines: Vec<Vec<(usize, String, usize)>> = vec![Vec::new(); rows as usize];
        for ((text, tag), at) in texts.iter().zip(shown).zip(&places) {
            let Some((x, y)) = at else { continue };
            let painted = match (colors, tier(tag.1 / shown[0].1)) {
                (true, Tier::Strong) => format!("\x1b[1;36m{text}\x1b[0m"),
                (true, Tier::Weak) => format!("\x1b[2m{text}\x1b[0m"),
                _ => text.clone(),
            };
            lines[*y as usize].push((*x as usize + 1, painted, columns(text)));
        }
        let mut out = String::new();
        for mut line in lines.into_iter().filter(|line| !line.is_empty()) {
            line.sort();
            let mut at = 0;
            for (x, text, wide) in line {
                let _ = write!(out, "{}{text}", " ".repeat(x.saturating_sub(at)));
                at = x + wide;
            }
            out.push('\n');
        }
        let n = places.iter().flatten().count();
        out + &one_line(&self.legend(n, tags.len())) + "\n"
    }
}

/// The area of a word goes with its weight, `share` of the greatest.
fn font(share: f64, largest: usize) -> usize {
    ((share.sqrt() * largest as f64).round() as usize).max(FONT_MIN)
}

/// A word with its blanks around it.
fn text_box(text: &str, font: usize) -> Box {
    Box { width: tenths_wide(text, font) as i64 + 60, height: (font * 12) as i64 }
}

fn tier(share: f64) -> Tier {
    match share {
        share if share >= 0.4 => Tier::Strong,
        share if share >= 0.1 => Tier::Middle,
        _ => Tier::Weak,
    }
}

/// An eighth to the whole of a cell.
fn block(share: f64) -> char {
    let n = (share * 8.0).ceil().clamp(1.0, 8.0) as usize;
    ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][n - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chart, Plot};

    const SIZE: Size = Size { width: 680.0, height: 340.0 };

    fn cloud(n: usize) -> Chart {
        let tags = (0..n).map(|n| (format!("word{n}"), 1000.0 / (n + 1) as f64));
        Chart::new("Words", Plot::Tags(TagCloud::of("uses", tags)))
    }

    /// Left, top, right and bottom of each word.
    fn boxes(svg: &str) -> Vec<[f64; 4]> {
        let tags = svg.split("<text class=\"tag").skip(1);
        tags.map(|tag| {
            let of = |name: &str| -> f64 {
                let at = tag.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
                tag[at..].split('"').next().unwrap().parse().unwrap()
            };
            let (x, y, font) = (of("x"), of("y"), of("font-size"));
            [x, y - font * 0.8, x + of("textLength"), y + font * 0.2]
        })
        .collect()
    }

    #[test]
    fn no_word_covers_another_and_all_are_within_the_picture() {
        for n in [1, 2, 40, 150] {
            let all = boxes(&cloud(n).to_svg(SIZE));
            assert_eq!(all.len(), n);
            for (i, a) in all.iter().enumerate() {
                assert!(a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= 680.0 && a[3] <= 340.0, "{a:?}");
                for b in &all[..i] {
                    let apart = a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] || b[1] >= a[3];
                    assert!(apart, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn order_of_the_input_changes_nothing_and_weight_is_size() {
        let mut chart = cloud(30);
        let svg = chart.to_svg(SIZE);
        let Plot::Tags(cloud) = &mut chart.plot else { unreachable!() };
        cloud.tags.reverse();
        cloud.tags.push(("none".into(), 0.0));
        cloud.tags.push(("odd".into(), f64::NAN));
        assert_eq!(chart.to_svg(SIZE), svg);
        assert!(svg.find(">word0<").unwrap() < svg.find(">word1<").unwrap());
        let sizes: Vec<f64> = boxes(&svg).iter().map(|b| (b[3] - b[1]).round()).collect();
        assert!(sizes[0] > 30.0 && sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        assert!(sizes.iter().all(|size| *size >= FONT_MIN as f64), "legible");
    }

    #[test]
    fn what_does_not_fit_is_counted_and_hostile_words_are_text() {
        let tags = (0..500).map(|n| (format!("<b>a word that is long {n}\u{1b}[2J"), 1.0));
        let chart = Chart::new("t", Plot::Tags(TagCloud::of("uses", tags)));
        let small = Size { width: 320.0, height: 200.0 };
        let svg = chart.to_svg(small);
        let n = boxes(&svg).len();
        assert!(n > 5 && svg.contains(&format!("{} more are in the table", 500 - n)), "{svg}");
        assert!(!svg.contains("<b>") && !svg.contains('\u{1b}'));
        assert_eq!(chart.to_table().rows.len(), 500);
        let empty = Chart::new("t", Plot::Tags(TagCloud::of("uses", Vec::<(String, f64)>::new())));
        assert!(empty.to_svg(small).contains("by uses") && empty.to_terminal(50, true).len() > 3);
    }

    #[test]
    fn on_a_terminal_words_stand_apart_and_tell_their_weight() {
        let text = cloud(40).to_terminal(60, false);
        let mut all: Vec<&str> =
            text.split_whitespace().filter(|w| w.starts_with("word")).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 40, "{text}");
        assert!(text.contains("█ word0 ") && text.contains("▁ word39"), "{text}");
        assert!(text.lines().all(|line| columns(line) <= 60), "{text}");
        let colored = cloud(40).to_terminal(60, true);
        assert!(colored.contains("\x1b[1;36mword0\x1b[0m") && !colored.contains('█'), "{colored}");
    }
}
