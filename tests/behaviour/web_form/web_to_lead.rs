//! Salesforce's own address, for forms that only changed their host.

use leadstream::config::ServerConfig;

use super::door::{BROWSER, Door, FORM, SCRIPT, open_with};

const PATH: &str = "/servlet/servlet.WebToLead";
const MULTIPART: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=XX");

async fn open() -> Door {
    let sources = [
        ("plain", ""),
        (
            "acme",
            r#"org_id = "00D5g00000EXAMPEAW"
            allowed_origins = ["https://www.example.com"]
            redirect_url = "https://www.example.com/thanks""#,
        ),
        ("other", r#"org_id = "00D5g00000OTHER""#),
    ];
    open_with(&sources, ServerConfig::default()).await
}

async fn check(door: &Door, target: &str, body: &str, source: &str) {
    door.request("POST", target, SCRIPT, body).await.receipt();
    let events = door.inbox.events.lock();
    assert_eq!(&*events.last().unwrap().source, source, "{target} {body}");
}

#[tokio::test]
async fn the_org_id_finds_the_source_in_the_form_or_in_its_address() {
    let door = open().await;
    let utf8 = format!("{PATH}?encoding=UTF-8");
    check(
        &door,
        &utf8,
        "oid=00D5g00000EXAMP&email=a%40b.example",
        "acme",
    )
    .await;
    check(
        &door,
        &utf8,
        "oid=00D5g00000EXAMPEAW&email=a%40b.example",
        "acme",
    )
    .await;
    check(
        &door,
        PATH,
        "email=a%40b.example&oid=00D5g00000OTHER",
        "other",
    )
    .await;
    let in_address = format!("{PATH}?encoding=UTF-8&orgId=00D5g00000EXAMP");
    check(&door, &in_address, "email=a%40b.example", "acme").await;
    let body =
        "--XX\r\nContent-Disposition: form-data; name=\"oid\"\r\n\r\n00D5g00000OTHER\r\n--XX--";
    door.request("POST", PATH, &[MULTIPART], body)
        .await
        .receipt();
    assert_eq!(&*door.inbox.events.lock().last().unwrap().source, "other");
}

#[tokio::test]
async fn an_unknown_or_missing_org_id_is_not_found() {
    let door = open().await;
    for body in [
        "email=a%40b.example",
        "oid=",
        "oid=00D000000000000",
        "oid=00D5g00000examp",
        "",
    ] {
        let answer = door.request("POST", PATH, SCRIPT, body).await;
        answer.expect_refused(404, "hook.unknown_org");
    }
    let target = format!("{PATH}?orgId=00D000000000000");
    let answer = door
        .request("POST", &target, SCRIPT, "oid=00D5g00000EXAMP")
        .await;
    answer.expect_refused(404, "hook.unknown_org");
    assert_eq!(door.count(), 0);
}

#[tokio::test]
async fn its_limits_and_answers_are_those_of_its_source() {
    let door = open().await;
    let body = "oid=00D5g00000EXAMP&email=a%40b.example";
    let answer = door
        .request(
            "POST",
            PATH,
            BROWSER,
            format!("{body}&retURL=https%3A%2F%2Fwww.example.com%2Fok"),
        )
        .await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        Some("https://www.example.com/ok")
    );

    let evil = [("Content-Type", FORM), ("Origin", "https://evil.example")];
    let answer = door.request("POST", PATH, &evil, body).await;
    answer.expect_refused(403, "hook.origin");

    let large = vec![b'x'; ServerConfig::default().max_body_bytes + 1];
    let answer = door.request("POST", PATH, SCRIPT, large).await;
    answer.expect_refused(413, "body.too_large");
    assert_eq!(door.count(), 1);
}

#[tokio::test]
async fn a_preflight_is_answered_for_the_source_that_lists_the_origin() {
    let door = open().await;
    let preflight = |origin| {
        [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
        ]
    };
    let listed = preflight("https://www.example.com");
    for target in [PATH.to_owned(), format!("{PATH}?orgId=00D5g00000EXAMP")] {
        let answer = door.request("OPTIONS", &target, &listed, "").await;
        assert_eq!(answer.status, 204);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://www.example.com")
        );
    }
    let answer = door
        .request("OPTIONS", PATH, &preflight("https://evil.example"), "")
        .await;
    answer.expect_refused(403, "hook.origin");
}
