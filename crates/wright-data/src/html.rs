//! The readable text of an HTML page, without scripts, navigation, forms and asides.
//!
//! It is not a parser of trees: one pass over tags, in linear time, that never fails. Lists of
//! links that no element marks as navigation are left out where four or more stand together.

mod entities;

/// Elements whose content is not HTML.
const RAW: &[&str] = &["script", "style", "xmp", "textarea", "title", "noembed", "noframes"];
/// Elements that hold no part of the text.
const ASIDE: &[&str] = &[
    "nav", "footer", "aside", "form", "noscript", "svg", "math", "button", "select", "iframe",
    "object", "template", "dialog", "menu", "video", "audio", "canvas",
];
/// Elements that stand apart from what is before and after them.
const PARAGRAPHS: &[&str] = &[
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "pre",
    "table",
    "ul",
    "ol",
    "dl",
    "hr",
    "section",
    "article",
    "main",
    "header",
    "figure",
    "address",
    "details",
];
/// Elements on lines of their own.
const LINES: &[&str] = &[
    "div",
    "br",
    "li",
    "tr",
    "dt",
    "dd",
    "option",
    "caption",
    "figcaption",
    "summary",
    "body",
    "center",
    "title",
];
/// Links in a row, on short lines, that are taken for navigation.
const LINKS_MIN: usize = 4;

/// What a page gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub text: String,
    pub title: Option<String>,
    /// Where it links to its licence.
    pub licence: Option<String>,
}

/// Reads a page.
pub fn text(html: &str) -> Page {
    let mut walk = Walk::new(html, true);
    walk.run();
    if walk.aside.is_some() {
        // An aside that never ends is a mistake of the page: better some menu than no text.
        walk = Walk::new(html, false);
        walk.run();
    }
    walk.page.text = walk.out.finish();
    walk.page
}

struct Walk<'h> {
    html: &'h str,
    at: usize,
    page: Page,
    out: Out,
    leaves_asides: bool,
    /// The element that is left out now, and how many of its name are open.
    aside: Option<(String, usize)>,
}

/// A tag's name in lower case, whether it closes, and its attributes.
struct Tag<'h> {
    name: String,
    closes: bool,
    attributes: &'h str,
}

impl<'h> Walk<'h> {
    fn new(html: &'h str, leaves_asides: bool) -> Self {
        let (page, out) = (Page::default(), Out::default());
        Walk { html, at: 0, page, out, leaves_asides, aside: None }
    }

    fn run(&mut self) {
        while self.at < self.html.len() {
            let rest = &self.html[self.at..];
            let Some(open) = rest.find('<') else {
                self.text(rest);
                return;
            };
            self.text(&rest[..open]);
            self.at += open;
            self.markup();
        }
    }

    fn text(&mut self, text: &str) {
        if self.aside.is_none() && !text.is_empty() {
            self.out.push(&entities::decode(text));
        }
    }

    /// What begins with `<`.
    fn markup(&mut self) {
        let rest = &self.html[self.at..];
        let next = rest.as_bytes().get(1).copied().unwrap_or(0);
        if let Some(comment) = rest.strip_prefix("<!--") {
            self.at += comment.find("-->").map_or(rest.len(), |at| at + 7);
        } else if next == b'!' || next == b'?' {
            self.at += rest.find('>').map_or(rest.len(), |at| at + 1);
        } else if next.is_ascii_alphabetic() || next == b'/' {
            let (tag, len) = tag(rest);
            self.at += len;
            self.tag(&tag);
        } else {
            self.text("<");
            self.at += 1;
        }
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        let name = tag.name.as_str();
        if !tag.closes && RAW.contains(&name) {
            let content = self.raw(name);
            if name == "title" && self.page.title.is_none() && self.aside.is_none() {
                let words: Vec<String> =
                    entities::decode(content).split_whitespace().map(str::to_owned).collect();
                self.page.title = Some(words.join(" ")).filter(|title| !title.is_empty());
            }
            return;
        }
        if let Some((aside, depth)) = &mut self.aside {
            match name == aside.as_str() {
                true if tag.closes => *depth -= 1,
                true if !tag.attributes.ends_with('/') => *depth += 1,
                _ => {}
            }
            if *depth == 0 {
                self.aside = None;
                self.out.line();
            }
            return;
        }
        let navigates = attribute(tag.attributes, "role").as_deref() == Some("navigation");
        let opens = !tag.closes && !tag.attributes.ends_with('/');
        if opens && self.leaves_asides && (ASIDE.contains(&name) || navigates) {
            self.aside = Some((tag.name.clone(), 1));
            return;
        }
        if matches!(name, "a" | "link") && !tag.closes {
            self.licence(tag);
        }
        self.place(tag);
    }

