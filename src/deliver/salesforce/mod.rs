//! Leads into Salesforce: what to send ([`map`], pure), what of it to write
//! ([`write`], pure), and the calls that do it ([`send`]).

pub mod map;
pub mod send;
mod value;
pub mod write;

pub use map::{Mapped, MappedField, Mapping};
