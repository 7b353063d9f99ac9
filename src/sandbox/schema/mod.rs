//! What objects and fields the org has. The objects are data, in `tables`; nothing else knows a
//! field by heart, save the rules that Salesforce itself ties to one (`org::rules`).

mod custom;
mod field;
mod object;
mod tables;

pub use custom::CustomField;
pub use field::{Access, Field, FieldIx, Kind, Place};
pub use object::{Object, ObjectIx, Schema};
pub(super) use tables::{LEAD_STATUSES, STAGES};
