//! The block between two lines of `---` at the top of a text, as Markdown files have it.

use crate::licence;

/// More lines than this are not a front matter.
const LINES_MAX: usize = 100;

/// What it said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FrontMatter {
    pub title: Option<String>,
    pub licence: Option<String>,
    pub source: Option<String>,
}

/// The front matter of `text`, and where the text after it begins. None if there is none: a line
/// in it is `key: value`, part of a list, indented, a remark or blank.
pub(crate) fn read(text: &str) -> Option<(FrontMatter, usize)> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| line.trim_end() == "---")?;
    let mut at = first.len();
    let mut found = FrontMatter::default();
    let mut keys = 0;
    for line in lines.take(LINES_MAX) {
        at += line.len();
        let bare = line.trim_end();
        if matches!(bare, "---" | "...") {
            return (keys > 0).then_some((found, at));
        }
        if bare.is_empty() || bare.starts_with([' ', '\t', '-', '#']) {
            continue;
        }
        let (key, value) = bare.split_once(':')?;
        if key.contains(char::is_whitespace) {
            return None;
        }
        keys += 1;
        let value = value.trim().trim_matches(['"', '\'']);
        let value = (!value.is_empty()).then(|| value.to_owned());
        match key.to_ascii_lowercase().as_str() {
            "title" => found.title = value,
            "license" | "licence" | "rights" => {
                found.licence = value.and_then(|value| licence::of_field(&value));
            }
            "source" | "url" | "canonical_url" => found.source = value,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_a_rule_is_no_front_matter() {
        let text = "---\ntitle: \"A day\"\nlicense: CC-BY-4.0\ntags:\n  - x\n---\n# A day\n";
        let (found, at) = read(text).unwrap();
        assert_eq!(found.title.as_deref(), Some("A day"));
        assert_eq!(found.licence.as_deref(), Some("CC-BY-4.0"));
        assert_eq!(&text[at..], "# A day\n");
        assert_eq!(read("---\nOnce upon a time there was: a fox.\n---\n"), None);
        assert_eq!(read("---\n---\ntext"), None);
        assert_eq!(read("text"), None);
    }
}
