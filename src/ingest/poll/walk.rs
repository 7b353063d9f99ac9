//! One list, page by page: ask, drop what is known, append the rest with the walk's new place.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};
use tracing::{debug, info, warn};

use super::items::{Item, days_ago};
use super::reader::{RawRecord, ReadPage};
use super::{Job, Poller, Round, Stop, Trouble};
use crate::connector::mechanism::call::{Answer, CallError, Next, Request, Target};
use crate::connector::mechanism::cursor::{Mark, State, Walk};
use crate::connector::mechanism::paging::{self, Facts};
use crate::connector::mechanism::plan::Stream;
use crate::connector::mechanism::request::{Names, Parts, build};
use crate::edge::shutdown::Shutdown;
use crate::ingest::Page;
use crate::ingest::page::MOST_EVENTS;
use crate::model::{Door, EventMeta, Millis, NewEvent};
use crate::store::{CursorMove, Lease};

/// How often a walk begins anew by the vendor's word before that is an error.
const MOST_RESTARTS: u32 = 5;

/// How many records are looked up at once.
const LOOKED_UP: usize = 5_000;

/// Records of one round that are remembered because they may not be processed yet.
const MOST_REMEMBERED: usize = 500_000;

/// The code of a request that a vendor does not take.
const REFUSED: &str = "vendor.refused";

/// The most of a page that is appended at once: half of what the inbox takes, as more is kept beside
/// the bodies.
const APPENDED_BYTES: usize = 4 << 20;

/// A list.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    pub stream: &'a Stream,
    pub item: &'a Item,
    /// Of its cursor.
    pub key: &'a str,
}

/// A list's cursor, as it was read and is to be moved.
struct Place {
    state: State,
    version: i64,
}

/// What is to be done with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was taken before.
    Known,
    /// It is taken.
    New,
    /// An earlier version of it was.
    Changed,
    /// It is before or after what is asked for.
    Outside,
}

impl Poller {
    /// Reads a list from where it was left to the vendor's end.
    pub(super) async fn walk(
        &self,
        list: List<'_>,
        round: &mut Round,
        lease: &Lease,
        until: Millis,
        shutdown: &Shutdown,
    ) -> Result<(), Stop> {
        let mut place = self.place(&list, round.job).await?;
        let is_unchanged = round.job == Job::Poll
            && place.state.walk.is_none()
            && place.state.complete.is_some()
            && list.item.fingerprint.is_some()
            && place.state.fingerprint == list.item.fingerprint;
        let was_done = matches!(round.job, Job::Backfill { .. }) && place.state.complete.is_some();
        if is_unchanged || was_done {
            return Ok(());
        }
        let names = &list.stream.poll.lookups;
        let context = self
            .tables(names, &list.item.bound, &mut round.lookups)
            .await?;
        let context = with_bound(context, &list.item.bound);
        let mut walk = self.begin_or_resume(&list, &mut place, round.job);
        loop {
            if shutdown.is_stopping() {
                return Err(Stop::Stopping);
            }
            let is_done = match self.ask(&list, &walk).await {
                Ok(answer) => {
                    let page = Answered {
                        answer,
                        context: &context,
                    };
                    self.take(&list, page, &mut walk, &mut place, round, lease)
                        .await?
                }
                Err(AskError::Stop(stop)) => return Err(stop),
                Err(AskError::Call(error)) => {
                    self.react(&list, error, &mut walk, &mut place, round, lease)
                        .await?
                }
            };
            if is_done {
                return Ok(());
            }
            if self.clock.now() >= until {
                return Err(Stop::Turn);
            }
        }
    }

    async fn place(&self, list: &List<'_>, job: Job) -> Result<Place, Stop> {
        let stored = if job.is_dry() {
            None
        } else {
            self.store.cursor(&self.source.name, list.key).await?
        };
        let Some(stored) = stored else {
            return Ok(Place {
                state: State::default(),
                version: 0,
            });
        };
        let state = serde_json::from_str(&stored.state).unwrap_or_else(|_| {
            warn!(source = %self.source.name, cursor = list.key, "a cursor cannot be read back; the list is read from its beginning, and what is known is dropped");
            State::default()
        });
        Ok(Place {
            state,
            version: stored.version,
        })
    }

