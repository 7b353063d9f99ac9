//! Loop 2: events to leads and deliveries. All but its edges, `run`, `plan` and `preview`, is
//! pure: time and ids are arguments.

mod decide;
pub mod normalise;
mod plan;
pub mod preview;
pub mod resolve;
mod run;

pub use decide::{Known, Prepared, Rules, SourceRules, decide};
pub use plan::{Fate, Planned, plan};
pub use run::{Process, Progress};
