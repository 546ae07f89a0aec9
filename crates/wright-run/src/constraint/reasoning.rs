//! Reasoning before an answer in an enforced form: thoughts are free, the answer is not.

/// Tokens of white space that may stand between reasoning and the answer.
const BLANKS_MAX: usize = 2;

/// Where an answer is between reasoning and its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reasoning {
    /// The model does not reason, or its reasoning is over.
    None,
    /// It may open its reasoning with this token, or answer at once.
    Possible { open: u32, close: Vec<u8> },
    /// It reasons until these bytes; what may be their beginning has been written.
    Open { close: Vec<u8>, written: Vec<u8> },
    /// Its reasoning has ended; so many tokens of white space followed.
    Closed { n_blanks: usize },
}

/// What a token is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Reasoning,
    /// White space between reasoning and answer.
    Blank,
    Answer,
    /// It ends the reasoning and begins the answer: it cannot be checked, and is not permitted.
    Straddles,
}

impl Reasoning {
    /// Whether the model reasons now, and any token is permitted.
    pub fn is_open(&self) -> bool {
        matches!(self, Reasoning::Open { .. })
    }

    /// Whether everything from here on is the answer.
    pub fn is_over(&self) -> bool {
        *self == Reasoning::None
    }

    /// Tokens that are permitted beside those of the form.
    pub fn permitted(&self) -> Vec<u32> {
        match self {
            Reasoning::Possible { open, .. } => vec![*open],
            _ => Vec::new(),
        }
    }

    /// What the token `id`, which stands for `bytes`, would be.
    pub fn step(&self, id: u32, bytes: &[u8]) -> Step {
        match self {
            Reasoning::None => Step::Answer,
            Reasoning::Possible { open, .. } if id == *open => Step::Reasoning,
            Reasoning::Possible { .. } => Step::Answer,
            Reasoning::Open { close, written } => match end_of(close, written, bytes) {
                Some(rest) if !rest.trim_ascii().is_empty() => Step::Straddles,
                _ => Step::Reasoning,
            },
            Reasoning::Closed { n_blanks } => {
                let is_blank = !bytes.is_empty() && bytes.trim_ascii().is_empty();
                if is_blank && *n_blanks < BLANKS_MAX { Step::Blank } else { Step::Answer }
            }
        }
    }

    /// Takes a token.
    pub fn advance(&mut self, id: u32, bytes: &[u8]) {
        let next = match self {
            Reasoning::Possible { open, close } if id == *open => {
                Reasoning::Open { close: std::mem::take(close), written: Vec::new() }
            }
            Reasoning::Open { close, written } => match end_of(close, written, bytes) {
                Some(_) => Reasoning::Closed { n_blanks: 0 },
                None => {
                    written.extend_from_slice(bytes);
                    let kept = written.len().saturating_sub(close.len());
                    written.drain(..kept);
                    return;
                }
            },
            Reasoning::Closed { n_blanks }
                if bytes.trim_ascii().is_empty() && *n_blanks < BLANKS_MAX =>
            {
                Reasoning::Closed { n_blanks: *n_blanks + 1 }
            }
            _ => Reasoning::None,
        };
        *self = next;
    }
}

/// What of `bytes` comes after `close`, if that ends in it.
fn end_of<'b>(close: &[u8], written: &[u8], bytes: &'b [u8]) -> Option<&'b [u8]> {
    let whole: Vec<u8> = written.iter().chain(bytes).copied().collect();
    let at = whole.windows(close.len().max(1)).position(|window| window == close)?;
    bytes.get((at + close.len()).saturating_sub(written.len())..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_ends_at_its_tag_wherever_tokens_are_cut() {
        let open = || Reasoning::Open { close: b"</think>".to_vec(), written: Vec::new() };
        let mut reasoning = open();
        for bytes in [&b"a </thi"[..], b"x </", b"think"] {
            assert_eq!(reasoning.step(0, bytes), Step::Reasoning);
            reasoning.advance(0, bytes);
            assert!(reasoning.is_open());
        }
        assert_eq!(reasoning.step(0, b">{"), Step::Straddles);
        assert_eq!(reasoning.step(0, b">\n"), Step::Reasoning);
        reasoning.advance(0, b">\n");
        assert_eq!(reasoning.step(0, b"\n\n"), Step::Blank);
        reasoning.advance(0, b"\n\n");
        assert_eq!(reasoning.step(0, b"{"), Step::Answer);
        reasoning.advance(0, b"{");
        assert!(reasoning.is_over());
    }

    #[test]
    fn reasoning_may_be_left_out() {
        let possible = || Reasoning::Possible { open: 7, close: b"<e>".to_vec() };
        let mut reasoning = possible();
        assert_eq!(reasoning.permitted(), [7]);
        reasoning.advance(3, b"{");
        assert!(reasoning.is_over());
        let mut reasoning = possible();
        assert_eq!(reasoning.step(7, b"<s>"), Step::Reasoning);
        reasoning.advance(7, b"<s>");
        assert!(reasoning.is_open());
    }
}
