//! A webhook's body to one JSON value, however it was written.
//!
//! Owns: encodings. Promises that no number loses a digit, and that what is nested, long or many has
//! a limit. What the door takes by [`decode`], reading takes by the same code later.

mod digits;
mod tree;

pub use self::digits::string_end;
pub use self::tree::steps;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use self::tree::Tree;
use crate::connector::Refusal;
use crate::connector::custom::web_form::body::{content_type, multipart, urlencoded};
use crate::connector::manifest::BodyEncoding;

/// The most values of a JSON body, told by its commas and brackets. Real ones have hundreds.
const MOST_JSON_VALUES: usize = 250_000;

/// The value in `body`. A body that is not what the manifest says it is, is refused; its
/// `Content-Type` decides only where the manifest says so, since vendors get it wrong.
///
/// - JSON: whole numbers beyond 64 bits, and fractions of more digits than a double holds, become
///   text.
/// - urlencoded and multipart: `data[merges][FNAME]=x` is `{"data": {"merges": {"FNAME": "x"}}}`;
///   keys that count from 0 make a list, and so do `a[]` and a name that comes twice.
/// - files of a multipart body are noted by type and length, and nothing of them is kept.
pub fn decode(encoding: BodyEncoding, content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    match kind(encoding, content_type, body)? {
        BodyEncoding::Urlencoded => of_form(body),
        BodyEncoding::Multipart => of_parts(content_type, body),
        BodyEncoding::Json | BodyEncoding::Any => json(body),
    }
}

/// The same, with the request's `Content-Type` header.
pub fn decode_with_headers(
    encoding: BodyEncoding,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    let content_type = headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|it| it.to_str().ok());
    decode(encoding, content_type.unwrap_or_default(), body)
}

/// How `body` is written; never `Any`.
pub fn kind(
    encoding: BodyEncoding,
    content_type: &str,
    body: &[u8],
) -> Result<BodyEncoding, Refusal> {
    if encoding != BodyEncoding::Any {
        return Ok(encoding);
    }
    let starts_as_json = matches!(
        without_bom(body).trim_ascii_start().first(),
        Some(b'{' | b'[')
    );
    if starts_as_json {
        return Ok(BodyEncoding::Json);
    }
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    match media.as_str() {
        "application/x-www-form-urlencoded" => Ok(BodyEncoding::Urlencoded),
        "multipart/form-data" => Ok(BodyEncoding::Multipart),
        "application/json" | "text/json" => Ok(BodyEncoding::Json),
        other if other.ends_with("+json") => Ok(BodyEncoding::Json),
        _ => Err(Refusal::unsupported_type(
            "body.type",
            "a webhook cannot be read from a body of this type",
            "send JSON, application/x-www-form-urlencoded or multipart/form-data",
        )),
    }
}

fn json(body: &[u8]) -> Result<Value, Refusal> {
    let body = without_bom(body);
    if memchr::memchr3_iter(b',', b'[', b'{', body).count() > MOST_JSON_VALUES {
        return Err(Refusal::malformed(
            "body.too_many_fields",
            format!("the body has more than {MOST_JSON_VALUES} values"),
            "send fewer records in one request",
        ));
    }
    let text = String::from_utf8_lossy(body);
    // serde_json has a limit of its own for what is nested.
    serde_json::from_str(&digits::keep(&text)).map_err(|error| {
        Refusal::malformed(
            "body.malformed_json",
            // Line and column only: messages of serde_json may quote what is there.
            format!(
                "the body is not valid JSON: line {}, column {}",
                error.line(),
                error.column()
            ),
            "send the body as JSON, unchanged on its way",
        )
    })
}

fn of_form(body: &[u8]) -> Result<Value, Refusal> {
    let mut tree = Tree::default();
    for (name, value) in urlencoded::pairs(body) {
        let name = urlencoded::decode(name);
        let value = urlencoded::decode(value);
        tree.add(
            &String::from_utf8_lossy(&name),
            String::from_utf8_lossy(&value).into_owned().into(),
        )?;
    }
    tree.finish()
}

fn of_parts(content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    let boundary = content_type::ContentType::parse(content_type)?.boundary()?;
    let mut tree = Tree::default();
    for part in multipart::parts(body, boundary)? {
        let part = part?;
        let name = multipart::unescape(String::from_utf8_lossy(part.name).into_owned());
        let value = match part.file {
            None => String::from_utf8_lossy(part.content).into_owned().into(),
            // A field for files that were not chosen.
            Some(_) if part.content.is_empty() => continue,
            Some(kind) => json!({
                "file": String::from_utf8_lossy(kind),
                "bytes": part.content.len(),
            }),
        };
        tree.add(&name, value)?;
    }
    tree.finish()
}

