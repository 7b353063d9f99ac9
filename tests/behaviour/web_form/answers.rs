//! What senders hear: receipts, redirects, pages, refusals.

use futures_util::FutureExt;
use leadstream::ingest::AppendError;
use leadstream::model::{EventId, EventMeta};

use super::door::{BROWSER, FORM, SCRIPT, open, read_answer};

#[tokio::test]
async fn a_script_gets_a_receipt_and_the_event_holds_what_was_sent() {
    let door = open("").await;
    let answer = door
        .request(
            "POST",
            "/hooks/demo?utm_source=x",
            &[
                ("content-type", "Application/JSON; charset=utf-8"),
                ("accept", "*/*"),
                ("origin", "https://www.example.com"),
                ("referer", "https://www.example.com/p?q=1"),
                ("accept-language", "de"),
                ("idempotency-key", "key-1"),
                ("x-request-id", "req-1"),
                ("user-agent", "nobody's business"),
                ("cookie", "a=b"),
            ],
            r#"{"email":"a@b.example"}"#,
        )
        .await;
    assert_eq!(answer.receipt(), EventId(1).to_string());
    assert_eq!(answer.header("x-request-id"), Some("req-1"));
    let event = door.event();
    assert_eq!(&*event.source, "demo");
    assert_eq!(event.received_at.0, 1_772_359_200_000);
    assert_eq!(event.content_type, "Application/JSON; charset=utf-8");
    assert_eq!(event.body, r#"{"email":"a@b.example"}"#);
    let meta = EventMeta {
        request_id: "req-1".to_owned(),
        query: Some("utm_source=x".to_owned()),
        origin: Some("https://www.example.com".to_owned()),
        referer: Some("https://www.example.com/p?q=1".to_owned()),
        accept_language: Some("de".to_owned()),
        idempotency_key: Some("key-1".to_owned()),
        ..EventMeta::default()
    };
    assert_eq!(event.meta, meta);
}

#[tokio::test]
async fn every_encoding_is_taken() {
    let door = open("").await;
    let multipart = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--XX--\r\n";
    for (content_type, body) in [
        (FORM, "a=1"),
        ("multipart/form-data; boundary=XX", multipart),
        ("application/json", r#"{"a":1}"#),
        ("text/plain;charset=UTF-8", r#"{"a":1}"#),
        ("text/plain", "a=1\r\n"),
    ] {
        door.post(&[("Content-Type", content_type)], body)
            .await
            .receipt();
    }
    door.request("POST", "/hooks/demo/", SCRIPT, "a=1")
        .await
        .receipt();
    let chunked =
        b"POST /hooks/demo HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
        Transfer-Encoding: chunked\r\n\r\n2\r\na=\r\n1\r\n1\r\n0\r\n\r\n";
    door.send(chunked).await.receipt();
    assert_eq!(door.inbox.events.lock().last().unwrap().body, "a=1");
    assert_eq!(door.count(), 7);
}

#[tokio::test]
async fn nobody_hears_of_success_before_the_event_is_on_disk() {
    let door = open("").await;
    let inbox = &door.inbox;
    let all = inbox.commits.forget_permits(usize::MAX);
    assert!(all > 0);
    let request = b"POST /hooks/demo HTTP/1.1\r\nContent-Type: text/plain\r\n\
        Content-Length: 3\r\n\r\na=1";
    let mut stream = door.connect(request).await;
    inbox.asked.acquire().await.unwrap().forget();
    let mut answer = Box::pin(read_answer(&mut stream));
    assert!((&mut answer).now_or_never().is_none());
    assert_eq!(door.count(), 0);
    inbox.commits.add_permits(1);
    answer.await.receipt();
    assert_eq!(door.count(), 1);
}

#[tokio::test]
async fn an_inbox_that_cannot_take_more_says_when_to_come_back() {
    let door = open("").await;
    for (fault, code, seconds) in [
        (AppendError::Full, "inbox.full", "1"),
        (AppendError::Unavailable, "inbox.unavailable", "5"),
    ] {
        *door.inbox.fault.lock() = Some(fault);
        let answer = door.post(SCRIPT, "a=1").await;
        answer.expect_refused(503, code);
        assert_eq!(answer.header("retry-after"), Some(seconds));
    }
    assert_eq!(door.count(), 0);
}

#[tokio::test]
async fn a_browser_gets_a_word_of_thanks_or_is_sent_on() {
    let plain = open("").await;
    let answer = plain
        .post(BROWSER, "a=1&retURL=https%3A%2F%2Fevil.example")
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(
        answer.header("x-leadstream-event"),
        Some(&*EventId(1).to_string())
    );
    assert!(answer.body.contains("<h1>Thank you</h1>"));

    let door = open(
        r#"redirect_url = "https://www.example.com/thanks"
        allowed_redirect_hosts = ["shop.example.com"]"#,
    )
    .await;
    for (body, location) in [
        ("a=1", "https://www.example.com/thanks"),
        (
            "a=1&retURL=https%3A%2F%2Fshop.example.com%2Fx%3Fy%3D1",
            "https://shop.example.com/x?y=1",
        ),
        (
            "a=1&redirect=https%3A%2F%2Fwww.example.com%2Fx",
            "https://www.example.com/x",
        ),
        (
            "a=1&_next=https%3A%2F%2Fwww.example.com%2Fx",
            "https://www.example.com/x",
        ),
        (
            "a=1&_next=https%3A%2F%2Fevil.example%2Fx",
            "https://www.example.com/thanks",
        ),
        (
            "a=1&_next=javascript%3Aalert(1)",
            "https://www.example.com/thanks",
        ),
    ] {
        let answer = door.post(BROWSER, body).await;
        assert_eq!(answer.status, 303, "{body}");
        assert_eq!(answer.header("location"), Some(location), "{body}");
        assert_eq!(answer.body, "");
    }
    let script = [BROWSER, &[("X-Requested-With", "XMLHttpRequest")]].concat();
    door.post(&script, "a=1").await.receipt();
}

#[tokio::test]
async fn spam_is_answered_exactly_as_success() {
    let door = open("honeypot = \"fax_2\"").await;
    let genuine = door.post(BROWSER, "email=a%40b.example").await;
    let spam = door.post(BROWSER, "email=a%40b.example&fax_2=buy").await;
    assert_eq!((genuine.status, genuine.body), (spam.status, spam.body));
    door.post(SCRIPT, "email=a%40b.example&fax_2=buy")
        .await
        .receipt();
    assert_eq!(door.count(), 3);
}

#[tokio::test]
async fn a_browser_gets_its_refusals_as_a_page_without_its_own_text() {
    let door = open("").await;
    let long = format!("<script>alert(1)</script>{}=1", "n".repeat(300));
    let answer = door.post(BROWSER, &long).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        answer
            .header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    assert!(answer.body.contains("longer than 255 bytes"));
    assert!(!answer.body.contains("<script>"));
    let answer = door.request("GET", "/hooks/demo", BROWSER, "").await;
    assert_eq!(answer.status, 405);
    assert!(answer.body.contains("&lt;form method=&quot;post&quot;"));
}

#[tokio::test]
async fn an_unknown_source_is_not_found_and_a_fenced_one_says_what_to_do() {
    let door = open("").await;
    for target in ["/hooks/nobody", "/hooks/DEMO", "/hooks/%64emo"] {
        let answer = door.request("POST", target, SCRIPT, "a=1").await;
        answer.expect_refused(404, "hook.unknown_source");
    }
    let answer = door.request("POST", "/hooks/broken", SCRIPT, "a=1").await;
    let error = answer.expect_refused(503, "hook.source_fenced");
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert!(error["hint"].as_str().unwrap().contains("leadstream check"));
}

#[tokio::test]
async fn other_methods_are_told_what_is_taken() {
    let door = open("").await;
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let answer = door
            .request(method, "/hooks/demo?email=a", SCRIPT, "a=1")
            .await;
        answer.expect_refused(405, "hook.method");
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
    }
    let answer = door.request("HEAD", "/hooks/demo", &[], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (405, ""));
    let answer = door
        .request("GET", "/servlet/servlet.WebToLead", &[], "")
        .await;
    answer.expect_refused(405, "hook.method");
    assert_eq!(door.count(), 0);
}

#[tokio::test]
async fn each_request_has_an_id_of_its_own_unless_it_brings_a_sane_one() {
    let door = open("").await;
    let mut seen = std::collections::BTreeSet::new();
    for sent in ["", "no spaces", "x\"y", &"x".repeat(65)] {
        let headers = [("Content-Type", FORM), ("X-Request-Id", sent)];
        let answer = door.post(&headers, "a=1").await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert_eq!(id.len(), 16);
        assert_eq!(door.inbox.events.lock().last().unwrap().meta.request_id, id);
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn what_is_taken_and_refused_is_counted() {
    let door = open("").await;
    door.post(SCRIPT, "a=1").await;
    door.post(SCRIPT, "").await;
    door.request("POST", "/hooks/x{y}", SCRIPT, "a=1").await;
    let text = door.metrics.encode();
    for line in [
        "leadstream_events_accepted_total{source=\"demo\"} 1",
        "leadstream_requests_refused_total{source=\"demo\",reason=\"body.no_fields\"} 1",
        "leadstream_requests_refused_total{source=\"unknown\",reason=\"hook.unknown_source\"} 1",
        "leadstream_acknowledge_seconds_count 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
