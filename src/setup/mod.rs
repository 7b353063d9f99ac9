//! Makes what leadstream needs in the Salesforce org: fields, and the right to write them.
//!
//! First it reads and says what it would do ([`plan`]), then it does that ([`apply`]). What is there
//! stays as it is, so it can be run again and again. What the API cannot do, or the user may not, is
//! said as clicks ([`clicks`]).

mod apply;
mod clicks;
mod fields;
mod plan;
#[cfg(test)]
mod tests;

pub use apply::{Applied, Outcome, apply};
pub use clicks::{MAP_FIELDS, clicks};
pub use fields::{ATTRIBUTION, mapping_lines, wanted};
pub use plan::{FieldPlan, PermissionSet, Plan, PlanError, plan};
