//! Loop 1: requests to inbox. Promises that an event is on disk before its sender hears so.

mod group_commit;

pub use group_commit::{AppendError, GroupCommit, Inbox, group_commit};
