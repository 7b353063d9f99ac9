//! Loop 3: outbox to destinations. What to send and when to send it again is decided by pure code
//! ([`salesforce`], [`retry`]); `run` claims, sends and settles.

mod pace;
pub mod retry;
mod run;
pub mod salesforce;

pub use run::{Deliver, Progress};
