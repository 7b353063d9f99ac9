//! What a Lead of the org takes, compared with what is mapped. Pure.

use super::did_you_mean;
use super::expect::ExpectedValue;
use crate::config::WritePolicy;
use crate::deliver::salesforce::{MappedField, Mapping};
use crate::diagnostic::Diagnostic;
use crate::model::field::{self, Kind};
use crate::salesforce::{Describe, Field};

/// Characters of a value that no table limits: UTM parameters, click ids, a form's own questions.
const USUAL_CHARS: usize = 255;

pub(super) fn check_object(lead: &Describe) -> Option<Diagnostic> {
    (!lead.createable || !lead.updateable).then(|| {
        Diagnostic::error(
            "doctor.lead_not_writable",
            "the integration user may not create and edit leads",
        )
        .hint(
            "Setup > Permission Sets > the integration user's > Object Settings > Leads: tick \
             Read, Create and Edit (and View All, if leads are private)",
        )
    })
}

pub(super) fn check_fields(lead: &Describe, mapping: &Mapping) -> Vec<Diagnostic> {
    mapping
        .all()
        .iter()
        .filter(|field| field.write != WritePolicy::Never)
        .flat_map(|mapped| match lead.field(&mapped.salesforce) {
            None => vec![missing(lead, mapped)],
            Some(field) => check_field(mapped, field),
        })
        .collect()
}

fn missing(lead: &Describe, mapped: &MappedField) -> Diagnostic {
    let name = &mapped.salesforce;
    let message = format!("Lead has no field `{name}`, or it is hidden from the integration user");
    let edit_access = format!(
        "tick Edit Access for it in Setup > Permission Sets > the integration user's > Object \
         Settings > Leads, or set `{name} = {{ from = \"{}\", write = \"never\" }}` in \
         [salesforce.lead]",
        mapped.from
    );
    if mapped.configured {
        let names = lead.fields.iter().map(|field| field.name.as_str());
        let hint = format!(
            "correct the name{}; if it is right, {edit_access}",
            did_you_mean(name, names)
        );
        return Diagnostic::error("doctor.field_missing", message).hint(hint);
    }
    // Nothing is wrong until a lead brings a value for it.
    if mapped.kind == Kind::OptOut {
        let message = format!("{message}: an opt-out cannot be written there");
        return Diagnostic::warning("doctor.field_missing", message).hint(edit_access);
    }
    Diagnostic::warning("doctor.field_missing", message).hint(edit_access)
}

fn check_field(mapped: &MappedField, field: &Field) -> Vec<Diagnostic> {
    let name = &field.name;
    let mut found = Vec::new();
    if field.calculated || !field.createable {
        let message = format!("`{name}` cannot be written by the integration user");
        let hint = if field.calculated {
            "it is computed: map another field".to_owned()
        } else {
            format!(
                "Setup > Permission Sets > the integration user's > Object Settings > Leads: tick \
                 Edit Access for {name}"
            )
        };
        found.push(Diagnostic::error("doctor.field_read_only", message).hint(hint));
        return found;
    }
    if !field.updateable && mapped.write != WritePolicy::CreateOnly {
        let message = format!("`{name}` can be set in new leads, but not changed");
        let hint = format!("set write = \"create_only\" for {name} in [salesforce.lead]");
        found.push(Diagnostic::warning("doctor.field_not_updateable", message).hint(hint));
    }
    let is_checkbox = field.r#type == "boolean";
    if mapped.kind == Kind::OptOut && !is_checkbox {
        let message = format!("`{name}` is not a checkbox, but its policy is most_restrictive");
        let hint = "most_restrictive is for opt-outs: choose another policy".to_owned();
        found.push(Diagnostic::error("doctor.field_type", message).hint(hint));
    }
    if is_checkbox && mapped.write == WritePolicy::IfBlank {
        let message = format!("`{name}` is a checkbox, which is never blank");
        let hint = "if_blank sets it in new leads only: choose always or most_restrictive";
        found.push(Diagnostic::warning("doctor.checkbox_policy", message).hint(hint));
    }
    let longest = longest_value(mapped);
    if field.length > 0 && field.length < longest {
        let length = field.length;
        let message = format!("`{name}` takes {length} characters, values may have {longest}");
        let hint = format!(
            "lengthen the field in Setup > Object Manager > Lead, or set on_invalid = \
             \"drop_field\" for {name}"
        );
        found.push(Diagnostic::warning("doctor.field_short", message).hint(hint));
    }
    found
}

/// The most characters that a value of `mapped` can have; 0 for what is not text.
fn longest_value(mapped: &MappedField) -> usize {
    if mapped.kind != Kind::Text {
        return 0;
    }
    if mapped.max_chars > 0 {
        return mapped.max_chars;
    }
    field::find(&mapped.from).map_or(USUAL_CHARS, |from| from.max_chars)
}

pub(super) fn check_values(lead: &Describe, expected: &[ExpectedValue]) -> Vec<Diagnostic> {
    expected
        .iter()
        .filter_map(|expected| {
            let field = lead.field(&expected.field)?;
            if field.takes(&expected.value) {
                return None;
            }
            let message = format!(
                "`{}`, {}, is not in the list of `{}`",
                expected.value, expected.set_by, field.name
            );
            let active = field.picklist_values.iter().filter(|choice| choice.active);
            let hint = format!(
                "add it in Setup > Object Manager > Lead > Fields & Relationships > {}, or write \
                 one of its values{}",
                field.name,
                did_you_mean(&expected.value, active.map(|choice| choice.value.as_str()))
            );
            Some(Diagnostic::error("doctor.picklist_value", message).hint(hint))
        })
        .collect()
}

pub(super) fn check_required(
    lead: &Describe,
    mapping: &Mapping,
    external_id: &str,
) -> Vec<Diagnostic> {
    lead.fields
        .iter()
        .filter(|field| field.required() && !field.name.eq_ignore_ascii_case(external_id))
        .filter(|field| {
            mapping
                .field(&field.name)
                .is_none_or(|mapped| mapped.write == WritePolicy::Never)
        })
        .map(|field| {
            let message = format!(
                "the org demands `{}` of a lead, and nothing fills it",
                field.name
            );
            let hint = format!(
                "add `{} = {{ from = \"…\", default = \"…\" }}` to [salesforce.lead]",
                field.name
            );
            Diagnostic::error("doctor.required_unfilled", message).hint(hint)
        })
        .collect()
}
