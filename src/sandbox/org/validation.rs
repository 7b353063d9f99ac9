use serde::{Deserialize, Serialize};

use super::row::Row;
use super::state::Org;
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::schema::{Field, Kind, ObjectIx, Place};

/// A validation rule of an admin: what it finds is refused, in the admin's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationRule {
    /// The object.
    pub object: String,
    /// What the rule is called.
    pub name: String,
    /// All of these together make the error.
    pub when: Vec<Condition>,
    /// What the refusal says.
    pub message: String,
    /// The field that it is shown at; none shows it at the top of the page.
    #[serde(default)]
    pub field: Option<String>,
}

/// What a validation rule looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The field.
    pub field: String,
    /// What makes the error.
    pub is: Test,
}

/// What a field is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// It has no value.
    Blank,
    /// It has one.
    Filled,
    /// It is this text, in any case.
    Equal(String),
    /// It is another text, or blank.
    NotEqual(String),
    /// It contains this text, in any case.
    Containing(String),
    /// It has more characters.
    LongerThan(usize),
}

impl Condition {
    fn holds(&self, value: Option<&str>) -> bool {
        let value = value.unwrap_or_default();
        let same = |text: &str| value.to_lowercase() == text.to_lowercase();
        match &self.is {
            Test::Blank => value.is_empty(),
            Test::Filled => !value.is_empty(),
            Test::Equal(text) => same(text),
            Test::NotEqual(text) => !same(text),
            Test::Containing(text) => value.to_lowercase().contains(&text.to_lowercase()),
            Test::LongerThan(most) => value.chars().count() > *most,
        }
    }
}

impl Org {
    /// The validation rules of the object, all of them: each that is met refuses.
    pub(super) fn validate(&self, object: ObjectIx, row: &Row) -> Result<(), Refusals> {
        let known = self.object(object);
        let rules = self.rules.validation.iter();
        let refusals: Refusals = rules
            .filter(|rule| rule.object.eq_ignore_ascii_case(known.name))
            .filter(|rule| self.meets_all(object, row, &rule.when))
            .map(|rule| Refusal {
                fields: Some(rule.field.iter().cloned().collect()),
                ..Refusal::row("FIELD_CUSTOM_VALIDATION_EXCEPTION", &rule.message)
            })
            .collect();
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(refusals)
        }
    }

    /// Whether all conditions hold for a row.
    pub(super) fn meets_all(&self, object: ObjectIx, row: &Row, conditions: &[Condition]) -> bool {
        let known = self.object(object);
        conditions.iter().all(|condition| {
            let value = known
                .field(&condition.field)
                .map(|ix| self.json(object, row, ix));
            let text = value.and_then(|value| match value {
                serde_json::Value::String(text) => Some(text),
                serde_json::Value::Null => None,
                other => Some(other.to_string()),
            });
            condition.holds(text.as_deref())
        })
    }

    /// A field that an admin made required must have a value after every save, not only when a
    /// record is made.
    pub(super) fn check_required(&self, object: ObjectIx, row: &Row) -> Result<(), Refusal> {
        let is_missing = |ix, field: &Field| {
            field.place == Place::Stored
                && field.is_required_on_create()
                && field.kind != Kind::Boolean
                && row.get(ix).is_none()
        };
        let missing: Vec<String> = self
            .object(object)
            .visible()
            .filter(|(ix, field)| is_missing(*ix, field))
            .map(|(_, field)| field.name.to_string())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("Required fields are missing: [{}]", missing.join(", "));
        Err(Refusal {
            fields: Some(missing),
            ..Refusal::row("REQUIRED_FIELD_MISSING", message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_ignore_case_and_take_blanks_for_blanks() {
        let holds = |is: Test, value: Option<&str>| {
            let field = "Phone".to_owned();
            Condition { field, is }.holds(value)
        };
        assert!(holds(Test::Blank, None) && !holds(Test::Blank, Some("x")));
        assert!(holds(Test::Filled, Some("x")) && !holds(Test::Filled, None));
        assert!(holds(Test::Equal("web".to_owned()), Some("Web")));
        assert!(holds(Test::NotEqual("web".to_owned()), None));
        assert!(holds(Test::Containing("+49".to_owned()), Some("+49 30")));
        assert!(holds(Test::LongerThan(2), Some("äöü")));
        assert!(!holds(Test::LongerThan(3), Some("äöü")));
    }
}
