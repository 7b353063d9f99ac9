//! Loop 3: outbox to destinations.

pub mod retry;
pub mod salesforce;
