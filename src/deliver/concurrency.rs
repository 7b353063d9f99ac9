//! How many calls at a time, and which rows may go in calls beside each other. Pure.
//!
//! Salesforce locks a record's parents while it writes: two calls at once with members of one
//! campaign, or leads of one account, fail with `UNABLE_TO_LOCK_ROW`. And it bears only so many
//! calls at once, which it says by 503 and by slowness, never by a number.

use std::collections::HashMap;
use std::time::Duration;

/// The most calls at a time. Source: the limits cheatsheet counts calls of 20 s and more, 25 at
/// once for all the org's integrations together, 5 in small editions; we leave most of them.
pub const MOST_AT_ONCE: usize = 4;

/// An answer that takes so many times as long as usual says that the org is busy; and at least so
/// much longer, as what is quick anyway varies.
const SLOW_FACTOR: f64 = 2.0;
const SLOW_AT_LEAST: Duration = Duration::from_secs(1);

/// How fast the usual time follows: up slowly, so that a busy org does not become what is usual.
const FOLLOW_UP: f64 = 0.02;
const FOLLOW_DOWN: f64 = 0.3;

/// How a call ended, as far as it tells how busy the org is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// It was answered after this time.
    Answered(Duration),
    /// Some of its rows, or parents of them, were locked.
    Locked,
    /// 503, a time-out, or too many long calls at once.
    Overloaded,
}

/// How many calls may be made at once: one more after each round that went well, half as many
/// after one that did not.
#[derive(Debug, Clone)]
pub struct Concurrency {
    limit: f64,
    usual_ms: Option<f64>,
    /// Calls that were begun before the last cut say nothing new.
    cut_at: u64,
    begun: u64,
}

/// A call under way.
#[derive(Debug, Clone, Copy)]
#[must_use = "how the call ended is to be told"]
pub struct CallTicket(u64);

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            limit: 1.0,
            usual_ms: None,
            cut_at: 0,
            begun: 0,
        }
    }
}

impl Concurrency {
    /// How many calls may be under way now, 1 to [`MOST_AT_ONCE`].
    pub fn limit(&self) -> usize {
        (self.limit.floor() as usize).clamp(1, MOST_AT_ONCE)
    }

    /// Notes that a call begins.
    pub fn begin(&mut self) -> CallTicket {
        self.begun += 1;
        CallTicket(self.begun)
    }

    /// Notes how it ended.
    pub fn end(&mut self, call: CallTicket, end: CallEnd) {
        match end {
            CallEnd::Answered(took) if self.is_slow(took) => {
                self.follow(took);
                self.cut(call, self.limit - 1.0);
            }
            CallEnd::Answered(took) => {
                self.follow(took);
                self.limit = (self.limit + 1.0 / self.limit).min(MOST_AT_ONCE as f64);
            }
            CallEnd::Locked | CallEnd::Overloaded => self.cut(call, self.limit / 2.0),
        }
    }

    fn is_slow(&self, took: Duration) -> bool {
        let took = took.as_millis() as f64;
        self.usual_ms.is_some_and(|usual| {
            took > usual * SLOW_FACTOR && took > usual + SLOW_AT_LEAST.as_millis() as f64
        })
    }

    fn follow(&mut self, took: Duration) {
        let took = took.as_millis() as f64;
        let usual = self.usual_ms.unwrap_or(took);
        let by = if took > usual { FOLLOW_UP } else { FOLLOW_DOWN };
        self.usual_ms = Some(usual + (took - usual) * by);
    }

    /// Calls that were under way together meet the same trouble: it counts once.
    fn cut(&mut self, call: CallTicket, limit: f64) {
        if call.0 > self.cut_at {
            self.cut_at = self.begun;
            self.limit = limit.max(1.0);
        }
    }
}

/// Puts rows into calls of at most `batch_size`, and calls into at most `lanes` rows of calls: lanes
/// may go beside each other, the calls of a lane one after the other. `parents` are those of each
/// row; no two lanes have one in common. Rows that share parents stand together.
///
/// Returns the positions of the rows: lanes, calls, rows.
pub fn plan_calls(parents: &[Vec<&str>], lanes: usize, batch_size: usize) -> Vec<Vec<Vec<usize>>> {
    let (lanes, batch_size) = (lanes.max(1), batch_size.max(1));
    let (mut bound, mut free) = (groups(parents), Vec::new());
    bound.retain(|group| {
        if group.len() == 1 && parents[group[0]].is_empty() {
            free.push(group[0]);
            return false;
        }
        true
    });
    // The largest first, each into the lane that has the least: as even as groups allow.
    bound.sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); lanes];
    for group in bound {
        least(&mut rows).extend(group);
    }
    // Full calls of whoever has no parents, as long as they last.
    for row in free.chunks(batch_size) {
        least(&mut rows).extend(row);
    }
    rows.retain(|rows| !rows.is_empty());
    rows.iter()
        .map(|rows| rows.chunks(batch_size).map(<[usize]>::to_vec).collect())
        .collect()
}

fn least(lanes: &mut [Vec<usize>]) -> &mut Vec<usize> {
    let smallest = (0..lanes.len()).min_by_key(|&lane| lanes[lane].len());
    &mut lanes[smallest.unwrap_or(0)]
}

