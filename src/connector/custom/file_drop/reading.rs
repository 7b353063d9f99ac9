//! All that rows and web forms have in common, and the only place that knows where it is.

use std::collections::BTreeMap;

use super::super::web_form;
use crate::config::FieldMapping;
use crate::model::{Event, Extracted};

/// A name without what makes no difference.
pub(super) fn fold(name: &str) -> String {
    web_form::fold(name)
}

/// The lead field that a name means by the dictionary of web forms.
pub(super) fn meaning(name: &str) -> Option<&'static str> {
    web_form::meaning(name).map(|meaning| meaning.field)
}

/// One submission out of named values.
pub(super) fn read(
    values: Vec<(String, String)>,
    event: &Event,
    fields: &BTreeMap<String, FieldMapping>,
) -> Extracted {
    web_form::read_values(values, event, fields)
}