    fn begin_or_resume(&self, list: &List<'_>, place: &mut Place, job: Job) -> Walk {
        let now = self.clock.now();
        if let Some(walk) = place.state.walk.take()
            && !paging::is_stale(&walk, now.since(walk.touched))
        {
            debug!(source = %self.source.name, cursor = list.key, pages = walk.pages, "goes on with a walk");
            return walk;
        }
        let rules = &list.stream.rules;
        let mut walk = rules.begin(&place.state, self.source.plan.start, job.span(), now);
        walk.fingerprint.clone_from(&list.item.fingerprint);
        if job == Job::Poll && place.state.complete.is_none() && place.state.since.is_none() {
            let back = match &walk.asked {
                Some(mark) => format!("back to {}", rules.written(mark)),
                None => "as far back as the vendor keeps".to_owned(),
            };
            info!(source = %self.source.name, cursor = list.key, "the first poll goes {back}");
        }
        walk
    }

    async fn ask(&self, list: &List<'_>, walk: &Walk) -> Result<Answer, AskError> {
        let request = self.request(list, walk).map_err(AskError::Stop)?;
        let answer = self.source.vendor.call(request).await;
        answer.map_err(AskError::Call)
    }

    /// The request for the page at `walk`'s place.
    pub(super) fn request(&self, list: &List<'_>, walk: &Walk) -> Result<Request, Stop> {
        let rules = &list.stream.rules;
        let ask = paging::ask(&list.stream.paging.paging, walk);
        let mut own = list.item.bound.clone();
        if let Some(mark) = ask.from.as_ref().or(walk.asked.as_ref()) {
            own.insert("cursor".to_owned(), rules.written(mark));
        }
        own.insert("until".to_owned(), rules.written_time(walk.until));
        let now = self.clock.now();
        own.insert("now".to_owned(), rules.written_time(now));
        let poll = &list.stream.poll;
        for (name, at) in days_ago(&poll.path, &poll.query, now) {
            own.insert(name, rules.written_time(at));
        }
        if let Some(size) = ask.size {
            own.insert("size".to_owned(), size.to_string());
        }
        let names = Names {
            options: &self.source.config.options,
            own: &own,
        };
        let request = build(Parts::from(&list.stream.poll), names, &ask.paged)?;
        Ok(match ask.url {
            Some(url) => Request {
                target: Target::Url(url),
                ..request
            },
            None => request,
        })
    }

    /// Takes what an answer holds. Says whether it was the last one.
    async fn take(
        &self,
        list: &List<'_>,
        page: Answered<'_>,
        walk: &mut Walk,
        place: &mut Place,
        round: &mut Round,
        lease: &Lease,
    ) -> Result<bool, Stop> {
        let now = self.clock.now();
        let Answered { answer, context } = page;
        let headers = &answer.headers;
        let read = self
            .source
            .reader
            .read(list.stream, &answer.body, headers, context)
            .map_err(|error| {
                Stop::again(
                    "poll.malformed_page",
                    error.to_string(),
                    "if this stays, the vendor has changed its API, or `base_url` leads elsewhere",
                )
            })?;
        let marks = marks(list, &read, walk);
        let sorted = self.sort(&read.records, &marks, list, walk, round).await?;
        let Sorted { ids, fates, fresh } = sorted;
        let facts = self.facts(&read, &ids, &marks);
        let rules = &list.stream.rules;
        let is_before = |mark: &Option<Mark>| rules.is_before(walk, mark.as_ref());
        let stops = rules.stops() && !marks.is_empty() && marks.iter().all(is_before);
        walk.touched = now;
        let advanced = paging::advance(&list.stream.paging.paging, walk, &facts);
        let is_last = stops || matches!(advanced, Ok(false));

        let mut events = Vec::new();
        for (record, fate) in read.records.iter().zip(&fates) {
            walk.records += 1;
            if matches!(fate, Fate::New | Fate::Changed) {
                walk.taken += 1;
                events.push(self.event(list, walk, record, context, now));
            }
        }
        let state = &mut place.state;
        list.stream.rules.page_read(state, walk);
        if is_last {
            self.finish(list, state, walk, round.job);
        } else if advanced.is_ok() {
            state.walk = Some(walk.clone());
        } else {
            // What was read is kept; the next try begins anew.
            state.walk = None;
        }
        if !round.job.is_dry() {
            self.append(list, events, place, round.job, lease).await?;
        }
        self.count(&fates, round);
        // Only now: what could not be stored is still to be taken.
        if round.taken.len() < MOST_REMEMBERED {
            round.taken.extend(fresh);
        }
        if let (Err(error), false) = (advanced, stops) {
            return Err(Stop::again(
                "poll.pages",
                format!("{error} ({} pages of `{}`)", walk.pages, list.key),
                "what was read is kept; if this stays, the vendor's paging is not what the connector's manifest says",
            ));
        }
        Ok(is_last)
    }