    /// What a tag does to the text's layout.
    fn place(&mut self, tag: &Tag<'_>) {
        let name = tag.name.as_str();
        match name {
            "a" => self.out.in_link = !tag.closes,
            "td" | "th" => self.out.space(),
            "pre" => {
                self.out.paragraph();
                self.out.is_verbatim = !tag.closes;
            }
            _ if PARAGRAPHS.contains(&name) => self.out.paragraph(),
            _ if LINES.contains(&name) => self.out.line(),
            _ => {}
        }
        if name == "li" && !tag.closes {
            self.out.push("- ");
        }
    }

    fn licence(&mut self, tag: &Tag<'_>) {
        let rel = attribute(tag.attributes, "rel").unwrap_or_default();
        if rel.split_whitespace().any(|word| word.eq_ignore_ascii_case("license"))
            && let Some(href) = attribute(tag.attributes, "href")
            && self.page.licence.is_none()
        {
            self.page.licence = crate::licence::of_field(&href);
        }
    }

    /// What stands before the end tag of `name`; goes behind it.
    fn raw(&mut self, name: &str) -> &'h str {
        let rest = &self.html[self.at..];
        let bytes = rest.as_bytes();
        let is_end = |at: usize| {
            let word = bytes.get(at + 2..at + 2 + name.len());
            word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        let ends = rest.match_indices("</").map(|(at, _)| at).find(|&at| is_end(at));
        let end = ends.unwrap_or(rest.len());
        self.at += end;
        if end < rest.len() {
            self.at += rest[end..].find('>').map_or(rest.len() - end, |at| at + 1);
        }
        &rest[..end]
    }
}

/// The tag that `rest` begins with, and its length: to the `>` that is not in quotes.
fn tag(rest: &str) -> (Tag<'_>, usize) {
    let bytes = rest.as_bytes();
    let closes = bytes.get(1) == Some(&b'/');
    let start = if closes { 2 } else { 1 };
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':');
    let n = bytes[start..].iter().take_while(|b| is_name(b)).count();
    let name = rest[start..start + n].to_ascii_lowercase();
    let (mut quote, mut after_equals) = (None, false);
    for (at, &byte) in bytes.iter().enumerate().skip(start + n) {
        match (quote, byte) {
            (Some(q), _) if q == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') if after_equals => quote = Some(byte),
            (None, b'>') => {
                return (Tag { name, closes, attributes: &rest[start + n..at] }, at + 1);
            }
            _ => {}
        }
        after_equals = byte == b'=' || (after_equals && byte.is_ascii_whitespace());
    }
    (Tag { name, closes, attributes: "" }, rest.len())
}

/// The value of an attribute.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    while let Some(equals) = rest.find('=') {
        let key = rest[..equals].trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
        let value = rest[equals + 1..].trim_start();
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            _ => value.split_once(char::is_whitespace).unwrap_or((value, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(entities::decode(value).into_owned());
        }
        rest = after;
    }
    None
}

/// Text as it is laid out: blanks run together, lines and paragraphs apart.
#[derive(Default)]
struct Out {
    lines: Vec<Line>,
    line: Line,
    needs_space: bool,
    is_verbatim: bool,
    in_link: bool,
}

