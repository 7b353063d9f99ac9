//! What a column is for, by its name: the dictionary of web forms, and what only lists have.

use super::reading::{fold, meaning};

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A lead field, by the dictionary.
    Field(&'static str),
    /// The badge's or registration's id.
    Id,
    /// When the person was met, date and time in one, or only the date.
    When,
    /// The time of a date that has a column of its own.
    Time,
    /// Who met the person.
    By,
    /// What was noted.
    Note,
    /// Kept under its own name.
    Other,
}

const IDS: &[&str] = &[
    "badgeid",
    "badge",
    "badgenumber",
    "badgeno",
    "badgecode",
    "regid",
    "registrationid",
    "registrationnumber",
    "registrationno",
    "attendeeid",
    "visitorid",
    "qr",
    "qrcode",
    "barcode",
    "ausweisnummer",
    "ticketid",
    "ticketnumber",
];

const WHENS: &[&str] = &[
    "scandate",
    "scantime",
    "scandatetime",
    "scannedat",
    "scannedon",
    "scantimestamp",
    "capturetime",
    "capturedate",
    "capturedat",
    "datetime",
    "created",
    "createdat",
    "createddate",
    "timestamp",
    "date",
    "datum",
    "leaddate",
    "submittedat",
    "downloadedat",
    "downloaddate",
    "downloadtime",
    "zeitpunkt",
    "fecha",
    "data",
];

const TIMES: &[&str] = &["time", "zeit", "uhrzeit", "hora", "ora", "heure"];

const BYS: &[&str] = &[
    "scannedby",
    "rep",
    "salesrep",
    "capturedby",
    "collectedby",
    "boothstaff",
    "erfasstvon",
];

const NOTES: &[&str] = &["followup", "followupnotes", "leadnotes", "notiz", "notizen"];

/// Names that mean a lead field on lists only.
const FIELDS: &[(&str, &str)] = &[
    ("attendee", "full_name"),
    ("attendeename", "full_name"),
    ("visitor", "full_name"),
    ("account", "company"),
    ("accountname", "company"),
    ("priority", "rating"),
    ("temperature", "rating"),
    ("leadrating", "rating"),
    ("maywecontactyou", "consent"),
    ("contactpermission", "consent"),
];

impl Role {
    /// What the column of that name is for.
    pub fn of(name: &str) -> Self {
        let folded = fold(plain(name));
        let is = |names: &[&str]| names.contains(&folded.as_str());
        if is(IDS) {
            Self::Id
        } else if is(WHENS) {
            Self::When
        } else if is(TIMES) {
            Self::Time
        } else if is(BYS) {
            Self::By
        } else if is(NOTES) {
            Self::Note
        } else if let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == folded) {
            Self::Field(field)
        } else {
            match meaning(plain(name)) {
                Some("message") => Self::Note,
                Some(field) => Self::Field(field),
                None => Self::Other,
            }
        }
    }

    /// In words, for people who look at how a file is read.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Field(field) => field,
            Self::Id => "id of the badge or registration",
            Self::When => "when they were met",
            Self::Time => "the time of day",
            Self::By => "who met them",
            Self::Note => "notes",
            Self::Other => "",
        }
    }
}

/// The name that a column has in a form: that of the lead field, where only lists call it so.
pub(super) fn in_form(name: &str) -> Option<&'static str> {
    let folded = fold(name);
    let found = FIELDS.iter().find(|(known, _)| *known == folded);
    found.map(|(_, field)| *field)
}

/// A name without the number that tells it from others of that name.
pub(super) fn plain(name: &str) -> &str {
    let number = |name: &'_ str| -> Option<usize> {
        let (_, number) = name.strip_suffix(')')?.rsplit_once(" (")?;
        number.parse().ok()
    };
    match number(name) {
        Some(_) => name.rsplit_once(" (").map_or(name, |(plain, _)| plain),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_whatever_their_spelling() {
        for (name, role) in [
            ("E-Mail Address", Role::Field("email")),
            ("Attendee", Role::Field("full_name")),
            ("BADGE-ID", Role::Id),
            ("Scanned At", Role::When),
            ("Date", Role::When),
            ("time", Role::Time),
            ("Scanned by", Role::By),
            ("Notes", Role::Note),
            ("Notes (2)", Role::Note),
            ("Follow-up", Role::Note),
            ("Priority", Role::Field("rating")),
            ("Budget (EUR)", Role::Other),
            ("", Role::Other),
        ] {
            assert_eq!(Role::of(name), role, "{name}");
        }
    }
}
