//! Bytes to text. Never guesses silently.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::error::{FileError, Warning};

/// What UTF-8 looks like once it was read as Windows-1252 and saved: the first byte of a letter of
/// Latin scripts, and then one of its second bytes.
const DOUBLE: [char; 4] = ['Ã', 'Å', 'Ä', 'â'];

/// The text of a file: UTF-8 and UTF-16 by their mark, as configured, UTF-8 if it is valid, else
/// Windows-1252 with a warning.
pub(super) fn decode(
    bytes: &[u8],
    configured: Option<&str>,
    warnings: &mut Vec<Warning>,
) -> Result<String, FileError> {
    let text = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => strictly(encoding, &bytes[mark..])?,
        None => match configured.and_then(|label| Encoding::for_label(label.as_bytes())) {
            Some(encoding) => strictly(encoding, bytes)?,
            None => utf_8_or_windows(bytes, warnings),
        },
    };
    if text.contains('\0') {
        return Err(FileError::new(
            "file.binary",
            "the file is no text, or is UTF-16 without its mark",
            "export it as CSV (UTF-8), or name the encoding: `encoding = \"utf-16le\"`",
        ));
    }
    if is_encoded_twice(&text) {
        warnings.push(Warning::new(
            "file.encoded_twice",
            "letters look as if the file had been opened with the wrong encoding and saved (`MÃ¼ller`); export it anew if names are wrong",
        ));
    }
    Ok(text)
}

fn utf_8_or_windows(bytes: &[u8], warnings: &mut Vec<Warning>) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    warnings.push(Warning::new(
        "file.encoding",
        "the text is not UTF-8; it was read as Windows-1252. If letters are wrong, set `encoding`, or export it as UTF-8",
    ));
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
    text.into_owned()
}

fn strictly(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, FileError> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    text.map(std::borrow::Cow::into_owned).ok_or_else(|| {
        let hint = if encoding == UTF_8 {
            "export it anew, or take its mark (the first three bytes) away and set `encoding`"
        } else {
            "set `encoding` to the one that the file was saved with"
        };
        FileError::new(
            "file.encoding",
            format!("the text is not {}", encoding.name()),
            hint,
        )
    })
}

fn is_encoded_twice(text: &str) -> bool {
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let second = letters.peek().copied().unwrap_or_default();
        let is_second = matches!(
            second,
            '\u{80}'..='\u{bf}' | '€' | '‚' | '„' | '“' | '”' | '™' | '‡'
        );
        if DOUBLE.contains(&letter) && is_second {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], configured: Option<&str>, expect: &str, codes: &[&str]) {
        let mut warnings = Vec::new();
        let text = decode(bytes, configured, &mut warnings).unwrap();
        assert_eq!(text, expect);
        let found: Vec<&str> = warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(found, codes, "{expect}");
    }

    #[test]
    fn marks_count_first_then_the_configuration_then_utf_8() {
        check("Łukasz 👍".as_bytes(), None, "Łukasz 👍", &[]);
        check("\u{feff}Müller".as_bytes(), None, "Müller", &[]);
        check(b"\xff\xfea\0\xfc\0", None, "aü", &[]);
        check(b"\xfe\xff\0a\0\xfc", None, "aü", &[]);
        check(b"\xa3\xf3d\xbc", Some("windows-1250"), "ŁódĽ", &[]);
    }

    #[test]
    fn a_guess_is_said() {
        check(b"M\xfcller \x80", None, "Müller €", &["file.encoding"]);
        check(
            "MÃ¼ller".as_bytes(),
            None,
            "MÃ¼ller",
            &["file.encoded_twice"],
        );
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for (bytes, configured) in [
            (&b"a\0b"[..], None),
            (b"\xff\xfea\0\xfc", None),
            (b"\xff", Some("utf-8")),
        ] {
            let found = decode(bytes, configured, &mut Vec::new());
            assert!(found.is_err(), "{bytes:?}");
        }
    }
}
