//! Which of a vendor's words may be repeated: codes and short names of errors, never sentences. They
//! could quote a person's data, or the token that they refuse.

use serde_json::Value;

/// Members that hold codes, in the answers of all vendors that we know.
const CODES: [&str; 9] = [
    "error",
    "code",
    "status",
    "type",
    "errorCode",
    "error_subcode",
    "reason",
    "category",
    "title",
];

const MOST_WORDS: usize = 4;

/// The codes in an error's body, joined; none if it has none.
pub fn status_words(body: &Value) -> Option<String> {
    // Some wrap the whole in an array.
    let body = body.get(0).unwrap_or(body);
    let mut words: Vec<String> = Vec::new();
    for place in [body, &body["error"], &body["errors"][0]] {
        for name in CODES {
            if let Some(word) = word(&place[name])
                && !words.contains(&word)
                && words.len() < MOST_WORDS
            {
                words.push(word);
            }
        }
    }
    (!words.is_empty()).then(|| words.join(", "))
}

/// A code, or up to five words of letters: `Resource Not Found`.
fn word(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_code = (1..=60).contains(&text.len())
        && digits <= 6
        && text.split(' ').count() <= 5
        && text
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || b"_.- ".contains(&letter));
    is_code.then_some(text)
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_are_repeated_and_sentences_are_not() {
        for (body, expect) in [
            (
                json!({ "error": "invalid_grant", "error_description": "Token ya29.x of jane@acme.com is bad" }),
                Some("invalid_grant"),
            ),
            (
                json!({ "error": { "code": 190, "error_subcode": 463, "type": "OAuthException", "message": "Session of Jane" } }),
                Some("190, OAuthException, 463"),
            ),
            (
                json!([{ "error": { "code": 400, "status": "INVALID_ARGUMENT" } }]),
                Some("400, INVALID_ARGUMENT"),
            ),
            (
                json!({ "title": "Resource Not Found", "status": 404 }),
                Some("404, Resource Not Found"),
            ),
            (
                json!({ "code": "+44 20 7946 0958", "title": "jane@acme.com" }),
                None,
            ),
            (
                json!({ "code": "2079460958", "reason": "the contact called Jane Doe was not found" }),
                None,
            ),
            (json!("no object"), None),
            (json!(null), None),
        ] {
            assert_eq!(status_words(&body).as_deref(), expect, "{body}");
        }
    }
}
