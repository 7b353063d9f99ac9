use tokio::sync::{mpsc, oneshot};

use crate::model::{EventId, NewEvent};

/// The way into the inbox: many requests, one commit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inbox {
    queue: mpsc::Sender<Waiting>,
}

/// Why an event was not taken. Nothing of it is stored; its sender may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too many events wait for the disk.
    #[error("too many events are waiting to be stored")]
    Full,
    /// The store cannot write: disk full, database lost, or shutting down.
    #[error("the store cannot write")]
    Unavailable,
}

#[derive(Debug)]
struct Waiting {
    event: NewEvent,
    done: oneshot::Sender<Result<EventId, AppendError>>,
}

impl Inbox {
    /// Returns the event's id once it is on disk.
    pub async fn append(&self, event: NewEvent) -> Result<EventId, AppendError> {
        let (done, committed) = oneshot::channel();
        self.queue
            .try_send(Waiting { event, done })
            .map_err(|_| AppendError::Full)?;
        committed.await.unwrap_or(Err(AppendError::Unavailable))
    }
}
