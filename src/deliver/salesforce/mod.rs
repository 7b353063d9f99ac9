//! Leads into Salesforce: what to send ([`map`], pure) and what of it to write ([`write`], pure).

pub mod map;
mod value;
pub mod write;

pub use map::{Mapped, MappedField, Mapping};
