//! What manifests are made of: signing in, proving, greeting, paging. Few, and shared by all vendors.

pub mod body;
pub mod call;
pub mod handshake;
pub mod redact;
pub mod signature;
