//! The org's records and what happens when they are written. Knows no HTTP.
//!
//! A record is a short list of its values, in the order of the schema; a blank field takes no
//! room. Unique fields, external ids and e-mail addresses are found by hash. Every write can be
//! taken back to a mark (`allOrNone`).

mod row;
mod rules;
mod seed;
mod state;
mod write;

pub use row::Row;
pub(super) use rules::AutoAssign;
pub use rules::DuplicateRule;
pub(super) use seed::OrgSettings;
pub(super) use state::Org;
pub(super) use write::{UpsertRefusal, Upserted, Write};
