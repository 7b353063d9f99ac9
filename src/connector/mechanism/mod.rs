//! What manifests are made of: signing in, proving, greeting, paging. Few, and shared by all vendors.

pub mod auth;
pub mod body;
pub mod call;
pub mod client;
pub mod cursor;
pub mod handshake;
pub mod paging;
pub mod plan;
pub mod rate;
pub mod redact;
pub mod request;
pub mod sealed;
pub mod signature;
#[cfg(test)]
pub(crate) mod testing;
mod words;
