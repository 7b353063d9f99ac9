//! Makes a manifest read: events to submissions, for one source.
//!
//! ```text
//! event ─ body ─ records ─ mapping ┬ verdict (is it a lead at all)
//!                                  ├ pivot, users, guess (which value is which lead field)
//!                                  └ origin (where the person came from)
//! ```
//!
//! Owns: what a vendor's record means to us. Promises that the same event and configuration always give
//! the same, and that an error names a place and never a person. Never sees: the store, the clock, the
//! network.

mod broken;
mod compile;
mod guess;
mod mapping;
mod origin;
mod page;
mod pivot;
mod users;
mod verdict;

pub use broken::Broken;
pub use compile::ReadProblem;
pub use mapping::{Mark, Traced};
pub use page::{Marks, PageReader};

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifest::{BodyEncoding, Fetch, Manifest, Webhook};
use super::mechanism::body;
use super::path::Path;
use super::records::MOST_RECORDS;
use super::select::{Pivots, Scope, Taker, Test};
use super::{Connector, ExtractError, Options, Payload, Refusal};
use crate::config::SourceConfig;
use crate::model::{Door, Event, Extracted, Verdict};
use compile::Compiler;
use mapping::Mapping;

/// The name of a fetch among its bindings.
pub const FETCH: &str = "fetch";

/// Reads the events of one source whose connector is a manifest.
#[derive(Debug)]
pub struct Reader {
    encoding: BodyEncoding,
    /// Where records are in a webhook's body; the whole of it if not said.
    records: Option<Path>,
    webhook: Mapping,
    fetches: Vec<FetchReader>,
    polls: BTreeMap<String, PageReader>,
    /// Of what came by a poll or fetch that the manifest has no longer, and by other doors.
    other: Mapping,
}

/// A fetch, and what it reads.
#[derive(Debug)]
struct FetchReader {
    name: String,
    when: Option<Test>,
    bind: Vec<(String, Taker)>,
    records: Option<Path>,
    mapping: Mapping,
}

/// What surrounds the records of one event.
struct Surroundings<'e> {
    event: &'e Event,
    /// What the event is, for messages: `a webhook`.
    what: &'static str,
    body: Option<&'e Value>,
    page: Option<&'e Value>,
}

