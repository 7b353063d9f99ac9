//! Files in a folder to inbox. Promises that a file is taken once, whatever its name and however
//! often this is interrupted, and that each of its rows is an event or stands in a file of errors.
//!
//! `scan` finds files that are complete, `take` appends their rows page by page, `place` moves files
//! and writes reports. `folder` is the loop over one source.

mod folder;
mod place;
mod report;
mod scan;
mod take;

pub use folder::{Folder, FolderError, Step};
pub use place::{Acceptance, accept};
pub use take::read_limited;
