use std::collections::BTreeMap;

use super::text;
use crate::model::Note;

/// A submission while its fields are normalised one after the other: values that are never blank,
/// and what was done to them.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub fields: BTreeMap<String, String>,
    pub notes: Vec<Note>,
    /// An e-mail or phone was given that is nobody's (`test@test.com`, `0000000`).
    pub placeholder_contact: bool,
}

impl Draft {
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    pub fn take(&mut self, field: &str) -> Option<String> {
        self.fields.remove(field)
    }

    /// Sets the field; a blank value removes it.
    pub fn set(&mut self, field: &str, value: &str) {
        if text::is_blank(value) {
            self.fields.remove(field);
        } else if self.get(field) != Some(value) {
            self.fields.insert(field.to_owned(), value.to_owned());
        }
    }

    /// The same as [`Draft::set`] with texts that can be kept as they are.
    pub fn set_owned(&mut self, field: String, value: String) {
        if text::is_blank(&value) {
            self.fields.remove(&field);
        } else {
            self.fields.insert(field, value);
        }
    }

    pub fn set_if_blank(&mut self, field: &str, value: &str) {
        if self.get(field).is_none() {
            self.set(field, value);
        }
    }

    /// Notes what was done to a field, in words that hold no value of it. Once for each code.
    pub fn note(&mut self, code: &str, field: &str, message: &str) {
        Note::add(&mut self.notes, code, field, message);
    }
}
