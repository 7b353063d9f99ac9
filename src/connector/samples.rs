//! Runs the samples of a connector's folder: webhooks byte for byte, pages, fetched answers. For
//! `leadstream connectors test`, and for the test that runs all of ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use url::Url;

use super::manifest::{Manifest, Webhook};
use super::mechanism::handshake::Handshakes;
use super::mechanism::plan::{EachPlan, LookupPlan};
use super::mechanism::redact::Redactor;
use super::mechanism::signature::Verifier;
use super::reader::Reader;
use super::records::Page;
use super::select::Scope;
use super::{HttpFile, ManifestSource, Path as JsonPath, PathError, time};
use crate::config::{SecretRef, SourceConfig};
use crate::model::{
    Door, Event, EventId, EventMeta, Extracted, Millis, NewEvent, SourceName, Verdict,
};

/// When samples come, unless they say otherwise: 2026-03-01T10:00:00Z.
const NOW: Millis = Millis(1_772_359_200_000);

/// Where the door of samples is.
const PUBLIC_URL: &str = "https://leads.example.com";

/// The largest file that is read.
const MOST_BYTES: u64 = 16 << 20;

/// What became of one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The file that says what is expected of it.
    pub expected_file: PathBuf,
    /// What is expected; none if there is no such file.
    pub expected: Option<Value>,
    /// What was found.
    pub found: Value,
    /// What else is wrong with it: a signature that does not prove it, or one that proves anything.
    pub problems: Vec<String>,
}

impl Outcome {
    /// Whether all is as expected.
    pub fn is_right(&self) -> bool {
        self.problems.is_empty() && self.expected.as_ref() == Some(&self.found)
    }
}

/// Why samples cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is not what its name says.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Runs all samples in `<folder>/samples`.
pub fn run(folder: &Path, manifest: &Arc<Manifest>) -> Result<Vec<Outcome>, SamplesError> {
    let folder = folder.join("samples");
    let samples = Samples::open(&folder, manifest)?;
    let mut outcomes = Vec::new();
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .map_err(|error| unreadable(&folder, &error))?
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    for name in names
        .iter()
        .filter(|name| name.strip_suffix(".http").is_some())
    {
        outcomes.push(samples.webhook(name)?);
    }
    for poll in &manifest.poll {
        let prefix = format!("poll-{}-", poll.name);
        let mut pages: Vec<(u32, &String)> = names
            .iter()
            .filter_map(|name| {
                let number = name.strip_prefix(&prefix)?.strip_suffix(".json")?;
                Some((number.parse().ok()?, name))
            })
            .collect();
        pages.sort_unstable();
        if !pages.is_empty() {
            let pages: Vec<&String> = pages.into_iter().map(|(_, name)| name).collect();
            outcomes.push(samples.poll(&poll.name, &poll.lookups, &pages)?);
        }
    }
    for fetch in &manifest.fetch {
        // Several answers of one fetch: `fetch-<name>.json`, `fetch-<name>-<what>.json`.
        let prefix = format!("fetch-{}", fetch.name);
        for name in &names {
            let rest = name
                .strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(".json"));
            if rest.is_some_and(|rest| {
                (rest.is_empty() || rest.starts_with('-')) && rest.strip_suffix(".leads").is_none()
            }) {
                outcomes.push(samples.fetched(name, &fetch.name, &fetch.lookups)?);
            }
        }
    }
    Ok(outcomes)
}

