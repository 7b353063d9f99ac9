//! Loops that must go on: one that crashes is told, counted and started again.
//!
//! Nothing of a crash's own message is kept or logged, since it may quote a lead.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::warn;

use super::clock::SharedClock;
use super::shutdown::Shutdown;
use crate::model::Millis;
use crate::telemetry::{LoopLabel, Metrics};

/// How long a loop that has crashed rests before it starts again; twice as long each time.
const FIRST_REST: Duration = Duration::from_secs(1);
const MOST_REST: Duration = Duration::from_secs(30);

/// The same for a thread that requests wait for: they get no answer meanwhile.
const MOST_REST_OF_THREAD: Duration = Duration::from_secs(4);

/// A loop that has crashed twice within this time is in trouble, though it runs at the moment; one
/// that has run for longer begins anew.
const TROUBLE_LASTS: Duration = Duration::from_secs(60);

/// Starts loops again that have crashed, and knows how all of them do. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Supervisor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: SharedClock,
    metrics: Arc<Metrics>,
    loops: Mutex<BTreeMap<&'static str, Crashes>>,
}

/// How one loop does that has crashed at least once.
#[derive(Debug, Default)]
struct Crashes {
    is_down: bool,
    /// Since it last ran for long.
    in_a_row: u32,
    last: Option<Millis>,
    before_last: Option<Millis>,
}

impl Crashes {
    fn note(&mut self, now: Millis) {
        if !self
            .last
            .is_some_and(|last| last.was_within(TROUBLE_LASTS, now))
        {
            self.in_a_row = 0;
        }
        self.is_down = true;
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.before_last = self.last.replace(now);
    }

    fn rest(&self, most: Duration) -> Duration {
        let doublings = self.in_a_row.saturating_sub(1).min(16);
        FIRST_REST.saturating_mul(1 << doublings).min(most)
    }

    fn is_in_trouble(&self, now: Millis) -> bool {
        self.is_down
            || self
                .before_last
                .is_some_and(|at| at.was_within(TROUBLE_LASTS, now))
    }
}

