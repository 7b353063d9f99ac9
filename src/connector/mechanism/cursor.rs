//! How far a list has been read: from where the next walk asks, and what a walk moves.
//!
//! Pure: no clock, no network. Promises: `since` never goes back and never into the future; a walk
//! that did not end has moved it only where the vendor lists oldest first.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::paging::Position;
use crate::connector::manifest::{Cursor, CursorKind, Order, TimeFormat};
use crate::connector::time;
use crate::model::Millis;

/// Ties of one second are asked for again whatever a manifest says: vendors differ in whether
/// `since` takes in the moment itself.
const LEAST_OVERLAP: i64 = 1_000;

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// A place in a list: a time in milliseconds, a number, or a text of the vendor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mark {
    /// A time or number.
    Number(i64),
    /// What only the vendor understands.
    Text(String),
}

impl Mark {
    /// The time or number.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

/// How far a list has been read, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// All up to here has been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Mark>,
    /// A walk that has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk: Option<Walk>,
    /// When the last walk that has ended began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<Millis>,
    /// What the item looked like then, where an item that has not changed is not read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// One way through a list, from its first page to the vendor's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// When it began.
    pub began: Millis,
    /// When its last page was read.
    pub touched: Millis,
    /// From where it asks; all there is if not said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asked: Option<Mark>,
    /// Up to when it asks: fixed at its start.
    pub until: Millis,
    /// The greatest mark that it has met.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<Mark>,
    /// Where it is.
    pub position: Position,
    /// Records on a page, once the vendor found a page too large.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u32>,
    /// Pages read.
    #[serde(default)]
    pub pages: u64,
    /// Records met.
    #[serde(default)]
    pub records: u64,
    /// Records taken.
    #[serde(default)]
    pub taken: u64,
    /// How often it had to begin anew.
    #[serde(default)]
    pub restarts: u32,
    /// What the item whose list this is said of its changes when it began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<String>,
}

/// Where a first walk begins, if not where the manifest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// From when.
    pub since: Option<Millis>,
    /// Until when; until it begins, if not said.
    pub until: Option<Millis>,
}

/// The rules of one poll's cursor.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Without one, a list is read whole each time.
    cursor: Option<Written>,
}

#[derive(Debug, Clone)]
struct Written {
    kind: CursorKind,
    format: TimeFormat,
    zone: TimeZone,
    overlap: i64,
    first_days: Option<u32>,
    order: Order,
    stops: bool,
}

