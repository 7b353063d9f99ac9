//! Runs the samples of every connector: `connectors/<vendor>/samples/<name>.http` is a request byte
//! for byte, `<name>.leads.json` what is expected of it, `<name>.toml` the source's settings if it
//! needs any.
//!
//! `UPDATE_SAMPLES=1 cargo test` writes what is found in place of what is expected.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use leadstream::connector::{Catalog, Payload, connector_of, samples};
use leadstream::model::{Event, EventId, EventMeta, Millis, NewEvent, SourceName};
use serde_json::Value;

#[test]
fn every_sample_gives_the_leads_that_are_expected_of_it() {
    let requests = files_below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors/web-form"),
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

#[test]
fn every_sample_of_every_manifest_proves_itself_and_becomes_the_expected_leads() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors");
    let mut wrong = Vec::new();
    for manifest in Catalog::embedded().all() {
        let folder = root.join(&manifest.name);
        let outcomes = samples::run(&folder, manifest).unwrap_or_else(|error| panic!("{error}"));
        let doors = [
            (manifest.webhook.is_some(), "webhook"),
            (!manifest.poll.is_empty(), "poll"),
        ];
        for (_, door) in doors.into_iter().filter(|(has, _)| *has) {
            let has_one = outcomes
                .iter()
                .any(|outcome| file_name(&outcome.expected_file).starts_with(door));
            if !has_one {
                wrong.push(format!("{} has no sample of a {door}", manifest.name));
            }
        }
        for outcome in outcomes {
            if std::env::var_os("UPDATE_SAMPLES").is_some() && outcome.problems.is_empty() {
                fs::write(&outcome.expected_file, format!("{:#}\n", outcome.found)).unwrap();
            } else if !outcome.is_right() {
                wrong.push(format!(
                    "{}: {:?}\nexpected {:#}\nfound {:#}",
                    outcome.expected_file.display(),
                    outcome.problems,
                    outcome.expected.unwrap_or_default(),
                    outcome.found
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
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
        .map(samples::as_json)
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
