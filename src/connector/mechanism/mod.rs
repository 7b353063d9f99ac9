//! What manifests are made of: signing in, proving, greeting, paging. Few, and shared by all vendors.

pub mod auth;
pub mod call;
pub mod client;
pub mod rate;
pub mod sealed;
#[cfg(test)]
pub(crate) mod testing;
mod words;
