//! The Salesforce client. It knows objects, fields and calls; it knows no leads.
//!
//! [`Client`] signs in, keeps its token, repeats a request once after a 401, reads how many calls
//! the org has left from every answer, and says of each failure whether the request was sent, may
//! have been carried out, or was refused ([`CallError`]). What to do about a refusal is one table,
//! [`error`]. It retries nothing else by itself: that is for the loop that knows what is at stake.

mod auth;
pub mod bulk;
mod call;
mod client;
mod collections;
mod counts;
mod describe;
pub mod error;
mod id;
mod jwt;
mod limits;
mod query;
mod sign_in_error;
#[cfg(test)]
pub(crate) mod testing;
mod tooling;

pub use auth::{Connected, Consent, KeepError, KeptBytes, SignInState, TokenKeep, allowed_hosts};
pub use call::{ApiError, CallError, Explanation, Lost, Unsendable};
pub use client::Client;
pub use collections::{MAX_RETRIEVE, MAX_UPSERT, RowResult, Saved, WriteHeaders};
pub use counts::{CallCount, CallCounts};
pub use describe::{Describe, Described, Describes, Field, PicklistValue, RecordType};
pub use error::Class;
pub use id::{same_record, to_18};
pub use limits::{Limit, Usage};
pub use query::{MAX_QUERIES, QueryPage, Rows, quote};
pub use sign_in_error::SignInError;
pub use tooling::{ObjectAccess, TextField};

/// A record's fields by name.
pub type Map = serde_json::Map<String, serde_json::Value>;
