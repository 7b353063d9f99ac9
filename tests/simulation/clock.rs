//! The time of the world, and what a node takes it for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use leadstream::edge::clock::Clock;
use leadstream::model::Millis;

use super::points::{Points, SLEEP};

/// 2026-03-01T10:00:00Z
const START: i64 = 1_772_359_200_000;

/// The time of the world: it never goes back, and only the scheduler moves it.
#[derive(Debug)]
pub struct Time(AtomicI64);

impl Time {
    pub fn new() -> Self {
        Self(AtomicI64::new(START))
    }

    pub fn pass(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }

    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A clock that may be wrong.
#[derive(Debug)]
pub struct SkewedClock {
    time: Arc<Time>,
    points: Arc<Points>,
    skew: AtomicI64,
}

impl SkewedClock {
    pub fn new(time: Arc<Time>, points: Arc<Points>) -> Arc<Self> {
        Arc::new(Self {
            time,
            points,
            skew: AtomicI64::new(0),
        })
    }

    pub fn jump(&self, milliseconds: i64) {
        self.skew.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Millis {
        Millis(self.time.now() + self.skew.load(Ordering::Relaxed))
    }

    /// Over when the scheduler says so.
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        let points = Arc::clone(&self.points);
        Box::pin(async move {
            points.arrive(SLEEP).await;
        })
    }
}
