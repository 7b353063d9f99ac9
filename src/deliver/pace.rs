//! When the loop may send at all. Pure: it is told the time.

use std::time::Duration;

use crate::model::Millis;
use crate::store::Backlog;

/// How many times the linger a delivery waits at most for others to share its call.
const MOST_LINGERS: u32 = 4;

/// When a backlog is to be sent; none while there is nothing in it.
///
/// A full batch goes at once. Otherwise it goes when nothing new came for `linger`, so that a
/// single lead is there within a second and a burst still fills its calls; at the latest when the
/// oldest has waited four times as long, or as long after the call that it did not fit into, which
/// ended at `last_call`.
pub fn ready_at(
    backlog: &Backlog,
    batch_size: usize,
    linger: Duration,
    last_call: Millis,
) -> Option<Millis> {
    let (Some(oldest), Some(newest)) = (backlog.oldest, backlog.newest) else {
        return backlog.next;
    };
    if backlog.due >= batch_size {
        return Some(oldest);
    }
    Some(
        newest
            .after(linger)
            .min(oldest.max(last_call).after(linger * MOST_LINGERS)),
    )
}

/// Holds all sending back while the whole org, the network or the sign-in fails: what waits is no
/// lead's fault, and hammering cures nothing.
#[derive(Debug, Default)]
pub struct Pace {
    /// Failures in a row that were no lead's fault.
    pub streak: u32,
    /// Not before this.
    pub until: Option<Millis>,
    /// When the last call ended.
    pub last_call: Option<Millis>,
}

impl Pace {
    /// Notes that a call went through. Returns whether that ends a time of trouble.
    pub fn recovered(&mut self) -> bool {
        self.until = None;
        std::mem::take(&mut self.streak) > 0
    }

    /// Notes that nothing can be sent before `until`. Returns whether that is news.
    pub fn hold(&mut self, until: Millis) -> bool {
        self.streak = self.streak.saturating_add(1);
        self.until = Some(until);
        self.streak == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(200);

    fn check(due: usize, oldest: i64, newest: i64, last_call: i64, expect: Option<i64>) {
        let backlog = Backlog {
            due,
            oldest: (due > 0).then_some(Millis(oldest)),
            newest: (due > 0).then_some(Millis(newest)),
            next: None,
        };
        assert_eq!(
            ready_at(&backlog, 200, LINGER, Millis(last_call)),
            expect.map(Millis),
            "{backlog:?}"
        );
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_nothing_more_comes() {
        check(0, 0, 0, 0, None);
        check(1, 1_000, 1_000, 0, Some(1_200));
        check(50, 1_000, 1_300, 0, Some(1_500));
        check(50, 1_000, 1_790, 0, Some(1_800));
        check(50, 1_000, 1_790, 1_500, Some(1_990));
        check(50, 1_000, 2_290, 1_500, Some(2_300));
        check(200, 1_000, 1_100, 1_500, Some(1_000));
    }

    #[test]
    fn with_nothing_due_it_waits_for_the_next() {
        let backlog = Backlog {
            next: Some(Millis(5)),
            ..Backlog::default()
        };
        assert_eq!(ready_at(&backlog, 200, LINGER, Millis(0)), Some(Millis(5)));
    }

    #[test]
    fn trouble_is_news_once_and_so_is_its_end() {
        let mut pace = Pace::default();
        assert!(pace.hold(Millis(1)));
        assert!(!pace.hold(Millis(2)));
        assert!(pace.recovered());
        assert!(!pace.recovered());
    }
}
