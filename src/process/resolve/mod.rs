//! Which lead a submission belongs to, and what it changes there. Pure.
//!
//! The door is narrow on purpose, so that what is behind can grow: [`resolve`] says which lead (or
//! none), [`merge`] folds the submission into its record. Match keys leave the program only as
//! keyed hashes ([`KeyHasher`]); because hashes can collide, a lead found by one is believed only
//! if its own values agree.

mod candidates;
mod given_name;
mod keys;
mod merge;
mod name;
mod org;

pub use candidates::{Resolution, contradicts, resolve};
pub use keys::KeyHasher;
pub use merge::{Changed, merge};
pub use org::{OrgFacts, keys_of_record};
