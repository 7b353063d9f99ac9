//! Reading the inbox: what is to be processed next.

use bytes::Bytes;

use super::dialect::{Connection, Database, Value, query};
use super::{Store, StoreError, Write, dead_letters, set_fact};
use crate::model::{Event, EventId, EventMeta, Millis, NewEvent, SourceName};

/// Events after the last one that all before it are processed.
pub(super) const UNPROCESSED: &str = "SELECT id, source, received_at, content_type, meta, body FROM event \
     WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) const LISTED: &str = "SELECT id, source, received_at, content_type, meta, body FROM event \
     WHERE id {in $1} ORDER BY id";

const SIZES: &str =
    "SELECT id, CAST(LENGTH(body) AS BIGINT) FROM event WHERE id {in $1} ORDER BY id";

pub(super) const TO_REPLAY: &str =
    "SELECT event_id FROM replay ORDER BY event_id LIMIT $1 {skip locked}";

/// PostgreSQL only: the groups that waited longest, as far as no other node has them in hand.
const WAITING_GROUPS: &str =
    "SELECT first_id, last_id FROM waiting ORDER BY first_id LIMIT $1 FOR UPDATE SKIP LOCKED";

const GROUPS_DONE: &str = "DELETE FROM waiting WHERE first_id = ANY($1)";

const GROUP_BEGUN: &str = "UPDATE waiting SET first_id = $2 WHERE first_id = $1";

/// Groups are looked for by few, then by many: in a burst a few are enough, and those that are
/// locked in vain are lost to the other nodes meanwhile.
const GROUPS: [i64; 2] = [4, 256];

/// The most bytes of bodies in one batch, so that large ones do not pile up in memory.
const MOST_BYTES: usize = 8 << 20;

/// Events that one node has taken to process; no other takes them meanwhile. Dropped without a
/// commit, it gives them back.
#[derive(Debug)]
pub struct EventClaim {
    /// In the order of their ids.
    pub events: Vec<Event>,
    /// Those of them that cannot be read back whole.
    pub damaged: Vec<EventId>,
    /// They were processed before.
    pub replayed: bool,
    taken: Taken,
}

#[derive(Debug)]
enum Taken {
    /// SQLite: nobody else processes. What is written later says how far it got.
    UpTo(Option<EventId>),
    /// PostgreSQL: their rows are locked by this transaction.
    By(Write),
}

type Row = (i64, String, i64, String, String, Vec<u8>);

/// An event; one whose circumstances cannot be read back has none.
fn event((id, source, received_at, content_type, meta, body): Row) -> (Event, bool) {
    let meta: Option<EventMeta> = serde_json::from_str(&meta).ok();
    let is_damaged = meta.is_none();
    let event = Event {
        id: EventId(id),
        received: NewEvent {
            source: SourceName::new(&source),
            received_at: Millis(received_at),
            content_type,
            meta: meta.unwrap_or_default(),
            body: Bytes::from(body),
        },
    };
    (event, is_damaged)
}

/// Says yes until the bodies are more than `MOST_BYTES`; the first one always fits.
fn until_heavy() -> impl FnMut(usize) -> bool {
    let mut bytes = 0;
    let mut first = true;
    move |more| {
        bytes += more;
        std::mem::take(&mut first) || bytes <= MOST_BYTES
    }
}

fn rows_until_heavy() -> impl FnMut(&Row) -> bool {
    let mut fits = until_heavy();
    move |row| fits(row.5.len())
}

impl Store {
    /// Takes at most `limit` events to process: those that are to be replayed first, then new ones,
    /// oldest first.
    pub async fn claim_events(&self, limit: usize) -> Result<EventClaim, StoreError> {
        match &self.database {
            Database::Sqlite(_) => self.events_above_the_floor(limit).await,
            Database::Postgres(_) => self.waiting_events(limit).await,
        }
    }

    async fn events_above_the_floor(&self, limit: usize) -> Result<EventClaim, StoreError> {
        let mut reader = self.database.read().await?;
        let connection = &mut reader.connection();
        if let Some((replays, rows)) = to_replay(connection, limit).await? {
            if rows.is_empty() {
                drop(reader);
                return self.give_up_replays(&replays).await;
            }
            return Ok(EventClaim::of(rows, true, Taken::UpTo(None)));
        }
        let floor = floor(connection).await?;
        let rows: Vec<Row> = query(UNPROCESSED)
            .bind(floor.0)
            .bind(limit as i64)
            .all_while(connection, rows_until_heavy())
            .await?;
        let last = rows.last().map(|row| EventId(row.0));
        Ok(EventClaim::of(rows, false, Taken::UpTo(last)))
    }

