//! Loop 2: events to leads and deliveries. All but its edges, `run` and `preview`, is
//! pure: time and ids are arguments.

mod decide;
pub mod normalise;
pub mod preview;
pub mod resolve;
mod run;

pub use decide::{Known, Prepared, Rules, SourceRules, decide};
pub use run::{Process, Progress};
