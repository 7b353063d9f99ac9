//! The HTTP door: everything under `/services/`, and the sandbox's own pages beside it.
//!
//! `front` takes a request through faults, token, allowance and body to its resource; `route` says
//! which resource a path is. A subrequest of a composite goes in at `resource::answer`, as its
//! outer request does.

mod admin;
mod batch;
mod bulk;
mod call;
mod changes;
mod collections;
mod columns;
mod composite;
mod describe;
mod front;
mod graph;
mod jwt;
mod limits;
mod oauth;
mod picklists;
mod query;
mod resource;
mod route;
mod rows;
mod search;
mod soap;
mod tooling;
mod tree;
mod wire;

pub(super) use bulk::Jobs;
pub(super) use front::router;
pub use jwt::RsaPublicKey;
pub(super) use query::Cursors;
pub(super) use tooling::Tooling;
