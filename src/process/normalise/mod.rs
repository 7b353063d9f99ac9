//! One person's data as found in an event, made fit to be shown, written and matched on.
//!
//! Pure and total: any text in, no panic, and normalising what comes out changes nothing. Three
//! kinds of value are never mixed: *raw* stays in the event, *display* goes to
//! [`Submission::fields`](crate::model::Submission), *keys* to its `keys`. Timid with what is
//! shown, bold with what is only compared. Each change that a person might wonder about is a note,
//! in words that hold no value.
//!
//! One file a kind of field; `submission` has the order in which they depend on each other.

mod assess;
mod attribution;
mod company;
mod consent;
mod context;
mod draft;
pub mod email;
mod entities;
pub mod fold;
mod keys;
mod language;
pub mod mailbox;
mod name;
pub mod phone;
mod place;
mod placeholder;
mod submission;
#[cfg(test)]
mod tests;
mod text;
mod website;

pub use assess::{Problem, assess};
pub use context::NormaliseContext;
pub use keys::match_keys;
pub use name::was_name_split;
pub use place::{Country, Region};
pub use submission::{Normalised, normalise};
