use super::dialect::{self, Connection, Kind, Value, query};
use super::{Store, StoreError};
use crate::edge::random::Ids;
use crate::model::{DeadLetter, EventId, Millis, SourceName};

const INSERT: &str = "INSERT INTO dead_letter (id, event_id, ordinal, source, lead_id, delivery_id, code, \
     cause, message, hint, at) VALUES";

/// A dead letter that nobody has dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDeadLetter {
    /// The source of its event.
    pub source: SourceName,
    /// The event, by which it is replayed.
    pub event: EventId,
    /// Stable reason code.
    pub code: String,
    /// What it has in common with others that one fix cures.
    pub cause: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// When it stopped.
    pub at: Millis,
}

/// Dead letters that one fix cures together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadCause {
    /// What they have in common.
    pub cause: String,
    /// Stable reason code.
    pub code: String,
    /// How many there are.
    pub letters: u64,
    /// How many leads they are of; 0 if none got that far.
    pub leads: u64,
    /// When the first of them stopped.
    pub first: Millis,
    /// When the last did.
    pub last: Millis,
    /// What is wrong with the last of them.
    pub message: String,
    /// What to do.
    pub hint: String,
}

const CAUSES: &str = "SELECT g.cause, d.code, g.letters, g.leads, g.first_at, g.last_at, d.message, d.hint \
     FROM (SELECT cause, COUNT(*) AS letters, COUNT(DISTINCT lead_id) AS leads, MIN(at) AS first_at, \
     MAX(at) AS last_at, MAX(id) AS newest FROM dead_letter WHERE resolved_at IS NULL \
     AND ($1 IS NULL OR source = $1) GROUP BY cause) AS g JOIN dead_letter d ON d.id = g.newest \
     ORDER BY g.letters DESC, g.cause";

const OF_CAUSE: &str = "SELECT DISTINCT event_id FROM dead_letter WHERE resolved_at IS NULL \
     AND cause = $1 AND ($2 IS NULL OR source = $2) ORDER BY event_id LIMIT $3";

type CauseRow = (String, String, i64, i64, i64, i64, String, String);

pub(super) async fn insert(
    connection: &mut Connection<'_>,
    letters: &[(SourceName, u32, DeadLetter)],
    ids: &mut Ids,
) -> Result<(), StoreError> {
    let rows = ids.number(letters);
    dialect::insert(
        connection,
        INSERT,
        "",
        &rows,
        |values, (id, (source, ordinal, letter))| {
            values.push(*id)?;
            values.push(letter.event.0)?;
            values.push(i64::from(*ordinal))?;
            values.push(&**source)?;
            values.push(letter.lead.map(|lead| lead.0))?;
            values.push(letter.delivery.map(|delivery| delivery.0))?;
            values.push(&*letter.code)?;
            values.push(&*letter.cause)?;
            values.push(&*letter.message)?;
            values.push(&*letter.hint)?;
            values.push(letter.at.0)
        },
    )
    .await?;
    Ok(())
}

