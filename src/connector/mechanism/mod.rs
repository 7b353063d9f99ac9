//! What manifests are made of: signing in, proving, greeting, paging. Few, and shared by all vendors.

pub mod call;
pub mod cursor;
pub mod paging;
pub mod request;