/// A submission as `.leads.json` has it, without what is blank.
pub fn as_json(found: &Extracted) -> Value {
    let mut json = json!({ "fields": found.fields });
    if let Some(id) = &found.vendor_id {
        json["vendor_id"] = json!(id);
    }
    if let Some(version) = &found.version {
        json["version"] = json!(version);
    }
    if let Some(at) = found.at {
        let moment = jiff::Timestamp::from_millisecond(at.0);
        json["at"] = json!(moment.map_or_else(|_| at.to_string(), |moment| moment.to_string()));
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

struct Samples<'s> {
    folder: &'s Path,
    source: ManifestSource,
    reader: Reader,
}

impl<'s> Samples<'s> {
    fn open(folder: &'s Path, manifest: &Arc<Manifest>) -> Result<Self, SamplesError> {
        let file = folder.join("source.toml");
        let malformed = |reason: String| SamplesError::Malformed {
            path: file.clone(),
            reason,
        };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unreadable(&file, &error)),
        };
        let table: Map<String, Value> =
            toml::from_str(&text).map_err(|error| malformed(error.message().to_owned()))?;
        let (mut common, own): (Map<_, _>, Map<_, _>) = table.into_iter().partition(|(key, _)| {
            matches!(
                key.as_str(),
                "default_country" | "lead_source" | "campaign" | "base_url" | "fields"
            )
        });
        let known = |key: &String| {
            manifest.options.contains_key(key)
                || super::source::COMMON.contains(&key.as_str())
                || manifest
                    .options
                    .values()
                    .any(|spec| spec.aliases.contains(key))
        };
        if let Some(key) = own.keys().find(|key| !known(key)) {
            return Err(malformed(format!(
                "`{key}` is no option of {}",
                manifest.name
            )));
        }
        common.insert("connector".to_owned(), manifest.name.clone().into());
        let mut config: SourceConfig = serde_json::from_value(Value::Object(common))
            .map_err(|error| malformed(error.to_string()))?;
        let mut source = ManifestSource::read(manifest, &Value::Object(own))
            .map_err(|error| malformed(error.to_string()))?;
        for (_, SecretRef { file, .. }) in source.options.secret_refs_mut() {
            if let Some(file) = file {
                *file = folder.join(&*file);
            }
        }
        source.options.derive(manifest);
        config.options = super::ConnectorOptions::Manifest(Box::new(source.clone()));
        let reader = Reader::new(manifest, &source.options, &config).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            malformed(problems.join("; "))
        })?;
        Ok(Self {
            folder,
            source,
            reader,
        })
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, SamplesError> {
        let path = self.folder.join(name);
        let size = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if size.len() > MOST_BYTES {
            return Err(SamplesError::File {
                path,
                reason: format!("it is larger than {MOST_BYTES} bytes"),
            });
        }
        std::fs::read(&path).map_err(|error| unreadable(&path, &error))
    }

    fn json(&self, name: &str) -> Result<Value, SamplesError> {
        serde_json::from_slice(&self.read(name)?).map_err(|error| SamplesError::Malformed {
            path: self.folder.join(name),
            reason: error.to_string(),
        })
    }

    fn outcome(
        &self,
        stem: &str,
        found: Vec<Value>,
        problems: Vec<String>,
    ) -> Result<Outcome, SamplesError> {
        let name = format!("{stem}.leads.json");
        let expected_file = self.folder.join(&name);
        let expected = if expected_file.exists() {
            Some(self.json(&name)?)
        } else {
            None
        };
        Ok(Outcome {
            expected_file,
            expected,
            found: Value::Array(found),
            problems,
        })
    }

    /// The time at which a sample comes.
    fn now(&self, stem: &str) -> Result<Millis, SamplesError> {
        let name = format!("{stem}.now");
        if !self.folder.join(&name).exists() {
            return Ok(NOW);
        }
        let text = String::from_utf8_lossy(&self.read(&name)?)
            .trim()
            .to_owned();
        time::parse(&text, None, &TimeZone::UTC).ok_or_else(|| SamplesError::Malformed {
            path: self.folder.join(name),
            reason: "this is no time".to_owned(),
        })
    }

    fn webhook(&self, name: &str) -> Result<Outcome, SamplesError> {
        let malformed = |reason: String| SamplesError::Malformed {
            path: self.folder.join(name),
            reason,
        };
        let stem = name.trim_end_matches(".http");
        let file =
            HttpFile::parse(&self.read(name)?).map_err(|error| malformed(error.to_string()))?;
        let now = self.now(stem)?;
        let Some(webhook) = &self.source.manifest.webhook else {
            return Err(malformed("the manifest has no [webhook]".to_owned()));
        };
        let public_url = Url::parse(PUBLIC_URL).ok();
        let verifier = Verifier::new(webhook, &self.source.options, public_url.as_ref())
            .map_err(|error| malformed(error.to_string()))?;
        let mut problems = Vec::new();
        if let Err(denied) = file.prove(&verifier, now) {
            problems.push(format!("it is refused at the door: {denied}"));
        }
        if changed(&file, in_header(webhook))
            .prove(&verifier, now)
            .is_ok()
        {
            problems.push("changed on its way, it is taken all the same".to_owned());
        }
        let greets = self.greets(stem, &file, now, &mut problems)?;
        // A notice that there is something new is not looked into; its body may be blank.
        let ignored = greets
            || webhook.poll_now
            || self
                .source
                .ignores(file.content_type(), &file.headers, &file.body)
                .map_err(malformed)?;
        let redactor = webhook.redact.iter().map(|path| JsonPath::parse(path));
        let redacted = redactor
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| malformed(error.message))?;
        let redactor = Redactor::new(redacted.iter().chain(verifier.secret_paths()))
            .map_err(|error| malformed(error.to_string()))?;
        let content_type = file
            .headers
            .get("content-type")
            .cloned()
            .unwrap_or_default();
        let body = redactor
            .redact(webhook.body, &content_type, file.body.clone())
            .map_err(|refusal| malformed(refusal.to_string()))?;
        let file = HttpFile { body, ..file };
        let event = file.into_event(SourceName::new("sample"), Some(&self.source), now);
        let found = if ignored {
            Vec::new()
        } else {
            self.extract(event).map_err(malformed)?
        };
        self.outcome(stem, found, problems)
    }

    /// Whether it is a greeting; if so, what it is answered must be what `<stem>.answer.json` has.
    fn greets(
        &self,
        stem: &str,
        file: &HttpFile,
        now: Millis,
        problems: &mut Vec<String>,
    ) -> Result<bool, SamplesError> {
        let name = format!("{stem}.answer.json");
        let Some(webhook) = &self.source.manifest.webhook else {
            return Ok(false);
        };
        let handshakes = Handshakes::new(&webhook.handshake, &self.source.options)
            .map_err(|error| self.malformed(&name, error.message))?;
        let body = super::mechanism::body::decode(webhook.body, file.content_type(), &file.body);
        let body = body.unwrap_or_default();
        let scope = Scope {
            body: Some(&body),
            headers: Some(&file.headers),
            ..Scope::record(&body)
        };
        let Some(reply) = handshakes.by_body(&scope, now) else {
            return Ok(false);
        };
        match reply {
            Err(refused) => problems.push(format!("the greeting is refused: {refused}")),
            Ok(reply) => {
                let answered: Value = serde_json::from_str(&reply.body).unwrap_or_default();
                if answered != self.json(&name)? {
                    problems.push(format!("the greeting is answered {}", reply.body));
                }
            }
        }
        Ok(true)
    }

    fn malformed(&self, name: &str, reason: String) -> SamplesError {
        SamplesError::Malformed {
            path: self.folder.join(name),
            reason,
        }
    }

    fn poll(
        &self,
        poll: &str,
        lookups: &[String],
        pages: &[&String],
    ) -> Result<Outcome, SamplesError> {
        let stem = format!("poll-{poll}");
        let now = self.now(&stem)?;
        let context = self.context(lookups, &stem)?;
        let mut context = context.unwrap_or_else(|| json!({}));
        for (name, value) in self.bound(poll)? {
            if context[&name].is_null() {
                context[name] = value.into();
            }
        }
        let is_empty = context.as_object().is_some_and(Map::is_empty);
        let context = (!is_empty).then_some(context);
        let mut found = Vec::new();
        let Some(reader) = self.reader.page(poll) else {
            return self.outcome(&stem, found, vec!["the poll cannot be read".to_owned()]);
        };
        for name in pages {
            let malformed = |reason: String| SamplesError::Malformed {
                path: self.folder.join(name),
                reason,
            };
            let raw = self.read(name)?;
            let page = Page::new(&raw);
            let records = reader
                .records(&page)
                .map_err(|error| malformed(error.to_string()))?;
            for record in records {
                let event = polled(poll, record.as_bytes(), Door::Poll, context.clone(), now);
                found.extend(self.extract(event).map_err(malformed)?);
            }
        }
        self.outcome(&stem, found, Vec::new())
    }

    /// What the poll's first item binds: of `each-<poll>.json`, or of the option with the list.
    fn bound(&self, poll: &str) -> Result<BTreeMap<String, String>, SamplesError> {
        let mut polls = self.source.manifest.poll.iter();
        let Some(each) = polls
            .find(|known| known.name == poll)
            .and_then(|poll| poll.each.as_ref())
        else {
            return Ok(BTreeMap::new());
        };
        let name = format!("each-{poll}.json");
        let malformed = |error: PathError| self.malformed(&name, error.message);
        let plan = EachPlan::new(each).map_err(malformed)?;
        if let Some(option) = &each.option {
            let listed = self.source.options.list(option);
            return Ok(listed
                .first()
                .map(|value| plan.bound_to(value))
                .unwrap_or_default());
        }
        if !self.folder.join(&name).exists() {
            return Ok(BTreeMap::new());
        }
        let answer = self.json(&name)?;
        let mut items = plan.items(&answer).into_iter();
        Ok(items.find_map(|item| plan.bound(item)).unwrap_or_default())
    }

    fn fetched(
        &self,
        name: &str,
        fetch: &str,
        lookups: &[String],
    ) -> Result<Outcome, SamplesError> {
        let stem = name.trim_end_matches(".json");
        let now = self.now(stem)?;
        let context = self.context(lookups, stem)?;
        let event = polled(fetch, &self.read(name)?, Door::Fetch, context, now);
        let found = self
            .extract(event)
            .map_err(|reason| SamplesError::Malformed {
                path: self.folder.join(name),
                reason,
            })?;
        self.outcome(stem, found, Vec::new())
    }

    fn extract(&self, event: NewEvent) -> Result<Vec<Value>, String> {
        let event = Event {
            id: EventId(1),
            received: event,
        };
        let found = self.reader.extract(&event).map_err(|error| error.message)?;
        Ok(found.iter().map(as_json).collect())
    }

    /// Lookups, and the names bound in `<stem>.context.json`.
    fn context(&self, lookups: &[String], stem: &str) -> Result<Option<Value>, SamplesError> {
        let bound = format!("{stem}.context.json");
        let mut context = if self.folder.join(&bound).exists() {
            self.json(&bound)?
        } else {
            json!({})
        };
        for name in lookups {
            let file = format!("lookup-{name}.json");
            if let (true, Some(lookup)) = (
                self.folder.join(&file).exists(),
                self.source.manifest.lookup.get(name),
            ) {
                let plan = LookupPlan::new(lookup)
                    .map_err(|error| self.malformed(&file, error.message))?;
                let answer = self.json(&file)?;
                let entries = plan.rows(&answer).into_iter();
                let table = entries.filter_map(|row| plan.entry(row));
                context[name] = json!(table.collect::<BTreeMap<_, _>>());
            }
        }
        let is_empty = context.as_object().is_some_and(Map::is_empty);
        Ok((!is_empty).then_some(context))
    }
}

