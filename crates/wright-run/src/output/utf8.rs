//! Whole characters out of bytes that come in pieces.

/// Holds back the beginning of a character until the rest has come: three bytes at most.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    held: Vec<u8>,
}

impl Utf8 {
    /// The text that is complete after `bytes`. What no continuation can make valid becomes
    /// U+FFFD, one for each maximal part (Unicode 16, section 3.9, "U+FFFD substitution").
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = String::new();
        let mut start = 0;
        while let Err(error) = std::str::from_utf8(&self.held[start..]) {
            let valid = start + error.valid_up_to();
            text.push_str(&String::from_utf8_lossy(&self.held[start..valid]));
            start = valid;
            match error.error_len() {
                Some(len) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    start += len;
                }
                None => {
                    self.held.drain(..start);
                    return text;
                }
            }
        }
        text.push_str(&String::from_utf8_lossy(&self.held[start..]));
        self.held.clear();
        text
    }

    /// What is left at the end: nothing, or U+FFFD for a character that never was completed.
    pub fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        String::from_utf8_lossy(&held).into_owned()
    }
}
