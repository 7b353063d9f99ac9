use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// The moment `duration` later; stays at the last moment rather than wrap.
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whether this was less than `span` before `now`. A moment that lies ahead was not: it is of a
    /// clock that was set back since.
    pub fn was_within(self, span: Duration, now: Self) -> bool {
        self <= now && now.since(self) < span
    }
}

impl fmt::Display for Millis {
    /// RFC 3339 in UTC, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_to_come_is_not_recent() {
        let second = Duration::from_secs(1);
        for (at, recent) in [(5_000, true), (4_001, true), (4_000, false), (5_001, false)] {
            assert_eq!(Millis(at).was_within(second, Millis(5_000)), recent, "{at}");
        }
    }

    #[test]
    fn a_moment_prints_as_rfc_3339_with_milliseconds() {
        assert_eq!(
            Millis(1_772_359_200_005).to_string(),
            "2026-03-01T10:00:00.005Z"
        );
        assert_eq!(Millis(i64::MAX).to_string(), format!("{} ms", i64::MAX));
    }
}