impl Reader {
    /// Makes a manifest ready for a source, or tells all that is wrong with its options and paths.
    pub fn new(
        manifest: &Manifest,
        options: &Options,
        source: &SourceConfig,
    ) -> Result<Self, Vec<ReadProblem>> {
        let mut compiler = Compiler::new(options);
        let none = BTreeMap::new();
        let other = Mapping::new(manifest, None, &none, source, &mut compiler);
        let (webhook, records) = compiler.within("webhook", |compiler| {
            let webhook = manifest.webhook.as_ref();
            let record = webhook.and_then(|webhook| webhook.record.as_ref());
            let fields = webhook.map_or(&none, |webhook| &webhook.fields);
            let mapping = Mapping::new(manifest, record, fields, source, compiler);
            let records = webhook.and_then(|webhook| webhook.records.as_ref());
            let records = compiler.within("records", |compiler| {
                records.and_then(|records| compiler.path(records))
            });
            (mapping, records)
        });
        let fetches = compiler.within("fetch", |compiler| {
            let of = |fetch: &Fetch, compiler: &mut Compiler<'_>| {
                compiler.within(&fetch.name, |compiler| {
                    FetchReader::new(manifest, fetch, source, compiler)
                })
            };
            manifest
                .fetch
                .iter()
                .map(|fetch| of(fetch, compiler))
                .collect()
        });
        let mut polls = BTreeMap::new();
        for poll in &manifest.poll {
            compiler.within("poll", |compiler| {
                compiler.within(&poll.name, |compiler| {
                    let mapping = Mapping::new(
                        manifest,
                        poll.record.as_ref(),
                        &poll.fields,
                        source,
                        compiler,
                    );
                    if let Some(page) = PageReader::new(poll, mapping, compiler) {
                        polls.insert(poll.name.clone(), page);
                    }
                });
            });
        }
        if !compiler.problems.is_empty() {
            let mut problems = compiler.problems;
            // The same words are read once for each door.
            let mut seen = std::collections::BTreeSet::new();
            problems
                .retain(|problem| seen.insert((problem.place.clone(), problem.message.clone())));
            return Err(problems);
        }
        let encoding = manifest
            .webhook
            .as_ref()
            .map_or(BodyEncoding::Json, body_of);
        Ok(Self {
            encoding,
            records,
            webhook,
            fetches,
            polls,
            other,
        })
    }

    /// Whether a webhook's body can be read.
    pub fn receive(&self, payload: Payload<'_>) -> Result<(), Refusal> {
        body::decode(self.encoding, payload.content_type, payload.body).map(|_| ())
    }

    /// The submissions in an event; at least one, if only to say that there is none.
    pub fn extract(&self, event: &Event) -> Result<Vec<Extracted>, ExtractError> {
        let traced = self.trace(event)?;
        Ok(traced.into_iter().map(|traced| traced.extracted).collect())
    }

    /// The same, with the path that gave each field.
    pub fn trace(&self, event: &Event) -> Result<Vec<Traced>, ExtractError> {
        let stream = event.meta.stream.as_deref().unwrap_or_default();
        match event.meta.door {
            Door::Webhook => {
                let body = decoded(event, "a webhook", self.encoding)?;
                let around = Surroundings {
                    event,
                    what: "a webhook",
                    body: Some(&body),
                    page: None,
                };
                let records = around.records(&body, self.records.as_ref())?;
                around.read(
                    &records,
                    self.records.as_ref(),
                    &self.webhook,
                    &self.fetches,
                )
            }
            Door::Fetch => {
                let body = decoded(event, "a fetched answer", BodyEncoding::Json)?;
                let around = Surroundings {
                    event,
                    what: "a fetched answer",
                    body: None,
                    page: Some(&body),
                };
                let fetch = self.fetches.iter().find(|fetch| fetch.name == stream);
                let path = fetch.and_then(|fetch| fetch.records.as_ref());
                let mapping = fetch.map_or(&self.other, |fetch| &fetch.mapping);
                around.read(&around.records(&body, path)?, path, mapping, &[])
            }
            Door::Poll | Door::File => {
                let body = decoded(event, "a polled record", BodyEncoding::Json)?;
                let around = Surroundings {
                    event,
                    what: "a polled record",
                    body: None,
                    page: event
                        .meta
                        .context
                        .as_ref()
                        .and_then(|context| context.get("page")),
                };
                let mapping = self
                    .polls
                    .get(stream)
                    .map_or(&self.other, PageReader::mapping);
                around.read(&around.records(&body, None)?, None, mapping, &[])
            }
        }
    }

    /// Reads the pages of the poll of that name.
    pub fn page(&self, poll: &str) -> Option<&PageReader> {
        self.polls.get(poll)
    }
}

impl Connector for Reader {
    fn receive(&self, payload: Payload<'_>) -> Result<(), Refusal> {
        Self::receive(self, payload)
    }

    fn extract(&self, event: &Event) -> Result<Vec<Extracted>, ExtractError> {
        Self::extract(self, event)
    }
}

fn body_of(webhook: &Webhook) -> BodyEncoding {
    webhook.body
}

impl FetchReader {
    fn new(
        manifest: &Manifest,
        fetch: &Fetch,
        source: &SourceConfig,
        compiler: &mut Compiler<'_>,
    ) -> Self {
        let bind = compiler.within("as", |compiler| {
            let takers = fetch.bind.iter().filter_map(|(name, take)| {
                let taker = compiler.within(name, |compiler| compiler.taker(take))?;
                Some((name.clone(), taker))
            });
            takers.collect()
        });
        Self {
            name: fetch.name.clone(),
            when: compiler.within("when", |compiler| {
                fetch.when.as_ref().and_then(|when| compiler.test(when))
            }),
            bind,
            records: compiler.within("records", |compiler| {
                fetch
                    .records
                    .as_ref()
                    .and_then(|records| compiler.path(records))
            }),
            mapping: Mapping::new(
                manifest,
                fetch.record.as_ref(),
                &fetch.fields,
                source,
                compiler,
            ),
        }
    }

    /// The names for the request; none if one of them has no value.
    fn bindings(&self, scope: &Scope<'_>) -> Option<BTreeMap<String, String>> {
        let mut bindings = BTreeMap::from([(FETCH.to_owned(), self.name.clone())]);
        for (name, taker) in &self.bind {
            bindings.extend(taker.bindings(name, scope)?);
        }
        Some(bindings)
    }
}

