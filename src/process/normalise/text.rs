//! What is done to all text before its field's own rules: double encoding undone, HTML entities
//! decoded, invisible characters dropped, spaces made plain, composed (NFC), cut to a limit.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::entities;

/// Whether line breaks mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// They are spaces, and runs of spaces are one.
    Join,
    /// They are kept, as newlines; so is indentation.
    Keep,
}

/// Text fit for its field's own rules, and what was done to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cleaned<'a> {
    pub text: Cow<'a, str>,
    /// It had been encoded twice (`Ã¼` for `ü`).
    pub encoding_repaired: bool,
    /// It was longer than the limit.
    pub cut: bool,
}

/// Decoding may lay bare what decodes again. Few layers are honest; the bound keeps dishonest ones
/// from costing more than a few passes.
const MAX_LAYERS: usize = 8;

/// The longest way to write one character, in bytes: `&thetasym;` and the like.
const MAX_BYTES_PER_CHAR: usize = 12;

/// Cleans `raw`. The result is at most `limit` characters, and cleaning it again changes nothing.
pub(super) fn clean(raw: &str, limit: usize, lines: Lines) -> Cleaned<'_> {
    if raw.len() <= limit && is_plain(raw) {
        return Cleaned {
            text: Cow::Borrowed(raw),
            encoding_repaired: false,
            cut: false,
        };
    }
    // Whatever a library makes of the text, it never sees more than this.
    let start = floor_boundary(raw, limit.saturating_mul(MAX_BYTES_PER_CHAR));
    let mut cleaned = Cleaned {
        text: Cow::Owned(start.to_owned()),
        encoding_repaired: false,
        cut: start.len() < raw.len(),
    };
    for _ in 0..MAX_LAYERS {
        let mut text = cleaned.text.to_string();
        if let Some(repaired) = repair_encoding(&text) {
            text = repaired;
            cleaned.encoding_repaired = true;
        }
        if let Some(decoded) = entities::decode(&text) {
            text = decoded;
        }
        text = compose(make_plain(&text, lines));
        if let Some((end, _)) = text.char_indices().nth(limit) {
            text.truncate(end);
            text.truncate(text.trim_end().len());
            cleaned.cut = true;
        }
        // Where one round changes nothing, the next would not either.
        let done = *text == *cleaned.text || (!text.contains('&') && !may_be_encoded_twice(&text));
        cleaned.text = Cow::Owned(text);
        if done {
            break;
        }
    }
    cleaned
}

/// Attribution is opaque: spaces and invisible characters go, nothing is decoded.
pub(super) fn clean_opaque(raw: &str, limit: usize) -> Cow<'_, str> {
    if raw.len() <= limit && is_plain_but_ampersand(raw) {
        return Cow::Borrowed(raw);
    }
    let start = floor_boundary(raw, limit.saturating_mul(MAX_BYTES_PER_CHAR));
    let mut text = make_plain(start, Lines::Join);
    if let Some((end, _)) = text.char_indices().nth(limit) {
        text.truncate(end);
        text.truncate(text.trim_end().len());
    }
    Cow::Owned(text)
}

/// Whether nothing of the text can be seen or read aloud.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_unseen(c))
}

/// One value that a form sent several times (a hidden field beside a visible one).
pub(super) fn said_once(value: &str) -> &str {
    if !value.contains(';') {
        return value;
    }
    let mut parts = value
        .split(';')
        .map(str::trim)
        .filter(|part| !is_blank(part));
    match parts.next() {
        None => "",
        Some(first) if parts.all(|part| part == first) => first,
        Some(_) => value,
    }
}

/// Characters that are kept inside text (they join letters and emoji) or take up space, but say
/// nothing by themselves: joiners, variation selectors, Hangul fillers, the blank of Braille.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{200C}' | '\u{200D}' | '\u{FE00}'
            ..='\u{FE0F}'
                | '\u{115F}'
                | '\u{1160}'
                | '\u{3164}'
                | '\u{FFA0}'
                | '\u{2800}'
                | '\u{034F}'
                | '\u{180E}'
    )
}

/// Characters without a meaning in a value: controls, byte order marks, zero-width and soft
/// hyphens, marks of writing direction, what is no character at all.
fn is_dropped(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00AD}' | '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
        )
        || (c as u32) & 0xFFFE == 0xFFFE
        || matches!(c, '\u{FDD0}'..='\u{FDEF}')
}

fn is_plain(raw: &str) -> bool {
    is_plain_but_ampersand(raw) && !raw.contains('&')
}

fn is_plain_but_ampersand(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    let mut before = b' ';
    for &byte in bytes {
        if !matches!(byte, b' '..=b'~') || (byte == b' ' && before == b' ') {
            return false;
        }
        before = byte;
    }
    bytes.is_empty() || before != b' '
}

fn make_plain(text: &str, lines: Lines) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                '\n'
            }
            '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{0B}' | '\u{0C}' => '\n',
            c => c,
        };
        match (c, lines) {
            ('\n', Lines::Keep) => {
                plain.truncate(plain.trim_end_matches(' ').len());
                plain.push('\n');
            }
            (c, Lines::Keep) if c.is_whitespace() => plain.push(' '),
            (c, Lines::Join) if c.is_whitespace() => {
                if !plain.is_empty() && !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            (c, _) if is_dropped(c) => {}
            (c, _) => plain.push(c),
        }
    }
    plain.truncate(plain.trim_end().len());
    let leading = plain.len() - plain.trim_start().len();
    plain.drain(..leading);
    plain
}

