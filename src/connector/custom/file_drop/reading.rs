//! Rows are read by the names of their columns, as forms are by those of their fields.

use std::collections::BTreeMap;

use crate::config::FieldMapping;
use crate::connector::reading::{self, Field, Form, Reading, Said, is_yes, said_by_names};
use crate::model::{Event, Extracted, Verdict};

pub(super) use reading::fold;

/// The lead field that a name means by the dictionary of forms.
pub(super) fn meaning(name: &str) -> Option<&'static str> {
    let said = reading::said_by_name(name);
    said.meaning.map(|meaning| meaning.field)
}

/// One submission out of named values.
pub(super) fn read(
    values: Vec<(String, String)>,
    event: &Event,
    fields: &BTreeMap<String, FieldMapping>,
) -> Extracted {
    let mut form = Form::default();
    for (name, value) in values {
        form.add(name, value);
    }
    let said = said_by_names(&form);
    let mut reading = Reading::new(&form, &said, &event.meta);
    reading.set_aside(&is_test);
    reading.take_configured(fields);
    reading.take_known();
    reading.keep_unknown();
    let mut named = form.fields.iter().zip(&said);
    let verdict = match named.find(|(field, said)| is_test(field, said)) {
        Some((field, _)) => Verdict::Test(format!("the list says `{}`", field.name)),
        None => Verdict::Genuine,
    };
    Extracted {
        fields: reading.fields,
        attribution: reading.attribution,
        verdict,
        ..Extracted::default()
    }
}

fn is_test(field: &Field, said: &Said) -> bool {
    said.is_test_marker && field.first().is_some_and(is_yes)
}
