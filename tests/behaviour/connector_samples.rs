//! Runs the samples of every connector: `connectors/<vendor>/samples/<name>.http` is a request byte
//! for byte, `<name>.leads.json` what is expected of it, `<name>.toml` the source's settings if it
//! needs any.
//!
//! `UPDATE_SAMPLES=1 cargo test` writes what is found in place of what is expected.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use leadstream::connector::{Payload, connector_of};
use leadstream::model::{
    Event, EventId, EventMeta, Extracted, Millis, NewEvent, SourceName, Verdict,
};
use serde_json::{Value, json};

#[test]
fn every_sample_gives_the_leads_that_are_expected_of_it() {
    let requests = files_below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors"),
        "http",
    );
    assert!(requests.len() >= 9, "{requests:?}");
    let mut wrong = Vec::new();
    for request in requests {
        let found = serde_json::to_string_pretty(&extract(&request)).unwrap() + "\n";
        let expected = request.with_extension("leads.json");
        if std::env::var_os("UPDATE_SAMPLES").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if found != expected {
            wrong.push(format!(
                "{}\nexpected {expected}\nfound {found}",
                request.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn extract(request: &Path) -> Value {
    let toml = fs::read_to_string(request.with_extension("toml")).unwrap_or_default();
    let source = crate::source::web_form(&toml);
    let event = event(&fs::read(request).unwrap());
    let connector = connector_of(&source);
    connector.receive(Payload::from(&event.received)).unwrap();
    connector
        .extract(&event)
        .unwrap()
        .iter()
        .map(as_json)
        .collect()
}

/// The event that the request becomes at the door, on 2026-03-01 at 10:00 UTC.
fn event(raw: &[u8]) -> Event {
    let end = raw.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&raw[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let target = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: BTreeMap<String, &str> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    let header = |name: &str| headers.get(name).map(|value| (*value).to_owned());
    let body = &raw[end + 4..];
    let length = header("content-length").unwrap();
    assert_eq!(length, body.len().to_string());
    Event {
        id: EventId(1),
        received: NewEvent {
            source: SourceName::new("sample"),
            received_at: Millis(1_772_359_200_000),
            content_type: header("content-type").unwrap(),
            meta: EventMeta {
                request_id: "sample".to_owned(),
                query: target.split_once('?').map(|(_, query)| query.to_owned()),
                origin: header("origin"),
                referer: header("referer"),
                accept_language: header("accept-language"),
                idempotency_key: header("idempotency-key"),
                ..EventMeta::default()
            },
            body: Bytes::copy_from_slice(body),
        },
    }
}

/// Without what is blank.
fn as_json(found: &Extracted) -> Value {
    let mut json = json!({ "fields": found.fields });
    if let Some(id) = &found.vendor_id {
        json["vendor_id"] = json!(id);
    }
    if let Some(version) = &found.version {
        json["version"] = json!(version);
    }
    if !found.attribution.is_empty() {
        json["attribution"] = json!(found.attribution);
    }
    match &found.verdict {
        Verdict::Genuine => {}
        Verdict::Test(why) => json["test"] = json!(why),
        Verdict::Spam(why) => json["spam"] = json!(why),
        Verdict::Review(why) => json["review"] = json!(why),
        Verdict::Skipped(why) => json["skipped"] = json!(why),
        Verdict::OptOut(why) => json["opt_out"] = json!(why),
        Verdict::Withdrawn(why) => json["withdrawn"] = json!(why),
        Verdict::Fetch(bindings) => json["fetch"] = json!(bindings),
    }
    json
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
