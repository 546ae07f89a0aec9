//! Tables: the numbers beside a chart, or any rows of text.

use crate::text::{columns, escape, fit, one_line};
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// How a cell is shown in HTML.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Good,
    Bad,
    /// In the letters of code.
    Code,
}

/// Text in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), tone: Tone::Plain }
    }
}

impl Cell {
    pub fn new(text: impl Into<String>, tone: Tone) -> Cell {
        Cell { text: text.into(), tone }
    }
}

/// Columns and rows of text. Cells beyond the columns are not shown, missing ones are empty. Where
/// no column has a name, there is no header.
///
/// ```
/// use wright_report::{Align, Table};
///
/// let mut table = Table::new([("license", Align::Left), ("documents", Align::Right)]);
/// table.push(["MIT", "120"]);
/// assert_eq!(table.to_terminal(80), "license  documents\nMIT            120\n");
/// assert!(table.to_html().contains("<td>MIT</td><td class=\"n\">120</td>"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(String, Align)>,
    pub rows: Vec<Vec<Cell>>,
    /// Whether the first cell of each row is its name.
    pub has_row_names: bool,
    /// Said below it, if not empty.
    pub note: String,
}

impl Table {
    pub fn new<N: Into<String>>(columns: impl IntoIterator<Item = (N, Align)>) -> Table {
        let columns = columns.into_iter().map(|(name, align)| (name.into(), align)).collect();
        Table { columns, rows: Vec::new(), has_row_names: false, note: String::new() }
    }

    /// Adds a column behind the others.
    pub fn push_column(&mut self, name: impl Into<String>, align: Align) {
        self.columns.push((name.into(), align));
    }

    /// Adds a row.
    pub fn push<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// A `<table>`, and its note.
    pub fn to_html(&self) -> String {
        let mut out = String::from("<table>");
        if self.has_header() {
            out.push_str("<thead><tr>");
            for (name, align) in &self.columns {
                let class = if *align == Align::Right { " class=\"n\"" } else { "" };
                let _ = write!(out, "<th{class}>{}</th>", escape(name));
            }
            out.push_str("</tr></thead>");
        }
        for row in &self.rows {
            out.push_str("<tr>");
            for (n, (_, align)) in self.columns.iter().enumerate() {
                let name = n == 0 && self.has_row_names;
                out.push_str(&cell_html(row.get(n), *align, if name { "th" } else { "td" }));
            }
            out.push_str("</tr>");
        }
        out.push_str("</table>");
        if !self.note.is_empty() {
            let _ = write!(out, "<p class=\"note\">{}</p>", escape(&self.note));
        }
        out
    }

    fn has_header(&self) -> bool {
        self.columns.iter().any(|(name, _)| !name.is_empty())
    }

    /// Lines of at most `width` columns: where the table is wider, the widest columns are cut.
    pub fn to_terminal(&self, width: usize) -> String {
        let header = self.columns.iter().map(|(name, _)| one_line(name)).collect();
        let header = self.has_header().then_some(header);
        let text = |row: &Vec<Cell>| row.iter().map(|cell| one_line(&cell.text)).collect();
        let all: Vec<Vec<String>> = header.into_iter().chain(self.rows.iter().map(text)).collect();
        let widest = |n: usize| all.iter().map(|row| row.get(n).map_or(0, |c| columns(c))).max();
        let mut widths: Vec<usize> =
            (0..self.columns.len()).map(|n| widest(n).unwrap_or(0)).collect();
        let gaps = 2 * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > width {
            let Some(widest) = widths.iter_mut().max().filter(|w| **w > 3) else { break };
            *widest -= 1;
        }
        let mut out = String::new();
        for row in &all {
            let cell = |(n, width): (usize, &usize)| {
                let text = row.get(n).map_or("", String::as_str);
                let blanks = match self.columns[n].1 {
                    Align::Left => 0,
                    Align::Right => width.saturating_sub(columns(text)),
                };
                fit(&format!("{}{text}", " ".repeat(blanks)), *width)
            };
            let line: Vec<String> = widths.iter().enumerate().map(|(n, w)| cell((n, w))).collect();
            let _ = writeln!(out, "{}", line.join("  ").trim_end());
        }
        if !self.note.is_empty() {
            let _ = writeln!(out, "{}", one_line(&self.note));
        }
        out
    }
}

fn cell_html(cell: Option<&Cell>, align: Align, tag: &str) -> String {
    let (text, tone) = cell.map_or(("", Tone::Plain), |cell| (&*cell.text, cell.tone));
    let align = (align == Align::Right).then_some("n");
    let (tone, code) = match tone {
        Tone::Plain => (None, false),
        Tone::Good => (Some("good"), false),
        Tone::Bad => (Some("bad"), false),
        Tone::Code => (None, true),
    };
    let class = align.into_iter().chain(tone).collect::<Vec<_>>().join(" ");
    let class = if class.is_empty() { class } else { format!(" class=\"{class}\"") };
    let text = escape(text);
    match code {
        true => format!("<{tag}{class}><code>{text}</code></{tag}>"),
        false => format!("<{tag}{class}>{text}</{tag}>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_the_width_and_text_stays_text() {
        let mut table = Table::new([("name", Align::Left), ("n", Align::Right)]);
        table.push(["<b>\u{1b}[31m", "1"]);
        table.push(["a very long name that goes on and on".to_owned(), "1000".to_owned()]);
        table.push([Cell::new("short row", Tone::Bad)]);
        table.note = "Some <i>note</i>".into();
        let html = table.to_html();
        assert!(html.contains("<td>&lt;b&gt;\u{fffd}[31m</td>") && !html.contains("<i>"), "{html}");
        assert!(html.contains("<td class=\"bad\">short row</td><td class=\"n\"></td>"), "{html}");
        let text = table.to_terminal(20);
        let wanted = "name               n\n<b>\u{fffd}[31m           1\na very long n…  1000\n\
                      short row\nSome <i>note</i>\n";
        assert_eq!(text, wanted);
    }
}
