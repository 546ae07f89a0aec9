//! A page of sections in one HTML file: no scripts, no fonts, nothing that would have to be
//! fetched. It forbids itself to load or run anything, and all text in it is escaped here, so that
//! callers hand over text as it is.

use crate::chart::{Chart, stylesheet};
use crate::style::{self, Size};
use crate::table::Table;
use crate::text::escape;
use std::fmt::Write;

/// What the page may load: nothing. What it may do: look like itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Text that goes on from a text that was given, such as a model's from its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage<'t> {
    /// Shown in gray.
    pub given: &'t str,
    /// Shown without its blank lines.
    pub text: &'t str,
    /// Whether it goes on beyond what is shown.
    pub goes_on: bool,
}

/// A page in the making: each call adds to its end.
///
/// ```
/// use wright_report::{Align, Page, Table};
///
/// let mut page = Page::new("Licenses of a corpus");
/// page.heading("Licenses").lead("What the documents may be used for.");
/// let mut table = Table::new([("license", Align::Left), ("documents", Align::Right)]);
/// table.push(["MIT <or later>", "120"]);
/// page.section("By license").table(&table);
/// let html = page.to_html();
/// assert!(html.starts_with("<!doctype html>") && html.contains("MIT &lt;or later&gt;"));
/// ```
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
    /// One of the charts that need the larger style sheet, if there is any.
    style: String,
}

impl Page {
    /// An empty page. `title` is what a browser calls it.
    pub fn new(title: &str) -> Page {
        Page { title: escape(title), body: String::new(), style: stylesheet([]) }
    }

    fn element(&mut self, tag: &str, class: &str, text: &str, end: &str) -> &mut Page {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = write!(self.body, "<{tag}{class}>{}</{tag}>{end}", escape(text));
        self
    }

    /// In which state the subject of the page is, above its heading; `is_open` says that it is to
    /// change.
    pub fn state(&mut self, text: &str, is_open: bool) -> &mut Page {
        self.element("p", if is_open { "state open" } else { "state" }, text, "")
    }

    /// The heading of the page.
    pub fn heading(&mut self, text: &str) -> &mut Page {
        self.element("h1", "", text, "\n")
    }

    /// What it is about, below the heading.
    pub fn lead(&mut self, text: &str) -> &mut Page {
        self.element("p", "lead", text, "\n")
    }

    /// Large numbers with what they are: (value, label).
    pub fn key_figures(&mut self, figures: &[(String, String)]) -> &mut Page {
        self.body.push_str("<div class=\"figures\">");
        for (value, label) in figures {
            let (value, label) = (escape(value), escape(label));
            let _ =
                write!(self.body, "<div class=\"figure\"><b>{value}</b><span>{label}</span></div>");
        }
        self.body.push_str("</div>\n");
        self
    }

    /// Begins a section.
    pub fn section(&mut self, title: &str) -> &mut Page {
        self.element("h2", "", title, "\n")
    }

    /// Begins a part of a section.
    pub fn subsection(&mut self, title: &str) -> &mut Page {
        self.element("h3", "", title, "\n")
    }

    pub fn paragraph(&mut self, text: &str) -> &mut Page {
        self.element("p", "", text, "\n")
    }

    /// A remark in small gray letters.
    pub fn note(&mut self, text: &str) -> &mut Page {
        self.element("p", "note", text, "\n")
    }

    /// Text that a machine reads or wrote, such as a command.
    pub fn code(&mut self, text: &str) -> &mut Page {
        self.element("pre", "", text, "\n")
    }

    /// Text from elsewhere, and where it came from, if that is known.
    pub fn quote(&mut self, text: &str, source: Option<&str>) -> &mut Page {
        let _ = match source {
            Some(source) => write!(
                self.body,
                "<blockquote dir=\"auto\">{}<br><code>{}</code></blockquote>",
                escape(text),
                escape(source)
            ),
            None => write!(self.body, "<blockquote>{}</blockquote>", escape(text)),
        };
        self
    }

    /// A text that a model wrote.
    pub fn passage(&mut self, passage: Passage<'_>) -> &mut Page {
        let text = passage_html(passage);
        let _ = writeln!(self.body, "<p class=\"sample\" dir=\"auto\">{text}</p>");
        self
    }

    /// Texts with a label at each, one below the other.
    pub fn passages<'t>(
        &mut self,
        all: impl IntoIterator<Item = (String, Passage<'t>)>,
    ) -> &mut Page {
        self.body.push_str("<ol class=\"growth\">");
        for (label, passage) in all {
            let (label, text) = (escape(&label), passage_html(passage));
            let _ = write!(
                self.body,
                "<li><span class=\"at\">{label}</span>\
                 <p class=\"sample\" dir=\"auto\">{text}</p></li>"
            );
        }
        self.body.push_str("</ol>\n");
        self
    }