impl Surroundings<'_> {
    /// The objects at `path`, or in the arrays there.
    fn records<'v>(
        &self,
        body: &'v Value,
        path: Option<&Path>,
    ) -> Result<Vec<&'v Value>, ExtractError> {
        let at = match path {
            Some(path) => path.all(body),
            None => vec![body],
        };
        let mut records = Vec::new();
        for found in at {
            match found {
                Value::Array(items) => records.extend(items),
                Value::Null => {}
                other => records.push(other),
            }
        }
        if records.iter().any(|record| !record.is_object()) {
            let at = path.map_or_else(String::new, |path| format!(" at `{path}`"));
            return Err(self.error(
                "record.not_an_object",
                format!("holds something else than records{at}"),
            ));
        }
        Ok(records)
    }

    fn read(
        &self,
        records: &[&Value],
        path: Option<&Path>,
        mapping: &Mapping,
        fetches: &[FetchReader],
    ) -> Result<Vec<Traced>, ExtractError> {
        let mut all: Vec<Traced> = Vec::new();
        for record in records {
            let items = mapping.items(record);
            if all.len() + items.len() > MOST_RECORDS {
                return Err(self.error(
                    "record.too_many",
                    format!("holds more than {MOST_RECORDS} submissions"),
                ));
            }
            for item in &items {
                let parent = mapping.split.as_ref().map(|_| *record);
                all.push(self.submission(item, parent, mapping, fetches));
            }
            if let (true, Some(split)) = (items.is_empty(), &mapping.split) {
                // The record has an end of its own, so that it is accounted for.
                let mut empty = self.submission(record, None, mapping, &[]);
                if empty.extracted.verdict == Verdict::Genuine {
                    empty.extracted.verdict =
                        Verdict::Skipped(format!("there is nobody in `{split}`"));
                }
                all.push(empty);
            }
        }
        if all.is_empty() {
            let at = path.map_or_else(String::new, |path| format!(" at `{path}`"));
            all.push(Traced {
                extracted: Extracted {
                    verdict: Verdict::Skipped(format!("there is no record{at}")),
                    ..Extracted::default()
                },
                ..Traced::default()
            });
        }
        for (ordinal, traced) in (0..).zip(&mut all) {
            traced.extracted.ordinal = ordinal;
        }
        Ok(all)
    }

    fn submission(
        &self,
        record: &Value,
        parent: Option<&Value>,
        mapping: &Mapping,
        fetches: &[FetchReader],
    ) -> Traced {
        let meta = &self.event.meta;
        let scope = Scope {
            record,
            parent,
            body: self.body,
            page: self.page,
            headers: Some(&meta.headers),
            context: meta.context.as_ref(),
            pivots: None,
        };
        let mut traced = mapping.read(&scope);
        if traced.extracted.verdict == Verdict::Genuine
            && let Some(verdict) = fetch(fetches, &scope)
        {
            traced.extracted.verdict = verdict;
        }
        traced
    }

    /// What is wrong with the event, where, and what to do once it is mended.
    fn error(&self, code: &'static str, what: String) -> ExtractError {
        ExtractError {
            code,
            message: format!("{} of `{}` {what}", self.what, self.event.source),
            hint: format!(
                "check what the connector expects of its records; once it is mended: `leadstream replay {}`",
                self.event.id
            ),
        }
    }
}

/// What the first fetch that is for this record would ask for; none if there is none for it.
fn fetch(fetches: &[FetchReader], scope: &Scope<'_>) -> Option<Verdict> {
    let no_pivots = Pivots::new();
    let scope = Scope {
        pivots: Some(&no_pivots),
        ..*scope
    };
    let mut is_for_one = false;
    for fetch in fetches {
        if fetch.when.as_ref().is_none_or(|when| when.holds(&scope)) {
            is_for_one = true;
            if let Some(bindings) = fetch.bindings(&scope) {
                return Some(Verdict::Fetch(bindings));
            }
        }
    }
    is_for_one.then(|| Verdict::Skipped("it names no record that could be fetched".to_owned()))
}

fn decoded(event: &Event, what: &str, encoding: BodyEncoding) -> Result<Value, ExtractError> {
    let content_type = match event.meta.door {
        Door::Webhook => event.content_type.as_str(),
        _ => "application/json",
    };
    body::decode(encoding, content_type, &event.body).map_err(|refusal| ExtractError {
        code: refusal.code,
        message: format!(
            "{what} of `{}` cannot be read: {}",
            event.source, refusal.message
        ),
        hint: format!(
            "{}; once it can be read: `leadstream replay {}`",
            refusal.hint, event.id
        ),
    })
}

#[cfg(test)]
mod tests;
