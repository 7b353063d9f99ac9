//! Pages of other origins.

use super::door::{Answer, FORM, SCRIPT, open};

const LISTED: &str = r#"allowed_origins = ["https://WWW.example.com/", "http://localhost:3000"]"#;
const ORIGIN: &str = "https://www.example.com";

fn check_cors(answer: &Answer, origin: Option<&str>) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        origin,
        "{answer:?}"
    );
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn a_listed_origin_may_read_success_and_refusal() {
    let door = open(LISTED).await;
    for origin in [ORIGIN, "http://localhost:3000"] {
        let headers = [("Content-Type", FORM), ("Origin", origin)];
        let answer = door.post(&headers, "a=1").await;
        answer.receipt();
        check_cors(&answer, Some(origin));
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("X-Leadstream-Event, X-Request-Id, Retry-After")
        );
        let answer = door.post(&headers, "").await;
        answer.expect_refused(400, "body.no_fields");
        check_cors(&answer, Some(origin));
        let answer = door.request("GET", "/hooks/demo", &headers, "").await;
        answer.expect_refused(405, "hook.method");
        check_cors(&answer, Some(origin));
    }
}

#[tokio::test]
async fn another_origin_is_refused_and_nothing_is_stored() {
    let door = open(LISTED).await;
    for origin in [
        "https://evil.example",
        "null",
        "http://www.example.com",
        "https://www.example.com:8443",
        "https://www.example.com.evil.example",
    ] {
        let answer = door
            .post(&[("Content-Type", FORM), ("Origin", origin)], "a=1")
            .await;
        answer.expect_refused(403, "hook.origin");
        check_cors(&answer, None);
        let preflight = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
        ];
        let answer = door.request("OPTIONS", "/hooks/demo", &preflight, "").await;
        assert_eq!(answer.status, 403);
        check_cors(&answer, None);
    }
    assert_eq!(door.count(), 0);
    // Who names no origin is no page of another: a server, or a browser on its own site.
    let answer = door.post(SCRIPT, "a=1").await;
    answer.receipt();
    check_cors(&answer, None);
}

#[tokio::test]
async fn without_a_list_any_page_may_post_and_none_may_read() {
    let door = open("").await;
    let headers = [("Content-Type", FORM), ("Origin", "https://any.example")];
    let answer = door.post(&headers, "a=1").await;
    answer.receipt();
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let preflight = [
        ("Origin", "https://any.example"),
        ("Access-Control-Request-Method", "POST"),
    ];
    let answer = door.request("OPTIONS", "/hooks/demo", &preflight, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("access-control-allow-methods"), None);
}

#[tokio::test]
async fn a_preflight_says_what_is_allowed() {
    let door = open(LISTED).await;
    let preflight = [
        ("Origin", ORIGIN),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "Content-Type, x-secret,idempotency-key",
        ),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    let answer = door.request("OPTIONS", "/hooks/demo", &preflight, "").await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    check_cors(&answer, Some(ORIGIN));
    for (header, value) in [
        ("access-control-allow-methods", "POST, OPTIONS"),
        (
            "access-control-allow-headers",
            "content-type, idempotency-key",
        ),
        ("access-control-max-age", "86400"),
        ("access-control-allow-private-network", "true"),
        ("allow", "POST, OPTIONS"),
    ] {
        assert_eq!(answer.header(header), Some(value), "{header}");
    }
    let answer = door
        .request("OPTIONS", "/hooks/demo", &preflight[..2], "")
        .await;
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("content-type")
    );
    assert_eq!(answer.header("access-control-allow-private-network"), None);
    let answer = door
        .request("OPTIONS", "/hooks/nobody", &preflight, "")
        .await;
    answer.expect_refused(404, "hook.unknown_source");
}
