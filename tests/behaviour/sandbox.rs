//! The sandbox through its HTTP door: every refusal, in Salesforce's words and shapes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy takes only functions marked #[test] for tests; these are their helpers"
)]

mod bulk;
mod campaigns;
mod collections;
mod composites;
mod door;
mod faults;
mod handwork;
pub mod org;
mod query;
mod rows;
mod rules;
mod search;
mod selling;
mod setup;
mod signing_in;
mod soap_login;
mod tooling;
mod web_flow;
