//! The one place that waits.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(5);

/// Waits until `look` finds something; fails the test, saying `what` was waited for, after `most`.
#[track_caller]
pub fn until<T>(what: &str, most: Duration, look: impl FnMut() -> Option<T>) -> T {
    until_or(what, most, String::new, look)
}

/// The same; a failure tells `more`.
#[track_caller]
pub fn until_or<T>(
    what: &str,
    most: Duration,
    more: impl Fn() -> String,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            started.elapsed() < most,
            "waited {most:?} in vain: {what}\n{}",
            more()
        );
        pass(EVERY);
    }
}

/// Lets time pass: for a random moment, never for something to settle.
#[expect(
    clippy::disallowed_methods,
    reason = "another process is waited for, on its own clock"
)]
pub fn pass(time: Duration) {
    std::thread::sleep(time);
}
