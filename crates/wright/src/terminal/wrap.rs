//! Lines that end between words at the width of the terminal.

use unicode_width::UnicodeWidthChar;

/// `text` with lines of at most `columns`, broken between words. Every line begins with `indent`.
/// The rest of a line that was too long stands under the line's last column, as in a table, where
/// that is in the left half; otherwise under the line's beginning. A word that is longer than a
/// line is left whole: the terminal breaks it.
pub fn wrap(text: &str, columns: usize, indent: &str) -> String {
    let mut out = String::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let blanks = line.len() - line.trim_start_matches(' ').len();
        let first = format!("{indent}{}", &line[..blanks]);
        let last_column = line.rfind("  ").map_or(0, |at| width(&line[..at + 2]));
        let hang = match last_column {
            n if n > blanks && n <= columns / 2 => " ".repeat(indent.len() + n),
            n if n > blanks => format!("{first}    "),
            _ => first.clone(),
        };
        let mut column = 0;
        for word in line[blanks..].split_inclusive(' ') {
            let visible = width(word.trim_end_matches(' '));
            if column == 0 || column + visible > columns {
                if column > 0 {
                    out.truncate(out.trim_end_matches(' ').len());
                    out.push('\n');
                }
                let begin = if column == 0 { &first } else { &hang };
                out.push_str(begin);
                column = width(begin);
            }
            out.push_str(word);
            column += width(word);
        }
    }
    out
}

/// Columns that `text` takes.
fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Breaks lines between words in text that comes piece by piece.
///
/// A word is shown as soon as it is known where it goes: what does not fit the line goes to the
/// next one. Without a width the text passes as it is.
#[derive(Debug)]
pub struct Wrapper {
    columns: Option<usize>,
    column: usize,
    /// Blanks that were not shown yet, since a line may end before them.
    blanks: String,
    /// The beginning of a word whose end has not come.
    word: String,
}

impl Wrapper {
    pub fn new(columns: Option<usize>) -> Self {
        Wrapper { columns, column: 0, blanks: String::new(), word: String::new() }
    }

    /// What can be shown now that `text` has come.
    pub fn push(&mut self, text: &str) -> String {
        let Some(columns) = self.columns else { return text.to_owned() };
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '\n' => {
                    self.close_word(columns, &mut out);
                    self.blanks.clear();
                    self.column = 0;
                    out.push(c);
                }
                ' ' | '\t' => {
                    self.close_word(columns, &mut out);
                    self.blanks.push(c);
                }
                // Scripts without blanks break anywhere.
                wide if wide.width() == Some(2) => {
                    self.close_word(columns, &mut out);
                    self.word.push(wide);
                    self.close_word(columns, &mut out);
                }
                _ => self.word.push(c),
            }
        }
        out
    }

    /// What was held back, at the end of the text.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        if let Some(columns) = self.columns {
            self.close_word(columns, &mut out);
        }
        self.blanks.clear();
        self.column = 0;
        out
    }

    fn close_word(&mut self, columns: usize, out: &mut String) {
        if self.word.is_empty() {
            return;
        }
        let before = self.blanks.chars().map(|c| if c == '\t' { 8 } else { 1 }).sum::<usize>();
        let word = width(&self.word);
        if self.column > 0 && self.column + before + word > columns {
            out.push('\n');
            self.column = 0;
        } else {
            out.push_str(&self.blanks);
            self.column += before;
        }
        self.blanks.clear();
        out.push_str(&self.word);
        self.column += word;
        self.word.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words_and_keep_their_indent() {
        assert_eq!(wrap("one two three four", 9, ""), "one two\nthree\nfour");
        assert_eq!(wrap("  one two three", 9, ""), "  one two\n  three");
        assert_eq!(wrap("a\n\nb c", 80, "  "), "  a\n\n  b c");
        assert_eq!(wrap("a verylongword b", 6, ""), "a\nverylongword\nb");
        assert_eq!(wrap("你好 你好", 6, ""), "你好\n你好");
        assert_eq!(wrap("table   of   words", 80, ""), "table   of   words");
        assert_eq!(wrap("ok  all is well", 12, ""), "ok  all is\n    well");
        assert_eq!(wrap("a name  and much text", 14, ""), "a name  and\n    much text");
    }

    #[test]
    fn streamed_text_is_wrapped_however_it_is_cut() {
        let text = "It is one of those  days,\n\n    let x = 1;\nand a verylongwordindeed \
                    你好你好你好 ends";
        let whole = Wrapper::new(Some(12)).push(&format!("{text}\n"));
        assert!(whole.lines().all(|line| width(line) <= 12 || line == "verylongwordindeed"));
        assert!(whole.contains("    let x =\n"), "{whole}");
        let mut wrapper = Wrapper::new(Some(12));
        let mut pieces: String = text.chars().map(|c| wrapper.push(&c.to_string())).collect();
        pieces += &wrapper.finish();
        assert_eq!(pieces + "\n", whole);
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(plain(&whole), plain(text), "no character is lost");
        assert_eq!(Wrapper::new(None).push(text), text);
    }
}