/// Rows that have a parent in common, directly or by others.
fn groups(parents: &[Vec<&str>]) -> Vec<Vec<usize>> {
    let mut leader: Vec<usize> = (0..parents.len()).collect();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (row, parents) in parents.iter().enumerate() {
        for parent in parents {
            let other = *first.entry(parent).or_insert(row);
            let (one, other) = (find(&mut leader, row), find(&mut leader, other));
            let (low, high) = (one.min(other), one.max(other));
            leader[high] = low;
        }
    }
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for row in 0..parents.len() {
        groups.entry(find(&mut leader, row)).or_default().push(row);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_unstable();
    groups
}

fn find(leader: &mut [usize], mut row: usize) -> usize {
    while leader[row] != row {
        leader[row] = leader[leader[row]];
        row = leader[row];
    }
    row
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const QUICK: CallEnd = CallEnd::Answered(Duration::from_millis(300));

    fn after(ends: &[CallEnd]) -> Concurrency {
        let mut concurrency = Concurrency::default();
        for end in ends {
            let call = concurrency.begin();
            concurrency.end(call, *end);
        }
        concurrency
    }

    #[test]
    fn it_grows_by_one_a_round_and_halves_at_trouble() {
        assert_eq!(after(&[]).limit(), 1);
        assert_eq!(after(&[QUICK]).limit(), 2);
        assert_eq!(after(&[QUICK; 4]).limit(), 3);
        assert_eq!(after(&[QUICK; 50]).limit(), MOST_AT_ONCE);
        for trouble in [CallEnd::Locked, CallEnd::Overloaded] {
            let mut concurrency = after(&[QUICK; 50]);
            let call = concurrency.begin();
            concurrency.end(call, trouble);
            assert_eq!(concurrency.limit(), 2);
        }
        assert_eq!(after(&[CallEnd::Overloaded; 50]).limit(), 1);
    }

    #[test]
    fn calls_that_met_the_same_trouble_count_once() {
        let mut concurrency = after(&[QUICK; 50]);
        let calls: Vec<_> = (0..4).map(|_| concurrency.begin()).collect();
        for call in calls {
            concurrency.end(call, CallEnd::Overloaded);
        }
        assert_eq!(concurrency.limit(), 2);
        let next = concurrency.begin();
        concurrency.end(next, CallEnd::Overloaded);
        assert_eq!(concurrency.limit(), 1);
    }

    #[test]
    fn an_org_that_gets_slow_gets_fewer_calls_at_a_time() {
        let mut concurrency = after(&[QUICK; 50]);
        let slow = CallEnd::Answered(Duration::from_secs(3));
        for _ in 0..3 {
            let call = concurrency.begin();
            concurrency.end(call, slow);
        }
        assert_eq!(concurrency.limit(), 1);
        // What is slow from the start is usual there.
        assert_eq!(after(&[slow; 50]).limit(), MOST_AT_ONCE);
    }

    #[test]
    fn rows_of_one_parent_go_one_after_the_other() {
        let parents = [
            vec!["a"],
            vec![],
            vec!["b"],
            vec!["a", "c"],
            vec!["c"],
            vec![],
            vec!["d"],
        ];
        let plan = plan_calls(&parents, 2, 2);
        assert_eq!(
            plan,
            [vec![vec![0, 3], vec![4]], vec![vec![2, 6], vec![1, 5]],]
        );
        assert_eq!(plan_calls(&[], 4, 200), Vec::<Vec<Vec<usize>>>::new());
    }

    proptest! {
        #[test]
        fn every_row_goes_once_and_no_parent_is_in_two_lanes(
            parents in prop::collection::vec(prop::collection::vec(0_u8..30, 0..3), 0..120),
            lanes in 0_usize..6,
            batch_size in 0_usize..20,
        ) {
            let names: Vec<String> = (0..30).map(|n| n.to_string()).collect();
            let parents: Vec<Vec<&str>> = parents
                .iter()
                .map(|row| row.iter().map(|&n| names[usize::from(n)].as_str()).collect())
                .collect();
            let plan = plan_calls(&parents, lanes, batch_size);
            prop_assert!(plan.len() <= lanes.max(1));
            let mut rows: Vec<usize> = plan.concat().concat();
            rows.sort_unstable();
            prop_assert_eq!(rows, (0..parents.len()).collect::<Vec<_>>());
            let mut seen: HashSet<&str> = HashSet::new();
            for lane in &plan {
                prop_assert!(lane.iter().all(|call| !call.is_empty() && call.len() <= batch_size.max(1)));
                let mine: HashSet<&str> = lane.concat().iter().flat_map(|&row| parents[row].clone()).collect();
                prop_assert!(mine.is_disjoint(&seen));
                seen.extend(mine);
            }
        }

        #[test]
        fn it_stays_within_its_bounds(ends in prop::collection::vec(0_u64..6_000, 0..100)) {
            let ends: Vec<_> = ends
                .into_iter()
                .map(|n| match n % 7 {
                    0 => CallEnd::Locked,
                    1 => CallEnd::Overloaded,
                    _ => CallEnd::Answered(Duration::from_millis(n)),
                })
                .collect();
            prop_assert!((1..=MOST_AT_ONCE).contains(&after(&ends).limit()));
        }
    }
}
