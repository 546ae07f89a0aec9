//! The objects of a file, found by looking for `N G obj`, and what lies packed in its streams.

use super::object::{Dict, Lexer, Object, is_blank};
use flate2::bufread::ZlibDecoder;
use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;

/// References to references, at most.
const STEPS_MAX: usize = 10;
/// Filters on one stream.
const FILTERS_MAX: usize = 4;
/// What object streams may unpack to, as a multiple of the file.
const TIMES_MAX: usize = 20;
/// What all streams may, as a multiple of the file, and more.
const ALL_TIMES_MAX: usize = 100;
/// Codes that the fonts of a file may have: these, and one more for so many bytes.
const CODES_MIN: usize = 1 << 16;
const BYTES_A_CODE: usize = 32;
const ALL_BYTES: usize = 64 << 20;

/// Where an object is written.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// After `obj` in the file, and where the next object begins.
    File(usize, usize),
    /// In an object stream that was unpacked.
    Packed(usize, usize),
}

pub struct Store<'a> {
    bytes: &'a [u8],
    places: HashMap<u32, Place>,
    packed: Vec<Vec<u8>>,
    trailers: Vec<Dict>,
    /// Bytes that a stream may unpack to.
    pub most: usize,
    /// Bytes that all streams may still unpack to, however often they are asked for.
    left: Cell<usize>,
    /// Codes of fonts that may still be given a text or a width. One takes some 90 bytes.
    pub codes: Cell<usize>,
}

/// `12 0 obj` before `at`: the object's number.
fn number_before(bytes: &[u8], at: usize) -> Option<u32> {
    let back = |mut at: usize, want: fn(u8) -> bool| {
        while at > 0 && want(bytes[at - 1]) {
            at -= 1;
        }
        at
    };
    let digit = |byte: u8| byte.is_ascii_digit();
    let space = back(at, is_blank);
    let generation = back(space, digit);
    let gap = back(generation, is_blank);
    let number = back(gap, digit);
    if space == at || generation == space || gap == generation || number == gap || gap - number > 9
    {
        return None;
    }
    std::str::from_utf8(&bytes[number..gap]).ok()?.parse().ok()
}

impl<'a> Store<'a> {
    /// Looks for the objects of a file.
    pub fn read(bytes: &'a [u8], most: usize) -> Store<'a> {
        let (places, packed, trailers) = (HashMap::new(), Vec::new(), Vec::new());
        let left = Cell::new(bytes.len().saturating_mul(ALL_TIMES_MAX).saturating_add(ALL_BYTES));
        let codes = Cell::new(CODES_MIN + bytes.len() / BYTES_A_CODE);
        let mut store = Store { bytes, places, packed, trailers, most, left, codes };
        let (mut at, mut last) = (0, None);
        while let Some(found) = find(&bytes[at..], b"obj") {
            let here = at + found;
            at = here + 3;
            if let Some(number) = number_before(bytes, here) {
                // An object that was not closed ends here, so that all of them together are read
                // in the time of the file.
                if let Some((number, from)) = last.replace((number, at)) {
                    store.places.insert(number, Place::File(from, here));
                }
            }
        }
        if let Some((number, from)) = last {
            store.places.insert(number, Place::File(from, bytes.len()));
        }
        let mut at = 0;
        while let Some(found) = find(&bytes[at..], b"trailer") {
            at += found + 7;
            if let Some(Object::Dict(dict)) = Lexer::new(bytes, at).next() {
                store.trailers.push(dict);
            }
        }
        store.unpack();
        store
    }

    /// Opens object streams, and notes the dictionaries of streams that stand for trailers.
    fn unpack(&mut self) {
        let mut numbers: Vec<u32> = self.places.keys().copied().collect();
        numbers.sort_unstable();
        let mut left = self.bytes.len().saturating_mul(TIMES_MAX).min(self.most);
        let mut found = Vec::new();
        for number in numbers {
            let reference = Object::Reference(number);
            let Some(dict) = self.dict(Some(&reference)) else { continue };
            if dict.is("Type", "XRef") {
                self.trailers.push(dict);
            } else if dict.is("Type", "ObjStm")
                && let Some(content) = self.stream_of(&dict, number, left)
            {
                left = left.saturating_sub(content.len());
                let at = self.packed.len();
                found
                    .extend(members(&dict, &content).map(|(n, from)| (n, Place::Packed(at, from))));
                self.packed.push(content);
            }
        }
        for (number, place) in found {
            self.places.entry(number).or_insert(place);
        }
    }

    fn lexer(&self, place: Place) -> Lexer<'_> {
        match place {
            Place::File(from, to) => Lexer::new(&self.bytes[..to], from),
            Place::Packed(stream, at) => Lexer::new(&self.packed[stream], at),
        }
    }

