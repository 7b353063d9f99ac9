//! An account is read by one node, and one source, at a time.

use std::time::Duration;

use super::{Poller, Stop};
use crate::edge::clock::{Clock as _, SystemClock};
use crate::store::Lease;

/// How often a lease is renewed where the store says nothing: a third of its usual time.
const RENEWAL: Duration = Duration::from_secs(5);

impl Poller {
    /// Runs `work` as the only one who reads this account. The lease is renewed for as long as that
    /// takes: a call may wait minutes for its turn.
    pub(in crate::ingest) async fn under_lease<T>(
        &self,
        work: impl AsyncFnOnce(&Lease) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        // In this process by turns: a lease alone would go to whoever asks most often.
        let _turn = self.source.turn.lock().await;
        let name = format!("poll:{}", self.source.account);
        let Some(lease) = self.store.acquire(&name).await? else {
            return Err(Stop::Busy);
        };
        let result = tokio::select! {
            result = Box::pin(work(&lease)) => result,
            stop = self.keep(&lease) => Err(stop),
        };
        if !matches!(result, Err(Stop::Overtaken)) {
            // Should this fail, the others wait until its time is over.
            let _ = self.store.release(lease).await;
        }
        result
    }

    /// Returns when the lease is lost. By the machine's clock, as leases are by the database's.
    async fn keep(&self, lease: &Lease) -> Stop {
        let interval = self.store.lease_interval().unwrap_or(RENEWAL);
        loop {
            SystemClock.sleep(interval).await;
            match self.store.renew(lease).await {
                Ok(()) => {}
                Err(error) => match Stop::from(error) {
                    Stop::Overtaken => return Stop::Overtaken,
                    // The next page finds out whether it is still ours.
                    _ => {
                        tracing::debug!(source = %self.source.name, "a lease could not be renewed");
                    }
                },
            }
        }
    }
}