/// Without the mark that some senders put before UTF-8.
pub fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    #[track_caller]
    fn check(encoding: BodyEncoding, content_type: &str, body: &str, expect: Value) {
        let value = decode(encoding, content_type, body.as_bytes());
        assert_eq!(value.unwrap(), expect, "{body}");
    }

    #[test]
    fn brackets_are_objects_and_lists() {
        for (body, expect) in [
            (
                "type=subscribe&data[merges][FNAME]=Zo%C3%AB+B&data%5Bid%5D=8a",
                json!({"type": "subscribe", "data": {"merges": {"FNAME": "Zoë B"}, "id": "8a"}}),
            ),
            (
                "list[0][id]=1&list[1][id]=2&list[0][n]=x",
                json!({"list": [{"id": "1", "n": "x"}, {"id": "2"}]}),
            ),
            ("a[]=1&a[]=2", json!({"a": ["1", "2"]})),
            ("a=1&a=2&b=3", json!({"a": ["1", "2"], "b": "3"})),
            ("f[7]=x&f[12]=y", json!({"f": {"7": "x", "12": "y"}})),
            ("a=1&a[b]=2", json!({"a": {"b": "2", "1": "1"}})),
            (
                "a[b=1&[c]=2&d]=3&e[f]g=4",
                json!({"a[b": "1", "[c]": "2", "d]": "3", "e[f]g": "4"}),
            ),
            ("a=%&b=%zz", json!({"a": "%", "b": "%zz"})),
        ] {
            check(BodyEncoding::Urlencoded, FORM, body, expect);
        }
    }

    #[test]
    fn numbers_keep_all_digits() {
        check(
            BodyEncoding::Json,
            "",
            "\u{feff}{\"a\":9223372036854775807,\"b\":18446744073709551615,\"c\":[123456789012345678901234567890,1.5,\
             0.1234567890123456789,-12345678901234567890123],\"d\":\"123456789012345678901234567890 \\\"1\"}",
            json!({
                "a": i64::MAX, "b": u64::MAX,
                "c": ["123456789012345678901234567890", 1.5, "0.1234567890123456789", "-12345678901234567890123"],
                "d": "123456789012345678901234567890 \"1"
            }),
        );
    }

    #[test]
    fn parts_are_fields_and_files_are_noted() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\nné\r\n\
            --x\r\nContent-Disposition: form-data; name=\"cv\"; filename=\"cv.pdf\"\r\n\
            Content-Type: application/pdf\r\n\r\n%PDF\r\n--x--\r\n";
        let expect = json!({"a": {"b": "né"}, "cv": {"file": "application/pdf", "bytes": 4}});
        let kind = "multipart/form-data; boundary=x";
        check(BodyEncoding::Multipart, kind, body, expect.clone());
        check(BodyEncoding::Any, kind, body, expect);
    }

    #[test]
    fn any_goes_by_what_is_there_and_what_is_said() {
        let any = BodyEncoding::Any;
        check(any, FORM, "a=1", json!({"a": "1"}));
        check(any, FORM, " {\"a\":1}", json!({"a": 1}));
        check(
            any,
            "application/vnd.api+json; charset=utf-8",
            "7",
            json!(7),
        );
        let refusal = decode(any, "text/csv", b"a,b").unwrap_err();
        assert_eq!(refusal.code, "body.type");
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let deep = format!("a{}=1", "[b]".repeat(100));
        let many = "a=1&".repeat(5_000);
        let long = format!("{}=1", "n".repeat(2_000));
        for (body, code) in [
            (&deep, "body.too_deep"),
            (&many, "body.too_many_fields"),
            (&long, "body.name_too_long"),
        ] {
            let refusal = decode(BodyEncoding::Urlencoded, FORM, body.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, code);
        }
        for (body, code) in [
            ("[".repeat(1_000), "body.malformed_json"),
            ("0,".repeat(300_000), "body.too_many_fields"),
            (
                "{\"email\":\"a@b.example\"".to_owned(),
                "body.malformed_json",
            ),
            (String::new(), "body.malformed_json"),
        ] {
            let refusal = decode(BodyEncoding::Json, "", body.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, code);
            assert!(!refusal.message.contains("example"));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_panic(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "[a0=&\\[\\]%{}\":,\\-.eE1\r\n]{0,80}".prop_map(String::into_bytes),
            ],
            kind in "(multipart/form-data; boundary=[a0]?|application/json|)",
        ) {
            for encoding in [
                BodyEncoding::Json,
                BodyEncoding::Urlencoded,
                BodyEncoding::Multipart,
                BodyEncoding::Any,
            ] {
                let _ = decode(encoding, &kind, &body);
            }
        }
    }
}