impl Rules {
    /// The rules of a manifest's cursor, whose times are in `zone` where they name none.
    pub fn new(cursor: Option<&Cursor>, zone: TimeZone) -> Self {
        Self {
            cursor: cursor.map(|cursor| Written {
                kind: cursor.kind,
                format: cursor.format,
                zone,
                overlap: i64::try_from(cursor.overlap_seconds)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1_000)
                    .max(LEAST_OVERLAP),
                first_days: cursor.first_days,
                order: cursor.order,
                stops: cursor.stops,
            }),
        }
    }

    /// Whether the cursor stands in the answer and not in its records.
    pub fn is_token(&self) -> bool {
        self.cursor
            .as_ref()
            .is_some_and(|cursor| cursor.kind == CursorKind::Token)
    }

    /// Whether the cursor is a time, so that a walk can be asked for a span of time.
    pub fn is_time(&self) -> bool {
        self.cursor
            .as_ref()
            .is_some_and(|cursor| cursor.kind == CursorKind::Time)
    }

    /// Whether a walk only ends by meeting what is known: older records may be on its last pages.
    pub fn stops(&self) -> bool {
        self.cursor.as_ref().is_some_and(|cursor| cursor.stops)
    }

    /// The mark that a record, or for a token the answer, says.
    pub fn mark(&self, text: &str) -> Option<Mark> {
        let cursor = self.cursor.as_ref()?;
        match cursor.kind {
            CursorKind::Time => {
                // The answer may write times in another way than the request.
                let at = time::parse(text, Some(cursor.format), &cursor.zone)
                    .or_else(|| time::parse(text, None, &cursor.zone));
                at.map(|at| Mark::Number(at.0))
            }
            CursorKind::Number => text.trim().parse().ok().map(Mark::Number),
            CursorKind::Token => Some(Mark::Text(text.to_owned())),
        }
    }

    /// A mark as the request writes it.
    pub fn written(&self, mark: &Mark) -> String {
        match (mark, &self.cursor) {
            (Mark::Number(at), Some(cursor)) if cursor.kind == CursorKind::Time => {
                time::format(Millis(*at), cursor.format, &cursor.zone)
            }
            (Mark::Number(number), _) => number.to_string(),
            (Mark::Text(text), _) => text.clone(),
        }
    }

    /// A moment as the request writes it.
    pub fn written_time(&self, at: Millis) -> String {
        match &self.cursor {
            Some(cursor) => time::format(at, cursor.format, &cursor.zone),
            None => time::format(at, TimeFormat::Rfc3339, &TimeZone::UTC),
        }
    }

    /// From when a first walk asks, if it is a time and not all there is.
    pub fn first(&self, start: Option<Millis>, now: Millis) -> Option<Millis> {
        let cursor = self.cursor.as_ref()?;
        if cursor.kind != CursorKind::Time {
            return None;
        }
        start.or_else(|| {
            let days = i64::from(cursor.first_days?);
            Some(Millis(now.0.saturating_sub(days.saturating_mul(DAY))))
        })
    }

    /// A new walk. `span` says from and until when, in place of how far the list has been read.
    pub fn begin(
        &self,
        state: &State,
        start: Option<Millis>,
        span: Option<Span>,
        now: Millis,
    ) -> Walk {
        let asked = match span {
            Some(span) => span
                .since
                .filter(|_| self.is_time())
                .map(|at| Mark::Number(at.0)),
            None => match &state.since {
                Some(since) => Some(self.overlapped(since)),
                None => self.first(start, now).map(|at| Mark::Number(at.0)),
            },
        };
        Walk {
            began: now,
            touched: now,
            asked,
            until: span.and_then(|span| span.until).unwrap_or(now),
            max: None,
            position: Position::First,
            size: None,
            pages: 0,
            records: 0,
            taken: 0,
            restarts: 0,
            fingerprint: None,
        }
    }

    fn overlapped(&self, since: &Mark) -> Mark {
        match (since, &self.cursor) {
            (Mark::Number(at), Some(cursor)) if cursor.kind == CursorKind::Time => {
                Mark::Number(at.saturating_sub(cursor.overlap))
            }
            _ => since.clone(),
        }
    }

    /// Takes note of a mark that a page brought.
    pub fn observe(&self, walk: &mut Walk, mark: &Mark) {
        let mark = match mark {
            // A vendor's clock may be ahead: what is later than now is asked for again.
            Mark::Number(at) if self.is_time() => Mark::Number((*at).min(walk.began.0)),
            other => other.clone(),
        };
        walk.max = later(walk.max.take(), Some(mark));
    }

    /// Whether a record lies before what a walk asks for: only where the vendor takes no `since`.
    pub fn is_before(&self, walk: &Walk, mark: Option<&Mark>) -> bool {
        let asked = walk.asked.as_ref().and_then(Mark::number);
        let at = mark.and_then(Mark::number);
        self.stops() && asked.zip(at).is_some_and(|(asked, at)| at < asked)
    }

    /// A page of `walk` has been read: moves what may move before the walk is complete.
    pub fn page_read(&self, state: &mut State, walk: &Walk) {
        let ascends = self
            .cursor
            .as_ref()
            .is_some_and(|cursor| cursor.order == Order::Ascending);
        if ascends && !self.is_token() {
            state.since = later(state.since.take(), walk.max.clone());
        }
    }

    /// `walk` is complete.
    pub fn complete(&self, state: &mut State, walk: &Walk) {
        state.since = later(state.since.take(), walk.max.clone());
        state.complete = Some(walk.began);
        state.walk = None;
    }
}