#[derive(Default)]
struct Line {
    text: String,
    /// Bytes of `text` that are not a link.
    plain: usize,
}

impl Out {
    fn push(&mut self, text: &str) {
        if self.is_verbatim {
            for (n, part) in text.split('\n').enumerate() {
                if n > 0 {
                    self.lines.push(std::mem::take(&mut self.line));
                }
                self.line.text.push_str(part);
                self.line.plain += part.len();
            }
            return;
        }
        for (n, word) in text.split([' ', '\n', '\t', '\r', '\u{c}']).enumerate() {
            self.needs_space |= n > 0;
            if word.is_empty() {
                continue;
            }
            if self.needs_space && !self.line.text.is_empty() && !self.line.text.ends_with(' ') {
                self.line.text.push(' ');
            }
            self.needs_space = false;
            self.line.text.push_str(word);
            if !self.in_link && word != "-" && word != "|" {
                self.line.plain += word.len();
            }
        }
    }

    fn space(&mut self) {
        self.needs_space = true;
    }

    fn line(&mut self) {
        if !self.line.text.trim().is_empty() {
            self.lines.push(std::mem::take(&mut self.line));
        }
        self.line = Line::default();
        self.needs_space = false;
    }

    fn paragraph(&mut self) {
        self.line();
        if self.lines.last().is_some_and(|line| !line.text.is_empty()) {
            self.lines.push(Line::default());
        }
    }

    fn finish(mut self) -> String {
        self.line();
        let links = |line: &Line| line.plain == 0 && !line.text.is_empty() && line.text.len() < 80;
        let mut kept: Vec<&str> = Vec::new();
        let mut at = 0;
        while at < self.lines.len() {
            let run = self.lines[at..].iter().take_while(|line| links(line)).count();
            if run < LINKS_MIN {
                kept.extend(self.lines[at..at + run.max(1)].iter().map(|l| l.text.trim_end()));
            }
            at += run.max(1);
        }
        let text = kept.join("\n");
        text.trim_matches('\n').trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_what_a_reader_reads() {
        let page = text(
            "<!DOCTYPE html><html><head><title>A &amp; B</title><style>p{}</style>\
             <link rel=license href='https://creativecommons.org/licenses/by/4.0/'></head>\
             <body><nav><ul><li><a href=/>Home</a></ul></nav><script>if (a < b) x('</p>')</script>\
             <h1>The  Fox</h1><p>One &lt;day&gt; a\nfox<br>came<b>!</b></p>\
             <!-- no --><ul><li>grapes</li><li>sour &eacute;&#233;&#xe9;</li></ul>\
             <pre>a\n  b</pre><footer>Imprint</footer><p>1 < 2 & 3</body></html>",
        );
        assert_eq!(page.title.as_deref(), Some("A & B"));
        assert_eq!(page.licence.as_deref(), Some("CC-BY-4.0"));
        let wanted = "The Fox\n\nOne <day> a fox\ncame!\n\n- grapes\n- sour ééé\n\na\n  b\n\n\
                      1 < 2 & 3";
        assert_eq!(page.text, wanted);
    }

    #[test]
    fn menus_without_a_name_are_left_out_and_links_in_text_are_not() {
        let menu = "<div><a href=1>News</a></div>".repeat(5);
        let page = text(&format!("{menu}<p>See <a href=2>this page</a> for more.</p>"));
        assert_eq!(page.text, "See this page for more.");
        assert_eq!(text("<a href=1>One</a>").text, "One");
    }

    #[test]
    fn broken_pages_lose_no_more_than_they_must() {
        assert_eq!(text("<nav><p>All of it").text, "All of it");
        assert_eq!(text("a <b").text, "a");
        assert_eq!(text("<a title=\"x > y\">in</a>").text, "in");
        assert_eq!(text("<p/>x<div role=navigation>y</div>z").text, "x\nz");
        assert_eq!(text("&#xffffffff; &#0; &nosuch; &").text, "\u{fffd} \u{fffd} &nosuch; &");
    }
}