    /// Rows of a name and a value.
    pub fn facts<N: AsRef<str>, V: AsRef<str>>(&mut self, rows: &[(N, V)]) -> &mut Page {
        self.body.push_str("<table>");
        for (name, value) in rows {
            let (name, value) = (escape(name.as_ref()), escape(value.as_ref()));
            let _ = write!(self.body, "<tr><th>{name}</th><td class=\"n\">{value}</td></tr>");
        }
        self.body.push_str("</table>\n");
        self
    }

    pub fn table(&mut self, table: &Table) -> &mut Page {
        self.body.push_str(&table.to_html());
        self.body.push('\n');
        self
    }

    /// A chart, drawn for a wide page and for a narrow one, of which the reader sees one.
    pub fn chart(&mut self, chart: &Chart, wide: Size, narrow: Size) -> &mut Page {
        let style = stylesheet([chart]);
        if style.len() > self.style.len() {
            self.style = style;
        }
        let (wide, narrow) = (chart.to_svg(wide), chart.to_svg(narrow));
        let _ = writeln!(
            self.body,
            "<div class=\"wide\">{wide}</div><div class=\"narrow\">{narrow}</div>"
        );
        self
    }

    /// A chart, and its numbers in a table that unfolds.
    pub fn chart_with_table(&mut self, chart: &Chart, wide: Size, narrow: Size) -> &mut Page {
        let table = chart.to_table();
        self.chart(chart, wide, narrow);
        self.details("The numbers", &table.rows.len().to_string(), false, |page| {
            page.table(&table);
        })
    }

    /// What `content` adds, in a part that unfolds; `amount` stands at the right of its summary.
    pub fn details(
        &mut self,
        summary: &str,
        amount: &str,
        is_open: bool,
        content: impl FnOnce(&mut Page),
    ) -> &mut Page {
        let open = if is_open { " open" } else { "" };
        let _ = write!(self.body, "<details{open}><summary>{}", escape(summary));
        if !amount.is_empty() {
            let _ = write!(self.body, "<span>{}</span>", escape(amount));
        }
        self.body.push_str("</summary>");
        content(self);
        self.body.push_str("</details>\n");
        self
    }

    /// The last words of the page.
    pub fn footer(&mut self, text: &str) -> &mut Page {
        self.element("footer", "", text, "\n")
    }

    /// The page as a file.
    pub fn to_html(&self) -> String {
        let Page { title, body, style } = self;
        let page = style::PAGE;
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
             <title>{title}</title>\n<style>\n{page}{style}\n</style></head>\
             <body><main>\n{body}</main></body></html>\n"
        )
    }
}

fn passage_html(passage: Passage<'_>) -> String {
    let more = if passage.goes_on { " <s>…</s>" } else { "" };
    let begun = if passage.text.starts_with('\n') { "\n" } else { "" };
    let lines = passage.text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("\n");
    format!("<i>{}</i>{begun}{}{more}", escape(passage.given), escape(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Align, Bars, Plot};

    #[test]
    fn whatever_a_page_is_given_is_text() {
        let evil = "</p><script>alert(1)</script><img src=x onerror=\"y\"> \u{202e}& \u{1b}[2J";
        let mut page = Page::new(evil);
        let passage = Passage { given: evil, text: evil, goes_on: true };
        let mut table = Table::new([(evil, Align::Left)]);
        table.push([evil]);
        table.note = evil.into();
        let chart = Chart::new(evil, Plot::Bars(Bars::of(evil, [(evil, 1.0)])));
        let chart = chart.with_description(evil);
        let size = Size { width: 350.0, height: 280.0 };
        page.state(evil, true).heading(evil).lead(evil).section(evil).subsection(evil);
        page.paragraph(evil).note(evil).code(evil).footer(evil);
        page.quote(evil, Some(evil)).quote(evil, None).passage(passage);
        page.passages([(evil.to_owned(), passage)]).facts(&[(evil, evil)]).table(&table);
        page.key_figures(&[(evil.to_owned(), evil.to_owned())]);
        page.chart_with_table(&chart, size, size);
        page.details(evil, evil, true, |page| {
            page.note(evil);
        });
        let html = page.to_html();
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(!html.contains('\u{202e}') && !html.contains('\u{1b}'));
        for attribute in html.split("=\"").skip(1) {
            let value = attribute.split('"').next().unwrap_or_default();
            assert!(!value.contains(['<', '>']), "{value}");
        }
    }

    #[test]
    fn a_page_has_the_style_that_its_charts_need() {
        let size = Size { width: 350.0, height: 280.0 };
        let mut page = Page::new("t");
        assert!(!page.to_html().contains(".whisker"));
        let chart = Chart::new("Bars", Plot::Bars(Bars::of("n", [("a", 1.0)])));
        page.chart_with_table(&chart, size, size);
        let html = page.to_html();
        assert!(html.contains(".whisker") && html.contains("default-src 'none'"), "{html}");
        assert!(html.contains("<summary>The numbers<span>1</span></summary><table>"), "{html}");
        assert!(html.ends_with("</main></body></html>\n"));
    }
}
