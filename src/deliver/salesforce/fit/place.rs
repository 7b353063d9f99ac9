//! State and country where they are picklists.
//!
//! `State` and `Country` then take only what the org's lists have, and `StateCode` and `CountryCode`
//! are there beside them; which state goes with which country is a bitmap of the list. Codes are
//! looked up in the list, not made: there are orgs whose codes are not ISO's. Most countries have no
//! states in the list: a state that is not there is left out, rather than hold the lead.
//! Source: Salesforce Help, "State and Country/Territory Picklists".

use serde_json::Value;

use super::choice::not_in_list;
use super::value::text_of;
use super::{Fitting, Misfit};
use crate::config::OnInvalid;
use crate::salesforce::{Class, Field, Map, PicklistValue};

/// What addresses' fields begin with.
const ADDRESSES: [&str; 5] = ["", "Mailing", "Other", "Billing", "Shipping"];

/// `values` with the lists' codes for countries and states; notes what does not fit.
pub(super) fn coded(mut values: Map, fitting: &mut Fitting<'_>) -> Map {
    for address in ADDRESSES {
        let object = fitting.object;
        let list = |name: &str| {
            let field = object.field(&format!("{address}{name}"))?;
            (field.choices().next().is_some()).then_some(field)
        };
        if let Some(countries) = list("CountryCode") {
            country(address, countries, &mut values, fitting);
            if let Some(states) = list("StateCode") {
                state(address, countries, states, &mut values, fitting);
            }
        }
    }
    values
}

/// The name in `values`, as it is written there, of a field; and its text.
fn given(values: &Map, name: &str) -> Option<(String, String)> {
    let (name, value) = values
        .iter()
        .find(|(given, _)| given.eq_ignore_ascii_case(name))?;
    let text = text_of(value).trim().to_owned();
    (!text.is_empty()).then(|| (name.clone(), text))
}

/// Puts what a list has for a text into `values`: its code if that may be written, else its label.
fn put(values: &mut Map, name: &str, list: &Field, choice: &PicklistValue, fitting: &Fitting<'_>) {
    if matches!(fitting.may_write(list), Ok(true)) {
        values.shift_remove(name);
        values
            .entry(list.name.clone())
            .or_insert_with(|| choice.value.as_str().into());
    } else {
        values.insert(name.to_owned(), choice.label.as_str().into());
    }
}

fn country(address: &str, countries: &Field, values: &mut Map, fitting: &mut Fitting<'_>) {
    let Some((name, text)) = given(values, &format!("{address}Country")) else {
        return;
    };
    if let Some(choice) = countries.choice(&text) {
        put(values, &name, countries, choice, fitting);
        return;
    }
    values.shift_remove(&name);
    let misfit = Misfit {
        message: format!("`{text}` does not go into `{name}`: it is not in the org's list"),
        ..not_in_list(countries, &text)
    };
    let mapped = fitting.mapping.field(&name);
    let default = mapped
        .filter(|mapped| mapped.on_invalid == OnInvalid::Default)
        .and_then(|mapped| countries.choice(mapped.default.as_deref()?));
    if let Some(default) = default {
        let message = format!("`{name}` was replaced by the default: {}", misfit.reason);
        fitting.note(misfit.code, &name, message);
        put(values, &name, countries, default, fitting);
        return;
    }
    let text = Value::from(text);
    fitting.settle(&name, None, &text, misfit, OnInvalid::DropField);
}

fn state(
    address: &str,
    countries: &Field,
    states: &Field,
    values: &mut Map,
    fitting: &mut Fitting<'_>,
) {
    let Some((name, text)) = given(values, &format!("{address}State")) else {
        return;
    };
    let country = given(values, &countries.name)
        .or_else(|| given(values, &format!("{address}Country")))
        .map(|(_, text)| text);
    let index = country.as_deref().and_then(|country| {
        let mut all = countries.picklist_values.iter();
        all.position(|choice| choice.value == country || choice.label == country)
    });
    let misfit = match (index, fitting.creating) {
        (None, true) => Misfit {
            code: "salesforce.state_without_country",
            class: Class::FixData,
            message: format!("`{name}` needs a country that the org knows"),
            reason: "Salesforce takes a state only with its country".to_owned(),
            hint: "map the country too, or set on_invalid = \"drop_field\"".to_owned(),
        },
        // The record may have its country already.
        (None, false) => match states.choice(&text) {
            Some(choice) => {
                values.insert(name, choice.label.as_str().into());
                return;
            }
            None => not_in_list(states, &text),
        },
        (Some(index), _) => {
            let folded = text.to_lowercase();
            let mut of_country = states.choices().filter(|choice| choice.is_for(index));
            let found = of_country.find(|choice| {
                [&choice.value, &choice.label]
                    .iter()
                    .any(|name| name.to_lowercase() == folded)
            });
            if let Some(choice) = found {
                put(values, &name, states, choice, fitting);
                return;
            }
            Misfit {
                reason: "the org has no such state for this country".to_owned(),
                ..not_in_list(states, &text)
            }
        }
    };
    values.shift_remove(&name);
    // A default for the state would have to be one of the country's.
    fitting.settle(&name, None, &text.into(), misfit, OnInvalid::DropField);
}
