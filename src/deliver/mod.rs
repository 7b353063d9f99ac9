//! Loop 3: outbox to destinations. What to send and when to send it again is decided by pure code
//! ([`salesforce`], [`retry`], [`budget`], [`concurrency`]); `run` claims, sends and settles.

pub mod budget;
pub mod bulk;
pub mod concurrency;
mod pace;
pub mod retry;
mod run;
pub mod salesforce;
pub mod traffic;

pub use run::{Deliver, Progress};
