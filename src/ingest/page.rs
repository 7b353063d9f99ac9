//! What was read from a vendor at once: stored as a whole, with how far the reader has come, or not
//! at all.

use serde_json::Value;

use super::AppendError;
use crate::model::{EventId, MAX_CONTEXT_DEPTH, NewEvent};
use crate::store::{CursorMove, InboxPage, InboxRow, Lease};

/// The most events in a page: their ids have to be consecutive, which 16,384 of a millisecond are.
pub const MOST_EVENTS: usize = 10_000;

/// The most bytes of a page, with all that is kept beside the bodies.
pub const MOST_BYTES: usize = 64 << 20;

/// The most cursors that move with a page.
const MOST_CURSORS: usize = 1_000;

/// Events that were read together, and how far the reader has come with them.
#[derive(Debug, Default)]
pub struct Page {
    /// The events, in their order; at most 10,000 of 64 MiB in all. There may be none.
    pub events: Vec<NewEvent>,
    /// The cursors that move with them; at most 1,000.
    pub cursors: Vec<CursorMove>,
    /// Who may read it, where only one may.
    pub lease: Option<Lease>,
}

/// A page is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageStored {
    /// The id of its first event; those of the others follow one by one. Nobody's if it has none.
    pub first: EventId,
    /// How many events it has.
    pub count: usize,
}

impl Page {
    /// As the inbox keeps it; refused if it is larger than one transaction should be.
    pub(super) fn into_rows(self) -> Result<InboxPage, AppendError> {
        let bodies: usize = self.events.iter().map(|event| event.body.len()).sum();
        let fits = self.events.len() <= MOST_EVENTS
            && self.cursors.len() <= MOST_CURSORS
            && bodies <= MOST_BYTES
            && self.events.iter().all(can_be_read_back);
        if !fits {
            return Err(AppendError::TooLarge);
        }
        let rows: Vec<InboxRow> = self.events.into_iter().map(InboxRow::from).collect();
        let cursors = self.cursors.iter().map(|cursor| {
            let state = cursor.state.as_ref().map_or(0, String::len);
            cursor.key.len() + state
        });
        let bytes: usize = rows.iter().map(InboxRow::size).chain(cursors).sum();
        if bytes > MOST_BYTES {
            return Err(AppendError::TooLarge);
        }
        Ok(InboxPage {
            rows,
            cursors: self.cursors,
            lease: self.lease,
        })
    }
}

fn can_be_read_back(event: &NewEvent) -> bool {
    let context = event.meta.context.as_ref();
    context.is_none_or(|context| is_within(context, MAX_CONTEXT_DEPTH))
}

/// Whether `value` has at most `levels` lists and objects within each other.
fn is_within(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else {
        return !value.is_array() && !value.is_object();
    };
    match value {
        Value::Array(values) => values.iter().all(|value| is_within(value, left)),
        Value::Object(values) => values.values().all(|value| is_within(value, left)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::model::{EventMeta, Millis, SourceName};

    fn event(body: &Bytes, context: Option<Value>) -> NewEvent {
        NewEvent {
            source: SourceName::new("demo"),
            received_at: Millis(7),
            content_type: "application/json".to_owned(),
            meta: EventMeta {
                context,
                ..EventMeta::default()
            },
            body: body.clone(),
        }
    }

    fn fits(events: Vec<NewEvent>, cursors: usize, state_bytes: usize) -> bool {
        let cursor = CursorMove {
            source: SourceName::new("demo"),
            key: String::new(),
            expected: 0,
            state: Some("x".repeat(state_bytes)),
        };
        let page = Page {
            events,
            cursors: vec![cursor; cursors],
            lease: None,
        };
        match page.into_rows() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, AppendError::TooLarge);
                false
            }
        }
    }

    #[test]
    fn a_page_has_limits_and_fits_up_to_them() {
        let small = Bytes::from_static(b"{}");
        assert!(fits(vec![event(&small, None); MOST_EVENTS], 1_000, 1));
        assert!(!fits(vec![event(&small, None); MOST_EVENTS + 1], 0, 0));
        assert!(!fits(Vec::new(), 1_001, 0));
        assert!(!fits(Vec::new(), 2, MOST_BYTES / 2 + 1));
        let large = Bytes::from(vec![b'x'; MOST_BYTES / 4]);
        // Beside the bodies is what else is kept.
        assert!(fits(vec![event(&large, None); 3], 1, 1));
        assert!(!fits(vec![event(&large, None); 4], 0, 0));
        let context = json!("x".repeat(MOST_BYTES / 4));
        assert!(!fits(vec![event(&large, Some(context)); 3], 0, 0));
    }

    #[test]
    fn a_context_that_could_not_be_read_back_is_refused() {
        let mut context = json!(1);
        for _ in 0..MAX_CONTEXT_DEPTH {
            context = json!({ "of": 1, "in": context });
        }
        let body = Bytes::new();
        assert!(fits(vec![event(&body, Some(context.clone()))], 0, 0));
        assert!(!fits(vec![event(&body, Some(json!([context])))], 0, 0));
    }
}