    fn facts(&self, read: &ReadPage, ids: &[Vec<(i64, i64)>], marks: &[Option<Mark>]) -> Facts {
        let hash = |text: &str| self.store.record_hash(&self.source.name, text);
        let records = read.records.iter().zip(ids);
        let ids = records.map(|(record, ids)| match &**ids {
            [] => hash(&String::from_utf8_lossy(&record.body)),
            ids => ids.iter().fold(0, |all, (id, _)| all ^ id),
        });
        Facts {
            ids: ids.collect(),
            last_value: read.last_value.clone(),
            last_mark: marks.last().cloned().flatten(),
            next: read.words.next.clone(),
            more: read.words.more,
            total: read.words.total,
        }
    }

    /// What is to be done with each record of a page.
    async fn sort(
        &self,
        records: &[RawRecord],
        marks: &[Option<Mark>],
        list: &List<'_>,
        walk: &Walk,
        round: &mut Round,
    ) -> Result<Sorted, Stop> {
        let source = &self.source.name;
        let hashed = |record: &RawRecord| -> Vec<(i64, i64)> {
            let hash = |(id, version): &(String, Option<String>)| {
                let version = self.store.version_hash(version.as_deref());
                (self.store.record_hash(source, id), version)
            };
            record.ids.iter().map(hash).collect()
        };
        let ids: Vec<Vec<(i64, i64)>> = records.iter().map(hashed).collect();
        let all: Vec<i64> = ids.iter().flatten().map(|(id, _)| *id).collect();
        let mut known = std::collections::HashMap::new();
        for some in all.chunks(LOOKED_UP) {
            known.extend(self.store.known_records(source, some).await?);
        }
        let until = round.job.span().and_then(|span| span.until);
        let is_outside = |mark: Option<&Mark>| {
            let is_later = until
                .zip(mark.and_then(Mark::number))
                .is_some_and(|(until, at)| list.stream.rules.is_time() && at > until.0);
            is_later || list.stream.rules.is_before(walk, mark)
        };
        let mut fates = Vec::with_capacity(records.len());
        let mut fresh = HashSet::new();
        for (ids, mark) in ids.iter().zip(marks) {
            // Without a version, a known id is never taken again.
            let is_known = |(id, version): &(i64, i64)| {
                known
                    .get(id)
                    .is_some_and(|known| *version == 0 || known == version)
                    || round.taken.contains(&(*id, *version))
                    || fresh.contains(&(*id, *version))
            };
            let fate = if is_outside(mark.as_ref()) {
                Fate::Outside
            } else if !ids.is_empty() && ids.iter().all(is_known) {
                Fate::Known
            } else if ids.iter().any(|(id, _)| known.contains_key(id)) {
                Fate::Changed
            } else {
                Fate::New
            };
            if matches!(fate, Fate::New | Fate::Changed) {
                fresh.extend(ids.iter().copied());
            }
            fates.push(fate);
        }
        if let Job::Reconcile { .. } = round.job {
            let unknown = (0..records.len()).filter(|index| fates[*index] == Fate::New);
            let is_time = list.stream.rules.is_time();
            let unknown = unknown.flat_map(|index| {
                let mark = marks[index].as_ref().and_then(Mark::number);
                let at = self.source.reader.sent_at(list.stream, &records[index]);
                let at = at.or(mark.filter(|_| is_time).map(Millis));
                ids[index].iter().map(move |(id, _)| (*id, at))
            });
            let unknown: Vec<_> = unknown.collect();
            round.tally.missing += self.missing(&unknown, &mut round.waited).await?;
        }
        Ok(Sorted { ids, fates, fresh })
    }

