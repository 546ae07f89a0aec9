//! Objects of PDF and the words they are written with.

/// Objects within objects, at most.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    Number(f64),
    Name(String),
    Text(Vec<u8>),
    Array(Vec<Object>),
    Dict(Dict),
    Reference(u32),
    /// An operator of a content stream, or a word like `true` and `endobj`.
    Word(Vec<u8>),
}

/// Keys and values, in order; the last of a key counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dict(pub Vec<(String, Object)>);

impl Dict {
    pub fn get(&self, key: &str) -> Option<&Object> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether `key` is the name `name`.
    pub fn is(&self, key: &str, name: &str) -> bool {
        matches!(self.get(key), Some(Object::Name(value)) if value == name)
    }
}

impl Object {
    pub fn number(&self) -> Option<f64> {
        if let Object::Number(number) = self { Some(*number) } else { None }
    }

    pub fn name(&self) -> Option<&str> {
        if let Object::Name(name) = self { Some(name) } else { None }
    }
}

pub fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0xc | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

/// Reads objects one after the other.
pub struct Lexer<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Lexer { bytes, at: at.min(bytes.len()) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| !matches!(byte, b'\n' | b'\r')) {
                    self.at += 1;
                }
            } else if is_blank(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The next object; None at the end. Invalid input is skipped.
    pub fn next(&mut self) -> Option<Object> {
        self.object(0)
    }

    fn object(&mut self, depth: usize) -> Option<Object> {
        self.skip_blanks();
        let byte = self.peek()?;
        match byte {
            b'/' => {
                self.at += 1;
                Some(Object::Name(self.name()))
            }
            b'(' => Some(Object::Text(self.literal())),
            b'<' if self.bytes.get(self.at + 1) == Some(&b'<') => {
                self.at += 2;
                Some(self.dict(depth))
            }
            b'<' => Some(Object::Text(self.hexadecimal())),
            b'[' => {
                self.at += 1;
                Some(self.array(depth))
            }
            b'0'..=b'9' | b'+' | b'-' | b'.' => Some(self.number_or_reference()),
            _ if is_delimiter(byte) => {
                self.at += 1;
                // The ends of arrays and dictionaries are found by those who look for them.
                Some(Object::Word(vec![byte]))
            }
            _ => Some(Object::Word(self.word().to_vec())),
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let n = rest.iter().take_while(|&&b| !is_blank(b) && !is_delimiter(b)).count();
        self.at += n;
        &rest[..n]
    }

    fn name(&mut self) -> String {
        let word = self.word();
        if !word.contains(&b'#') {
            return String::from_utf8_lossy(word).into_owned();
        }
        let mut name = Vec::new();
        let mut at = 0;
        while at < word.len() {
            let hex = word.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
            match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
                Some(byte) if word[at] == b'#' => {
                    name.push(byte);
                    at += 3;
                }
                _ => {
                    name.push(word[at]);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&name).into_owned()
    }

    fn number(&mut self) -> f64 {
        let word = self.word();
        let text = std::str::from_utf8(word).unwrap_or_default();
        text.parse().ok().filter(|number: &f64| number.is_finite()).unwrap_or(0.0)
    }

    /// `12`, or `12 0 R`.
    fn number_or_reference(&mut self) -> Object {
        let start = self.at;
        let number = self.number();
        if self.at == start {
            self.at += 1;
        }
        let whole = number.fract() == 0.0 && (0.0..4e9).contains(&number);
        if whole && self.bytes[start].is_ascii_digit() {
            let after = self.at;
            self.skip_blanks();
            let n = self.bytes[self.at..].iter().take(6).take_while(|b| b.is_ascii_digit()).count();
            if n > 0 {
                self.at += n;
                self.skip_blanks();
                let ends = |b: Option<&u8>| b.is_none_or(|&b| is_blank(b) || is_delimiter(b));
                if self.peek() == Some(b'R') && ends(self.bytes.get(self.at + 1)) {
                    self.at += 1;
                    return Object::Reference(number as u32);
                }
            }
            self.at = after;
        }
        Object::Number(number)
    }

    /// `(text)`, with its escapes.
    fn literal(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut text = Vec::new();
        let mut depth = 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    text.extend(self.escape());
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        text
    }

    fn escape(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'\n' => return None,
            b'\r' => {
                self.at += usize::from(self.peek() == Some(b'\n'));
                return None;
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                code as u8
            }
            other => other,
        })
    }

    fn hexadecimal(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut text = Vec::new();
        let mut high = None;
        while let Some(byte) = self.peek() {
            self.at += 1;
            let Some(digit) = char::from(byte).to_digit(16) else {
                if byte == b'>' {
                    break;
                }
                continue;
            };
            match high.take() {
                Some(first) => text.push((first * 16 + digit) as u8),
                None => high = Some(digit),
            }
        }
        text.extend(high.map(|digit| (digit * 16) as u8));
        text
    }

    fn array(&mut self, depth: usize) -> Object {
        let mut all = Vec::new();
        if depth >= DEPTH_MAX {
            return Object::Array(all);
        }
        loop {
            match self.object(depth + 1) {
                None => break,
                Some(Object::Word(word)) if word == b"]" => break,
                // An array that was not closed.
                Some(Object::Word(word)) if word == b"endobj" || word == b"stream" => break,
                Some(object) => all.push(object),
            }
        }
        Object::Array(all)
    }

    fn dict(&mut self, depth: usize) -> Object {
        let mut all = Vec::new();
        if depth >= DEPTH_MAX {
            return Object::Dict(Dict(all));
        }
        loop {
            match self.object(depth + 1) {
                None => break,
                Some(Object::Name(key)) => {
                    let before = self.at;
                    match self.object(depth + 1) {
                        None => break,
                        Some(Object::Word(word)) if word == b">" => {
                            self.at = before;
                        }
                        Some(value) => all.push((key, value)),
                    }
                }
                Some(Object::Word(word)) if word == b">" => {
                    self.at += usize::from(self.peek() == Some(b'>'));
                    break;
                }
                Some(Object::Word(word)) if word == b"endobj" || word == b"stream" => {
                    self.at -= word.len();
                    break;
                }
                Some(_) => {}
            }
        }
        Object::Dict(Dict(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read() {
        let text =
            b"<< /A#20b [1 -2.5 3 0 R (a\\)\\101\n(b)) <4 1 4>] /C << /D true >> >> Tj %x\n7";
        let mut lexer = Lexer::new(text, 0);
        let Some(Object::Dict(dict)) = lexer.next() else { panic!() };
        let wanted = Object::Array(vec![
            Object::Number(1.0),
            Object::Number(-2.5),
            Object::Reference(3),
            Object::Text(b"a)A\n(b)".to_vec()),
            Object::Text(b"A@".to_vec()),
        ]);
        assert_eq!(dict.get("A b"), Some(&wanted));
        assert_eq!(lexer.next(), Some(Object::Word(b"Tj".to_vec())));
        assert_eq!(lexer.next(), Some(Object::Number(7.0)));
        assert_eq!(lexer.next(), None);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = b"[".repeat(100_000);
        let mut lexer = Lexer::new(&deep, 0);
        while lexer.next().is_some() {}
        assert!(lexer.at >= deep.len());
    }
}
