//! Loop 1: requests to inbox. Promises that an event is on disk before its sender hears so.
//!
//! `webhook` is the flow of one request; what it asks on the way has a file each. `group_commit`
//! makes one commit of many requests.

mod address;
mod answer;
mod append;
mod body;
mod captcha;
mod cors;
mod door;
pub mod fetch;
pub mod file;
mod group_commit;
mod held;
mod hook;
mod page;
pub mod poll;
mod rate_limit;
mod reconcile;
mod redirect;
mod refused;
mod request_id;
pub mod schedule;
mod vendor;
mod webhook;

pub use append::Append;
pub use captcha::captcha_endpoint;
pub use door::Door;
pub use group_commit::{AppendError, GroupCommit, Inbox, group_commit};
pub use page::{Page, PageStored};
pub use webhook::{HooksState, PollHint, WEB_TO_LEAD_PATH};
