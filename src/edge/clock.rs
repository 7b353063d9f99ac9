//! The time, and waiting for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::model::Millis;

/// Tells the time and waits for it.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> Millis;

    /// Returns when `duration` has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The clock as the rest of the program holds it.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    fn now(&self) -> Millis {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis(0).after(since_epoch)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Debug)]
struct ManualState {
    now: Millis,
    next: u64,
    sleepers: BTreeMap<(Millis, u64), oneshot::Sender<()>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Millis) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ManualState {
                now,
                next: 0,
                sleepers: BTreeMap::new(),
            }),
        })
    }

    /// Moves the time on and wakes whoever waited for it.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state.lock();
        state.now = state.now.after(duration);
        let later = (Millis(state.now.0.saturating_add(1)), 0);
        let still_asleep = state.sleepers.split_off(&later);
        let due = std::mem::replace(&mut state.sleepers, still_asleep);
        for (_, wake) in due {
            // A sleeper that was dropped no longer listens.
            let _ = wake.send(());
        }
    }
}

impl ManualClock {
    /// Sets the time back, as a person or a time server does. Whoever sleeps wakes no later for it.
    pub fn set_back(&self, duration: Duration) {
        let by = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let mut state = self.state.lock();
        state.now = Millis(state.now.0.saturating_sub(by));
        state.sleepers = std::mem::take(&mut state.sleepers)
            .into_iter()
            .map(|((at, number), wake)| ((Millis(at.0.saturating_sub(by)), number), wake))
            .collect();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.state.lock().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        let mut state = self.state.lock();
        if duration.is_zero() {
            return Box::pin(async {});
        }
        let key = (state.now.after(duration), state.next);
        state.next += 1;
        state.sleepers.insert(key, wake);
        Box::pin(async move {
            // An error means that the clock is gone, and with it whoever could wait for it.
            let _ = woken.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = ManualClock::at(Millis(0));
        let mut sleep = clock.sleep(Duration::from_millis(10));
        clock.advance(Duration::from_millis(9));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_millis(1));
        assert!(futures_util::poll!(&mut sleep).is_ready());
        assert_eq!(clock.now(), Millis(10));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_makes_nobody_sleep_longer() {
        let clock = ManualClock::at(Millis(1_000));
        let mut sleep = clock.sleep(Duration::from_millis(10));
        clock.set_back(Duration::from_millis(500));
        assert_eq!(clock.now(), Millis(500));
        clock.advance(Duration::from_millis(9));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_millis(1));
        assert!(futures_util::poll!(&mut sleep).is_ready());
    }
}
