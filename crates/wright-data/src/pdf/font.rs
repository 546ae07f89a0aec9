//! Fonts: from the bytes that a page shows to characters and their widths.

use super::glyphs;
use super::object::{Dict, Lexer, Object};
use super::store::Store;
use crate::encoding::windows_1252_char;
use std::collections::HashMap;

/// The last code there is, of two bytes.
const CODE_MAX: u32 = 0xffff;
/// Units of UTF-16 that a code stands for at most; ligatures have a few letters.
const UNITS_MAX: usize = 8;

/// A character as a page shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub text: String,
    /// In thousandths of the font's size.
    pub width: f64,
    /// Whether it is the space that words are set apart by.
    pub is_space: bool,
}

pub struct Font {
    /// Bytes of a code: 1, or 2.
    wide: bool,
    texts: HashMap<u32, String>,
    widths: HashMap<u32, f64>,
    width: f64,
    /// Codes that may still be given a text or a width: all fonts of a file share them.
    room: usize,
}

impl Font {
    pub fn read(store: &Store<'_>, dict: &Dict) -> Font {
        let wide = dict.is("Subtype", "Type0");
        let mut font = Font { wide, room: store.codes.get(), ..Font::empty() };
        match wide {
            true => font.wide_widths(store, dict),
            false => {
                font.simple_texts(store, dict);
                font.simple_widths(store, dict);
            }
        }
        if let Some(map) = store.stream(dict.get("ToUnicode")) {
            font.map(&map);
        }
        store.codes.set(font.room);
        font
    }

    fn empty() -> Font {
        let (texts, widths) = (HashMap::new(), HashMap::new());
        Font { wide: false, texts, widths, width: 500.0, room: 0 }
    }

    /// Says what a code stands for. False if there is no such code, or no room for one more.
    fn set_text(&mut self, code: u32, text: String) -> bool {
        let may = code <= CODE_MAX && self.room > 0;
        if may {
            self.room -= 1;
            self.texts.insert(code, text);
        }
        may
    }

    /// The same of its width.
    fn set_width(&mut self, code: u32, width: f64) -> bool {
        let may = code <= CODE_MAX && self.room > 0;
        if may {
            self.room -= 1;
            self.widths.insert(code, width);
        }
        may
    }

    /// A font of which nothing is known.
    pub fn plain() -> Font {
        let texts = (32..=255u32).map(|code| (code, windows_1252_char(code as u8).to_string()));
        Font { texts: texts.collect(), ..Font::empty() }
    }

    fn simple_texts(&mut self, store: &Store<'_>, dict: &Dict) {
        let encoding = store.resolve(dict.get("Encoding"));
        let base = match &encoding {
            Some(Object::Dict(dict)) => dict.get("BaseEncoding").cloned(),
            other => other.clone(),
        };
        let is_mac = base.as_ref().and_then(Object::name) == Some("MacRomanEncoding");
        for code in 32..=255u8 {
            let c = if is_mac { glyphs::mac_roman(code) } else { windows_1252_char(code) };
            self.set_text(u32::from(code), c.to_string());
        }
        let Some(Object::Dict(encoding)) = encoding else { return };
        let Some(Object::Array(all)) = store.resolve(encoding.get("Differences")) else { return };
        let mut code = 0u32;
        for object in all {
            match object {
                Object::Number(number) => code = number.max(0.0) as u32,
                Object::Name(name) => {
                    self.set_text(code, glyphs::text(&name).unwrap_or_default());
                    code = code.saturating_add(1);
                }
                _ => {}
            }
        }
    }

    fn simple_widths(&mut self, store: &Store<'_>, dict: &Dict) {
        let first = store.resolve(dict.get("FirstChar")).and_then(|n| n.number()).unwrap_or(0.0);
        let Some(Object::Array(all)) = store.resolve(dict.get("Widths")) else { return };
        for (at, width) in all.iter().take(256).enumerate() {
            let width = store.resolve(Some(width)).and_then(|width| width.number());
            if let Some(width) = width {
                self.set_width((first.max(0.0) as u32).saturating_add(at as u32), width);
            }
        }
    }

    /// `/W [c [w …] c_first c_last w …]` (ISO 32000-1, 9.7.4.3)
    fn wide_widths(&mut self, store: &Store<'_>, dict: &Dict) {
        let Some(Object::Array(fonts)) = store.resolve(dict.get("DescendantFonts")) else { return };
        let Some(inner) = store.dict(fonts.first()) else { return };
        self.width = store.resolve(inner.get("DW")).and_then(|n| n.number()).unwrap_or(1000.0);
        let Some(Object::Array(all)) = store.resolve(inner.get("W")) else { return };
        let mut numbers: Vec<f64> = Vec::new();
        for object in all {
            match store.resolve(Some(&object)) {
                Some(Object::Number(number)) => numbers.push(number),
                Some(Object::Array(widths)) => {
                    let first = numbers.pop().unwrap_or(0.0).max(0.0) as u32;
                    for (at, width) in widths.iter().filter_map(Object::number).enumerate() {
                        self.set_width(first.saturating_add(at as u32), width);
                    }
                    numbers.clear();
                }
                _ => {}
            }
            if let [first, last, width] = numbers[..] {
                let (first, last) = (first.max(0.0) as u32, last.max(0.0) as u32);
                for code in first..=last {
                    if !self.set_width(code, width) {
                        break;
                    }
                }
                numbers.clear();
            }
            if self.room == 0 {
                return;
            }
        }
    }

