//! Records that a webhook only named: what is still to be fetched, and what came of it. A row goes
//! when its fetch has ended; until then the submission that named it is in flight.

use std::collections::BTreeMap;

use tracing::error;

use super::dialect::{self, Connection, query};
use super::{Lease, Store, StoreError, Write, dead_letters};
use crate::edge::random::Ids;
use crate::model::{DeadLetter, End, EventId, Millis, SourceName};

/// A fetch that processing has decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFetch {
    /// The event that names the record.
    pub event: EventId,
    /// Which one of its event's submissions does.
    pub ordinal: u32,
    /// The event's source.
    pub source: SourceName,
    /// Values for the request.
    pub bindings: BTreeMap<String, String>,
}

/// A fetch that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTask {
    /// Its id.
    pub id: i64,
    /// The event that names the record.
    pub event: EventId,
    /// Which one of its event's submissions does.
    pub ordinal: u32,
    /// The event's source.
    pub source: SourceName,
    /// Values for the request.
    pub bindings: BTreeMap<String, String>,
    /// How many times it has been tried before.
    pub attempts: u32,
    /// When it was decided.
    pub created_at: Millis,
}

/// What came of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchEnd {
    /// The record is in the inbox, as this event.
    Fetched(EventId),
    /// There is nothing to fetch any more; why.
    Gone(String),
    /// It needs a person.
    Dead {
        /// Stable reason code.
        code: String,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// It is to be tried again.
    Later {
        /// When.
        at: Millis,
    },
}

pub(super) const DUE: &str = "SELECT id, event_id, ordinal, source, bindings, attempts, created_at \
     FROM fetch_task WHERE source = $1 AND next_at <= $2 ORDER BY next_at, id LIMIT $3";

const AGAIN: &str = "UPDATE fetch_task SET attempts = attempts + 1, next_at = $2 WHERE id = $1";

const REMOVE: &str = "DELETE FROM fetch_task WHERE id = $1";

const END: &str = "UPDATE submission SET outcome = $1, reason = $2 \
     WHERE event_id = $3 AND ordinal = $4 AND outcome IS NULL";

type Row = (i64, i64, i64, String, String, i64, i64);

fn task(row: Row) -> FetchTask {
    let (id, event, ordinal, source, bindings, attempts, created_at) = row;
    FetchTask {
        id,
        event: EventId(event),
        ordinal: ordinal as u32,
        source: SourceName::new(&source),
        bindings: serde_json::from_str(&bindings).unwrap_or_else(|_| {
            // The vendor refuses the request then, and a person is told.
            error!(event.id = %EventId(event), "a fetch cannot be read back");
            BTreeMap::new()
        }),
        attempts: attempts as u32,
        created_at: Millis(created_at),
    }
}

impl Store {
    /// At most `limit` fetches of a source that may be made now, those that are due longest first.
    /// Whoever makes them holds the source's lease: they are not marked as taken.
    pub async fn due_fetches(
        &self,
        source: &SourceName,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<FetchTask>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<Row> = query(DUE)
            .bind(&**source)
            .bind(now.0)
            .bind(limit as i64)
            .all(&mut reader.connection())
            .await?;
        Ok(rows.into_iter().map(task).collect())
    }

    /// Stores what came of a fetch, as the holder of `lease` ([`StoreError::Fenced`] if that is
    /// lost). One that has ended already stays as it is.
    pub async fn settle_fetch(
        &self,
        task: &FetchTask,
        end: FetchEnd,
        now: Millis,
        lease: Option<&Lease>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        if let Some(lease) = lease {
            write.guard(lease).await?;
        }
        let (outcome, reason) = match end {
            FetchEnd::Later { at } => {
                let again = query(AGAIN).bind(task.id).bind(at.0);
                again.run(&mut write.connection()).await?;
                return write.commit().await;
            }
            FetchEnd::Fetched(event) => (End::Filtered, format!("fetched as {event}")),
            FetchEnd::Gone(why) => (End::Filtered, why),
            FetchEnd::Dead {
                code,
                message,
                hint,
            } => {
                let letter = DeadLetter {
                    event: task.event,
                    lead: None,
                    delivery: None,
                    code: code.clone(),
                    cause: format!("{code} {}", task.source),
                    message,
                    hint,
                    at: now,
                };
                let letter = Some((task.source.clone(), task.ordinal, letter));
                return self
                    .end(write, task, End::DeadLetter, &code, letter, now)
                    .await;
            }
        };
        self.end(write, task, outcome, &reason, None, now).await
    }

    async fn end(
        &self,
        mut write: Write,
        task: &FetchTask,
        outcome: End,
        reason: &str,
        letter: Option<(SourceName, u32, DeadLetter)>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let connection = &mut write.connection();
        if query(REMOVE).bind(task.id).run(connection).await? == 0 {
            return write.roll_back().await;
        }
        query(END)
            .bind(outcome.name())
            .bind(reason)
            .bind(task.event.0)
            .bind(i64::from(task.ordinal))
            .run(connection)
            .await?;
        let letters = letter.as_slice();
        let mut ids = self.take_ids(now, letters.len());
        dead_letters::insert(connection, letters, &mut ids).await?;
        write.commit().await
    }
}

