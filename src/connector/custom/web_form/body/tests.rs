use super::*;
use crate::connector::RefusalReason;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=XX";

fn payload<'a>(content_type: &'a str, body: &'a [u8]) -> Payload<'a> {
    Payload {
        content_type,
        query: None,
        body,
    }
}

/// Values joined by `|`.
fn decoded(content_type: &str, body: &[u8]) -> Vec<(String, String)> {
    let payload = payload(content_type, body);
    check(payload).unwrap();
    let form = decode(payload).unwrap();
    form.fields
        .into_iter()
        .map(|field| (field.name, field.values.join("|")))
        .collect()
}

fn check_decoded(content_type: &str, body: impl AsRef<[u8]>, expect: &[(&str, &str)]) {
    let body = body.as_ref();
    let expect: Vec<(String, String)> = expect
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(
        decoded(content_type, body),
        expect,
        "{}",
        String::from_utf8_lossy(body)
    );
}

fn check_refused(content_type: &str, body: &[u8], code: &str) -> Refusal {
    let refusal = check(payload(content_type, body)).unwrap_err();
    assert_eq!(refusal.code, code, "{}", String::from_utf8_lossy(body));
    refusal
}

#[test]
fn urlencoded_pairs_are_decoded_in_order_and_repeated_names_keep_all_values() {
    check_decoded(
        FORM,
        "a=1+2&b=%C3%A9%26&topics=crm&c=&topics=ads&=x&&y&d=1=2",
        &[
            ("a", "1 2"),
            ("b", "é&"),
            ("topics", "crm|ads"),
            ("c", ""),
            ("d", "1=2"),
        ],
    );
    check_decoded(
        FORM,
        "p=100%&q=%zz&r=%4",
        &[("p", "100%"), ("q", "%zz"), ("r", "%4")],
    );
    check_decoded(
        "Application/X-WWW-Form-Urlencoded; Charset=utf-8",
        "user%5Bemail%5D=a",
        &[("user[email]", "a")],
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_windows_1252_unless_something_says_otherwise() {
    check_decoded(
        FORM,
        b"a=Ren\xe9e+%80&b=%C3%A9",
        &[("a", "Renée €"), ("b", "é")],
    );
    check_decoded(
        "application/x-www-form-urlencoded; charset=iso-8859-2",
        b"a=%B3&b=%C5%82",
        &[("a", "ł"), ("b", "ł")],
    );
    check_decoded(
        FORM,
        b"_charset_=Shift_JIS&a=%93%FA%96%7B",
        &[("_charset_", "Shift_JIS"), ("a", "日本")],
    );
    let with_query = Payload {
        query: Some("encoding=ISO-8859-5"),
        ..payload(FORM, b"a=%D0")
    };
    assert_eq!(decode(with_query).unwrap().first("a"), Some("а"));
    check_decoded(
        "application/json",
        b"{\"a\":\"Ren\xe9e\"}",
        &[("a", "Renée")],
    );
}

#[test]
fn json_is_flattened_to_paths() {
    check_decoded(
        "application/json",
        r#"{"a":{"b":1,"c":{"d":true}},"t":["x","y"],"o":[{"e":2},{"e":null}],
            "n":12345678901234567890,"f":0.1,"big":1e21,"neg":-5,"a":"again","empty":[],"m":[[1]]}"#,
        &[
            ("a.b", "1"),
            ("a.c.d", "true"),
            ("t", "x|y"),
            ("o.0.e", "2"),
            ("o.1.e", ""),
            ("n", "12345678901234567890"),
            ("f", "0.1"),
            ("big", "1000000000000000000000"),
            ("neg", "-5"),
            ("a", "again"),
            ("m.0", "1"),
        ],
    );
    check_decoded(
        "application/vnd.acme+json",
        "\u{feff} {\"\\u0061\":\"\\n\"}",
        &[("a", "\n")],
    );
}

#[test]
fn text_plain_is_a_beacon_or_an_old_form() {
    check_decoded("text/plain;charset=UTF-8", r#" {"a":"b"}"#, &[("a", "b")]);
    check_decoded("text/plain", "a=1&b=x%20y", &[("a", "1"), ("b", "x y")]);
    check_decoded(
        "text/plain",
        "a=1 & 2\r\nmessage=one\r\ntwo\r\n\r\nthree\r\nb=100%\r\n",
        &[
            ("a", "1 & 2"),
            ("message", "one\r\ntwo\r\n\r\nthree"),
            ("b", "100%"),
        ],
    );
    check_decoded(
        FORM,
        r#"{"sent":"as curl does"}"#,
        &[("sent", "as curl does")],
    );
}

#[test]
fn multipart_values_are_read_and_files_are_noted() {
    let body = b"preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"a%22b\"\r\n\r\n1\r\n\
        --XX  \r\ncontent-disposition:form-data; filename=\"\"; name=cv\r\n\
        Content-Type: application/octet-stream\r\n\r\n\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"doc\"; filename=\"../x;y.pdf\"\r\n\
        Content-Type: application/pdf\r\n\r\n%PDF\r\n-X\r\n\
        --XX\r\nContent-Type: text/plain; charset=iso-8859-2\r\n\
        Content-Disposition: form-data; name=\"l\"\r\n\r\n\xb3\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"l\"\r\n\r\n\r\n--XX--\r\n";
    check_decoded(MULTIPART, body, &[("a\"b", "1"), ("l", "ł|")]);
    let form = decode(payload(MULTIPART, body)).unwrap();
    assert_eq!(
        form.files,
        [FilePart {
            name: "doc".to_owned(),
            kind: "application/pdf".to_owned(),
            bytes: 8
        }]
    );
    check_decoded(
        "multipart/form-data; boundary=\"X X\"",
        "--X X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--X\r\n--X X--",
        &[("a", "--X")],
    );
}

#[test]
fn what_cannot_be_read_is_refused_saying_why() {
    for content_type in [
        "",
        "text/html",
        "application/octet-stream",
        "multipart/mixed",
        "json",
        "é+jsoé",
    ] {
        let refusal = check_refused(content_type, b"a=1", "body.type");
        assert_eq!(refusal.reason, RefusalReason::UnsupportedType);
        assert!(refusal.hint.contains("multipart/form-data"));
    }
    for body in ["", "hello", "=1", "&&"] {
        check_refused(FORM, body.as_bytes(), "body.no_fields");
    }
    check_refused("text/plain", b"", "body.no_fields");
    check_refused("application/json", b"{}", "body.no_fields");
    check_refused(MULTIPART, b"--XX--\r\n", "body.no_fields");

    let refusal = check_refused(
        "application/json",
        b"{\"a\": secret}",
        "body.malformed_json",
    );
    assert_eq!(
        refusal.message,
        "the body is not valid JSON: expected value at line 1 column 7"
    );
    for body in ["", "{", "{\"a\":1}x", "{\"a\":1,}", "[1"] {
        check_refused("application/json", body.as_bytes(), "body.malformed_json");
    }
    for body in ["[]", "[{\"a\":1}]", "\"a\"", "1", "null"] {
        check_refused("application/json", body.as_bytes(), "body.not_an_object");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
    check_refused("application/json", deep.as_bytes(), "body.malformed_json");
    let deep = format!("{{\"a\":{}", "[".repeat(500));
    check_refused("application/json", deep.as_bytes(), "body.malformed_json");

    check_refused("multipart/form-data", b"--XX--", "body.multipart_boundary");
    check_refused(
        "multipart/form-data; boundary=",
        b"--XX--",
        "body.multipart_boundary",
    );
    check_refused(MULTIPART, b"--YY\r\n", "body.multipart_boundary");
    check_refused(MULTIPART, b"--XX", "body.multipart_cut");
    for body in [
        "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n",
        "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue",
    ] {
        check_refused(MULTIPART, body.as_bytes(), "body.multipart_cut");
    }
    for head in [
        "Content-Disposition: form-data",
        "X: y",
        "Content-Disposition: form-data; name=\"\"",
    ] {
        let body = format!("--XX\r\n{head}\r\n\r\nvalue\r\n--XX--");
        check_refused(MULTIPART, body.as_bytes(), "body.multipart_part");
    }
}

#[test]
fn many_or_long_names_are_refused() {
    let many = "a=1&".repeat(MAX_VALUES);
    assert_eq!(check(payload(FORM, many.as_bytes())), Ok(()));
    check_refused(
        FORM,
        format!("{many}b=1").as_bytes(),
        "body.too_many_fields",
    );
    let many = format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_VALUES));
    check_refused("application/json", many.as_bytes(), "body.too_many_fields");

    let long = "n".repeat(MAX_NAME_BYTES);
    assert_eq!(check(payload(FORM, format!("{long}=1").as_bytes())), Ok(()));
    let refusal = check_refused(FORM, format!("{long}n=1").as_bytes(), "body.name_too_long");
    assert_eq!(refusal.fields, [format!("{}…", "n".repeat(40))]);
    let nested = format!("{{\"{long}\":{{\"n\":1}}}}");
    check_refused("application/json", nested.as_bytes(), "body.name_too_long");
}