pub(super) async fn finish_replays(
    connection: &mut Connection<'_>,
    events: &[EventId],
) -> Result<(), StoreError> {
    if !events.is_empty() {
        query("DELETE FROM replay WHERE event_id {in $1}")
            .bind(Value::ids(events.iter().map(|event| event.0)))
            .run(connection)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Dead letters that nobody has dealt with, oldest first; of one source, or of all.
    pub async fn dead_letters(
        &self,
        source: Option<&str>,
        limit: usize,
    ) -> Result<Vec<OpenDeadLetter>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<(String, i64, String, String, String, String, i64)> = query(
            "SELECT source, event_id, code, cause, message, hint, at FROM dead_letter \
             WHERE resolved_at IS NULL AND ($1 IS NULL OR source = $1) ORDER BY id LIMIT $2",
        )
        .bind(source)
        .bind(limit as i64)
        .all(&mut reader.connection())
        .await?;
        Ok(rows
            .into_iter()
            .map(
                |(source, event, code, cause, message, hint, at)| OpenDeadLetter {
                    source: SourceName::new(&source),
                    event: EventId(event),
                    code,
                    cause,
                    message,
                    hint,
                    at: Millis(at),
                },
            )
            .collect())
    }

    /// What stopped them, and how many for each cause, most first; of one source, or of all.
    pub async fn dead_causes(&self, source: Option<&str>) -> Result<Vec<DeadCause>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<CauseRow> = query(CAUSES)
            .bind(source)
            .all(&mut reader.connection())
            .await?;
        let causes = rows.into_iter().map(
            |(cause, code, letters, leads, first, last, message, hint)| DeadCause {
                cause,
                code,
                letters: letters as u64,
                leads: leads as u64,
                first: Millis(first),
                last: Millis(last),
                message,
                hint,
            },
        );
        Ok(causes.collect())
    }

    /// The events of at most `limit` of the dead letters with this cause.
    pub async fn dead_events(
        &self,
        cause: &str,
        source: Option<&str>,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        let mut reader = self.database.read().await?;
        let events: Vec<i64> = query(OF_CAUSE)
            .bind(cause)
            .bind(source)
            .bind(limit as i64)
            .column(&mut reader.connection())
            .await?;
        Ok(events.into_iter().map(EventId).collect())
    }

    /// Has events processed once more: those whose submissions are at an end and not synced. Takes
    /// back their ends, so that they count as in flight again. Returns how many there are.
    ///
    /// Works beside a running daemon, which takes them up within a second.
    pub async fn replay(&self, events: &[EventId], now: Millis) -> Result<u64, StoreError> {
        const MARK: &str = "INSERT INTO replay (event_id) SELECT DISTINCT s.event_id FROM submission s \
             WHERE s.event_id {in $1} AND s.outcome IN ('dead_letter', 'in_review', 'filtered', 'merged') AND NOT EXISTS \
             (SELECT 1 FROM submission o WHERE o.event_id = s.event_id AND (o.outcome IS NULL OR o.outcome = 'synced')) \
             ON CONFLICT DO NOTHING";
        // A delivery that others died with as well stays dead for them: it is overtaken when their
        // lead gets through.
        const SUPERSEDE: &str = "UPDATE delivery SET state = 'superseded' WHERE state = 'dead' AND id IN \
             (SELECT delivery_id FROM submission WHERE event_id IN (SELECT event_id FROM replay)) \
             AND NOT EXISTS (SELECT 1 FROM submission o WHERE o.delivery_id = delivery.id \
             AND o.event_id NOT IN (SELECT event_id FROM replay))";
        const RESOLVE: &str = "UPDATE dead_letter SET resolved_at = $1 WHERE resolved_at IS NULL AND event_id IN \
             (SELECT event_id FROM replay)";
        const FORGET: &str =
            "DELETE FROM submission WHERE event_id IN (SELECT event_id FROM replay)";
        const NO_PRUNING: &str = "SELECT token FROM lease WHERE name = 'retention' FOR UPDATE";
        const KEPT: &str = "SELECT id FROM event WHERE id {in $1}";
        let mut write = self.write().await?;
        // Nothing is pruned meanwhile; on SQLite nobody else writes anyway.
        if write.connection().kind() == Kind::Postgres {
            query(NO_PRUNING)
                .all::<(i64,)>(&mut write.connection())
                .await?;
        }
        let kept: Vec<i64> = query(KEPT)
            .bind(Value::ids(events.iter().map(|event| event.0)))
            .column(&mut self.database.read().await?.connection())
            .await?;
        let connection = &mut write.connection();
        let marked = query(MARK).bind(Value::Ids(kept)).run(connection).await?;
        query(SUPERSEDE).run(connection).await?;
        query(RESOLVE).bind(now.0).run(connection).await?;
        query(FORGET).run(connection).await?;
        write.commit().await?;
        self.inbox_changed.notify_one();
        Ok(marked)
    }
}
