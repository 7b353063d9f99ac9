//! Named values to lead fields by their usual names: what web forms, files and manifests share.
//!
//! ```text
//! form (names and values) ─ take ┬ name, alias, mark (what a name says)
//!                                └ attribution (where the person came from)
//! ```
//!
//! Owns: which name means which lead field. Promises that no value is lost: what no name says is kept
//! under its own, save what nobody may keep. Never sees: where the values come from.

mod alias;
mod attribution;
mod form;
mod mark;
mod name;
mod take;
mod text;

pub use alias::{Meaning, fold};
pub use attribution::{Attribution, attribution};
pub use form::{Field, FilePart, Form};
pub use mark::{is_forbidden, is_yes};
pub use name::{Said, said_by_name, said_by_names};
pub use take::{Reading, find};
pub use text::{choose, clean, texts};
