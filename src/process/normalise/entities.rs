//! HTML's character references, for forms and plugins that escape what they send.

/// Named references of Latin-1, for U+00A0 to U+00FF in order. Source: HTML 4.01, section 24.2.
const LATIN_1: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf",
    "laquo", "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro",
    "para", "middot", "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest",
    "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute",
    "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute",
    "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute",
    "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil",
    "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde",
    "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc",
    "uuml", "yacute", "thorn", "yuml",
];

/// The others that are met in names, companies and messages.
const OTHERS: [(&str, char); 21] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("bull", '•'),
    ("hellip", '…'),
    ("euro", '€'),
    ("trade", '™'),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
];

/// The longest name or number between `&` and `;`.
const MAX_NAME_BYTES: usize = 9;

/// The text with its references decoded, or `None` if it has none.
///
/// A reference that was escaped again (`&amp;uuml;`) is decoded as well: it is the same letter
/// after one more form.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, reference) = rest.split_at(at);
        let mut tail = &reference[1..];
        while let Some(inner) = tail.strip_prefix("amp;") {
            tail = inner;
        }
        let (character, after) = match split_reference(tail) {
            Some((character, after)) => (character, after),
            None => ('&', tail),
        };
        decoded.push_str(before);
        decoded.push(character);
        rest = after;
    }
    decoded.push_str(rest);
    (decoded != text).then_some(decoded)
}

fn split_reference(tail: &str) -> Option<(char, &str)> {
    let end = tail
        .bytes()
        .take(MAX_NAME_BYTES + 1)
        .position(|b| b == b';')?;
    Some((character(&tail[..end])?, &tail[end + 1..]))
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    if let Some((_, character)) = OTHERS.iter().find(|(known, _)| *known == name) {
        return Some(*character);
    }
    let position = LATIN_1.iter().position(|known| *known == name)?;
    char::from_u32(0xA0 + u32::try_from(position).ok()?)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn references_are_decoded() {
        for (text, expect) in [
            ("&nbsp;&yuml;&Agrave;", Some("\u{A0}ÿÀ")),
            ("&amp;amp;lt;", Some("<")),
            ("&#65;&#x41;", Some("AA")),
            ("R&D; &thisisnotone;", None),
            ("&", None),
            ("&#99999999;", None),
            ("&ä;", None),
        ] {
            assert_eq!(decode(text).as_deref(), expect, "{text}");
        }
    }
}
