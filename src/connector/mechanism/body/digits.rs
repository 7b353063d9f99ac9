use std::borrow::Cow;

/// Digits that a double always holds.
const SAFE_DIGITS: usize = 15;

/// JSON with every number in quotes that would lose digits when it is read: a whole one that does
/// not go into 64 bits, or any other with more digits than a double holds. All else stays as it is.
pub fn keep(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut kept = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..]
                    .iter()
                    .take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                    .count();
                let number = &json[at..at + length];
                if loses_digits(number) {
                    kept.push_str(&json[copied..at]);
                    kept.push('"');
                    kept.push_str(number);
                    kept.push('"');
                    copied = at + length;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    kept.push_str(&json[copied..]);
    Cow::Owned(kept)
}

/// Behind the string that starts at `start`.
pub fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

fn loses_digits(number: &str) -> bool {
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    digits > SAFE_DIGITS
        && number.parse::<i64>().is_err()
        && number.parse::<u64>().is_err()
        // What is no number at all is for the parser to refuse.
        && serde_json::from_str::<f64>(number).is_ok()
}