/// A notice that is replayed makes its fetch pending again.
pub(super) async fn insert(
    connection: &mut Connection<'_>,
    fetches: &[NewFetch],
    ids: &mut Ids,
    now: Millis,
) -> Result<(), StoreError> {
    const FETCH: &str = "INSERT INTO fetch_task (id, event_id, ordinal, source, bindings, attempts, \
         next_at, created_at) VALUES";
    const ANEW: &str = "ON CONFLICT (event_id, ordinal) DO UPDATE SET id = excluded.id, \
         bindings = excluded.bindings, attempts = 0, next_at = excluded.next_at";
    let rows = ids.number(fetches);
    dialect::insert(connection, FETCH, ANEW, &rows, |values, (id, fetch)| {
        values.push(*id)?;
        values.push(fetch.event.0)?;
        values.push(i64::from(fetch.ordinal))?;
        values.push(&*fetch.source)?;
        // A map from texts to texts is always JSON.
        values.push(serde_json::to_string(&fetch.bindings).unwrap_or_default())?;
        values.push(0)?;
        values.push(now.0)?;
        values.push(now.0)
    })
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::StoreConfig;
    use crate::model::{EventMeta, NewEvent};
    use crate::store::plans::postgres;
    use crate::store::{Access, AuditLine, Changes, Cutoffs, Pass, StoredSubmission};

    const NOW: Millis = Millis(1_772_359_200_000);

    struct Bench {
        store: Arc<Store>,
        config: StoreConfig,
        demo: SourceName,
    }

    impl Bench {
        async fn at(url: &str) -> Self {
            let config = StoreConfig::at(url);
            Self {
                store: Store::open(&config, Access::Daemon).await.unwrap(),
                config,
                demo: SourceName::new("demo"),
            }
        }

        /// Takes in an event that names `records` records.
        async fn notice(&self, records: u32) -> EventId {
            let event = NewEvent {
                source: self.demo.clone(),
                received_at: NOW,
                content_type: String::new(),
                meta: EventMeta::default(),
                body: vec![b'x'].into(),
            };
            let id = EventId(self.store.take_ids(NOW, 1).first());
            let mut writer = self.store.inbox_writer().unwrap();
            writer.append(id, &[event.into()]).await.unwrap();
            assert_eq!(self.process(records).await, id);
            id
        }

        /// Processes the event that waits, for the first time or once more.
        async fn process(&self, records: u32) -> EventId {
            let claim = self.store.claim_events(10).await.unwrap();
            let event = claim.events[0].id;
            let mut changes = Changes::default();
            if claim.replayed {
                changes.replayed.push(event);
            }
            for ordinal in 0..records {
                changes.submissions.push(StoredSubmission {
                    event,
                    ordinal,
                    source: self.demo.clone(),
                    received_at: NOW,
                    at: NOW,
                    vendor_id: None,
                    lead: None,
                    delivery: None,
                    outcome: None,
                    reason: None,
                    config_hash: String::new(),
                    fields: "{}".to_owned(),
                });
                changes.fetches.push(NewFetch {
                    event,
                    ordinal,
                    source: self.demo.clone(),
                    bindings: [("id".to_owned(), format!("no {ordinal}"))].into(),
                });
            }
            let ids = self.store.take_ids(NOW, changes.ids_needed());
            let mut write = claim.into_write(&self.store).await.unwrap();
            write.apply(&changes, ids, NOW).await.unwrap();
            write.commit().await.unwrap();
            event
        }

        async fn due(&self, at: i64) -> Vec<FetchTask> {
            let now = Millis(NOW.0 + at);
            self.store.due_fetches(&self.demo, now, 10).await.unwrap()
        }

        async fn settle(&self, task: &FetchTask, end: FetchEnd) {
            let settled = self.store.settle_fetch(task, end, NOW, None).await;
            settled.unwrap();
        }

        /// The books, which must balance.
        async fn books(&self) -> AuditLine {
            let books = self.store.audit().await.unwrap();
            let line = books.values().next().cloned().unwrap_or_default();
            assert_eq!(line.difference(), 0, "{line:?}");
            line
        }

        async fn ends(&self, event: EventId) -> Vec<(Option<String>, Option<String>)> {
            let mut reader = self.store.database.read().await.unwrap();
            query("SELECT outcome, reason FROM submission WHERE event_id = $1 ORDER BY ordinal")
                .bind(event.0)
                .all(&mut reader.connection())
                .await
                .unwrap()
        }
    }

    fn ended(outcome: &str, reason: &str) -> (Option<String>, Option<String>) {
        (Some(outcome.to_owned()), Some(reason.to_owned()))
    }

    fn gone() -> FetchEnd {
        FetchEnd::Gone("deleted at the vendor".to_owned())
    }

    async fn each_ends_once_and_the_books_balance(url: &str) {
        let bench = Bench::at(url).await;
        let event = bench.notice(3).await;
        let line = bench.books().await;
        assert_eq!((line.fetching, line.in_flight()), (1, 1));
        let other = SourceName::new("other");
        let others = bench.store.due_fetches(&other, NOW, 10).await.unwrap();
        assert_eq!(others, []);
        let due = bench.due(0).await;
        assert_eq!(due.len(), 3);
        assert_eq!(
            (due[1].event, due[1].ordinal, due[1].attempts),
            (event, 1, 0)
        );
        assert_eq!(due[1].bindings["id"], "no 1");
        assert_eq!(bench.due(-1).await, []);

        bench.settle(&due[0], FetchEnd::Fetched(EventId(7))).await;
        let later = Millis(NOW.0 + 60);
        bench.settle(&due[1], FetchEnd::Later { at: later }).await;
        let dead = FetchEnd::Dead {
            code: "fetch.refused".to_owned(),
            message: "the vendor said 403".to_owned(),
            hint: "sign in again".to_owned(),
        };
        bench.settle(&due[2], dead).await;
        assert_eq!(bench.due(59).await, []);
        let again = bench.due(60).await;
        assert_eq!((again.len(), again[0].attempts), (1, 1));
        assert_eq!(bench.books().await.fetching, 1, "until all have ended");
        bench.settle(&again[0], gone()).await;
        // An answer that came twice changes nothing.
        bench.settle(&again[0], FetchEnd::Fetched(EventId(9))).await;
        let expected = [
            ended("filtered", &format!("fetched as {}", EventId(7))),
            ended("filtered", "deleted at the vendor"),
            ended("dead_letter", "fetch.refused"),
        ];
        assert_eq!(bench.ends(event).await, expected);
        let line = bench.books().await;
        assert_eq!((line.in_flight(), line.ends[&End::DeadLetter]), (0, 1));
        let letters = bench.store.dead_letters(None, 10).await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].hint, "sign in again");

        assert_eq!(bench.store.replay(&[event], NOW).await.unwrap(), 1);
        assert_eq!(bench.process(3).await, event);
        let due = bench.due(0).await;
        assert!(due.iter().all(|task| task.attempts == 0));
        assert_eq!(due.len(), 3);
        assert_eq!(bench.store.dead_letters(None, 10).await.unwrap(), []);
        // A settlement of before the replay is not one of now.
        bench.settle(&again[0], gone()).await;
        assert_eq!(bench.due(0).await.len(), 3);
        assert_eq!(bench.books().await.fetching, 1);
        bench.store.close().await;
    }

    async fn only_the_holder_of_the_lease_settles(url: &str) {
        let bench = Bench::at(url).await;
        bench.notice(1).await;
        let task = bench.due(0).await.remove(0);
        let lost = bench.store.acquire("poll demo").await.unwrap().unwrap();
        bench.store.release(lost.clone()).await.unwrap();
        let held = bench.store.acquire("poll demo").await.unwrap().unwrap();
        for end in [gone(), FetchEnd::Later { at: Millis(1) }] {
            let settled = bench.store.settle_fetch(&task, end, NOW, Some(&lost)).await;
            assert!(matches!(settled, Err(StoreError::Fenced)), "{settled:?}");
        }
        assert_eq!(bench.due(0).await, std::slice::from_ref(&task));
        let settled = bench.store.settle_fetch(&task, gone(), NOW, Some(&held));
        settled.await.unwrap();
        assert_eq!(bench.due(0).await, []);
        bench.store.close().await;
    }

    async fn what_is_to_be_fetched_is_not_pruned(url: &str) {
        let bench = Bench::at(url).await;
        let event = bench.notice(1).await;
        let lease = bench.store.acquire("retention").await.unwrap().unwrap();
        let cutoffs = Cutoffs::of(&bench.config, Millis(2_000_000_000_000));
        let prune = async || {
            let mut pass = Pass::default();
            let mut events = 0;
            loop {
                let pruned = bench.store.prune(&lease, &cutoffs, &mut pass).await;
                let pruned = pruned.unwrap();
                events += pruned.events;
                if !pruned.more {
                    return events;
                }
            }
        };
        assert_eq!(prune().await, 0);
        assert!(bench.store.event(event).await.unwrap().is_some());
        let task = bench.due(0).await.remove(0);
        bench.settle(&task, gone()).await;
        assert_eq!(prune().await, 1);
        assert!(bench.store.event(event).await.unwrap().is_none());
        assert_eq!(bench.books().await.ends[&End::Filtered], 1);
        bench.store.close().await;
    }

    #[tokio::test]
    async fn a_fetch_ends_once_and_only_for_who_holds_the_lease() {
        for check in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}/test.db", folder.path().display());
            run(check, &url).await;
        }
    }

    #[tokio::test]
    async fn a_fetch_ends_once_and_only_for_who_holds_the_lease_on_postgresql() {
        for check in 0..3 {
            if let Some(url) = postgres::database() {
                run(check, &url).await;
            }
        }
    }

    async fn run(check: usize, url: &str) {
        match check {
            0 => each_ends_once_and_the_books_balance(url).await,
            1 => only_the_holder_of_the_lease_settles(url).await,
            _ => what_is_to_be_fetched_is_not_pruned(url).await,
        }
    }
}
