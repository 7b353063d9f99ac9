//! Stopping: told once, heard by all.

use tokio::sync::watch;

/// Tells everyone to stop.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Hears that it is time to stop.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and what it triggers.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Tells everyone to stop. Dropping the trigger does the same.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether it is time to stop.
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when it is time to stop.
    pub async fn stopping(&mut self) {
        // An error means that the trigger was dropped: stop as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
