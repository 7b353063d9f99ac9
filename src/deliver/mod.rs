//! Loop 3: outbox to destinations. What to send and when to send it again is decided by pure code
//! ([`salesforce`], [`retry`], [`budget`], [`concurrency`]); `run` claims and settles, `batch` sends
//! what was claimed, `backlog` loads what is too much for that.

mod backlog;
mod batch;
pub mod budget;
pub mod bulk;
pub mod concurrency;
mod pace;
pub mod retry;
mod run;
pub mod salesforce;
pub mod traffic;

pub use run::{Deliver, Progress};
