//! Pieces of text with their places on pages, to lines and paragraphs.

/// A gap of so much of the font's size is a space.
const SPACE: f64 = 0.2;
/// A step down of so much of the font's size is a new line, and of so much a new paragraph.
const LINE: f64 = 0.4;
const PARAGRAPH: f64 = 1.7;
/// Lines shorter than this part of the longest end a paragraph, or are verse.
const FULL_LINE: f64 = 0.6;

#[derive(Debug, Default)]
pub struct Layout {
    text: String,
    /// Where the last piece ended.
    end: Option<(f64, f64)>,
}

impl Layout {
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Adds a piece that goes from `x` to `end` at the height `y`, in a font of this size.
    pub fn push(&mut self, text: &str, (x, y): (f64, f64), end: f64, size: f64) {
        let size = if size.is_finite() { size.abs().max(1e-3) } else { 1.0 };
        if let Some((last_x, last_y)) = self.end {
            let down = (last_y - y).abs() / size;
            if down > LINE {
                self.text.truncate(self.text.trim_end_matches(' ').len());
                self.text.push_str(if down > PARAGRAPH || y > last_y { "\n\n" } else { "\n" });
            } else if (x - last_x).abs() > SPACE * size && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
        }
        let starts_line = self.text.is_empty() || self.text.ends_with('\n');
        self.text.push_str(if starts_line { text.trim_start() } else { text });
        self.end = Some((end, y));
    }

    /// A space that no piece of text has.
    pub fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    /// The next piece begins another page.
    pub fn page(&mut self) {
        self.text.truncate(self.text.trim_end().len());
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.end = None;
    }

    /// Lines that were only as long as the page joined to paragraphs.
    pub fn finish(self) -> String {
        let lines: Vec<&str> = self.text.lines().map(str::trim_end).collect();
        let mut lengths: Vec<usize> =
            lines.iter().map(|line| line.chars().count()).filter(|&n| n > 0).collect();
        lengths.sort_unstable();
        // The longest but for outliers.
        let full = lengths.get(lengths.len() * 9 / 10).copied().unwrap_or(0) as f64 * FULL_LINE;
        let mut text = String::with_capacity(self.text.len());
        for (at, line) in lines.iter().enumerate() {
            text.push_str(line);
            let next = lines.get(at + 1).copied().unwrap_or_default();
            let joins = !line.is_empty() && !next.is_empty() && line.chars().count() as f64 >= full;
            if !joins {
                text.push('\n');
                continue;
            }
            let begins_small = next.chars().next().is_some_and(char::is_lowercase);
            let mut back = line.chars().rev();
            let is_broken = matches!(back.next(), Some('-' | '\u{ad}' | '‐'))
                && back.next().is_some_and(char::is_alphabetic);
            match is_broken && begins_small {
                true => drop(text.pop()),
                false => text.push(' '),
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_paragraphs_and_broken_words_whole() {
        let mut layout = Layout::default();
        let lines = ["A fox saw some grapes hang-", "ing from a vine that was", "trained high."];
        for (n, line) in lines.iter().enumerate() {
            layout.push(line, (0.0, 700.0 - 12.0 * n as f64), 100.0, 10.0);
        }
        layout.push("Another", (0.0, 640.0), 30.0, 10.0);
        layout.push("day", (34.0, 640.0), 50.0, 10.0);
        layout.page();
        layout.push("2", (0.0, 700.0), 5.0, 10.0);
        let wanted = "A fox saw some grapes hanging from a vine that was trained high.\n\n\
                      Another day\n2";
        assert_eq!(layout.finish(), wanted);
    }
}