pub(super) fn compose(text: String) -> String {
    if text.is_ascii() || is_nfc(&text) {
        text
    } else {
        text.nfc().collect()
    }
}

/// The text before its UTF-8 was read as windows-1252, if all of it then reads as UTF-8.
fn repair_encoding(text: &str) -> Option<String> {
    if !may_be_encoded_twice(text) {
        return None;
    }
    let (bytes, _, unmappable) = WINDOWS_1252.encode(text);
    if unmappable {
        return None;
    }
    String::from_utf8(bytes.into_owned()).ok()
}

/// Whether some letter is what the first byte of a UTF-8 sequence looks like in windows-1252, with
/// another beyond ASCII after it.
fn may_be_encoded_twice(text: &str) -> bool {
    let mut before = ' ';
    text.chars().any(|c| {
        let found = matches!(before, '\u{C2}'..='\u{F4}') && !c.is_ascii();
        before = c;
        found
    })
}

fn floor_boundary(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(raw: &str, expect: &str) {
        assert_eq!(clean(raw, 200, Lines::Join).text, expect, "{raw:?}");
    }

    #[test]
    fn text_is_made_plain() {
        for (raw, expect) in [
            ("", ""),
            ("Anna", "Anna"),
            ("  Anna \t Maria\r\n", "Anna Maria"),
            ("Anna\u{3000}Maria\u{A0}", "Anna Maria"),
            ("\u{FEFF}An\u{200B}na\u{AD}\0", "Anna"),
            ("\u{202E}Anna\u{202C}", "Anna"),
            ("Ju\u{308}rgen", "Jürgen"),
            ("می\u{200C}خواهم", "می\u{200C}خواهم"),
            ("👩\u{200D}💻", "👩\u{200D}💻"),
        ] {
            check(raw, expect);
        }
    }

    #[test]
    fn double_encoding_is_undone_only_when_all_of_it_is_double() {
        for (raw, expect) in [
            ("MÃ¼ller", "Müller"),
            ("ChloÃ©", "Chloé"),
            ("ÃƒÂ¼", "ü"),
            ("Ð˜Ð²Ð°Ð½", "Иван"),
            ("JosÃ© MÃ¼ller und Jörg", "JosÃ© MÃ¼ller und Jörg"),
            ("Ângela", "Ângela"),
            ("ÄÖÜ", "ÄÖÜ"),
            ("São Paulo", "São Paulo"),
        ] {
            check(raw, expect);
        }
        assert!(clean("MÃ¼ller", 200, Lines::Join).encoding_repaired);
        assert!(!clean("Müller", 200, Lines::Join).encoding_repaired);
    }

    #[test]
    fn entities_are_decoded() {
        for (raw, expect) in [
            ("Wayne &amp; Sons", "Wayne & Sons"),
            ("Wayne &amp;amp; Sons", "Wayne & Sons"),
            ("M&uuml;ller", "Müller"),
            ("O&#39;Brien", "O'Brien"),
            ("M&Atilde;&frac14;ller", "Müller"),
            ("&#x1F44B;", "👋"),
            ("AT&T", "AT&T"),
            ("a &b; c", "a &b; c"),
            ("&#xD800;&#0;", "&#xD800;"),
        ] {
            check(raw, expect);
        }
    }

    #[test]
    fn a_message_keeps_its_lines() {
        let cleaned = clean("Hello,\r\n\r\n  a  list \r  b\u{2028}\n ", 200, Lines::Keep);
        assert_eq!(cleaned.text, "Hello,\n\n  a  list\n  b");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let cleaned = clean("äöü ß", 4, Lines::Join);
        assert_eq!(cleaned.text, "äöü");
        assert!(cleaned.cut);
        let huge = "&amp;".repeat(100_000);
        assert_eq!(clean(&huge, 10, Lines::Join).text, "&".repeat(10));
    }

    #[test]
    fn attribution_is_not_decoded() {
        assert_eq!(clean_opaque(" a&amp;b=Ã¼ ", 500), "a&amp;b=Ã¼");
        assert_eq!(clean_opaque("AbC", 2), "Ab");
    }

    #[test]
    fn what_cannot_be_seen_is_blank() {
        for blank in ["", " ", "\u{200D}", "\u{3164}", "\u{2800}\u{200C}"] {
            assert!(is_blank(blank), "{blank:?}");
        }
        assert!(!is_blank("."));
    }

    proptest! {
        #[test]
        fn cleaning_twice_is_cleaning_once(raw in "(\\PC|[ \t\r\n&;#Ãäü\u{AD}]|&amp;|&uuml;|Ã¼){0,40}") {
            for lines in [Lines::Join, Lines::Keep] {
                let once = clean(&raw, 30, lines).text.into_owned();
                prop_assert!(once.chars().count() <= 30);
                prop_assert_eq!(&clean(&once, 30, lines).text, &once);
            }
        }

        #[test]
        fn any_text_is_cleaned(raw in any::<String>()) {
            let once = clean(&raw, 50, Lines::Keep).text.into_owned();
            prop_assert_eq!(&clean(&once, 50, Lines::Keep).text, &once);
            let opaque = clean_opaque(&raw, 50).into_owned();
            prop_assert_eq!(&clean_opaque(&opaque, 50), &opaque);
        }
    }
}
