//! What the org has been asked, and how much of its daily allowance that took.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::model::Millis;

const MINUTE: i64 = 60_000;
const DAY_IN_MINUTES: i64 = 24 * 60;

/// Requests by what they were for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Calls {
    /// Requests by kind: `token`, `describe`, `collection_upsert`, `query` and so on. Those that
    /// were refused or met a fault are among them.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// Calls that counted against the daily limit since the org began.
    pub api: u64,
}

impl Calls {
    /// Requests of a kind.
    pub fn count(&self, kind: &str) -> u64 {
        self.by_kind.get(kind).copied().unwrap_or_default()
    }
}

/// Counts calls and says when the allowance of the rolling 24 hours is gone.
#[derive(Debug)]
pub(super) struct Meter {
    limit: u64,
    used: u64,
    /// Minutes since 1970 with their calls, oldest first.
    minutes: VecDeque<(i64, u64)>,
    calls: Calls,
}

impl Meter {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            minutes: VecDeque::new(),
            calls: Calls::default(),
        }
    }

    pub(super) fn count(&mut self, kind: &'static str) {
        *self.calls.by_kind.entry(kind).or_default() += 1;
    }

    /// Takes one call off the allowance; `false` if it is gone.
    pub(super) fn charge(&mut self, now: Millis) -> bool {
        let minute = now.0.div_euclid(MINUTE);
        while let Some((oldest, count)) = self.minutes.front()
            && minute - oldest >= DAY_IN_MINUTES
        {
            self.used -= count;
            self.minutes.pop_front();
        }
        if self.used >= self.limit {
            return false;
        }
        match self.minutes.back_mut() {
            Some((newest, count)) if *newest == minute => *count += 1,
            _ => self.minutes.push_back((minute, 1)),
        }
        self.used += 1;
        self.calls.api += 1;
        true
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Calls used and allowed.
    pub(super) fn usage(&self) -> (u64, u64) {
        (self.used, self.limit)
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_allowance_comes_back_after_24_hours() {
        let mut meter = Meter::new(2);
        let morning = Millis(1_772_359_200_000);
        assert!(meter.charge(morning));
        let noon = morning.after(Duration::from_secs(4 * 3600));
        assert!(meter.charge(noon));
        assert!(!meter.charge(noon));
        let next_day = morning.after(Duration::from_secs(24 * 3600));
        assert!(meter.charge(next_day));
        assert!(!meter.charge(next_day));
        assert_eq!((meter.usage(), meter.calls().api), ((2, 2), 3));
    }
}
