use std::borrow::Cow;

use memchr::memchr;

/// The raw pairs of `a=1&b=2`, still encoded. What has no `=` or no name is left out: no form sends
/// it.
pub fn pairs(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = body;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = memchr(b'&', rest).unwrap_or(rest.len());
            let pair = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some(equals) = memchr(b'=', pair)
                && equals > 0
            {
                return Some((&pair[..equals], &pair[equals + 1..]));
            }
        }
        None
    })
}

/// Bytes as they were before encoding. A `%` that starts no escape stays: hand-written scripts
/// forget to encode it, and the lead matters more than the rule. So does WHATWG's URL standard.
pub fn decode(encoded: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', encoded).is_none() {
        return Cow::Borrowed(encoded);
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    for (index, part) in encoded.split(|byte| *byte == b'+').enumerate() {
        if index > 0 {
            decoded.push(b' ');
        }
        decoded.extend(percent_encoding::percent_decode(part));
    }
    Cow::Owned(decoded)
}