    fn event(
        &self,
        list: &List<'_>,
        walk: &Walk,
        record: &RawRecord,
        context: &Value,
        now: Millis,
    ) -> NewEvent {
        let lookups = &list.stream.poll.lookups;
        let context = context.as_object().filter(|context| !context.is_empty());
        NewEvent {
            source: self.source.name.clone(),
            received_at: now,
            content_type: "application/json".to_owned(),
            meta: EventMeta {
                request_id: format!("{}-{}-{}", list.stream.name(), walk.began.0, walk.pages),
                door: Door::Poll,
                context: context.map(|context| named_only(context, lookups, &record.body)),
                stream: Some(list.stream.name().to_owned()),
                ..EventMeta::default()
            },
            body: record.body.clone(),
        }
    }

    /// Appends events and moves the cursor with the last of them. What does not fit into one
    /// transaction comes before, and would come again after a crash: processing knows it by its id.
    async fn append(
        &self,
        list: &List<'_>,
        events: Vec<NewEvent>,
        place: &mut Place,
        job: Job,
        lease: &Lease,
    ) -> Result<(), Stop> {
        let mut parts: Vec<Vec<NewEvent>> = vec![Vec::new()];
        let mut bytes = 0;
        for event in events {
            let context = event.meta.context.as_ref().map_or(0, size_of_json);
            let size = event.body.len() + context;
            let is_full = parts
                .last()
                .is_none_or(|part| part.len() >= MOST_EVENTS || bytes + size > APPENDED_BYTES);
            if is_full && bytes > 0 {
                parts.push(Vec::new());
                bytes = 0;
            }
            bytes += size;
            if let Some(part) = parts.last_mut() {
                part.push(event);
            }
        }
        let state = if matches!(job, Job::Reconcile { .. }) && place.state.walk.is_none() {
            // Nothing is to be gone on with.
            None
        } else {
            serde_json::to_string(&place.state).ok()
        };
        let last = parts.len() - 1;
        for (index, events) in parts.into_iter().enumerate() {
            let moves = CursorMove {
                source: self.source.name.clone(),
                key: list.key.to_owned(),
                expected: place.version,
                state: state.clone(),
            };
            let count = events.len() as u64;
            let page = Page {
                events,
                cursors: if index == last {
                    vec![moves]
                } else {
                    Vec::new()
                },
                lease: Some(lease.clone()),
            };
            self.inbox.append_page(page).await?;
            self.note_taken(count);
        }
        place.version = if state.is_some() {
            place.version + 1
        } else {
            0
        };
        Ok(())
    }

    fn finish(&self, list: &List<'_>, state: &mut State, walk: &Walk, job: Job) {
        if job == Job::Poll {
            list.stream.rules.complete(state, walk);
            // What it said when the walk began: a walk that was left for a while and gone on with may
            // have passed the place of what came meanwhile.
            state.fingerprint.clone_from(&walk.fingerprint);
        } else {
            state.complete = Some(walk.began);
            state.walk = None;
        }
        debug!(
            source = %self.source.name, cursor = list.key, pages = walk.pages,
            records = walk.records, taken = walk.taken, "read to the end"
        );
    }

