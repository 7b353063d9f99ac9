//! Points at which a test may step in: stop, fail, or let the process die there.
//!
//! The program names the moments at which a crash or a failure is worst; `tests/simulation/` decides
//! at each what happens. Nothing else can: no configuration and no environment variable reaches
//! these, so in a daemon a point is one look at an `Option` that is `None`.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::random;

/// Decides what happens at a point. Implemented by the fault harness only.
pub trait Faults: Send + Sync + Debug {
    /// The caller has come to `point`. It goes on when this returns, or fails with what it returns;
    /// while this does not return, others get their turn, or the process has died here.
    fn reach(&self, point: &'static str) -> BoxFuture<'static, io::Result<()>>;

    /// In place of chance: see [`random::jitter`].
    fn jitter(&self) -> f64;
}

/// The points of one process. Those of a daemon do nothing.
#[derive(Debug, Clone, Default)]
pub struct FaultPoints(Option<Arc<dyn Faults>>);

impl FaultPoints {
    /// Points at which `faults` decides.
    pub fn decided_by(faults: Arc<dyn Faults>) -> Self {
        Self(Some(faults))
    }

    /// Comes to `point`.
    pub async fn reach(&self, point: &'static str) -> io::Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(faults) => faults.reach(point).await,
        }
    }

    /// A factor for waiting times, in 0.5..1.0.
    pub fn jitter(&self) -> f64 {
        self.0
            .as_ref()
            .map_or_else(random::jitter, |faults| faults.jitter())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[derive(Debug)]
    struct NothingWorks;

    impl Faults for NothingWorks {
        fn reach(&self, point: &'static str) -> BoxFuture<'static, io::Result<()>> {
            Box::pin(async move { Err(io::Error::other(point)) })
        }

        fn jitter(&self) -> f64 {
            0.75
        }
    }

    #[test]
    fn the_points_of_a_daemon_are_passed_at_once() {
        let points = FaultPoints::default();
        assert!(matches!(
            points.reach("store.after_sync").now_or_never(),
            Some(Ok(()))
        ));
        assert!((0.5..=1.0).contains(&points.jitter()));
    }

    #[test]
    fn a_harness_decides_what_happens_at_a_point() {
        let points = FaultPoints::decided_by(Arc::new(NothingWorks));
        let failed = points.reach("store.after_sync").now_or_never();
        assert_eq!(failed.unwrap().unwrap_err().to_string(), "store.after_sync");
        assert!((points.jitter() - 0.75).abs() < f64::EPSILON);
    }
}
