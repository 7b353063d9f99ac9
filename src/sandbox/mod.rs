//! A Salesforce org in memory behind the real REST surface, for the demo, tests and dry runs.
//!
//! It owns the records, refuses what Salesforce refuses in Salesforce's words, and fails on
//! demand: server errors, row locks, answers that are lost after the write, latency, tokens that
//! end. It is only as good as the clients that it satisfies: `tests/clients/` runs public ones
//! against it.
//!
//! `schema` says which objects and fields there are, `draft` reads and checks one row, `org` holds
//! the records and the org's own rules, `soql` answers queries, `rest` is the HTTP door, `handle`
//! what tests and the demo hold.

mod approvals;
mod draft;
mod errors;
mod faults;
mod handle;
mod ids;
mod meter;
mod options;
mod org;
mod page;
mod person;
mod rest;
mod schema;
mod sessions;
mod setup;
mod soql;
mod value;

pub use errors::{Refusal, Refusals};
pub use faults::{FaultCounts, Faults};
pub use handle::{RunningSandbox, Sandbox};
pub use ids::RecordId;
pub use meter::Calls;
pub use options::SandboxOptions;
pub use org::{
    Condition, Conversion, Converted, DuplicateMatch, DuplicateRule, Failure, Test, ValidationRule,
};
pub use person::Person;
pub use rest::RsaPublicKey;
pub use schema::{Access, CustomField};
pub use setup::Setup;
