//! Characters that HTML writes by name or number. The names are those of HTML 4.

use crate::encoding;
use std::borrow::Cow;

/// U+00A0 to U+00FF, in order.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg \
                     macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo \
                     frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig \
                     Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve \
                     Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN \
                     szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc \
                     euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml \
                     divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// Greek letters: capitals from U+0391 and small ones from U+03B1; `-` has no name.
const GREEK: [&str; 2] = [
    "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho - \
     Sigma Tau Upsilon Phi Chi Psi Omega",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho \
     sigmaf sigma tau upsilon phi chi psi omega",
];

const OTHERS: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
    ("Yuml", 'Ÿ'),
    ("fnof", 'ƒ'),
    ("circ", 'ˆ'),
    ("tilde", '˜'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("lrm", '\u{200e}'),
    ("rlm", '\u{200f}'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("dagger", '†'),
    ("Dagger", '‡'),
    ("bull", '•'),
    ("hellip", '…'),
    ("permil", '‰'),
    ("prime", '′'),
    ("Prime", '″'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("oline", '‾'),
    ("frasl", '⁄'),
    ("euro", '€'),
    ("trade", '™'),
    ("larr", '←'),
    ("uarr", '↑'),
    ("rarr", '→'),
    ("darr", '↓'),
    ("harr", '↔'),
    ("lArr", '⇐'),
    ("rArr", '⇒'),
    ("hArr", '⇔'),
    ("forall", '∀'),
    ("part", '∂'),
    ("exist", '∃'),
    ("empty", '∅'),
    ("nabla", '∇'),
    ("isin", '∈'),
    ("notin", '∉'),
    ("ni", '∋'),
    ("prod", '∏'),
    ("sum", '∑'),
    ("minus", '−'),
    ("lowast", '∗'),
    ("radic", '√'),
    ("prop", '∝'),
    ("infin", '∞'),
    ("ang", '∠'),
    ("and", '∧'),
    ("or", '∨'),
    ("cap", '∩'),
    ("cup", '∪'),
    ("int", '∫'),
    ("there4", '∴'),
    ("sim", '∼'),
    ("cong", '≅'),
    ("asymp", '≈'),
    ("ne", '≠'),
    ("equiv", '≡'),
    ("le", '≤'),
    ("ge", '≥'),
    ("sub", '⊂'),
    ("sup", '⊃'),
    ("sube", '⊆'),
    ("supe", '⊇'),
    ("oplus", '⊕'),
    ("otimes", '⊗'),
    ("perp", '⊥'),
    ("sdot", '⋅'),
    ("loz", '◊'),
    ("spades", '♠'),
    ("clubs", '♣'),
    ("hearts", '♥'),
    ("diams", '♦'),
];

/// The character of a name.
fn named(name: &str) -> Option<char> {
    if let Some((_, c)) = OTHERS.iter().find(|(known, _)| *known == name) {
        return Some(*c);
    }
    let lists = [(0xa0, LATIN), (0x391, GREEK[0]), (0x3b1, GREEK[1])];
    lists.iter().find_map(|(first, names)| {
        let at = names.split_whitespace().position(|known| known == name)?;
        char::from_u32(first + at as u32)
    })
}

/// The character of a number; those of Windows-1252 mean what their authors meant.
fn numbered(digits: &str) -> Option<char> {
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let is_number = digits.trim_start_matches(['x', 'X']).chars().all(|c| c.is_ascii_hexdigit());
    match code {
        Ok(0) => Some(char::REPLACEMENT_CHARACTER),
        Ok(code @ 0x80..=0x9f) => Some(encoding::windows_1252_char(code as u8)),
        Ok(code) => Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        Err(_) => (is_number && digits.len() > 2).then_some(char::REPLACEMENT_CHARACTER),
    }
}

/// `text` with its characters in place of their names; what is not a name stays.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = rest.as_bytes()[1..]
            .iter()
            .take(32)
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'#');
        let end = 1 + name.count();
        let name = &rest[1..end];
        let found = match name.strip_prefix('#') {
            Some(digits) => numbered(digits),
            None => named(name),
        };
        match found {
            Some(c) => {
                // A space that may not break is a space to a model.
                out.push(if c == '\u{a0}' { ' ' } else { c });
                rest = rest[end..].strip_prefix(';').unwrap_or(&rest[end..]);
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_their_characters() {
        assert_eq!(LATIN.split_whitespace().count(), 96);
        assert_eq!(decode("&yuml;&Alpha;&Omega;&omega;&euro;&#8364;&#128;"), "ÿΑΩω€€€");
        assert_eq!(decode("a&nbsp;b &copy 1"), "a b © 1");
        assert_eq!(decode("AT&T; &;"), "AT&T; &;");
    }
}