    /// What an error asks for. Says whether the list is done.
    async fn react(
        &self,
        list: &List<'_>,
        error: CallError,
        walk: &mut Walk,
        place: &mut Place,
        round: &mut Round,
        lease: &Lease,
    ) -> Result<bool, Stop> {
        self.note_error(error.code);
        let is_done = match error.next {
            Next::End => {
                self.finish(list, &mut place.state, walk, round.job);
                true
            }
            Next::Restart if walk.restarts < MOST_RESTARTS => {
                info!(source = %self.source.name, cursor = list.key, code = error.code, "the vendor's page token is no longer good; the walk begins anew");
                self.begin_anew(list, walk, &place.state, round.job);
                false
            }
            // After a while away: some vendors say so of a page token in no other way.
            Next::Pause if error.code == REFUSED && walk.pages > 0 && walk.restarts == 0 => {
                info!(source = %self.source.name, cursor = list.key, "the vendor does not go on with the walk; it begins anew");
                self.begin_anew(list, walk, &place.state, round.job);
                false
            }
            Next::Shrink => match paging::shrink(&list.stream.paging.paging, walk) {
                Some(size) => {
                    debug!(source = %self.source.name, cursor = list.key, size, "asks for smaller pages");
                    false
                }
                None => return Err(error.into()),
            },
            Next::Gone if list.item.key.is_some() => {
                warn!(source = %self.source.name, cursor = list.key, code = error.code, "the vendor has no such list any more; it is left out");
                return Ok(true);
            }
            Next::Restart => {
                place.state.walk = None;
                self.save(list, place, round.job, lease).await?;
                return Err(error.into());
            }
            _ => return Err(error.into()),
        };
        if !is_done {
            place.state.walk = Some(walk.clone());
        }
        self.save(list, place, round.job, lease).await?;
        Ok(is_done)
    }

    /// The same walk from its first page.
    fn begin_anew(&self, list: &List<'_>, walk: &mut Walk, state: &State, job: Job) {
        let restarts = walk.restarts + 1;
        let (start, now) = (self.source.plan.start, self.clock.now());
        *walk = list.stream.rules.begin(state, start, job.span(), now);
        walk.restarts = restarts;
    }

    async fn save(
        &self,
        list: &List<'_>,
        place: &mut Place,
        job: Job,
        lease: &Lease,
    ) -> Result<(), Stop> {
        if job.is_dry() {
            return Ok(());
        }
        self.append(list, Vec::new(), place, job, lease).await
    }

    fn count(&self, fates: &[Fate], round: &mut Round) {
        let count = |fate| fates.iter().filter(|other| **other == fate).count() as u64;
        let tally = &mut round.tally;
        let changed = count(Fate::Changed);
        tally.pages += 1;
        tally.read += fates.len() as u64;
        tally.known += count(Fate::Known);
        tally.new += count(Fate::New) + changed;
        tally.changed += changed;
        self.note_page(count(Fate::Known));
    }

    /// Asks for a first page and drops it: a credential that is not used for long dies with some
    /// vendors, and one that has died should be known before it is needed.
    pub(super) async fn keep_alive(&self) -> Result<(), Stop> {
        let Some(stream) = self.source.plan.streams.first() else {
            return Ok(());
        };
        if stream.each.is_some() {
            self.items(stream, &mut BTreeMap::new()).await?;
            return Ok(());
        }
        let now = self.clock.now();
        let state = State {
            since: stream.rules.is_time().then_some(Mark::Number(now.0)),
            ..State::default()
        };
        let item = Item::default();
        let list = List {
            stream,
            item: &item,
            key: "",
        };
        let walk = stream.rules.begin(&state, None, None, now);
        let request = self.request(&list, &walk)?;
        match self.source.vendor.call(request).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.next, Next::End | Next::Shrink | Next::Restart) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The records of a page, sorted.
struct Sorted {
    /// Ids and versions of each, hashed.
    ids: Vec<Vec<(i64, i64)>>,
    fates: Vec<Fate>,
    /// Ids and versions of those that are taken.
    fresh: HashSet<(i64, i64)>,
}

/// An answer, and what is kept with each of its records.
struct Answered<'a> {
    answer: Answer,
    context: &'a Value,
}

