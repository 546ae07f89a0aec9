//! Text that comes from anywhere, made safe to show: in markup, on a terminal, in a given width.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` as the content of an element or of a quoted attribute. Characters that markup cannot hold
/// and those that reverse the direction of text become U+FFFD.
///
/// ```
/// assert_eq!(wright_report::escape("<b> & \"c\""), "&lt;b&gt; &amp; &quot;c&quot;");
/// ```
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if is_unsafe(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Control characters, bidirectional overrides and non-characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

/// `text` on one line, without anything that a terminal would obey.
pub(crate) fn one_line(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if is_unsafe(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Columns of a terminal that `text` takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// `text` in exactly `width` columns: cut with `…`, or filled with blanks at its end.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let mut out = cut(text, width, |c| c.width().unwrap_or(0));
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(&out))));
    out
}

/// `text`, cut with `…` where it would take more than `most`, as `size` counts characters.
fn cut(text: &str, most: usize, size: impl Fn(char) -> usize) -> String {
    if text.chars().map(&size).sum::<usize>() <= most {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), size('…'));
    for c in text.chars() {
        used += size(c);
        if used > most {
            break;
        }
        out.push(c);
    }
    if most >= size('…') {
        out.push('…');
    }
    out
}

/// Thousandths of the font size that a character is wide in a common sans-serif face, rounded up.
fn thousandths(c: char) -> usize {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' => 300,
        'f' | 't' | 'I' | ' ' | '(' | ')' | '[' | ']' | '/' | '-' | '"' | '`' => 360,
        'r' | 's' | 'J' | '*' => 500,
        'c' | 'k' | 'v' | 'x' | 'y' | 'z' => 560,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 920,
        'A'..='Z' | '&' => 720,
        _ if c.is_ascii() => 610,
        _ => 640 * c.width().unwrap_or(0).min(1) + 400 * c.width().unwrap_or(0).saturating_sub(1),
    }
}

/// About how many tenths of a pixel `text` is wide in a font of `size` pixels.
pub(crate) fn tenths_wide(text: &str, size: usize) -> usize {
    (text.chars().map(thousandths).sum::<usize>() * size).div_ceil(100)
}

/// `text`, cut with `…` to about `pixels` in a font of `size` pixels.
pub(crate) fn fit_pixels(text: &str, size: usize, pixels: f64) -> String {
    let most = (pixels.max(0.0) * 1000.0) as usize / size.max(1);
    cut(text, most, thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_lose_their_power() {
        assert_eq!(escape("\u{202e}a\u{7}\n'"), "\u{fffd}a\u{fffd}\n&#39;");
        assert_eq!(one_line("a\n\u{1b}[2J\u{202e}"), "a \u{fffd}[2J\u{fffd}");
    }

    #[test]
    fn text_is_fitted_by_columns_and_not_by_bytes() {
        assert_eq!(fit("déjà", 6), "déjà  ");
        assert_eq!(fit("déjà vu", 5), "déjà…");
        assert_eq!(fit("狐狸和葡萄", 6), "狐狸… ", "wide characters take two columns");
        assert_eq!(fit("abc", 0), "");
        assert!(tenths_wide("mmm", 12) > tenths_wide("iii", 12));
        assert_eq!(fit_pixels("short", 12, 100.0), "short");
        assert!(fit_pixels(&"long ".repeat(20), 12, 100.0).ends_with('…'));
    }
}
