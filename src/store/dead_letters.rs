use sqlx::sqlite::SqliteConnection;

use super::{Store, StoreError, dialect};
use crate::model::{DeadLetter, EventId, Millis, SourceName};

const INSERT: &str = "INSERT INTO dead_letter (id, event_id, ordinal, source, lead_id, delivery_id, code, \
     message, hint, at) VALUES";

/// A dead letter that nobody has dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDeadLetter {
    /// The source of its event.
    pub source: SourceName,
    /// The event, by which it is replayed.
    pub event: EventId,
    /// Stable reason code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// When it stopped.
    pub at: Millis,
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    letters: &[(SourceName, u32, DeadLetter)],
    first_id: i64,
) -> Result<(), StoreError> {
    let rows: Vec<_> = (first_id..).zip(letters).collect();
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
            values.push(&*letter.message)?;
            values.push(&*letter.hint)?;
            values.push(letter.at.0)
        },
    )
    .await?;
    Ok(())
}

pub(super) async fn finish_replays(
    connection: &mut SqliteConnection,
    events: &[EventId],
) -> Result<(), StoreError> {
    const DONE: &str = concat!(
        "DELETE FROM replay WHERE event_id IN ",
        dialect::listed!("$1")
    );
    if !events.is_empty() {
        let list = dialect::id_list(events.iter().map(|event| event.0));
        sqlx::query(DONE).bind(list).execute(connection).await?;
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
        let rows: Vec<(String, i64, String, String, String, i64)> = sqlx::query_as(
            "SELECT source, event_id, code, message, hint, at FROM dead_letter \
             WHERE resolved_at IS NULL AND ($1 IS NULL OR source = $1) ORDER BY id LIMIT $2",
        )
        .bind(source)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(source, event, code, message, hint, at)| OpenDeadLetter {
                source: SourceName::new(&source),
                event: EventId(event),
                code,
                message,
                hint,
                at: Millis(at),
            })
            .collect())
    }

    /// Has events processed once more: those whose submissions are at an end and not synced. Takes
    /// back their ends, so that they count as in flight again. Returns how many there are.
    ///
    /// Works beside a running daemon, which takes them up within a second.
    pub async fn replay(&self, events: &[EventId], now: Millis) -> Result<u64, StoreError> {
        const MARK: &str = concat!(
            "INSERT INTO replay (event_id) SELECT DISTINCT s.event_id FROM submission s \
             WHERE s.event_id IN ",
            dialect::listed!("$1"),
            " AND s.outcome IN ('dead_letter', 'in_review', 'filtered', 'merged') AND NOT EXISTS \
             (SELECT 1 FROM submission o WHERE o.event_id = s.event_id AND (o.outcome IS NULL OR o.outcome = 'synced')) \
             ON CONFLICT DO NOTHING"
        );
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
        const KEPT: &str = concat!("SELECT id FROM event WHERE id IN ", dialect::listed!("$1"));
        let list = dialect::id_list(events.iter().map(|event| event.0));
        let kept: Vec<i64> = sqlx::query_scalar(KEPT)
            .bind(list)
            .fetch_all(&self.readers)
            .await?;
        let list = dialect::id_list(kept);
        let mut write = self.write().await?;
        let marked = sqlx::query(MARK)
            .bind(list)
            .execute(write.connection())
            .await?
            .rows_affected();
        sqlx::query(SUPERSEDE).execute(write.connection()).await?;
        sqlx::query(RESOLVE)
            .bind(now.0)
            .execute(write.connection())
            .await?;
        sqlx::query(FORGET).execute(write.connection()).await?;
        write.commit().await?;
        self.inbox_changed.notify_one();
        Ok(marked)
    }
}
