//! Whether a mapping and an object of the org fit together: told before any lead fails. Pure.

use serde_json::Value;

use super::{MappedField, Mapping, fit, near};
use crate::config::{Config, WritePolicy};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::field::{self, Kind};
use crate::salesforce::{Describe, Field};
use crate::store::EXTERNAL_ID_CHARS;

/// Characters of a value that no table limits: UTM parameters, click ids, a form's own questions.
const USUAL_CHARS: usize = 255;

/// A value that the configuration will send, for comparing with the org's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedValue {
    /// The Salesforce field.
    pub field: String,
    /// The value.
    pub value: String,
    /// Where it is set, e.g. "`lead_source` in `[sources.demo]`".
    pub set_by: String,
}

/// What is written to one object.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Which lead field goes where.
    pub mapping: &'a Mapping,
    /// The field that holds our key, if the object has one.
    pub external_id: Option<&'a str>,
    /// Whether records are made, so that all that the org demands must be filled.
    pub creates: bool,
    /// The values that the configuration names.
    pub expected: &'a [ExpectedValue],
}

/// A place where mapping and org do not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is: an error holds leads, a warning loses something of them.
    pub severity: Severity,
    /// Stable code.
    pub code: &'static str,
    /// What it is about: `Lead.Plan__c`; with the value if it is about one.
    pub about: String,
    /// What is wrong. Names of the org and of the configuration only.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl From<Problem> for Diagnostic {
    fn from(problem: Problem) -> Self {
        Diagnostic {
            severity: problem.severity,
            ..Diagnostic::error(problem.code, problem.message)
        }
        .hint(problem.hint)
    }
}

/// The values that `config` names, as `mapping`, that of `[salesforce.{section}]`, sends them.
pub fn expected_values(config: &Config, mapping: &Mapping, section: &str) -> Vec<ExpectedValue> {
    let mut expected = Vec::new();
    let mut expect = |lead_field: &str, value: &str, set_by: String| {
        for target in mapping.all().iter().filter(|to| to.from == lead_field) {
            expected.push(ExpectedValue {
                field: target.salesforce.clone(),
                value: target.replaced(value.trim()).to_owned(),
                set_by: set_by.clone(),
            });
        }
    };
    for (name, source) in &config.sources {
        if let Some(lead_source) = &source.lead_source {
            let set_by = format!("lead_source in [sources.{name}]");
            expect("lead_source", lead_source, set_by);
        }
        for (lead_field, from) in &source.fields {
            for value in from.values.values() {
                let set_by = format!("values of {lead_field} in [sources.{name}.fields]");
                expect(lead_field, value, set_by);
            }
        }
    }
    for target in mapping.all() {
        let set_by = |what| format!("{what} of {} in [salesforce.{section}]", target.salesforce);
        let values = target.values.values().map(|value| (value, "values"));
        let default = target.default.iter().map(|value| (value, "default"));
        for (value, what) in values.chain(default) {
            expected.push(ExpectedValue {
                field: target.salesforce.clone(),
                value: value.trim().to_owned(),
                set_by: set_by(what),
            });
        }
    }
    expected.retain(|expected| {
        !expected.value.is_empty() && mapping.policy(&expected.field) != WritePolicy::Never
    });
    expected
}

/// Everything of `object` that keeps leads from being written as `written` says, or will.
pub fn check(object: &Describe, written: &Written<'_>) -> Vec<Problem> {
    let checking = Checking { object, written };
    let mut found = Vec::new();
    found.extend(checking.object());
    found.extend(checking.external_id());
    found.extend(checking.fields());
    found.extend(checking.values());
    if written.creates {
        found.extend(checking.required());
    }
    found
}

/// The field that has come in the place of `name`, which is gone: it has the label and type that
/// the other had, or is the only new one of its type.
pub fn renamed<'a>(before: &Describe, now: &'a Describe, name: &str) -> Option<&'a Field> {
    let gone = before.field(name)?;
    let is_new = |field: &&Field| before.field(&field.name).is_none();
    let alike = |field: &&Field| field.r#type == gone.r#type && is_new(field);
    let of_label = now
        .fields
        .iter()
        .filter(alike)
        .find(|field| field.label == gone.label);
    of_label.or_else(|| {
        let mut new = now.fields.iter().filter(alike);
        match (new.next(), new.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    })
}

struct Checking<'a> {
    object: &'a Describe,
    written: &'a Written<'a>,
}