    async fn waiting_events(&self, limit: usize) -> Result<EventClaim, StoreError> {
        let mut write = self.write().await?;
        let connection = &mut write.connection();
        if let Some((replays, rows)) = to_replay(connection, limit).await? {
            if rows.is_empty() {
                drop(write);
                return self.give_up_replays(&replays).await;
            }
            return Ok(EventClaim::of(rows, true, Taken::By(write)));
        }
        let mut groups: Vec<(i64, i64)> = Vec::new();
        for most in GROUPS {
            let held: i64 = groups.iter().map(|(first, last)| last - first + 1).sum();
            if held >= limit as i64 {
                break;
            }
            groups = query(WAITING_GROUPS).bind(most).all(connection).await?;
            if groups.len() < most as usize {
                break;
            }
        }
        let ids = groups.iter().flat_map(|(first, last)| *first..=*last);
        let ids: Vec<i64> = ids.take(limit).collect();
        let Some(mut last) = ids.last().copied() else {
            return Ok(EventClaim::of(Vec::new(), false, Taken::By(write)));
        };
        // Sizes first: the server sends all that was asked for.
        let sizes: Vec<(i64, i64)> = query(SIZES).bind(Value::Ids(ids)).all(connection).await?;
        let mut fits = until_heavy();
        let wanted: Vec<i64> = sizes
            .iter()
            .take_while(|(_, bytes)| fits(*bytes as usize))
            .map(|(id, _)| *id)
            .collect();
        if let Some((heavy, _)) = sizes.get(wanted.len()) {
            last = heavy - 1;
        }
        let rows: Vec<Row> = query(LISTED)
            .bind(Value::Ids(wanted))
            .all(connection)
            .await?;
        let done = groups.iter().filter(|group| group.1 <= last);
        query(GROUPS_DONE)
            .bind(Value::ids(done.map(|group| group.0)))
            .run(connection)
            .await?;
        let begun = groups
            .iter()
            .find(|(first, end)| (*first..*end).contains(&last));
        if let Some((first, _)) = begun {
            query(GROUP_BEGUN)
                .bind(*first)
                .bind(last + 1)
                .run(connection)
                .await?;
        }
        if rows.is_empty() {
            // Nothing is behind those ids: they are not to be met again.
            write.commit().await?;
            self.inbox_changed.notify_one();
            return Ok(EventClaim::of(rows, false, Taken::UpTo(None)));
        }
        Ok(EventClaim::of(rows, false, Taken::By(write)))
    }

    /// Events that went while they were to be replayed: nothing waits for them.
    async fn give_up_replays(&self, replays: &[EventId]) -> Result<EventClaim, StoreError> {
        let mut write = self.write().await?;
        dead_letters::finish_replays(&mut write.connection(), replays).await?;
        write.commit().await?;
        self.inbox_changed.notify_one();
        Ok(EventClaim::of(Vec::new(), true, Taken::UpTo(None)))
    }

    /// The events that the inbox holds after `id`, in the order of their ids.
    pub async fn events_after(&self, id: EventId, limit: usize) -> Result<Vec<Event>, StoreError> {
        let rows: Vec<Row> = query(UNPROCESSED)
            .bind(id.0)
            .bind(limit as i64)
            .all(&mut self.database.read().await?.connection())
            .await?;
        Ok(rows.into_iter().map(|row| event(row).0).collect())
    }

    /// One event, if the inbox still holds it.
    pub async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let mut reader = self.database.read().await?;
        let row: Option<Row> = query(LISTED)
            .bind(Value::Ids(vec![id.0]))
            .first(&mut reader.connection())
            .await?;
        Ok(row.map(|row| event(row).0))
    }
}

impl EventClaim {
    fn of(rows: Vec<Row>, replayed: bool, taken: Taken) -> Self {
        let mut events = Vec::with_capacity(rows.len());
        let mut damaged = Vec::new();
        for (event, is_damaged) in rows.into_iter().map(event) {
            if is_damaged {
                damaged.push(event.id);
            }
            events.push(event);
        }
        Self {
            events,
            damaged,
            replayed,
            taken,
        }
    }

    /// The transaction that stores what becomes of the events, and with it that they are processed.
    pub async fn into_write(self, store: &Store) -> Result<Write, StoreError> {
        match self.taken {
            Taken::By(write) => Ok(write),
            Taken::UpTo(last) => {
                let mut write = store.write().await?;
                if let Some(last) = last {
                    set_fact(&mut write.connection(), "floor", &last.0.to_string()).await?;
                }
                Ok(write)
            }
        }
    }
}

/// The next events that are to be replayed, and what the inbox still has of them; none if there are
/// none.
async fn to_replay(
    connection: &mut Connection<'_>,
    limit: usize,
) -> Result<Option<(Vec<EventId>, Vec<Row>)>, StoreError> {
    let ids: Vec<i64> = query(TO_REPLAY)
        .bind(limit as i64)
        .column(connection)
        .await?;
    if ids.is_empty() {
        return Ok(None);
    }
    let events = ids.iter().copied().map(EventId).collect();
    let rows = query(LISTED)
        .bind(Value::Ids(ids))
        .all_while(connection, rows_until_heavy())
        .await?;
    Ok(Some((events, rows)))
}

async fn floor(connection: &mut Connection<'_>) -> Result<EventId, StoreError> {
    let floor: Option<(String,)> = query("SELECT value FROM store_info WHERE name = 'floor'")
        .first(connection)
        .await?;
    Ok(EventId(
        floor.and_then(|(text,)| text.parse().ok()).unwrap_or(0),
    ))
}
