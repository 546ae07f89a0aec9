//! URI references of schemas: joined to a base (RFC 3986, section 5.2) and split from fragments.

/// `reference` as seen from `base`, which is absolute.
pub(super) fn join(base: &str, reference: &str) -> String {
    if has_scheme(reference) {
        return reference.to_owned();
    }
    let base = split_fragment(base).0;
    if reference.is_empty() {
        return base.to_owned();
    }
    if reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let Some((scheme, rest)) = base.split_once(':') else { return reference.to_owned() };
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}");
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (format!("//{}", &rest[..end]), &rest[end..])
        }
        None => (String::new(), rest),
    };
    let path = path.split('?').next().unwrap_or_default();
    if reference.starts_with('?') {
        return format!("{scheme}:{authority}{path}{reference}");
    }
    let end = reference.find(['?', '#']).unwrap_or(reference.len());
    let (new, tail) = reference.split_at(end);
    let joined = if new.starts_with('/') {
        new.to_owned()
    } else {
        match path.rfind('/') {
            Some(slash) => format!("{}{new}", &path[..=slash]),
            None if authority.is_empty() => new.to_owned(),
            None => format!("/{new}"),
        }
    };
    format!("{scheme}:{authority}{}{tail}", without_dots(&joined))
}

fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." && kept.len() > 1 {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    kept.join("/")
}

/// The part before `#` and the part after it.
pub(super) fn split_fragment(uri: &str) -> (&str, &str) {
    uri.split_once('#').unwrap_or((uri, ""))
}

/// `text` with `%41` read as `A`. `None` where that is not UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |i: usize| char::from(*after.get(i)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (byte, hex(0), hex(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// One step of a JSON pointer, escaped (RFC 6901).
pub(super) fn pointer_step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The key that one step of a JSON pointer names.
pub(super) fn pointer_key(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_join_as_the_rfc_shows() {
        let base = "http://a/b/c/d;p?q";
        let pairs = [
            ("g:h", "g:h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y#s", "http://a/b/c/g?y#s"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
        ];
        for (reference, joined) in pairs {
            assert_eq!(join(base, reference), joined, "{reference}");
        }
        assert_eq!(join("http://a", "b"), "http://a/b");
        assert_eq!(join("urn:x:y#z", "#/a"), "urn:x:y#/a");
    }

    #[test]
    fn fragments_are_decoded() {
        assert_eq!(percent_decoded("/a%25b%7e%c3%A9").unwrap(), "/a%b~é");
        assert_eq!(percent_decoded("50%").unwrap(), "50%");
        assert_eq!(percent_decoded("%ff"), None);
        assert_eq!(pointer_key(&pointer_step("a~1/b")), "a~1/b");
    }
}