/// The later of two marks; of texts the second.
fn later(one: Option<Mark>, other: Option<Mark>) -> Option<Mark> {
    match (one, other) {
        (Some(Mark::Number(one)), Some(Mark::Number(other))) => Some(Mark::Number(one.max(other))),
        (one, None) => one,
        (_, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(toml: &str) -> Rules {
        let cursor: Cursor = toml::from_str(toml).unwrap();
        Rules::new(Some(&cursor), TimeZone::UTC)
    }

    const NOW: Millis = Millis(1_772_359_200_000);

    fn at(offset: i64) -> Mark {
        Mark::Number(NOW.0 + offset)
    }

    #[test]
    fn a_first_walk_goes_back_as_far_as_is_said() {
        let rules = rules("from = \"at\"\nfirst_days = 60");
        let state = State::default();
        let asked = |start, span| rules.begin(&state, start, span, NOW).asked;
        assert_eq!(asked(None, None), Some(at(-60 * DAY)));
        assert_eq!(asked(Some(Millis(5)), None), Some(Mark::Number(5)));
        let span = Span {
            since: Some(Millis(7)),
            until: Some(Millis(9)),
        };
        assert_eq!(asked(None, Some(span)), Some(Mark::Number(7)));
        let walk = rules.begin(&state, None, Some(span), NOW);
        assert_eq!(walk.until, Millis(9));
    }

    #[test]
    fn the_next_walk_asks_from_the_last_mark_less_the_overlap() {
        for (toml, expect) in [
            ("from = \"at\"\noverlap_seconds = 3600", at(-3_600_000)),
            ("from = \"at\"", at(-1_000)),
            ("from = \"n\"\nkind = \"number\"", at(0)),
        ] {
            let rules = rules(toml);
            let mut state = State::default();
            let mut walk = rules.begin(&state, None, None, NOW);
            rules.observe(&mut walk, &at(0));
            rules.observe(&mut walk, &at(-5));
            rules.page_read(&mut state, &walk);
            assert_eq!(state.since, None, "{toml}: not before it is complete");
            rules.complete(&mut state, &walk);
            assert_eq!(
                rules.begin(&state, None, None, NOW).asked,
                Some(expect),
                "{toml}"
            );
        }
    }

    #[test]
    fn since_never_goes_back_nor_into_the_future() {
        for order in ["unordered", "ascending", "descending"] {
            let rules = rules(&format!("from = \"at\"\norder = \"{order}\""));
            let mut state = State {
                since: Some(at(-100)),
                ..State::default()
            };
            let mut walk = rules.begin(&state, None, None, NOW);
            rules.observe(&mut walk, &at(-200));
            rules.page_read(&mut state, &walk);
            assert_eq!(state.since, Some(at(-100)), "{order}");
            rules.observe(&mut walk, &at(90_000));
            rules.page_read(&mut state, &walk);
            let moved = order == "ascending";
            assert_eq!(state.since == Some(at(0)), moved, "{order}");
            rules.complete(&mut state, &walk);
            assert_eq!(state.since, Some(at(0)), "{order}");
        }
    }

    #[test]
    fn a_token_is_the_vendors_last_word() {
        let rules = rules("from = \"next\"\nkind = \"token\"");
        let mut state = State::default();
        let mut walk = rules.begin(&state, None, None, NOW);
        assert_eq!(walk.asked, None);
        for token in ["b", "a"] {
            rules.observe(&mut walk, &rules.mark(token).unwrap());
        }
        rules.complete(&mut state, &walk);
        let walk = rules.begin(&state, None, None, NOW);
        assert_eq!(walk.asked, Some(Mark::Text("a".to_owned())));
    }

    #[test]
    fn answers_may_write_times_in_another_way_than_requests() {
        let rules = rules("from = \"created_time\"\nformat = \"unix\"");
        let mark = rules.mark("2026-01-09T14:05:33+0000").unwrap();
        assert_eq!(rules.written(&mark), "1767967533");
        assert_eq!(rules.mark("0000-00-00"), None);
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written() {
        let rules = rules("from = \"at\"");
        let mut state = State {
            since: Some(Mark::Text("x".to_owned())),
            ..State::default()
        };
        state.walk = Some(rules.begin(&state, None, None, NOW));
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
        assert_eq!(serde_json::to_string(&State::default()).unwrap(), "{}");
    }
}
