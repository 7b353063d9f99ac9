use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EventId, Millis, SourceName};

/// One person's data as a connector finds it in an event: raw text, nothing normalised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extracted {
    /// Which one of its event's submissions this is, from 0.
    pub ordinal: u32,
    /// The vendor's or the sender's own id of this submission; the same id twice is one submission.
    pub vendor_id: Option<String>,
    /// The vendor's version of the record, such as when it was last changed: the same id with the
    /// same version says nothing new.
    pub version: Option<String>,
    /// When the person sent it, if the payload says so.
    pub at: Option<Millis>,
    /// Raw text by lead field: the names of `model::field`, and others as they were sent.
    /// A name that occurred several times has its values joined by `;`.
    pub fields: BTreeMap<String, String>,
    /// UTM parameters, click ids, `referrer`, `landing_page`: decoded once, case kept.
    pub attribution: BTreeMap<String, String>,
    /// Whether this is a lead at all.
    pub verdict: Verdict,
}

/// Whether a submission is a lead at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verdict {
    /// A lead.
    #[default]
    Genuine,
    /// Sent to try the form out: kept, not synced. The text says how we know.
    Test(String),
    /// Sent by a machine: kept, not synced. The text says how we know.
    Spam(String),
    /// A person must look at it first. The text says why.
    Review(String),
    /// No lead, such as a form that was only begun: kept, not synced. The text says why.
    Skipped(String),
    /// The person no longer wants to be written to: changes the opt-outs and consent of a lead that
    /// is known, and never makes one. The text says how we know.
    OptOut(String),
    /// The vendor's record was deleted or taken back: kept, not synced. The text says how we know.
    Withdrawn(String),
    /// Only names a record, which is to be fetched with these values in the request. In flight
    /// until the fetch has ended.
    Fetch(BTreeMap<String, String>),
}

/// One person's data, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The event that it came in.
    pub event: EventId,
    /// Which one of its event's submissions this is, from 0.
    pub ordinal: u32,
    /// The event's source.
    pub source: SourceName,
    /// When the person sent it: what orders submissions of one lead.
    pub at: Millis,
    /// The sender's own id of this submission; the same id twice is one submission.
    pub vendor_id: Option<String>,
    /// Values fit to be shown and written, by lead field. No blanks.
    pub fields: BTreeMap<String, String>,
    /// UTM parameters, click ids, `referrer`, `landing_page`.
    pub attribution: BTreeMap<String, String>,
    /// What this submission can be matched by; never written or shown.
    pub keys: Vec<MatchKey>,
    /// What normalising changed or dropped, for the timeline.
    pub notes: Vec<Note>,
}

/// What two records can be shown by to be one person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchKey {
    /// What kind of value.
    pub kind: KeyKind,
    /// The value, normalised for comparing. Only keyed hashes of it are stored.
    pub value: String,
}

/// The kinds of match key, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Lower-cased local part `@` punycode domain.
    Email = 1,
    /// E.164 number `|` folded last name.
    PhoneAndLastName = 2,
}

impl KeyKind {
    /// The name on timelines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::PhoneAndLastName => "phone and last name",
        }
    }
}

/// A match key as the store holds it: a keyed hash of kind and value. No personal data, of one
/// size; a match has to be verified on the lead's own values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub i64);

/// Something that was done to a value, in plain words, without the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Stable code: `email.invalid`, `phone.no_country`, ...
    pub code: String,
    /// The lead field.
    pub field: String,
    /// The sentence.
    pub message: String,
}

impl Note {
    /// Adds a note to `notes`, unless there is one of this code and field.
    pub fn add(notes: &mut Vec<Self>, code: &str, field: &str, message: &str) {
        if notes
            .iter()
            .any(|note| note.code == code && note.field == field)
        {
            return;
        }
        notes.push(Self {
            code: code.to_owned(),
            field: field.to_owned(),
            message: message.to_owned(),
        });
    }
}
