//! Names of glyphs, as the encodings of fonts use them (Adobe Glyph List, the part for Latin).

/// U+0021 to U+007E, in order.
const ASCII: &str = "exclam quotedbl numbersign dollar percent ampersand quotesingle parenleft \
    parenright asterisk plus comma hyphen period slash zero one two three four five six seven \
    eight nine colon semicolon less equal greater question at A B C D E F G H I J K L M N O P Q R \
    S T U V W X Y Z bracketleft backslash bracketright asciicircum underscore grave a b c d e f g \
    h i j k l m n o p q r s t u v w x y z braceleft bar braceright asciitilde";

/// U+00A1 to U+00FF, in order.
const LATIN: &str = "exclamdown cent sterling currency yen brokenbar section dieresis copyright \
    ordfeminine guillemotleft logicalnot softhyphen registered macron degree plusminus \
    twosuperior threesuperior acute mu paragraph periodcentered cedilla onesuperior ordmasculine \
    guillemotright onequarter onehalf threequarters questiondown Agrave Aacute Acircumflex Atilde \
    Adieresis Aring AE Ccedilla Egrave Eacute Ecircumflex Edieresis Igrave Iacute Icircumflex \
    Idieresis Eth Ntilde Ograve Oacute Ocircumflex Otilde Odieresis multiply Oslash Ugrave Uacute \
    Ucircumflex Udieresis Yacute Thorn germandbls agrave aacute acircumflex atilde adieresis aring \
    ae ccedilla egrave eacute ecircumflex edieresis igrave iacute icircumflex idieresis eth ntilde \
    ograve oacute ocircumflex otilde odieresis divide oslash ugrave uacute ucircumflex udieresis \
    yacute thorn ydieresis";

const OTHERS: &[(&str, &str)] = &[
    ("space", " "),
    ("nbspace", " "),
    ("quoteleft", "‘"),
    ("quoteright", "’"),
    ("quotedblleft", "“"),
    ("quotedblright", "”"),
    ("quotesinglbase", "‚"),
    ("quotedblbase", "„"),
    ("guilsinglleft", "‹"),
    ("guilsinglright", "›"),
    ("endash", "–"),
    ("emdash", "—"),
    ("ellipsis", "…"),
    ("bullet", "•"),
    ("dagger", "†"),
    ("daggerdbl", "‡"),
    ("perthousand", "‰"),
    ("fraction", "⁄"),
    ("minus", "−"),
    ("Euro", "€"),
    ("trademark", "™"),
    ("florin", "ƒ"),
    ("circumflex", "ˆ"),
    ("tilde", "˜"),
    ("OE", "Œ"),
    ("oe", "œ"),
    ("Scaron", "Š"),
    ("scaron", "š"),
    ("Zcaron", "Ž"),
    ("zcaron", "ž"),
    ("Ydieresis", "Ÿ"),
    ("Lslash", "Ł"),
    ("lslash", "ł"),
    ("dotlessi", "ı"),
    ("ff", "ff"),
    ("fi", "fi"),
    ("fl", "fl"),
    ("ffi", "ffi"),
    ("ffl", "ffl"),
];

/// The text of a glyph's name.
pub fn text(name: &str) -> Option<String> {
    let name = name.split('.').next().unwrap_or_default();
    for (first, names) in [(0x21, ASCII), (0xa1, LATIN)] {
        if let Some(at) = names.split_whitespace().position(|known| known == name) {
            return char::from_u32(first + at as u32).map(String::from);
        }
    }
    if let Some((_, text)) = OTHERS.iter().find(|(known, _)| *known == name) {
        return Some((*text).to_owned());
    }
    let hex = name.strip_prefix("uni").or_else(|| name.strip_prefix('u'))?;
    let digits = hex.get(..hex.len().min(if name.starts_with("uni") { 4 } else { 6 }))?;
    if digits.len() < 4 {
        return None;
    }
    char::from_u32(u32::from_str_radix(digits, 16).ok()?).map(String::from)
}

/// MacRomanEncoding from 0x80 on.
const MAC: &str = "\
    ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ\
    ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»… ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ\
    ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{f8ff}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";

/// The character of a byte in MacRomanEncoding.
pub fn mac_roman(byte: u8) -> char {
    match byte {
        0x80.. => MAC.chars().nth(usize::from(byte) - 0x80).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_where_they_belong() {
        assert_eq!(ASCII.split_whitespace().count(), 94);
        assert_eq!(LATIN.split_whitespace().count(), 95);
        assert_eq!(MAC.chars().count(), 128);
        let all = ["A", "tilde", "asciitilde", "ydieresis", "fi", "uni00E9", "u1F98A", "a.sc"];
        let texts: Vec<String> = all.iter().filter_map(|name| text(name)).collect();
        assert_eq!(texts, ["A", "˜", "~", "ÿ", "fi", "é", "🦊", "a"]);
        assert_eq!((text("g12"), text("union")), (None, None));
        assert_eq!((mac_roman(0x8e), mac_roman(0xd5)), ('é', '’'));
    }
}
