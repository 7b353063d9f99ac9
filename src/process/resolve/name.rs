//! A person's name in every way that it can be read.

use std::collections::BTreeMap;

use super::given_name;
use super::merge::NAME_SPLIT;
use crate::model::{Held, Submission};
use crate::process::normalise::{fold, was_name_split};

/// Given and family name. Either may be blank, which says nothing.
#[derive(Debug)]
pub(super) struct Name {
    first: String,
    last: String,
}

impl Name {
    /// The names that a lead's record may stand for.
    pub fn of_record(record: &BTreeMap<String, Held>) -> Vec<Self> {
        let value = |name: &str| record.get(name).map_or("", |held| held.value.as_str());
        let is_split = value(NAME_SPLIT) == "first_name;last_name";
        Self::readings(value("first_name"), value("last_name"), is_split)
    }

    /// The names that a submission may stand for.
    pub fn of_submission(submission: &Submission) -> Vec<Self> {
        let value = |name: &str| submission.fields.get(name).map_or("", String::as_str);
        let is_split = was_name_split(&submission.notes);
        Self::readings(value("first_name"), value("last_name"), is_split)
    }

    /// What was split by us may have been a family name of two words.
    fn readings(first: &str, last: &str, is_split: bool) -> Vec<Self> {
        let mut readings = vec![Self {
            first: first.to_owned(),
            last: last.to_owned(),
        }];
        if is_split && !first.is_empty() {
            readings.push(Self {
                first: String::new(),
                last: format!("{first} {last}"),
            });
        }
        readings
    }

    /// Whether its family name folds to `last_name`.
    pub fn has_last_name(&self, last_name: &str) -> bool {
        fold::last_name(&self.last) == last_name
    }

    /// Whether the given names, or the marks of generation, say that these are two people.
    pub fn contradicts_beside_last_name(&self, other: &Self) -> bool {
        let generations = (fold::generation(&self.last), fold::generation(&other.last));
        matches!(generations, (Some(one), Some(other)) if one != other)
            || given_name::contradict(&self.first, &other.first)
    }

    /// Whether given or family name say that these are two people.
    pub fn contradicts(&self, other: &Self) -> bool {
        let last_names_differ = !self.last.is_empty()
            && !other.last.is_empty()
            && fold::last_name(&self.last) != fold::last_name(&other.last);
        last_names_differ || given_name::contradict(&self.first, &other.first)
    }
}
