//! When the org is asked, and how. Pure.

use std::time::Duration;

use crate::model::Millis;
use crate::store::DescribeMark;

/// A whole answer at least this often: what a user may do can change without moving the date that a
/// conditional request goes by.
const WHOLE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// A process that starts asks, unless another has just done so.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// After a refusal that says that we know the org wrongly; doubled for each time that brought nothing.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// The most doublings: 40 minutes.
const MOST_DOUBLINGS: u32 = 3;

/// While leads are held for what the org's fields say.
const HELD: Duration = Duration::from_secs(15 * 60);

/// A whole answer this often while leads are held: it may be a permission that was lacking.
const WHOLE_WHILE_HELD: Duration = Duration::from_secs(60 * 60);

/// How to look at an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Not now.
    No,
    /// What is known is checked against the mapping, which is another; no call.
    Recheck,
    /// The org is asked whether it has changed.
    IfChanged,
    /// The org is asked for all of it.
    Whole,
}

/// Why one might look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// This process has not looked yet.
    pub(super) first: bool,
    /// The mapping is another than at the last look.
    pub(super) other_mapping: bool,
    /// A refusal says that we know the org wrongly; and how many looks for such brought nothing.
    pub(super) doubt: Option<u32>,
    /// Leads are held for what the org's fields say.
    pub(super) held: bool,
}

/// Whether to look at an object that was last looked at by `mark`, and how.
pub(super) fn look(mark: Option<&DescribeMark>, need: &Need, now: Millis) -> Look {
    let Some(mark) = mark else {
        return Look::Whole;
    };
    let is_over = |since: Millis, span: Duration| !since.was_within(span, now);
    let early = |fruitless: u32| EARLY * 2_u32.pow(fruitless.min(MOST_DOUBLINGS));
    let doubted = need
        .doubt
        .is_some_and(|fruitless| is_over(mark.checked_at, early(fruitless)));
    if is_over(mark.read_at, WHOLE_EVERY)
        || doubted
        || (need.first && is_over(mark.checked_at, FRESH))
    {
        return Look::Whole;
    }
    if need.held && is_over(mark.checked_at, HELD) {
        return if is_over(mark.read_at, WHOLE_WHILE_HELD) {
            Look::Whole
        } else {
            Look::IfChanged
        };
    }
    if need.other_mapping || need.first {
        return Look::Recheck;
    }
    Look::No
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn check(read: i64, checked: i64, need: Need, expect: Look) {
        let now = Millis(100_000 * MINUTE);
        let mark = DescribeMark {
            object: "Lead".to_owned(),
            last_modified: None,
            mapping: String::new(),
            read_at: Millis(now.0 - read * MINUTE),
            checked_at: Millis(now.0 - checked * MINUTE),
            changed_at: Millis(0),
        };
        assert_eq!(
            look(Some(&mark), &need, now),
            expect,
            "{read} {checked} {need:?}"
        );
    }

    #[test]
    fn the_org_is_asked_when_there_is_a_reason_and_not_more_often() {
        let none = Need::default();
        let first = Need {
            first: true,
            ..none
        };
        let held = Need { held: true, ..none };
        let doubt = |fruitless| Need {
            doubt: Some(fruitless),
            ..none
        };
        let other = Need {
            other_mapping: true,
            ..none
        };
        assert_eq!(look(None, &none, Millis(0)), Look::Whole);
        check(60, 60, none, Look::No);
        check(24 * 60 + 1, 1, none, Look::Whole);
        check(60, 60, first, Look::Whole);
        check(60, 4, first, Look::Recheck);
        check(60, 4, other, Look::Recheck);
        check(30, 14, held, Look::No);
        check(30, 16, held, Look::IfChanged);
        check(61, 16, held, Look::Whole);
        check(30, 4, doubt(0), Look::No);
        check(30, 6, doubt(0), Look::Whole);
        check(30, 6, doubt(1), Look::No);
        check(30, 11, doubt(1), Look::Whole);
        check(60, 41, doubt(30), Look::Whole);
        // The clock was set back.
        check(-60, -60, none, Look::Whole);
    }
}
