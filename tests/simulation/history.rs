//! What the org held of each lead, one value after the other, as its writes came.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What a rep types into a record before the person's form comes.
pub const TYPED: &str = "Typed in by hand";

/// A field whose values are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Followed {
    /// Written always.
    Title,
    /// Written always; Salesforce wants one, so there is a default.
    Company,
    /// Written where there is none.
    City,
}

impl Followed {
    pub const ALL: [Self; 3] = [Self::Title, Self::Company, Self::City];

    pub fn salesforce(self) -> &'static str {
        match self {
            Self::Title => "Title",
            Self::Company => "Company",
            Self::City => "City",
        }
    }

    /// Its name in a form.
    pub fn form(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Company => "company",
            Self::City => "city",
        }
    }

    /// What a record holds; not what stands in for a value that nobody has given.
    pub fn of(self, record: &Map<String, Value>) -> Option<&str> {
        record
            .get(self.salesforce())?
            .as_str()
            .filter(|value| !["[not provided]", TYPED].contains(value))
    }
}

/// Values by external id and field.
#[derive(Debug, Clone, Default)]
pub struct History(BTreeMap<(String, Followed), Vec<String>>);

impl History {
    /// Notes a row that the org has just taken.
    pub fn note(&mut self, key: &str, row: &Map<String, Value>) {
        for field in Followed::ALL {
            let Some(value) = field.of(row) else { continue };
            let values = self.0.entry((key.to_owned(), field)).or_default();
            if values.last().is_none_or(|last| last != value) {
                values.push(value.to_owned());
            }
        }
    }

    /// The values that the field had, one after the other.
    pub fn values(&self, key: &str, field: Followed) -> &[String] {
        self.0
            .get(&(key.to_owned(), field))
            .map_or(&[], Vec::as_slice)
    }
}