fn polled(stream: &str, body: &[u8], door: Door, context: Option<Value>, now: Millis) -> NewEvent {
    NewEvent {
        source: SourceName::new("sample"),
        received_at: now,
        content_type: "application/json".to_owned(),
        meta: EventMeta {
            door,
            stream: Some(stream.to_owned()),
            context,
            ..EventMeta::default()
        },
        body: Bytes::copy_from_slice(body),
    }
}

/// The same request with a byte changed wherever its proof may be: in the body's middle, at the end
/// of the path, and at the end of the query; where the proof is a secret in a header, in the headers.
fn changed(file: &HttpFile, in_header: bool) -> HttpFile {
    let mut body = file.body.to_vec();
    // All its letters and digits: wherever a secret stands in it, it is another one.
    for byte in &mut body {
        if byte.is_ascii_alphanumeric() {
            *byte = if *byte == b'x' { b'y' } else { b'x' };
        }
    }
    let mut headers = file.headers.clone();
    if in_header {
        for value in headers.values_mut() {
            value.push('x');
        }
    }
    HttpFile {
        headers,
        path: format!("{}x", file.path),
        query: file.query.as_ref().map(|query| format!("{query}x")),
        body: body.into(),
        ..file.clone()
    }
}

/// Whether nothing but a secret in a header proves who sends: it says nothing of the body.
fn in_header(webhook: &Webhook) -> bool {
    webhook
        .signature
        .iter()
        .all(|signature| signature.scheme.to_string() == "equals" && signature.header.is_some())
}

fn unreadable(path: &Path, error: &std::io::Error) -> SamplesError {
    SamplesError::File {
        path: path.to_owned(),
        reason: error.kind().to_string(),
    }
}
