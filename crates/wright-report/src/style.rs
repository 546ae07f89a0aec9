//! How charts and pages look: colors, sizes and style sheets.

use crate::text;

/// Colors, by the place of a series in the legend. They follow the reader's light or dark page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    First,
    Second,
    Third,
    Fourth,
    Fifth,
    Sixth,
}

impl Color {
    const ALL: [Color; 6] =
        [Color::First, Color::Second, Color::Third, Color::Fourth, Color::Fifth, Color::Sixth];

    /// The color of the `n`th series, from 0; after six they begin again.
    pub fn nth(n: usize) -> Color {
        Color::ALL[n % Color::ALL.len()]
    }

    /// The class of it in a style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Color::First => "first",
            Color::Second => "second",
            Color::Third => "third",
            Color::Fourth => "fourth",
            Color::Fifth => "fifth",
            Color::Sixth => "sixth",
        }
    }

    /// `text` in this color on a terminal.
    pub(crate) fn paint(self, text: &str) -> String {
        let code = [36, 33, 94, 35, 32, 31][self as usize];
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// What tells a series from others where there is no color.
    pub(crate) fn mark(self) -> char {
        ['●', '○', '■', '□', '▲', '△'][self as usize]
    }

    /// The mark in the legend of a terminal.
    pub(crate) fn legend(self, name: &str, colors: bool) -> String {
        let (mark, name) = (self.mark(), text::one_line(name));
        if colors { format!("{} {name}", self.paint("━━")) } else { format!("{mark} {name}") }
    }
}

/// Width and height in pixels at which text has its natural size; the picture scales to any width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

/// Classes of a chart with up to two colors, and the variables that set these.
pub(crate) const CHART: &str = "\
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

/// What bars, tag clouds and further colors need beyond [`CHART`].
pub(crate) const CHART_MORE: &str = "\
.chart{--third:#3566ad;--fourth:#8b4a9c;--fifth:#8f7410;--sixth:#b3264e}\
.chart .third.line{stroke:var(--third)}.chart .fourth.line{stroke:var(--fourth)}\
.chart .fifth.line{stroke:var(--fifth)}.chart .sixth.line{stroke:var(--sixth)}\
.chart .third.fill{fill:var(--third)}.chart .fourth.fill{fill:var(--fourth)}\
.chart .fifth.fill{fill:var(--fifth)}.chart .sixth.fill{fill:var(--sixth)}\
.chart .zero{stroke:var(--muted);stroke-width:1}\
.chart .whisker{stroke:var(--ink);stroke-width:1.25;fill:none}\
.chart .tag{fill:var(--ink);font-weight:500}.chart .tag.strong{fill:var(--first);font-weight:600}\
.chart .tag.weak{fill:var(--muted)}\
@media(prefers-color-scheme:dark){.chart{--third:#8ab4f0;--fourth:#d29fe3;--fifth:#d8bc55;\
--sixth:#ff8fab}}";

/// A page, its text, tables and figures.
pub(crate) const PAGE: &str = include_str!("page.css");
