use std::future::Future;

use super::{AppendError, Inbox};
use crate::model::{EventId, NewEvent};

/// Where accepted events go: the inbox, or what a test has in its place.
pub trait Append: Send + Sync + 'static {
    /// Returns the event's id once it is on disk.
    fn append(&self, event: NewEvent) -> impl Future<Output = Result<EventId, AppendError>> + Send;
}

impl Append for Inbox {
    fn append(&self, event: NewEvent) -> impl Future<Output = Result<EventId, AppendError>> + Send {
        Inbox::append(self, event)
    }
}