enum AskError {
    Stop(Stop),
    Call(CallError),
}

/// Where each record stands; the walk takes note.
fn marks(list: &List<'_>, read: &ReadPage, walk: &mut Walk) -> Vec<Option<Mark>> {
    let rules = &list.stream.rules;
    let mark = |text: &Option<String>| text.as_ref().and_then(|text| rules.mark(text));
    if let Some(token) = mark(&read.token) {
        rules.observe(walk, &token);
    }
    if rules.is_token() {
        return vec![None; read.records.len()];
    }
    let marks: Vec<_> = read
        .records
        .iter()
        .map(|record| mark(&record.cursor))
        .collect();
    for mark in marks.iter().flatten() {
        rules.observe(walk, mark);
    }
    marks
}

/// The context with those entries of its lookups alone that the record names: a table of all tags
/// beside each contact would be larger than the contact.
pub(in crate::ingest) fn named_only(
    context: &Map<String, Value>,
    lookups: &[String],
    record: &[u8],
) -> Value {
    let mut named = HashSet::new();
    if !lookups.is_empty()
        && let Ok(record) = serde_json::from_slice(record)
    {
        add_names(record, &mut named);
    }
    let kept = context.iter().map(|(name, value)| {
        let table = value.as_object().filter(|_| lookups.contains(name));
        let value = match table {
            Some(table) => {
                let entries = named.iter().filter_map(|name| table.get_key_value(name));
                Value::Object(
                    entries
                        .map(|(name, entry)| (name.clone(), entry.clone()))
                        .collect(),
                )
            }
            None => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(kept.collect())
}

/// All texts and numbers in a value, and the names of its members.
fn add_names(value: Value, names: &mut HashSet<String>) {
    match value {
        Value::String(text) => {
            names.insert(text);
        }
        Value::Number(number) => {
            names.insert(number.to_string());
        }
        Value::Array(items) => items.into_iter().for_each(|item| add_names(item, names)),
        Value::Object(members) => {
            for (name, member) in members {
                names.insert(name);
                add_names(member, names);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn with_bound(mut context: Map<String, Value>, bound: &BTreeMap<String, String>) -> Value {
    for (name, value) in bound {
        context.insert(name.clone(), Value::String(value.clone()));
    }
    Value::Object(context)
}

/// About how many bytes it takes.
fn size_of_json(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        Value::Array(items) => items.iter().map(size_of_json).sum::<usize>() + 2,
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| name.len() + 4 + size_of_json(value))
            .sum::<usize>(),
        _ => 8,
    }
}

impl Trouble {
    /// For a person.
    pub fn sentence(&self) -> String {
        if self.hint.is_empty() {
            format!("{} ({})", self.message, self.code)
        } else {
            format!("{} ({}); {}", self.message, self.code, self.hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_lookups_a_record_keeps_what_it_names() {
        let context = json!({
            "form": "F1",
            "tags": { "7": "vip", "8": "old" },
            "fields": { "plan": "Plan" }
        });
        let context = context.as_object().unwrap();
        let lookups = ["tags".to_owned(), "fields".to_owned()];
        let record = br#"{"tag":[7],"values":{"plan":"b"}}"#;
        assert_eq!(
            named_only(context, &lookups, record),
            json!({ "form": "F1", "tags": { "7": "vip" }, "fields": { "plan": "Plan" } })
        );
        let expected = json!({ "form": "F1", "tags": {}, "fields": {} });
        assert_eq!(named_only(context, &lookups, b"torn"), expected);
        assert_eq!(&named_only(context, &[], record), &json!(context));
    }
}
