//! Reads JSON as it is written, to see that no key stands twice and that unique items differ: what
//! a grammar cannot say.
//!
//! The grammar sees to everything else, and to it that one value is written in one way only: equal
//! texts are equal values.

/// How far the text is.
#[derive(Debug, Clone, Default)]
pub(super) struct JsonReader {
    /// Whether items of arrays must differ.
    has_unique_items: bool,
    frames: Vec<Frame>,
    /// The text of the value or key that is being written, in each open array and the innermost
    /// object's key.
    string: Option<Vec<u8>>,
    is_escaped: bool,
}

#[derive(Debug, Clone)]
enum Frame {
    Object { keys: Vec<Vec<u8>>, awaits_key: bool },
    Array { items: Vec<Vec<u8>>, item: Vec<u8> },
}

impl JsonReader {
    pub fn new(has_unique_items: bool) -> Self {
        JsonReader { has_unique_items, ..JsonReader::default() }
    }

    /// The reader after `bytes`; `None` if a key stands twice, or two items are equal.
    pub fn after(&self, bytes: &[u8]) -> Option<JsonReader> {
        let mut next = self.clone();
        bytes.iter().all(|&byte| next.push(byte)).then_some(next)
    }

    fn push(&mut self, byte: u8) -> bool {
        if self.has_unique_items {
            for frame in &mut self.frames {
                if let Frame::Array { item, .. } = frame {
                    item.push(byte);
                }
            }
        }
        if let Some(string) = &mut self.string {
            string.push(byte);
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => return self.end_string(),
                _ => {}
            }
            return true;
        }
        match byte {
            b'"' => self.string = Some(vec![b'"']),
            b'{' => self.frames.push(Frame::Object { keys: Vec::new(), awaits_key: true }),
            b'[' => self.frames.push(Frame::Array { items: Vec::new(), item: Vec::new() }),
            b'}' => {
                self.frames.pop();
                return self.end_value(0);
            }
            b']' => {
                let is_unique = self.end_value(1);
                self.frames.pop();
                return is_unique && self.end_value(0);
            }
            b',' => return self.comma(),
            _ => {}
        }
        true
    }

    fn comma(&mut self) -> bool {
        if let Some(Frame::Object { awaits_key, .. }) = self.frames.last_mut() {
            *awaits_key = true;
            return true;
        }
        let is_unique = self.end_value(1);
        if let Some(Frame::Array { items, item }) = self.frames.last_mut() {
            item.pop();
            items.push(trimmed(item).to_vec());
            item.clear();
        }
        is_unique
    }

    fn end_string(&mut self) -> bool {
        let string = self.string.take().unwrap_or_default();
        if let Some(Frame::Object { keys, awaits_key }) = self.frames.last_mut()
            && *awaits_key
        {
            *awaits_key = false;
            let is_new = !keys.contains(&string);
            keys.push(string);
            return is_new;
        }
        self.end_value(0)
    }

    /// Whether the item that ends here, `n_after` bytes before, differs from those before it.
    fn end_value(&self, n_after: usize) -> bool {
        match self.frames.last() {
            Some(Frame::Array { items, item }) if self.has_unique_items => {
                let item = trimmed(&item[..item.len().saturating_sub(n_after)]);
                item.is_empty() || !items.iter().any(|known| known == item)
            }
            _ => true,
        }
    }
}

fn trimmed(item: &[u8]) -> &[u8] {
    item.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(has_unique_items: bool, text: &str) -> bool {
        let mut reader = Some(JsonReader::new(has_unique_items));
        // In pieces of three bytes, as tokens would bring it.
        for piece in text.as_bytes().chunks(3) {
            reader = reader.and_then(|reader| reader.after(piece));
        }
        reader.is_some()
    }

    #[test]
    fn keys_stand_once_in_each_object() {
        assert!(reads(false, r#"{"a": {"a": "a"}, "b": [{"a": 1}, {"a": 1}], "\"a": 2}"#));
        assert!(!reads(false, r#"{"a": 1, "b": {"c": 2}, "a": 3}"#));
        assert!(!reads(false, r#"[1, {"x\\": 1, "x\\": 2}]"#));
    }

    #[test]
    fn unique_items_differ() {
        assert!(reads(true, r#"[1, 11, "1", [1], [1, 2], {"a": 1}, {"a": 2}]"#));
        assert!(!reads(true, "[1, 2, 1]"));
        assert!(!reads(true, "[1, 2, 1, 3]"));
        assert!(!reads(true, r#"["a, b", "c", "a, b"]"#));
        assert!(!reads(true, r#"{"k": [{"a": [1, 2]}, {"a": [1, 2]}]}"#));
        assert!(reads(false, "[1, 1]"));
    }
}
