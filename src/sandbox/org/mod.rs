//! The org's records and what happens when they are written. Knows no HTTP.
//!
//! A record is a short list of its values, in the order of the schema; a blank field takes no
//! room. Unique fields, external ids and e-mail addresses are found by hash. Every write can be
//! taken back to a mark (`allOrNone`).

mod assignment;
mod conversion;
mod duplicates;
mod failures;
mod history;
mod members;
mod merge;
mod permissions;
mod row;
mod rules;
mod seed;
mod state;
mod tooling;
mod validation;
mod work;
mod write;

pub(super) use assignment::AutoAssign;
pub use conversion::{Conversion, Converted};
pub use duplicates::{DuplicateMatch, DuplicateRule};
pub(super) use failures::ActiveFailure;
pub use failures::Failure;
pub use row::Row;
pub(super) use seed::OrgSettings;
pub(super) use state::Org;
pub(super) use tooling::custom_fields;
pub use validation::{Condition, Test, ValidationRule};
pub(super) use write::{UpsertRefusal, Upserted, Write};
