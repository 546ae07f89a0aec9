//! A chart: what is plotted, with a title and a description, in each of its forms.

use crate::bars::Bars;
use crate::cloud::TagCloud;
use crate::lines::Lines;
use crate::style::{self, Size};
use crate::table::Table;
use crate::text::{self, escape};

/// What is plotted.
#[derive(Debug, Clone, PartialEq)]
pub enum Plot {
    Lines(Lines),
    Bars(Bars),
    Tags(TagCloud),
}

/// A plot with what a reader who does not see it has to know.
///
/// ```
/// use wright_report::{Bars, Chart, Plot, Size};
///
/// let bars = Bars::of("documents", [("MIT", 120.0), ("CC0", 35.0)]);
/// let chart = Chart::new("Documents by license", Plot::Bars(bars))
///     .with_description("Most documents are under MIT.");
/// let svg = chart.to_svg(Size { width: 400.0, height: 200.0 });
/// assert!(svg.starts_with("<svg") && svg.contains("<desc>Most documents are under MIT.</desc>"));
/// assert!(chart.to_terminal(60, false).contains("MIT ███"));
/// assert_eq!(chart.to_table().rows.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub title: String,
    /// What there is to see in it, in a sentence or two; empty if there is nothing to add.
    pub description: String,
    pub plot: Plot,
}

impl Chart {
    pub fn new(title: impl Into<String>, plot: Plot) -> Chart {
        Chart { title: title.into(), description: String::new(), plot }
    }

    /// The same chart with a description.
    pub fn with_description(mut self, description: impl Into<String>) -> Chart {
        self.description = description.into();
        self
    }

    /// An `<svg>` element, with `<title>` and `<desc>`, to stand in a page that has the style sheet
    /// of [`stylesheet`]. Bars are as high as their number needs, whatever the height of `size`.
    pub fn to_svg(&self, size: Size) -> String {
        let mut marks = String::new();
        let height = match &self.plot {
            Plot::Lines(lines) => lines.svg(&mut marks, size),
            Plot::Bars(bars) => bars.svg(&mut marks, size.width),
            Plot::Tags(cloud) => cloud.svg(&mut marks, size),
        };
        let (width, title) = (size.width, escape(&self.title));
        let desc = match self.description.is_empty() {
            true => String::new(),
            false => format!("<desc>{}</desc>", escape(&self.description)),
        };
        format!(
            "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
             viewBox=\"0 0 {width} {height}\" aria-label=\"{title}\"><title>{title}</title>{desc}\
             {marks}</svg>"
        )
    }

    /// An SVG file, which carries its own style sheet.
    pub fn to_svg_file(&self, size: Size) -> String {
        let svg = self.to_svg(size);
        let style = format!(
            "<style>{}.chart{{background:#fdfcf9}}\
             @media(prefers-color-scheme:dark){{.chart{{background:#191816}}}}</style>",
            stylesheet([self])
        );
        let head = svg.find('>').map_or(0, |at| at + 1);
        format!("{}{style}{}\n", &svg[..head], &svg[head..])
    }

    /// Lines of text of at most `width` columns (40 at least), each with its end. Without `colors`
    /// there are no escape sequences in them.
    pub fn to_terminal(&self, width: usize, colors: bool) -> String {
        let width = width.max(40);
        let title = text::fit(&text::one_line(&self.title), width);
        let body = match &self.plot {
            Plot::Lines(lines) => lines.terminal(width, colors),
            Plot::Bars(bars) => bars.terminal(width, colors),
            Plot::Tags(cloud) => cloud.terminal(width, colors),
        };
        let lines = std::iter::once(title.as_str()).chain(body.lines());
        lines.map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// The numbers of the chart.
    pub fn to_table(&self) -> Table {
        match &self.plot {
            Plot::Lines(lines) => lines.table(),
            Plot::Bars(bars) => bars.table(),
            Plot::Tags(cloud) => cloud.table(),
        }
    }

    /// Whether it needs more of the style sheet than two lines do.
    fn needs_more_style(&self) -> bool {
        match &self.plot {
            Plot::Lines(lines) => lines.series.iter().any(|s| s.color as usize > 1),
            Plot::Bars(_) | Plot::Tags(_) => true,
        }
    }
}

/// The style sheet of a page or file that shows `charts`. A page may set the colors itself.
pub fn stylesheet<'c>(charts: impl IntoIterator<Item = &'c Chart>) -> String {
    let more = charts.into_iter().any(Chart::needs_more_style);
    format!("{}{}", style::CHART, if more { style::CHART_MORE } else { "" })
}