    /// The object itself, where a reference stands for it.
    pub fn resolve(&self, object: Option<&Object>) -> Option<Object> {
        let mut object = object?.clone();
        for _ in 0..STEPS_MAX {
            let Object::Reference(number) = object else { return Some(object) };
            object = self.lexer(*self.places.get(&number)?).next()?;
        }
        None
    }

    pub fn dict(&self, object: Option<&Object>) -> Option<Dict> {
        match self.resolve(object)? {
            Object::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// A stream's content, unpacked.
    pub fn stream(&self, object: Option<&Object>) -> Option<Vec<u8>> {
        let mut object = object?.clone();
        for _ in 0..STEPS_MAX {
            let Object::Reference(number) = object else { return None };
            object = self.lexer(*self.places.get(&number)?).next()?;
            if let Object::Dict(dict) = &object {
                return self.stream_of(dict, number, self.most);
            }
        }
        None
    }

    fn stream_of(&self, dict: &Dict, number: u32, most: usize) -> Option<Vec<u8>> {
        let Place::File(from, to) = *self.places.get(&number)? else { return None };
        let mut lexer = Lexer::new(&self.bytes[..to], from);
        lexer.next()?;
        if lexer.next()? != Object::Word(b"stream".to_vec()) {
            return None;
        }
        let rest = &self.bytes[lexer.at..];
        let start = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        let rest = &rest[start..];
        let said = self.resolve(dict.get("Length")).and_then(|length| length.number());
        let said = said.filter(|&n| n >= 0.0 && n as usize <= rest.len()).map(|n| n as usize);
        let ends = |n: usize| {
            let after = rest[n..].iter().position(|&b| !is_blank(b)).unwrap_or(0);
            rest[n + after..].starts_with(b"endstream")
        };
        let len = match said {
            Some(n) if ends(n) => n,
            _ => {
                let within = &rest[..(to - lexer.at).saturating_sub(start)];
                find(within, b"endstream").unwrap_or(within.len())
            }
        };
        let most = most.min(self.left.get());
        let content = self.unfilter(dict, &rest[..len], most)?;
        self.left.set(self.left.get().saturating_sub(content.len().max(len)));
        Some(content)
    }

    fn unfilter(&self, dict: &Dict, bytes: &[u8], most: usize) -> Option<Vec<u8>> {
        let list = |key: &str| match self.resolve(dict.get(key)) {
            Some(Object::Array(all)) => all,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let mut content = bytes[..bytes.len().min(most)].to_vec();
        let parameters = list("DecodeParms");
        for (at, filter) in list("Filter").iter().take(FILTERS_MAX).enumerate() {
            let filter = self.resolve(Some(filter))?;
            content = match filter.name()? {
                "FlateDecode" | "Fl" => inflate(&content, most),
                "ASCIIHexDecode" | "AHx" => {
                    match Lexer::new(&[b"<", &content[..]].concat(), 0).next() {
                        Some(Object::Text(text)) => text,
                        _ => return None,
                    }
                }
                "ASCII85Decode" | "A85" => ascii85(&content),
                _ => return None,
            };
            if let Some(dict) = self.dict(parameters.get(at)) {
                content = unpredict(content, &dict);
            }
        }
        Some(content)
    }

    /// Bytes of the file.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_encrypted(&self) -> bool {
        self.trailers.iter().any(|trailer| trailer.get("Encrypt").is_some())
    }

    /// The root of all pages.
    pub fn catalog(&self) -> Option<Dict> {
        let root = self.trailers.iter().rev().find_map(|t| self.dict(t.get("Root")));
        root.filter(|root| root.get("Pages").is_some()).or_else(|| self.of_type("Catalog").pop())
    }

    /// Dictionaries whose type is `name`, by number.
    pub fn of_type(&self, name: &str) -> Vec<Dict> {
        let mut numbers: Vec<u32> = self.places.keys().copied().collect();
        numbers.sort_unstable();
        let dicts = numbers.into_iter().filter_map(|n| self.dict(Some(&Object::Reference(n))));
        dicts.filter(|dict| dict.is("Type", name)).collect()
    }

    /// What the file says that it is called.
    pub fn title(&self) -> Option<String> {
        let info = self.trailers.iter().rev().find_map(|t| self.dict(t.get("Info")))?;
        let Some(Object::Text(bytes)) = self.resolve(info.get("Title")) else { return None };
        let title = match bytes.as_slice() {
            [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => crate::encoding::decode(&bytes).0,
            _ => crate::encoding::windows_1252(&bytes),
        };
        let title: String = title.chars().filter(|c| !c.is_control()).collect();
        Some(title.trim().to_owned()).filter(|title| !title.is_empty())
    }
}

/// Numbers and places of the objects in an object stream.
fn members(dict: &Dict, content: &[u8]) -> impl Iterator<Item = (u32, usize)> {
    let first = dict.get("First").and_then(Object::number).unwrap_or(0.0).max(0.0) as usize;
    let mut lexer = Lexer::new(&content[..first.min(content.len())], 0);
    let len = content.len();
    let mut all = Vec::new();
    while let (Some(Object::Number(number)), Some(Object::Number(at))) =
        (lexer.next(), lexer.next())
    {
        let at = first.saturating_add(at.max(0.0) as usize);
        if at < len && number >= 0.0 {
            all.push((number as u32, at));
        }
    }
    all.into_iter()
}

/// Where `word` begins first.
fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == word[0]) {
        at += found;
        if bytes[at..].starts_with(word) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// What can be unpacked, up to damage or `most` bytes.
fn inflate(bytes: &[u8], most: usize) -> Vec<u8> {
    let mut content = Vec::new();
    // What came before an error is there, and worth having.
    let _ = ZlibDecoder::new(bytes).take(most as u64).read_to_end(&mut content);
    content
}

fn ascii85(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let (mut word, mut n) = (0u32, 0);
    for &byte in bytes {
        match byte {
            b'z' if n == 0 => content.extend([0; 4]),
            b'!'..=b'u' => {
                word = word.wrapping_mul(85).wrapping_add(u32::from(byte - b'!'));
                n += 1;
                if n == 5 {
                    content.extend(word.to_be_bytes());
                    (word, n) = (0, 0);
                }
            }
            b'~' => break,
            _ => {}
        }
    }
    if n > 1 {
        for _ in n..5 {
            word = word.wrapping_mul(85).wrapping_add(84);
        }
        content.extend(&word.to_be_bytes()[..n - 1]);
    }
    content
}

/// Undoes PNG's prediction of rows (ISO 32000-1, 7.4.4.4).
fn unpredict(bytes: Vec<u8>, parameters: &Dict) -> Vec<u8> {
    let number = |key: &str, default: f64| {
        parameters.get(key).and_then(Object::number).unwrap_or(default).clamp(0.0, 1e6) as usize
    };
    if number("Predictor", 1.0) < 10 {
        return bytes;
    }
    let bits = number("Colors", 1.0).max(1) * number("BitsPerComponent", 8.0).max(1);
    let (pixel, columns) = (bits.div_ceil(8), number("Columns", 1.0).max(1));
    let row = bits.saturating_mul(columns).div_ceil(8).min(bytes.len());
    let mut content: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut above = vec![0u8; row];
    for line in bytes.chunks(row.saturating_add(1)) {
        let (kind, line) = (line[0], &line[1..]);
        let mut now = vec![0u8; row];
        for (at, &byte) in line.iter().enumerate() {
            let left = if at >= pixel { now[at - pixel] } else { 0 };
            let corner = if at >= pixel { above[at - pixel] } else { 0 };
            let guess = match kind {
                1 => left,
                2 => above[at],
                3 => ((u16::from(left) + u16::from(above[at])) / 2) as u8,
                4 => paeth(left, above[at], corner),
                _ => 0,
            };
            now[at] = byte.wrapping_add(guess);
        }
        content.extend(&now[..line.len()]);
        above = now;
    }
    content
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i32::from);
    let far = |x: i32| (a + b - c).abs_diff(x);
    match (far(a), far(b), far(c)) {
        (x, y, z) if x <= y && x <= z => left,
        (_, y, z) if y <= z => above,
        _ => corner,
    }
}
