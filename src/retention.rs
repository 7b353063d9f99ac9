//! Removes what is too old to be kept, a little at a time: one node of all, by a lease.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::config::StoreConfig;
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::store::{Cutoffs, Lease, Pass, Pruned, Store, StoreError};

/// Who prunes.
const LEASE: &str = "retention";

/// Between two steps, so that the store is there for others.
const BETWEEN_STEPS: Duration = Duration::from_millis(100);

/// Between two passes.
const BETWEEN_PASSES: Duration = Duration::from_secs(60 * 60);

/// The loop.
#[derive(Debug)]
pub struct Retention {
    store: Arc<Store>,
    config: StoreConfig,
    clock: SharedClock,
}

impl Retention {
    /// A loop over `store`, whose configuration this is.
    pub fn new(store: Arc<Store>, config: StoreConfig, clock: SharedClock) -> Self {
        Self {
            store,
            config,
            clock,
        }
    }

    /// One pass over all that is too old; nothing if another node is at it.
    pub async fn pass(&self, shutdown: &mut Shutdown) -> Result<Pruned, StoreError> {
        let mut all = Pruned::default();
        let Some(lease) = self.store.acquire(LEASE).await? else {
            return Ok(all);
        };
        let mut pass = Pass::default();
        loop {
            let step = self.step(&lease, &mut pass).await?;
            all.events += step.events;
            all.timeline += step.timeline;
            all.deliveries += step.deliveries;
            if !step.more || shutdown.is_stopping() {
                break;
            }
            tokio::select! {
                () = self.clock.sleep(BETWEEN_STEPS) => {}
                () = shutdown.stopping() => {}
            }
        }
        self.store.release(lease).await?;
        Ok(all)
    }

    async fn step(&self, lease: &Lease, pass: &mut Pass) -> Result<Pruned, StoreError> {
        self.store.renew(lease).await?;
        let cutoffs = Cutoffs::of(&self.config, self.clock.now());
        self.store.prune(lease, &cutoffs, pass).await
    }

    /// Passes until told to stop.
    pub async fn run(&self, mut shutdown: Shutdown) {
        while !shutdown.is_stopping() {
            match self.pass(&mut shutdown).await {
                Ok(pruned) if pruned == Pruned::default() => {}
                Ok(pruned) => info!(
                    events = pruned.events,
                    timeline = pruned.timeline,
                    deliveries = pruned.deliveries,
                    "removed what is no longer kept"
                ),
                Err(error) => warn!(%error, "what is too old cannot be removed; trying again"),
            }
            tokio::select! {
                () = self.clock.sleep(BETWEEN_PASSES) => {}
                () = shutdown.stopping() => {}
            }
        }
    }
}
