//! Loop 4: the org's own changes. Keeps the [`mirror`](crate::mirror) up to date, and puts what changed
//! of records that leads of ours have into the inbox, as events of their own: what they change is
//! decided where all else is. [`drift`] watches what the org's objects are made of.

mod changes;
pub mod drift;
mod run;

pub use run::{Budget, Follow, FollowError, Progress};