    /// Reads a map from codes to Unicode (ISO 32000-1, 9.10.3).
    fn map(&mut self, map: &[u8]) {
        let mut lexer = Lexer::new(map, 0);
        let mut row: Vec<Object> = Vec::new();
        let mut within: Option<usize> = None;
        while let Some(object) = lexer.next() {
            match &object {
                Object::Word(word) => {
                    within = match word.as_slice() {
                        b"beginbfchar" => Some(2),
                        b"beginbfrange" => Some(3),
                        _ => None,
                    };
                    row.clear();
                }
                _ if within.is_some() => row.push(object),
                _ => {}
            }
            if within == Some(row.len()) {
                self.map_row(&row);
                row.clear();
            }
            if self.room == 0 {
                return;
            }
        }
    }

    fn map_row(&mut self, row: &[Object]) {
        let code = |object: &Object| match object {
            Object::Text(bytes) => {
                Some(bytes.iter().take(4).fold(0u32, |code, &byte| code << 8 | u32::from(byte)))
            }
            _ => None,
        };
        match row {
            [from, Object::Text(text)] => {
                if let Some(code) = code(from) {
                    self.set_text(code, utf16(text, 0));
                }
            }
            [from, to, target] => {
                let (Some(from), Some(to)) = (code(from), code(to)) else { return };
                for (at, code) in (from..=to).enumerate() {
                    let text = match target {
                        Object::Text(text) => utf16(text, at as u32),
                        Object::Array(all) => match all.get(at) {
                            Some(Object::Text(text)) => utf16(text, 0),
                            _ => return,
                        },
                        _ => return,
                    };
                    if !self.set_text(code, text) {
                        return;
                    }
                }
            }
            _ => {}
        }
    }

    /// What `bytes` show.
    pub fn show<'f>(&'f self, bytes: &'f [u8]) -> impl Iterator<Item = Shown> + 'f {
        let size = if self.wide { 2 } else { 1 };
        bytes.chunks(size).map(|code| {
            let code = code.iter().fold(0u32, |code, &byte| code << 8 | u32::from(byte));
            let text = self.texts.get(&code).cloned().unwrap_or_default();
            let width = self.widths.get(&code).copied().unwrap_or(self.width);
            let is_space = text == " " || (!self.wide && code == 32);
            Shown { text, width, is_space }
        })
    }
}

/// UTF-16, big-endian, with `more` added to its last unit.
fn utf16(bytes: &[u8], more: u32) -> String {
    let mut units: Vec<u16> = bytes
        .chunks(2)
        .take(UNITS_MAX)
        .map(|two| two.iter().fold(0, |unit, &byte| unit << 8 | u16::from(byte)))
        .collect();
    if let Some(last) = units.last_mut() {
        *last = last.wrapping_add(more as u16);
    }
    let text = String::from_utf16_lossy(&units);
    text.chars()
        .filter(|c| !c.is_control())
        .flat_map(|c| {
            match c {
                'ﬀ' => "ff".chars(),
                'ﬁ' => "fi".chars(),
                'ﬂ' => "fl".chars(),
                'ﬃ' => "ffi".chars(),
                'ﬄ' => "ffl".chars(),
                _ => "".chars(),
            }
            .chain((!('ﬀ'..='ﬄ').contains(&c)).then_some(c))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_give_characters() {
        let store = Store::read(b"", 1000);
        let mut font =
            Font::read(&store, &Dict(vec![("Subtype".into(), Object::Name("Type0".into()))]));
        font.map(
            b"1 beginbfchar <0001> <00660069> endbfchar 2 beginbfrange <0010> <0012> <0041> \
              <0020> <0021> [<00E9> <D83EDD8A>] endbfrange",
        );
        let shown: String =
            font.show(&[0, 1, 0, 0x11, 0, 0x12, 0, 0x20, 0, 0x21, 9, 9]).map(|s| s.text).collect();
        assert_eq!(shown, "fiBCé🦊");
    }

    #[test]
    fn a_file_says_of_so_many_codes_and_no_more_what_they_stand_for() {
        let store = Store::read(b"", 1000);
        let mut font = Font { wide: true, room: 100_000, ..Font::empty() };
        let long = "0041".repeat(500);
        font.map(format!("beginbfrange <FF00> <FFFFFFFF> <{long}> endbfrange").as_bytes());
        assert_eq!((font.texts.len(), font.room), (256, 100_000 - 256), "codes have two bytes");
        assert!(font.texts.values().all(|text| text.chars().count() <= 8));
        font.map(&b"beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange ".repeat(9));
        assert_eq!(font.room, 0);
        // The room of one font is that of the next.
        let simple = Dict(vec![("Subtype".into(), Object::Name("Type1".into()))]);
        let before = store.codes.get();
        assert_eq!(Font::read(&store, &simple).texts.len(), 224);
        assert_eq!(store.codes.get(), before - 224);
        store.codes.set(5);
        assert_eq!(Font::read(&store, &simple).texts.len(), 5);
        assert_eq!(store.codes.get(), 0);
    }
}
