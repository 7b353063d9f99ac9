//! Leads into Salesforce: what to send ([`map`], pure), what of it to write
//! ([`write`], pure), and the calls that do it ([`send`]).

pub mod cause;
pub mod fit;
pub mod map;
mod moment;
mod near;
pub mod schema;
pub mod send;
mod value;
pub mod write;

pub use fit::{Fitted, fit};
pub use map::{Mapped, MappedField, Mapping};