impl Checking<'_> {
    fn problem(&self, code: &'static str, field: &str, message: String, hint: String) -> Problem {
        Problem {
            severity: Severity::Error,
            code,
            about: format!("{}.{field}", self.object.name),
            message,
            hint,
        }
    }

    fn warning(&self, code: &'static str, field: &str, message: String, hint: String) -> Problem {
        Problem {
            severity: Severity::Warning,
            ..self.problem(code, field, message, hint)
        }
    }

    /// The section of the configuration.
    fn section(&self) -> String {
        format!("[salesforce.{}]", self.object.name.to_lowercase())
    }

    /// Where the admin gives access to a field.
    fn edit_access(&self, name: &str) -> String {
        format!(
            "Setup > Permission Sets > the integration user's > Object Settings > {}s: tick Edit \
             Access for {name}",
            self.object.name
        )
    }

    fn object(&self) -> Option<Problem> {
        let object = &self.object.name;
        let can_create = self.object.createable || !self.written.creates;
        if can_create && self.object.updateable {
            return None;
        }
        let what = if self.written.creates {
            "create and edit"
        } else {
            "edit"
        };
        Some(Problem {
            // Only people who are there already need it.
            severity: if self.written.creates {
                Severity::Error
            } else {
                Severity::Warning
            },
            code: if self.written.creates {
                "doctor.lead_not_writable"
            } else {
                "doctor.object_access"
            },
            about: object.clone(),
            message: format!(
                "the integration user may not {what} {}s",
                object.to_lowercase()
            ),
            hint: format!(
                "Setup > Permission Sets > the integration user's > Object Settings > {object}s: \
                 tick Read, Create and Edit (and View All, if {}s are private)",
                object.to_lowercase()
            ),
        })
    }

    fn external_id(&self) -> Vec<Problem> {
        let Some(name) = self.written.external_id else {
            return Vec::new();
        };
        let object = &self.object.name;
        let place = format!("Setup > Object Manager > {object} > Fields & Relationships > {name}");
        let Some(field) = self.object.field(name) else {
            let message = format!("{object} has no field `{name}`, or it is hidden from the user");
            let label = name.strip_suffix("__c").unwrap_or(name);
            let near = match near::field(self.object, name) {
                Some(near) => format!("; did you mean `{}`?", near.name),
                None => String::new(),
            };
            let hint = format!(
                "Setup > Object Manager > {object} > Fields & Relationships > New > Text: length \
                 64, name {label}, tick External ID and Unique (case insensitive); then Setup > \
                 Permission Sets > the integration user's > Object Settings > {object}s: tick Read \
                 and Edit Access for it{near}"
            );
            return vec![self.problem("doctor.external_id_missing", name, message, hint)];
        };
        let mut found = Vec::new();
        let mut problem = |code, what: &str, hint: String| {
            let message = format!("the external id field `{name}` {what}");
            found.push(self.problem(code, name, message, hint));
        };
        if !field.external_id {
            problem(
                "doctor.external_id_not_external",
                "is not marked as External ID, so that nothing can be upserted by it",
                format!("{place} > Edit: tick External ID"),
            );
        }
        if !field.unique {
            problem(
                "doctor.external_id_not_unique",
                "is not unique, so that two leads can be made at once for one person",
                format!("{place} > Edit: tick Unique, case insensitive"),
            );
        }
        if !field.createable || !field.updateable {
            problem(
                "doctor.external_id_read_only",
                "may not be written by the integration user",
                self.edit_access(name),
            );
        }
        if field.r#type != "string" || field.length < EXTERNAL_ID_CHARS {
            problem(
                "doctor.external_id_type",
                &format!("is not a text of at least {EXTERNAL_ID_CHARS} characters"),
                format!("{place} > Edit: make it a Text of length 64"),
            );
        }
        found
    }

    fn fields(&self) -> Vec<Problem> {
        self.written
            .mapping
            .all()
            .iter()
            .filter(|field| field.write != WritePolicy::Never)
            .flat_map(|mapped| match self.object.field(&mapped.salesforce) {
                None => vec![self.missing(mapped)],
                Some(field) => self.field(mapped, field),
            })
            .collect()
    }

    fn missing(&self, mapped: &MappedField) -> Problem {
        let (object, name) = (&self.object.name, &mapped.salesforce);
        let code = "doctor.field_missing";
        let message =
            format!("{object} has no field `{name}`, or it is hidden from the integration user");
        let edit_access = format!(
            "tick Edit Access for it in Setup > Permission Sets > the integration user's > Object \
             Settings > {object}s, or set `{name} = {{ from = \"{}\", write = \"never\" }}` in {}",
            mapped.from,
            self.section()
        );
        if mapped.configured {
            let near = match near::field(self.object, name) {
                Some(near) => format!("; did you mean `{}`?", near.name),
                None => String::new(),
            };
            let hint = format!("correct the name{near}; if it is right, {edit_access}");
            return self.problem(code, name, message, hint);
        }
        // Nothing is wrong until a lead brings a value for it.
        self.warning(code, name, message, edit_access)
    }

    fn field(&self, mapped: &MappedField, field: &Field) -> Vec<Problem> {
        let name = &field.name;
        if field.is_computed()
            || !field.createable && self.written.creates
            || !field.updateable && !field.createable
        {
            let message = format!("`{name}` cannot be written by the integration user");
            let hint = if field.is_computed() {
                "it is computed: map another field".to_owned()
            } else {
                self.edit_access(name)
            };
            return vec![self.problem("doctor.field_read_only", name, message, hint)];
        }
        let mut found = Vec::new();
        if !field.updateable && mapped.write != WritePolicy::CreateOnly {
            let message = format!("`{name}` can be set in new leads, but not changed");
            let hint = format!(
                "set write = \"create_only\" for {name} in {}",
                self.section()
            );
            found.push(self.warning("doctor.field_not_updateable", name, message, hint));
        }
        let is_checkbox = field.r#type == "boolean";
        if mapped.kind == Kind::OptOut && !is_checkbox {
            let message = format!("`{name}` is not a checkbox, but its policy is most_restrictive");
            let hint = "most_restrictive is for opt-outs: choose another policy".to_owned();
            found.push(self.problem("doctor.field_type", name, message, hint));
        } else if let Some(what) = never_holds(mapped, field) {
            let message = format!(
                "`{name}` is a field of type {}, but `{}` is {what}",
                field.r#type, mapped.from
            );
            let hint = "map it into a text field, or map another lead field here".to_owned();
            found.push(self.problem("doctor.field_type", name, message, hint));
        }
        if is_checkbox && mapped.write == WritePolicy::IfBlank {
            let message = format!("`{name}` is a checkbox, which is never blank");
            let hint = "if_blank sets it in new leads only: choose always or most_restrictive";
            let hint = hint.to_owned();
            found.push(self.warning("doctor.checkbox_policy", name, message, hint));
        }
        let longest = longest_value(mapped);
        if field.length > 0 && field.length < longest && !is_list(field) {
            let length = field.length;
            let message = format!("`{name}` takes {length} characters, values may have {longest}");
            let hint = format!(
                "longer values are cut: lengthen the field in Setup > Object Manager > {}, or set \
                 on_invalid = \"drop_field\" for {name} if half a value is worse than none",
                self.object.name
            );
            found.push(self.warning("doctor.field_short", name, message, hint));
        }
        found
    }

    fn values(&self) -> Vec<Problem> {
        self.written
            .expected
            .iter()
            .filter_map(|expected| self.value(expected))
            .collect()
    }

    fn value(&self, expected: &ExpectedValue) -> Option<Problem> {
        let field = self.object.field(&expected.field)?;
        // Owners and record types are written by name and looked up.
        if field.r#type == "reference" {
            return None;
        }
        let sent = Value::from(expected.value.as_str());
        let fit::Fit::Not(misfit) = fit::fit_value(field, &sent) else {
            return None;
        };
        let (code, message, hint) = if is_list(field) {
            let active = near::choices_hint(field, &expected.value);
            let message = format!(
                "`{}`, {}, is not in the list of `{}`",
                expected.value, expected.set_by, field.name
            );
            let hint = format!(
                "add it in Setup > Object Manager > {} > Fields & Relationships > {}, or write one \
                 of its values: {active}",
                self.object.name, field.name
            );
            ("doctor.picklist_value", message, hint)
        } else {
            let message = format!(
                "`{}`, {}, does not go into `{}`: {}",
                expected.value, expected.set_by, field.name, misfit.reason
            );
            ("doctor.value_misfit", message, misfit.hint)
        };
        let about = format!("{} = {}", field.name, expected.value);
        Some(self.problem(code, &about, message, hint))
    }

    fn required(&self) -> Vec<Problem> {
        let is_key = |field: &Field| {
            let key = self.written.external_id;
            key.is_some_and(|key| field.name.eq_ignore_ascii_case(key))
        };
        self.object
            .fields
            .iter()
            .filter(|field| field.required() && !is_key(field))
            .filter(|field| {
                let mapped = self.written.mapping.field(&field.name);
                mapped.is_none_or(|mapped| mapped.write == WritePolicy::Never)
            })
            .map(|field| {
                let (object, name) = (self.object.name.to_lowercase(), &field.name);
                let message =
                    format!("the org demands `{name}` of a {object}, and nothing fills it");
                let hint = format!(
                    "add `{name} = {{ from = \"…\", default = \"…\" }}` to {}",
                    self.section()
                );
                self.problem("doctor.required_unfilled", name, message, hint)
            })
            .collect()
    }
}

fn is_list(field: &Field) -> bool {
    matches!(field.r#type.as_str(), "picklist" | "multipicklist")
}

/// What a standard lead field always is, if that never goes into `field`.
fn never_holds(mapped: &MappedField, field: &Field) -> Option<&'static str> {
    let from = field::find(&mapped.from)?;
    let takes_text = !matches!(
        field.r#type.as_str(),
        "boolean"
            | "int"
            | "long"
            | "double"
            | "currency"
            | "percent"
            | "date"
            | "datetime"
            | "time"
    );
    // What `values` puts in its place may be anything; what people write may be a number.
    let is_words = matches!(
        mapped.from.as_str(),
        "email"
            | "phone"
            | "mobile"
            | "fax"
            | "first_name"
            | "last_name"
            | "full_name"
            | "company"
            | "title"
            | "website"
            | "street"
            | "city"
            | "country"
            | "message"
            | "notes"
    );
    match from.kind {
        Kind::Text if is_words && !takes_text && mapped.values.is_empty() => Some("text"),
        Kind::Integer | Kind::Decimal
            if matches!(
                field.r#type.as_str(),
                "date" | "datetime" | "time" | "email"
            ) =>
        {
            Some("a number")
        }
        _ => None,
    }
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
