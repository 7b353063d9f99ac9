//! DESIGN's words as plain data. No module here does anything: no I/O, no clock, no randomness.

mod delivery;
mod end;
mod event;
pub mod field;
mod id;
mod lead;
mod org_change;
mod source;
mod submission;
mod time;

pub use delivery::{DeadLetter, Delivery, Destination, Joining};
pub use end::End;
pub use event::{CaptchaVerdict, Door, Event, EventMeta, MAX_CONTEXT_DEPTH, NewEvent};
pub use id::{DeliveryId, EventId, InvalidId, LeadId};
pub use lead::{Followed, Held, Lead, Membership};
pub use org_change::{ORG_CHANGES, OrgChange};
pub use source::SourceName;
pub use submission::{Extracted, KeyHash, KeyKind, MatchKey, Note, Submission, Verdict};
pub use time::Millis;
