use std::time::Duration;

use leadstream::edge::clock::Clock as _;
use leadstream::sandbox::{FaultCounts, Faults};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::org::{TestOrg, lead, reply, row};

#[tokio::test]
async fn a_server_error_does_nothing_and_comes_in_every_form() {
    let org = TestOrg::start().await;
    org.sandbox.set_faults(Faults {
        server_error_rate: 1.0,
        ..Faults::default()
    });
    let mut seen: Vec<(u16, String)> = Vec::new();
    for _ in 0..20 {
        let reply = org.send("POST", "sobjects/Lead", lead(json!({}))).await;
        let form = match serde_json::from_str::<Json>(&reply.text) {
            Ok(body) => body[0]["errorCode"].as_str().unwrap().to_owned(),
            Err(_) => reply.header("content-type").unwrap().to_owned(),
        };
        seen.push((reply.status.as_u16(), form));
    }
    seen.sort();
    seen.dedup();
    let form = |status, form: &str| (status, form.to_owned());
    assert_eq!(
        seen,
        [
            form(500, "UNKNOWN_EXCEPTION"),
            form(503, "SERVER_UNAVAILABLE"),
            form(503, "text/html")
        ]
    );
    assert_eq!(org.sandbox.count("Lead"), 0);
    assert_eq!(org.sandbox.fault_counts().server_errors, 20);
    assert_eq!(org.oauth("token", "").await.status.as_u16() / 100, 5);
}

#[tokio::test]
async fn some_rows_of_a_batch_are_locked_and_the_others_written() {
    let org = TestOrg::start().await;
    org.sandbox.set_faults(Faults {
        row_lock_rate: 0.1,
        ..Faults::default()
    });
    let rows: Vec<Json> = (0..200)
        .map(|n| row(json!({ "Leadstream_Id__c": n.to_string() })))
        .collect();
    let body = json!({ "records": rows });
    let results = org
        .send("PATCH", "composite/sobjects/Lead/Leadstream_Id__c", body)
        .await
        .json();
    let results = results.as_array().unwrap();
    let locked = results.iter().filter(|row| row["success"] == false).count();
    assert!((5..50).contains(&locked), "{locked} of 200 at 0.1");
    assert_eq!(org.sandbox.count("Lead"), 200 - locked);
    let error = &results.iter().find(|row| row["success"] == false).unwrap()["errors"][0];
    assert_eq!(error["statusCode"], "UNABLE_TO_LOCK_ROW");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("unable to obtain exclusive access to this record")
    );
    assert_eq!(org.sandbox.fault_counts().row_locks, locked as u64);

    org.sandbox.set_faults(Faults {
        row_lock_rate: 1.0,
        ..Faults::default()
    });
    let alone = org.send("POST", "sobjects/Lead", lead(json!({}))).await;
    alone.assert_refused(500, "UNABLE_TO_LOCK_ROW", "");
}

#[tokio::test]
async fn a_lost_answer_is_a_broken_connection_after_the_write() {
    let org = TestOrg::start().await;
    org.sandbox.set_faults(Faults {
        lost_answer_rate: 1.0,
        at_most: Some(2),
        ..Faults::default()
    });
    let path = "sobjects/Lead/Leadstream_Id__c/k";
    let error = org
        .request("PATCH", path, Some(&lead(json!({}))))
        .send()
        .await
        .expect_err("no answer");
    assert!(
        error.is_request() && !error.is_connect() && !error.is_timeout(),
        "{error:?}"
    );
    assert_eq!(org.sandbox.count("Lead"), 1);

    // Not one byte arrives before the end of the connection.
    let mut raw = TcpStream::connect(org.url.trim_start_matches("http://"))
        .await
        .unwrap();
    let request = format!(
        "DELETE /services/data/v62.0/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        org.token
    );
    raw.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = raw.read_to_end(&mut answer).await;
    assert!(
        answer.is_empty(),
        "{read:?} {}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(org.sandbox.count("Lead"), 0);

    // Two were asked for; the third request is answered.
    let third = org.send("PATCH", path, lead(json!({}))).await;
    assert_eq!(third.status, 201);
    assert_eq!(
        org.sandbox.fault_counts(),
        FaultCounts {
            lost_answers: 2,
            ..FaultCounts::default()
        }
    );
}

#[tokio::test]
async fn latency_is_waited_for_by_the_clock() {
    let org = TestOrg::start().await;
    org.sandbox.set_faults(Faults {
        latency_ms: 20,
        ..Faults::default()
    });
    let before = org.clock.now();
    let request = org.request("GET", "limits", None).send();
    tokio::pin!(request);
    // The clock stands still, so the answer cannot come; the request is on its way meanwhile.
    let early = tokio::time::timeout(Duration::from_millis(50), &mut request).await;
    assert!(early.is_err());
    org.clock.advance(Duration::from_millis(20));
    assert_eq!(reply(request.await.unwrap()).await.status, 200);
    assert_eq!(org.clock.now().since(before), Duration::from_millis(20));
}

#[tokio::test]
async fn faults_are_set_over_http_as_well() {
    let org = TestOrg::start().await;
    let set = org
        .send(
            "POST",
            "/sandbox/faults",
            json!({ "server_error_rate": 1.0, "at_most": 1 }),
        )
        .await;
    assert_eq!(set.status, 200);
    assert_eq!(
        org.get("/sandbox/faults").await.json()["server_error_rate"],
        1.0
    );
    assert!(org.get("limits").await.status.is_server_error());
    assert_eq!(org.get("limits").await.status, 200);
    assert_eq!(
        org.get("/sandbox/stats").await.json()["faults"]["server_errors"],
        1
    );
    for wrong in [
        json!({ "server_error_rate": 5 }),
        json!({ "lost": 0.5 }),
        json!([]),
    ] {
        let reply = org.send("POST", "/sandbox/faults", wrong).await;
        assert_eq!(reply.status, 400);
        assert!(reply.json()["error"].is_string());
    }
    org.send("POST", "/sandbox/faults", json!({})).await;
    assert_eq!(org.sandbox.faults(), Faults::default());
}
