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
///
/// What was decided cannot have been decided after `now`, so no wait from now on is longer than
/// `linger`: a longer one is that of a clock that was set back since, and is over.
pub fn ready_at(
    backlog: &Backlog,
    batch_size: usize,
    linger: Duration,
    last_call: Millis,
    now: Millis,
) -> Option<Millis> {
    let (Some(oldest), Some(newest)) = (backlog.oldest, backlog.newest) else {
        return backlog.next;
    };
    if backlog.due >= batch_size {
        return Some(oldest);
    }
    let ready = newest
        .after(linger)
        .min(oldest.max(last_call).after(linger * MOST_LINGERS));
    Some(if ready > now.after(linger) {
        now
    } else {
        ready
    })
}

/// What the loop has learnt from the last calls: whether to hold everything back, and how many
/// leads to risk in one call.
///
/// While the org, the network or the sign-in fails, what waits is no lead's fault, and hammering
/// cures nothing. If one lead brings down every call that it is in, ever smaller calls find it.
#[derive(Debug, Default)]
pub struct Pace {
    /// Calls in a row that failed as a whole.
    pub streak: u32,
    /// When the last call ended.
    pub last_call: Option<Millis>,
    hold: Option<Hold>,
    /// The next call is to be smaller by this power of two.
    halvings: u32,
}

/// Nothing is sent meanwhile.
#[derive(Debug)]
struct Hold {
    from: Millis,
    until: Millis,
    /// It is for want of a sign-in: how often signing in had gone well before.
    sign_ins: Option<u64>,
}

impl Pace {
    /// How many leads the next call may hold, of `batch_size`.
    pub fn batch_size(&self, batch_size: usize) -> usize {
        (batch_size >> self.halvings.min(usize::BITS - 1)).max(1)
    }

    /// Until when nothing may be sent, if it may not be now. A hold that begins later than `now` is
    /// over: the clock was set back since.
    pub fn held_until(&self, now: Millis) -> Option<Millis> {
        let hold = self.hold.as_ref()?;
        (hold.from <= now && now < hold.until).then_some(hold.until)
    }

    /// Notes how often signing in has gone well by now. If it has since it was what held everything
    /// back, nothing is held back any longer.
    pub fn signed_in(&mut self, sign_ins: u64) {
        self.hold
            .take_if(|hold| hold.sign_ins.is_some_and(|before| before < sign_ins));
    }

    /// Notes that a call went through. Returns whether that ends a time of trouble.
    pub fn recovered(&mut self) -> bool {
        self.hold = None;
        self.halvings = self.halvings.saturating_sub(1);
        std::mem::take(&mut self.streak) > 1
    }

    /// Notes that a call failed as a whole, and for how long from `now` on nothing can be sent. If
    /// it failed for want of a sign-in, `sign_ins` says how often signing in has gone well so far.
    /// Returns whether that is news: a single failure is not.
    pub fn failed(&mut self, now: Millis, wait: Option<Duration>, sign_ins: Option<u64>) -> bool {
        self.streak = self.streak.saturating_add(1);
        self.hold = wait.map(|wait| Hold {
            from: now,
            until: now.after(wait),
            sign_ins,
        });
        // No batch is larger than 200.
        self.halvings = (self.halvings + 1).min(8);
        self.streak == 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(200);

    fn failed(pace: &mut Pace) -> bool {
        pace.failed(Millis(0), None, None)
    }

    fn check(due: usize, oldest: i64, newest: i64, last_call: i64, expect: Option<i64>) {
        let backlog = Backlog {
            due,
            oldest: (due > 0).then_some(Millis(oldest)),
            newest: (due > 0).then_some(Millis(newest)),
            next: None,
        };
        assert_eq!(
            ready_at(&backlog, 200, LINGER, Millis(last_call), Millis(newest)),
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
        let ready = ready_at(&backlog, 200, LINGER, Millis(0), Millis(0));
        assert_eq!(ready, Some(Millis(5)));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_wait_for_the_time_before() {
        let hour = Millis(3_600_000);
        let backlog = Backlog {
            due: 1,
            oldest: Some(hour),
            newest: Some(hour),
            next: None,
        };
        let ready = |last_call, now| ready_at(&backlog, 200, LINGER, last_call, now);
        assert_eq!(ready(Millis(0), Millis(1_000)), Some(Millis(1_000)));
        assert_eq!(ready(hour, Millis(1_000)), Some(Millis(1_000)));
        assert_eq!(ready(hour, hour), Some(hour.after(LINGER)));

        let mut pace = Pace::default();
        pace.failed(hour, Some(LINGER), None);
        assert_eq!(pace.held_until(hour), Some(hour.after(LINGER)));
        assert_eq!(pace.held_until(hour.after(LINGER)), None);
        assert_eq!(pace.held_until(Millis(1_000)), None);
    }

    #[test]
    fn a_sign_in_ends_the_wait_for_one_and_no_other() {
        let held = |sign_ins, later| {
            let mut pace = Pace::default();
            pace.failed(Millis(0), Some(LINGER), sign_ins);
            pace.signed_in(later);
            pace.held_until(Millis(1)).is_some()
        };
        assert!(held(Some(1), 1), "nobody has signed in since");
        assert!(!held(Some(1), 2));
        assert!(held(None, 2), "something else is wrong");
    }

    #[test]
    fn trouble_is_news_once_and_so_is_its_end() {
        let mut pace = Pace::default();
        assert!(!failed(&mut pace));
        assert!(failed(&mut pace));
        assert!(!failed(&mut pace));
        assert!(pace.recovered());
        assert!(!pace.recovered());
        assert!(!failed(&mut pace));
        assert!(!pace.recovered());
    }

    #[test]
    fn calls_get_smaller_while_they_fail_and_grow_again() {
        let mut pace = Pace::default();
        let mut sizes = vec![pace.batch_size(200)];
        for _ in 0..9 {
            failed(&mut pace);
            sizes.push(pace.batch_size(200));
        }
        assert_eq!(sizes, [200, 100, 50, 25, 12, 6, 3, 1, 1, 1]);
        for _ in 0..8 {
            pace.recovered();
        }
        assert_eq!(pace.batch_size(200), 200);
    }
}
