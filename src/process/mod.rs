//! Loop 2: events to leads and deliveries. All but its edges, `run` and `plan`, is pure: time and ids are
//! arguments.

mod decide;
pub mod normalise;
mod plan;
pub mod resolve;
mod run;

pub use decide::{Known, Prepared, Rules, SourceRules, decide};
pub use plan::{Fate, Planned, plan};
pub use run::{Process, Progress};