impl Supervisor {
    /// Knows of no loop yet.
    pub fn new(clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            clock,
            metrics,
            loops: Mutex::default(),
        }))
    }

    /// Runs the loop `name` until it ends, as it does when it is told to stop.
    pub async fn keep(
        self,
        name: &'static str,
        mut shutdown: Shutdown,
        run: impl AsyncFn(Shutdown),
    ) {
        loop {
            let run = async { run(shutdown.clone()).await };
            let Err(crash) = AssertUnwindSafe(run).catch_unwind().await else {
                return;
            };
            let rest = self.crashed(name, crash, MOST_REST);
            tokio::select! {
                () = self.0.clock.sleep(rest) => {}
                () = shutdown.stopping() => return,
            }
            self.started_again(name);
        }
    }

    /// Runs `run` on this thread, which is none of the runtime's, until it ends by itself.
    /// `runtime` is where time is waited for.
    pub fn keep_thread(self, name: &'static str, runtime: &Handle, mut run: impl FnMut()) {
        while let Err(crash) = catch_unwind(AssertUnwindSafe(&mut run)) {
            let rest = self.crashed(name, crash, MOST_REST_OF_THREAD);
            runtime.block_on(async { self.0.clock.sleep(rest).await });
            self.started_again(name);
        }
    }

    /// The loops that are down, or have crashed more than once in the last minute.
    pub fn in_trouble(&self) -> Vec<&'static str> {
        let now = self.0.clock.now();
        let loops = self.0.loops.lock();
        let in_trouble = loops
            .iter()
            .filter(|(_, crashes)| crashes.is_in_trouble(now));
        in_trouble.map(|(name, _)| *name).collect()
    }

    /// Notes a crash; returns how long the loop is to rest.
    fn crashed(&self, name: &'static str, crash: Box<dyn Any + Send>, most: Duration) -> Duration {
        // Whatever it holds may crash as it is dropped; then it is better kept.
        std::mem::forget(crash);
        let rest = {
            let mut loops = self.0.loops.lock();
            let crashes = loops.entry(name).or_default();
            crashes.note(self.0.clock.now());
            crashes.rest(most)
        };
        let label = LoopLabel { name };
        self.0.metrics.loop_crashes.get_or_create(&label).inc();
        warn!(
            name,
            rest_ms = rest.as_millis() as u64,
            "a loop has crashed and starts again; nothing that was accepted is lost"
        );
        rest
    }

    fn started_again(&self, name: &'static str) {
        if let Some(crashes) = self.0.loops.lock().get_mut(name) {
            crashes.is_down = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::poll;

    use super::*;
    use crate::edge::clock::{Clock as _, ManualClock};
    use crate::edge::shutdown;

    const SECOND: Duration = Duration::from_secs(1);

    fn supervisor() -> (Supervisor, Arc<ManualClock>, Arc<Metrics>) {
        let clock = ManualClock::at(Millis(0));
        let metrics = Metrics::new();
        let supervisor = Supervisor::new(clock.clone(), Arc::clone(&metrics));
        (supervisor, clock, metrics)
    }

    #[tokio::test]
    async fn a_loop_that_crashes_is_counted_and_starts_again_ever_later() {
        let (supervisor, clock, metrics) = supervisor();
        let (_trigger, shutdown) = shutdown::channel();
        let runs = AtomicU32::new(0);
        let mut kept = Box::pin(supervisor.clone().keep("deliver", shutdown, async |_| {
            assert!(
                runs.fetch_add(1, Ordering::Relaxed) == 4,
                "jane@acme.example"
            );
        }));
        assert!(poll!(&mut kept).is_pending());
        assert_eq!(supervisor.in_trouble(), ["deliver"]);
        for (crashes, rest) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
            assert_eq!(runs.load(Ordering::Relaxed), crashes);
            let label = LoopLabel { name: "deliver" };
            let counted = metrics.loop_crashes.get_or_create(&label).get();
            assert_eq!(counted, u64::from(crashes));
            clock.advance((SECOND * rest).saturating_sub(SECOND / 2));
            assert!(poll!(&mut kept).is_pending());
            assert_eq!(runs.load(Ordering::Relaxed), crashes, "it still rests");
            clock.advance(SECOND / 2);
            let _ = poll!(&mut kept);
        }
        assert_eq!(runs.load(Ordering::Relaxed), 5);
        assert!(
            metrics
                .encode()
                .contains(r#"leadstream_loop_crashes_total{name="deliver"} 4"#)
        );
    }

    #[tokio::test]
    async fn a_loop_is_in_trouble_while_it_is_down_or_if_it_crashes_again_and_again() {
        let (supervisor, clock, _) = supervisor();
        let (trigger, shutdown) = shutdown::channel();
        let runs = AtomicU32::new(0);
        let run = async |mut shutdown: Shutdown| match runs.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("at once"),
            1 => {
                clock.sleep(SECOND * 30).await;
                panic!("after half a minute")
            }
            _ => shutdown.stopping().await,
        };
        let mut kept = Box::pin(supervisor.clone().keep("process", shutdown, run));
        assert!(poll!(&mut kept).is_pending());
        assert_eq!(supervisor.in_trouble(), ["process"], "it is down");
        clock.advance(SECOND);
        assert!(poll!(&mut kept).is_pending());
        assert_eq!(supervisor.in_trouble(), [""; 0], "once is none");
        clock.advance(SECOND * 30);
        assert!(poll!(&mut kept).is_pending());
        clock.advance(SECOND * 2);
        assert!(poll!(&mut kept).is_pending());
        assert_eq!(
            supervisor.in_trouble(),
            ["process"],
            "it runs, but for how long?"
        );
        clock.advance(SECOND * 30);
        assert_eq!(supervisor.in_trouble(), [""; 0]);
        trigger.stop();
        assert!(poll!(&mut kept).is_ready());
    }

    #[tokio::test]
    async fn a_loop_that_rests_after_a_crash_stops_when_it_is_told_to() {
        let (supervisor, _clock, _) = supervisor();
        let (trigger, shutdown) = shutdown::channel();
        let mut kept = Box::pin(supervisor.keep("process", shutdown, async |_| panic!("down")));
        assert!(poll!(&mut kept).is_pending());
        trigger.stop();
        assert!(poll!(&mut kept).is_ready());
    }

    #[tokio::test]
    async fn a_thread_is_started_again_with_what_it_had() {
        let (supervisor, clock, _) = supervisor();
        let (kept, runtime) = (supervisor.clone(), Handle::current());
        let thread = std::thread::spawn(move || {
            let mut runs = 0;
            kept.keep_thread("group commit", &runtime, || {
                runs += 1;
                assert!(runs == 2, "the first time");
            });
            runs
        });
        while supervisor.in_trouble().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(supervisor.in_trouble(), ["group commit"]);
        while !thread.is_finished() {
            clock.advance(SECOND);
            std::thread::yield_now();
        }
        assert_eq!(thread.join().unwrap(), 2);
        assert_eq!(supervisor.in_trouble(), [""; 0]);
    }
}
