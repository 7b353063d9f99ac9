//! Fits what is to be written to what the org says of its fields, before it is sent: a value that
//! Salesforce would refuse is mended, left out, replaced or held by the field's own rule, and takes
//! neither its lead nor its neighbours with it. Pure.
//!
//! To be called on what `write::changes` leaves, as the last thing before the call: where State and
//! Country are picklists it puts `CountryCode` in the place of `Country`. What was fitted fits: doing
//! it again changes nothing.

mod choice;
mod place;
mod value;

use serde_json::Value;

use super::{MappedField, Mapping, near};
use crate::config::OnInvalid;
use crate::model::Note;
use crate::salesforce::{Class, Describe, Explanation, Field, Map};

pub use value::Fit;

/// One value for one field: what of it goes in.
pub(super) fn fit_value(field: &Field, value: &Value) -> Fit {
    value::fit(field, value, false)
}

/// Values as the object's fields take them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fitted {
    /// What to send. Blank if nothing is left.
    pub values: Map,
    /// What was cut, replaced or left out, for the timeline. Without values.
    pub notes: Vec<Note>,
    /// Why it is not to be sent at all: a field whose rule is `hold` got a value that it does not
    /// take. Of several, code and cause are those of the first.
    pub refused: Option<Explanation>,
}

/// Why a value does not go into its field.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    code: &'static str,
    class: Class,
    /// What is wrong, for those who may see leads: may quote the value.
    message: String,
    /// The same for the timeline, without the value.
    pub(super) reason: String,
    pub(super) hint: String,
}

/// Fits `values`, which a new record (`creating`) or an old one is to get.
///
/// Left as they are: nulls, references by external id (objects), `Id`, `attributes`, and the
/// external id that the mapping does not name.
pub fn fit(values: Map, object: &Describe, mapping: &Mapping, creating: bool) -> Fitted {
    let mut fitting = Fitting {
        object,
        mapping,
        creating,
        fitted: Fitted::default(),
    };
    for (name, value) in place::coded(values, &mut fitting) {
        fitting.add(name, value);
    }
    fitting.fitted
}

/// A record on its way through its fields.
struct Fitting<'a> {
    object: &'a Describe,
    mapping: &'a Mapping,
    creating: bool,
    fitted: Fitted,
}

impl Fitting<'_> {
    fn add(&mut self, name: String, value: Value) {
        let is_left_alone = name.eq_ignore_ascii_case("Id") || name == "attributes";
        if is_left_alone || matches!(value, Value::Null | Value::Object(_)) {
            self.fitted.values.insert(name, value);
            return;
        }
        let object = self.object;
        let Some(field) = object.field(&name) else {
            let misfit = unknown(object, &name);
            self.settle(&name, None, &value, misfit, OnInvalid::Hold);
            return;
        };
        match self.may_write(field) {
            Ok(true) => {}
            Ok(false) => {
                let message = format!("`{name}` was left out: it can be set in new records only");
                self.note("salesforce.create_only", &name, message);
                return;
            }
            Err(misfit) => {
                self.settle(&name, None, &value, misfit, OnInvalid::Hold);
                return;
            }
        }
        let drops = self.on_invalid(&name, OnInvalid::Hold) == OnInvalid::DropField;
        match value::fit(field, &value, drops) {
            Fit::Value(value) => {
                self.fitted.values.insert(name, value);
            }
            Fit::Altered(value, code, what) => {
                self.note(code, &name, format!("`{name}` {what}"));
                self.fitted.values.insert(name, value);
            }
            Fit::Nothing => {}
            Fit::Not(misfit) => {
                self.settle(&name, Some(field), &value, misfit, OnInvalid::Hold);
            }
        }
    }

    /// Whether the field may be written now; false if it is merely too late for it.
    fn may_write(&self, field: &Field) -> Result<bool, Misfit> {
        let may = if self.creating {
            field.createable
        } else {
            field.updateable
        };
        // The key by which the row is found: an update names it and changes nothing.
        let is_key = field.external_id && self.mapping.field(&field.name).is_none();
        if (may && !field.is_computed()) || is_key {
            return Ok(true);
        }
        if !self.creating && field.createable && !field.is_computed() {
            return Ok(false);
        }
        Err(read_only(self.object, field))
    }

    fn on_invalid(&self, name: &str, unless_mapped: OnInvalid) -> OnInvalid {
        self.mapping
            .field(name)
            .map_or(unless_mapped, |mapped| mapped.on_invalid)
    }

    /// Does with a value that does not fit what its field's rule says.
    fn settle(
        &mut self,
        name: &str,
        field: Option<&Field>,
        value: &Value,
        misfit: Misfit,
        unless_mapped: OnInvalid,
    ) {
        let mapped = self.mapping.field(name);
        let default = field.and_then(|field| fitting_default(mapped?, field));
        // Without it the whole record would be refused.
        let is_needed = self.creating && field.is_some_and(Field::required);
        match (self.on_invalid(name, unless_mapped), default) {
            (OnInvalid::Hold, _) => self.refuse(name, mapped, value, misfit),
            (OnInvalid::Default, Some(default)) => self.replace(name, default, &misfit),
            (OnInvalid::DropField, Some(default)) if is_needed => {
                self.replace(name, default, &misfit);
            }
            (OnInvalid::DropField | OnInvalid::Default, _) => {
                let message = format!("`{name}` was left out: {}", misfit.reason);
                self.note(misfit.code, name, message);
            }
        }
    }

    fn replace(&mut self, name: &str, default: Value, misfit: &Misfit) {
        let message = format!("`{name}` was replaced by the default: {}", misfit.reason);
        self.note(misfit.code, name, message);
        self.fitted.values.insert(name.to_owned(), default);
    }

    fn refuse(&mut self, name: &str, mapped: Option<&MappedField>, value: &Value, misfit: Misfit) {
        if let Some(refused) = &mut self.fitted.refused {
            refused.message = format!("{}; {}", refused.message, misfit.message);
            return;
        }
        let mut about = format!("{}.{name}", self.object.name);
        // What the configuration wrote is nobody's; what somebody typed does not go into a cause.
        if misfit.code == PICKLIST_VALUE
            && let (Some(mapped), Value::String(text)) = (mapped, value)
            && is_configured(mapped, text)
        {
            about = format!("{about} = {text}");
        }
        self.fitted.refused = Some(Explanation {
            class: misfit.class,
            code: misfit.code.to_owned(),
            message: misfit.message,
            hint: misfit.hint,
            about: vec![about],
        });
    }

    fn note(&mut self, code: &str, name: &str, message: String) {
        self.fitted.notes.push(Note {
            code: code.to_owned(),
            field: name.to_owned(),
            message,
        });
    }
}

