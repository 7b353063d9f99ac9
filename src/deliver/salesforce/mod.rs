//! Leads into Salesforce: what to send ([`map`], pure), where the person lives now ([`locate`], pure;
//! `look` reads), what to write there ([`write`], pure) and in which form ([`fit`], pure; `save`
//! writes), which campaigns to join (`campaign`), whom to tell (`task`). [`send`] does one after the
//! other. [`schema`] compares the mapping with the org, [`cause`] names what stopped a lead.

mod campaign;
pub mod cause;
pub mod fit;
pub mod locate;
mod look;
pub mod map;
mod moment;
mod near;
mod save;
pub mod schema;
pub mod send;
mod task;
mod value;
pub mod write;

pub use campaign::{Campaigns, join_together};
pub use fit::{Fitted, fit};
pub use map::{Mapped, MappedField, Mapping};
