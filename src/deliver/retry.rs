//! When to send again. Pure: the caller brings the randomness.

use std::time::Duration;

use crate::salesforce::Class;

/// What becomes of a delivery that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Send it again after this time.
    After(Duration),
    /// It needs a person: make it a dead letter.
    GiveUp,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The longest wait for what should pass in seconds, while it may still be that.
const SOON_MOST: Duration = Duration::from_secs(2 * 60);

/// Tries after which it is more than a hiccup: the waits then grow on to an hour, so that the
/// tries last for hours.
const SOON_TRIES: u32 = 10;

const LATER_MOST: Duration = Duration::from_secs(60 * 60);

/// The longest wait for what the whole org or a person has to put right: it should go on soon
/// after that.
const ORG_MOST: Duration = Duration::from_secs(15 * 60);

/// When a delivery is sent again that has failed by `class` at its try number `attempts`, from 1.
///
/// Waits double and are multiplied by `jitter`, 0.5 to 1. A delivery is given up after
/// `max_attempts` tries; never for what is no fault of its own ([`Class::HoldAll`],
/// [`Class::SignIn`]): those tries should not be counted. What a retry does not cure is given up
/// at once; [`Class::Resolve`] too, once the caller has found no record to resolve it to.
pub fn next_try(class: Class, attempts: u32, max_attempts: u32, jitter: f64) -> Retry {
    let attempts = attempts.max(1);
    let wait = match class {
        Class::HoldAll | Class::SignIn => doubled(MINUTE, attempts - 1).min(ORG_MOST),
        Class::RetrySoon | Class::RetryLater if attempts >= max_attempts => return Retry::GiveUp,
        Class::RetrySoon if attempts <= SOON_TRIES => doubled(SECOND, attempts - 1).min(SOON_MOST),
        Class::RetrySoon => doubled(SOON_MOST, attempts - SOON_TRIES).min(LATER_MOST),
        Class::RetryLater => doubled(MINUTE, attempts - 1).min(LATER_MOST),
        Class::Resolve
        | Class::Automation
        | Class::FixData
        | Class::FixConfig
        | Class::FixPermissions => return Retry::GiveUp,
    };
    Retry::After(wait.mul_f64(jitter.clamp(0.5, 1.0)))
}

/// How long all sending is held back after the failure number `streak` in a row, from 1, that was
/// no lead's fault: never so long that leads wait on when the trouble has long passed.
pub fn hold_all(class: Class, streak: u32, jitter: f64) -> Duration {
    match next_try(class, streak, u32::MAX, jitter) {
        Retry::After(wait) => wait.min(ORG_MOST),
        Retry::GiveUp => MINUTE,
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    // Beyond 16 doublings even a second is longer than any wait here.
    first.saturating_mul(1 << times.min(16))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waits(class: Class, max_attempts: u32) -> Vec<u64> {
        (1..)
            .map_while(
                |attempts| match next_try(class, attempts, max_attempts, 1.0) {
                    Retry::After(wait) => Some(wait.as_secs()),
                    Retry::GiveUp => None,
                },
            )
            .take(100)
            .collect()
    }

    #[test]
    fn a_hiccup_is_tried_again_soon_then_ever_later() {
        assert_eq!(
            waits(Class::RetrySoon, 20),
            [
                1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600,
                3600
            ]
        );
    }

    #[test]
    fn what_takes_hours_is_tried_again_within_the_hour() {
        assert_eq!(
            waits(Class::RetryLater, 9),
            [60, 120, 240, 480, 960, 1920, 3600, 3600]
        );
    }

    #[test]
    fn nothing_is_given_up_for_what_holds_everything_up() {
        for class in [Class::HoldAll, Class::SignIn] {
            let waits = waits(class, 3);
            assert_eq!(waits.len(), 100);
            assert_eq!(waits.last(), Some(&900));
        }
    }

    #[test]
    fn what_a_retry_does_not_cure_is_given_up() {
        for class in [
            Class::Resolve,
            Class::Automation,
            Class::FixData,
            Class::FixConfig,
            Class::FixPermissions,
        ] {
            assert_eq!(next_try(class, 1, 20, 1.0), Retry::GiveUp);
        }
    }

    #[test]
    fn a_long_outage_delays_nobody_for_long_after_its_end() {
        let holds = |class| [1, 5, 20, 1_000].map(|streak| hold_all(class, streak, 1.0).as_secs());
        assert_eq!(holds(Class::RetrySoon), [1, 16, 900, 900]);
        assert_eq!(holds(Class::HoldAll), [60, 900, 900, 900]);
        assert_eq!(holds(Class::FixConfig), [60; 4]);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_zero_nor_above_an_hour(
            attempts: u32, max_attempts: u32, jitter in prop::num::f64::NORMAL,
        ) {
            for class in [Class::RetrySoon, Class::RetryLater, Class::HoldAll, Class::SignIn] {
                if let Retry::After(wait) = next_try(class, attempts, max_attempts, jitter) {
                    prop_assert!(wait >= SECOND / 2 && wait <= LATER_MOST);
                }
            }
        }
    }
}
