//! Bytes to text. Pages are UTF-8 unless they say otherwise; old ones are windows-1252 and say
//! nothing. Source: WHATWG Encoding (labels), WHATWG HTML (`_charset_`).

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::urlencoded;

/// How the bytes of one form become text.
#[derive(Debug, Clone, Copy)]
pub struct Charset {
    /// What the browser itself put into a hidden `_charset_` field: always right.
    certain: Option<&'static Encoding>,
    /// For bytes that are not UTF-8.
    fallback: &'static Encoding,
}

impl Charset {
    /// Of a form with these raw pairs: its `_charset_` field; else UTF-8, and for what is not, the
    /// `charset` that the request claims (many clients claim ISO-8859-1 and send UTF-8), the
    /// `encoding` of a Web-to-Lead address, or windows-1252.
    pub fn of_form<'a>(
        mut pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        claimed: Option<&str>,
        query: Option<&str>,
    ) -> Self {
        let certain = pairs
            .find(|(name, _)| name.eq_ignore_ascii_case(b"_charset_"))
            .and_then(|(_, label)| Encoding::for_label(label));
        let in_query = || {
            urlencoded::pairs(query?.as_bytes())
                .find(|(name, _)| name.eq_ignore_ascii_case(b"encoding"))
                .and_then(|(_, label)| Encoding::for_label(label))
        };
        Self {
            certain,
            fallback: claimed
                .and_then(|label| Encoding::for_label(label.as_bytes()))
                .or_else(in_query)
                .filter(|encoding| *encoding != UTF_8)
                .unwrap_or(WINDOWS_1252),
        }
    }

    /// The same for one part that names a charset of its own.
    pub fn of_part(self, claimed: Option<&str>) -> Self {
        let claimed = claimed
            .and_then(|label| Encoding::for_label(label.as_bytes()))
            .filter(|encoding| *encoding != UTF_8);
        Self {
            fallback: claimed.unwrap_or(self.fallback),
            ..self
        }
    }

    /// The text of some bytes of the form.
    pub fn text<'b>(self, bytes: impl Into<Cow<'b, [u8]>>) -> String {
        let decode = |encoding: &'static Encoding, bytes: &[u8]| {
            encoding.decode_without_bom_handling(bytes).0.into_owned()
        };
        let bytes = bytes.into();
        if let Some(encoding) = self.certain {
            return decode(encoding, &bytes);
        }
        String::from_utf8(bytes.into_owned())
            .unwrap_or_else(|error| decode(self.fallback, error.as_bytes()))
    }
}

/// The text of a whole body, without its byte order mark.
pub fn whole<'a>(body: &'a [u8], claimed: Option<&str>) -> Cow<'a, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text));
    }
    claimed
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .filter(|encoding| *encoding != UTF_8)
        .unwrap_or(WINDOWS_1252)
        .decode(body)
        .0
}