/// Code of a value that is not in its field's list.
pub const PICKLIST_VALUE: &str = "salesforce.picklist_value";

/// Code of a field that the org does not have, or hides.
pub const UNKNOWN_FIELD: &str = "salesforce.unknown_field";

/// Code of a field that the integration user may not write.
pub const READ_ONLY: &str = "salesforce.read_only_field";

/// Whether `[salesforce.lead]` itself names the value.
fn is_configured(mapped: &MappedField, text: &str) -> bool {
    let mut named = mapped.values.values().chain(&mapped.default);
    named.any(|value| value.trim() == text)
}

/// The field's default as the field takes it, if it does.
fn fitting_default(mapped: &MappedField, field: &Field) -> Option<Value> {
    match value::fit(field, &mapped.default_value()?, true) {
        Fit::Value(value) | Fit::Altered(value, ..) => Some(value),
        Fit::Nothing | Fit::Not(_) => None,
    }
}

fn unknown(object: &Describe, name: &str) -> Misfit {
    let object_name = &object.name;
    let near = match near::field(object, name) {
        Some(near) => format!("did you mean `{}` (\"{}\")? ", near.name, near.label),
        None => String::new(),
    };
    Misfit {
        code: UNKNOWN_FIELD,
        class: Class::FixConfig,
        message: format!(
            "{object_name} has no field `{name}`, or it is hidden from the integration user"
        ),
        reason: "the org does not have the field, or hides it from the integration user".to_owned(),
        hint: format!(
            "{near}correct the name in the mapping; if it is right, tick Read and Edit Access for \
             it in Setup > Permission Sets > the integration user's > Object Settings > \
             {object_name}"
        ),
    }
}

fn read_only(object: &Describe, field: &Field) -> Misfit {
    let name = &field.name;
    let is_computed = field.is_computed() || field.r#type == "address" || name == "Name";
    Misfit {
        code: READ_ONLY,
        class: if is_computed {
            Class::FixConfig
        } else {
            Class::FixPermissions
        },
        message: format!(
            "`{name}` of {} cannot be written by the integration user",
            object.name
        ),
        reason: "the integration user may not write it".to_owned(),
        hint: if is_computed {
            format!("`{name}` is computed by Salesforce: map another field")
        } else {
            format!(
                "tick Edit Access for {name} in Setup > Permission Sets > the integration user's > \
                 Object Settings > {}, or set write = \"never\" for it",
                object.name
            )
        },
    }
}

#[cfg(test)]
mod tests;
