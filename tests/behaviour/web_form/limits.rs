//! Bodies that are too large, too slow, of another type, or broken.

use std::time::Duration;

use leadstream::config::ServerConfig;

use super::door::{FORM, SCRIPT, open, open_with, read_answer};

fn small() -> ServerConfig {
    ServerConfig {
        max_body_bytes: 1000,
        ..ServerConfig::default()
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_while_it_streams() {
    let door = open_with(&[("demo", "")], small()).await;
    let fits = format!("a={}", "x".repeat(998));
    door.post(SCRIPT, &fits).await.receipt();
    for size in [1001, 100_000, 3_000_000] {
        let answer = door.post(SCRIPT, vec![b'x'; size]).await;
        let error = answer.expect_refused(413, "body.too_large");
        assert_eq!(error["message"], "the body is larger than 1000 bytes");
    }
    // No length is given, and none could be believed.
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    let chunked = format!(
        "POST /hooks/demo HTTP/1.1\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n\
         {}0\r\n\r\n",
        chunk.repeat(11)
    );
    door.send(chunked.as_bytes())
        .await
        .expect_refused(413, "body.too_large");
    assert_eq!(door.count(), 1);
}

#[tokio::test]
async fn who_asks_before_sending_too_much_need_not_send_it() {
    let door = open_with(&[("demo", "")], small()).await;
    let request = format!(
        "POST /hooks/demo HTTP/1.1\r\nContent-Type: {FORM}\r\nContent-Length: 1001\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    let answer = door.send(request.as_bytes()).await;
    answer.expect_refused(413, "body.too_large");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_given_up() {
    let server = ServerConfig {
        request_timeout_seconds: 7,
        ..ServerConfig::default()
    };
    let door = open_with(&[("demo", "")], server).await;
    let request =
        format!("POST /hooks/demo HTTP/1.1\r\nContent-Type: {FORM}\r\nContent-Length: 3\r\n\r\na=");
    let mut stream = door.connect(request.as_bytes()).await;
    let mut answer = Box::pin(read_answer(&mut stream));
    // The door may not have begun to wait yet when the clock is first moved: move it until it has.
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut answer => break answer,
            () = tokio::task::yield_now() => door.clock.advance(Duration::from_secs(1)),
        }
    };
    let error = answer.expect_refused(408, "body.slow");
    assert_eq!(error["message"], "the body did not arrive within 7 seconds");
}

#[tokio::test]
async fn another_content_type_is_refused_listing_what_is_taken() {
    let door = open("").await;
    for headers in [
        &[][..],
        &[("Content-Type", "")],
        &[("Content-Type", "text/xml")],
        &[("Content-Type", "application/octet-stream")],
    ] {
        let answer = door.post(headers, "a=1").await;
        let error = answer.expect_refused(415, "body.type");
        for taken in [
            FORM,
            "multipart/form-data",
            "application/json",
            "text/plain",
        ] {
            assert!(error["hint"].as_str().unwrap().contains(taken));
        }
    }
    let zipped = [("Content-Type", FORM), ("Content-Encoding", "gzip")];
    door.post(&zipped, "a=1")
        .await
        .expect_refused(415, "body.encoding");
    let plain = [("Content-Type", FORM), ("Content-Encoding", "identity")];
    door.post(&plain, "a=1").await.receipt();
}

#[tokio::test]
async fn a_malformed_body_is_refused_saying_what_is_wrong_with_it() {
    let door = open("").await;
    for (content_type, body, code) in [
        (FORM, "", "body.no_fields"),
        (FORM, "hello", "body.no_fields"),
        ("application/json", "", "body.malformed_json"),
        ("application/json", "{\"a\":1", "body.malformed_json"),
        ("application/json", "[{\"a\":1}]", "body.not_an_object"),
        ("text/plain", "{\"a\":}", "body.malformed_json"),
        ("multipart/form-data", "--XX--", "body.multipart_boundary"),
        (
            "multipart/form-data; boundary=XX",
            "--YY--",
            "body.multipart_boundary",
        ),
        (
            "multipart/form-data; boundary=XX",
            "--XX\r\n",
            "body.multipart_cut",
        ),
        (
            "multipart/form-data; boundary=XX",
            "--XX\r\nA: b\r\n\r\nc\r\n--XX--",
            "body.multipart_part",
        ),
    ] {
        let answer = door.post(&[("Content-Type", content_type)], body).await;
        answer.expect_refused(400, code);
    }
    let answer = door
        .post(&[("Content-Type", "application/json")], "{\n  \"a\": 1,\n}")
        .await;
    assert_eq!(
        answer.error()["message"],
        "the body is not valid JSON: trailing comma at line 3 column 1"
    );
    let many = "a=1&".repeat(501);
    door.post(SCRIPT, &many)
        .await
        .expect_refused(400, "body.too_many_fields");
    let answer = door.post(SCRIPT, format!("{}=1", "n".repeat(256))).await;
    let error = answer.expect_refused(400, "body.name_too_long");
    assert_eq!(
        error["fields"],
        serde_json::json!([format!("{}…", "n".repeat(40))])
    );
    assert_eq!(door.count(), 0);
}

#[tokio::test]
async fn a_wrongly_chunked_body_is_refused() {
    let door = open("").await;
    let request = format!(
        "POST /hooks/demo HTTP/1.1\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\na=\r\nnonsense\r\n"
    );
    let answer = door.send(request.as_bytes()).await;
    answer.expect_refused(400, "body.broken");
    assert_eq!(door.count(), 0);
}

#[tokio::test]
async fn an_idempotency_key_that_cannot_be_kept_is_refused() {
    let door = open("").await;
    for key in ["", "schlüssel", &"x".repeat(256)] {
        let headers = [("Content-Type", FORM), ("Idempotency-Key", key)];
        door.post(&headers, "a=1")
            .await
            .expect_refused(400, "hook.idempotency_key");
    }
}

#[tokio::test]
async fn long_headers_are_cut_before_they_are_kept() {
    let door = open("").await;
    let long = format!("https://www.example.com/{}", "ä".repeat(5000));
    door.post(&[("Content-Type", FORM), ("Referer", &long)], "a=1")
        .await
        .receipt();
    let referer = door.event().meta.referer.unwrap();
    assert!(long.starts_with(&referer) && (4000..=4096).contains(&referer.len()));
}
