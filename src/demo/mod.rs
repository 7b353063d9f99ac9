//! The whole of leadstream on one machine, without an account: a landing page, the daemon, and a
//! Salesforce sandbox, with leads that the demo makes up itself.
//!
//! `people` and `leads` make up leads and know what must become of each (pure: the same seed gives
//! the same leads), `stage` puts all of it up, `landing` is the page, `send` posts as outsiders do,
//! `view` says what becomes of the leads, `verdict` compares it with what must (pure), `run` is the
//! order of things.

mod dice;
mod landing;
mod leads;
mod people;
mod run;
mod send;
mod stage;
mod verdict;
mod view;

pub use run::{Finished, run};
pub use stage::{Addresses, DemoError, Options, Stage};
pub use view::Said;
