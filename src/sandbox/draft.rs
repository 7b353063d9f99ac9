//! A row as a client sent it, read field by field, and the checks that need nothing but the row.

use serde_json::{Map, Value as Json};

use super::errors::{Refusal, Refusals};
use super::ids::RecordId;
use super::schema::{Field, FieldIx, Kind, Object, Place};
use super::value::{Value, parse_date, parse_moment};

/// The values of a row that is to be written; `None` clears the field.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) values: Vec<(FieldIx, Option<Value>)>,
    /// References that are given by the target's external id.
    pub(super) parents: Vec<Parent>,
    /// Whether a person wrote it, whom field-level security of the API user does not bind.
    by_person: bool,
}

/// A reference in the form `"Campaign": {"Key__c": "x"}`.
#[derive(Debug)]
pub(super) struct Parent {
    /// The reference field that it stands for.
    pub(super) field: FieldIx,
    /// The external id field of the target.
    pub(super) key_field: String,
    /// Its value.
    pub(super) key: String,
}

impl Draft {
    /// Reads a body, or refuses it at the first value that cannot be read.
    pub(super) fn read(object: &Object, body: &Map<String, Json>) -> Result<Self, Refusal> {
        Self::read_fields(object, body, false, |_| false)
    }

    /// The same, as a person writes it: with fields that the API user may not see.
    pub(super) fn read_as_person(
        object: &Object,
        body: &Map<String, Json>,
    ) -> Result<Self, Refusal> {
        Self::read_fields(object, body, true, |_| false)
    }

    /// The same, of a body whose `Id` says which row is meant.
    pub(super) fn read_beside_id(
        object: &Object,
        body: &Map<String, Json>,
    ) -> Result<Self, Refusal> {
        Self::read_fields(object, body, false, is_id)
    }

    fn read_fields(
        object: &Object,
        body: &Map<String, Json>,
        by_person: bool,
        is_left_out: impl Fn(&str) -> bool,
    ) -> Result<Self, Refusal> {
        let mut draft = Self {
            by_person,
            ..Self::default()
        };
        let find = |name: &str| {
            if by_person {
                object.field(name)
            } else {
                object.shown(name)
            }
        };
        for (name, value) in body {
            if name == "attributes" || is_left_out(name) {
                continue;
            }
            if let Some(ix) = find(name) {
                let value = read_value(object.at(ix), value)?;
                draft.put(ix, value);
            } else if let (Some(field), Json::Object(target)) = (object.relationship(name), value) {
                draft.parents.push(read_parent(field, target)?);
            } else {
                return Err(Refusal::no_such_column(name, object.name));
            }
        }
        Ok(draft)
    }

    /// The value for a field, if the row has one.
    pub(super) fn get(&self, ix: FieldIx) -> Option<&Option<Value>> {
        self.values
            .iter()
            .find(|(known, _)| *known == ix)
            .map(|(_, value)| value)
    }

    /// Sets a field; the last of several values counts.
    pub(super) fn put(&mut self, ix: FieldIx, value: Option<Value>) {
        self.take(ix);
        self.values.push((ix, value));
    }

    /// Takes a field out of the row; none if it is not there or blank.
    pub(super) fn take(&mut self, ix: FieldIx) -> Option<Value> {
        let at = self.values.iter().position(|(known, _)| *known == ix)?;
        self.values.remove(at).1
    }

    /// Refuses what may not be written, what is missing and what does not fit.
    pub(super) fn check(&self, object: &Object, is_create: bool) -> Result<(), Refusals> {
        self.check_writable(object, is_create)?;
        let mut refusals = Refusals::new();
        let missing: Vec<String> = object
            .visible()
            .filter(|(ix, field)| match self.get(*ix) {
                // A null for a field with a default is the default on create.
                Some(None) => field.is_required_on_create() || (!is_create && is_mandatory(field)),
                Some(Some(_)) => false,
                None => {
                    let by_parent = self.parents.iter().any(|parent| parent.field == *ix);
                    is_create && field.is_required_on_create() && !by_parent
                }
            })
            .map(|(_, field)| field.name.clone().into_owned())
            .collect();
        if !missing.is_empty() {
            refusals.push(Refusal {
                fields: Some(missing.clone()),
                ..Refusal::row(
                    "REQUIRED_FIELD_MISSING",
                    format!("Required fields are missing: [{}]", missing.join(", ")),
                )
            });
        }
        for (ix, value) in &self.values {
            let field = object.at(*ix);
            match value {
                Some(value) => refusals.extend(check_value(field, value)),
                None if field.kind == Kind::Boolean => refusals.push(Refusal::field(
                    "INVALID_TYPE_ON_FIELD_IN_RECORD",
                    format!("{}: value not of required type: null", field.label),
                    &field.name,
                )),
                None => {}
            }
        }
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(refusals)
        }
    }

    fn check_writable(&self, object: &Object, is_create: bool) -> Result<(), Refusal> {
        let named = self.values.iter().map(|(ix, _)| *ix);
        let read_only: Vec<String> = named
            .chain(self.parents.iter().map(|parent| parent.field))
            .map(|ix| object.at(ix))
            .filter(|field| {
                let may_write = match (is_create, self.by_person) {
                    (true, true) => field.createable,
                    (true, false) => field.can_create(),
                    (false, true) => field.updateable,
                    (false, false) => field.can_update(),
                };
                !may_write
            })
            .map(|field| field.name.clone().into_owned())
            .collect();
        if read_only.is_empty() {
            return Ok(());
        }
        Err(Refusal {
            fields: Some(read_only.clone()),
            ..Refusal::row(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                format!(
                    "Unable to create/update fields: {}. Please check the security settings of \
                     this field and verify that it is read/write for your profile or permission \
                     set.",
                    read_only.join(", ")
                ),
            )
        })
    }
}

/// Whether a name in a body is that of the row's own id.
pub(super) fn is_id(name: &str) -> bool {
    name.eq_ignore_ascii_case("Id")
}

/// Whether a record can never be without a value here; a checkbox has a refusal of its own.
fn is_mandatory(field: &Field) -> bool {
    !field.nillable && field.kind != Kind::Boolean
}

fn read_parent(field: FieldIx, target: &Map<String, Json>) -> Result<Parent, Refusal> {
    let mut keys = target.iter().filter(|(name, _)| *name != "attributes");
    match (keys.next(), keys.next()) {
        (Some((key_field, Json::String(key))), None) => Ok(Parent {
            field,
            key_field: key_field.clone(),
            key: key.clone(),
        }),
        _ => Err(Refusal::plain(
            "INVALID_FIELD",
            "Cannot reference a foreign key field with more or less than one external id.",
        )),
    }
}

fn read_value(field: &Field, value: &Json) -> Result<Option<Value>, Refusal> {
    let unreadable = || Err(cannot_deserialize(&field.kind, value));
    if field.kind == Kind::Id {
        return Err(not_in_data(&field.name));
    }
    let text = match value {
        Json::Null => return Ok(None),
        Json::Object(_) | Json::Array(_) => return unreadable(),
        Json::String(text) => Some(text.trim()),
        Json::Bool(_) | Json::Number(_) => None,
    };
    if text == Some("") {
        return Ok(None);
    }
    let read = match &field.kind {
        Kind::Boolean => match (value, text) {
            (Json::Bool(value), _) => Some(Value::Bool(*value)),
            (_, Some(text)) if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
            (_, Some(text)) if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Number { kind, .. } => value
            .as_f64()
            .or_else(|| text?.parse().ok())
            .filter(|number| number.is_finite() && (*kind != "int" || number.fract() == 0.0))
            .map(Value::Number),
        Kind::Date => text.and_then(parse_date).map(Value::Date),
        Kind::DateTime => text.and_then(parse_moment).map(Value::Moment),
        Kind::Reference { .. } => match text.map(|text| (text, RecordId::parse(text))) {
            Some((_, Some(id))) => Some(Value::Id(id)),
            Some((text, None)) => return Err(wrong_id(field, text)),
            None => None,
        },
        // Salesforce's parser takes a bare number or boolean for text; an object it does not.
        _ => match (value, text) {
            (_, Some(text)) => Some(Value::text(text)),
            (other, None) => Some(Value::text(other.to_string())),
        },
    };
    match read {
        Some(value) => Ok(Some(value)),
        None => unreadable(),
    }
}

fn cannot_deserialize(kind: &Kind, value: &Json) -> Refusal {
    let (token, shown) = match value {
        Json::Object(_) => ("START_OBJECT", "{".to_owned()),
        Json::Array(_) => ("START_ARRAY", "[".to_owned()),
        Json::String(text) => ("VALUE_STRING", text.clone()),
        Json::Bool(true) => ("VALUE_TRUE", "true".to_owned()),
        Json::Bool(false) => ("VALUE_FALSE", "false".to_owned()),
        Json::Number(number) if number.is_f64() => ("VALUE_NUMBER_FLOAT", number.to_string()),
        Json::Number(number) => ("VALUE_NUMBER_INT", number.to_string()),
        Json::Null => ("VALUE_NULL", "null".to_owned()),
    };
    let kind = match kind {
        Kind::Boolean | Kind::Number { .. } | Kind::Date | Kind::DateTime => kind.name(),
        _ => "string",
    };
    Refusal::plain(
        "JSON_PARSER_ERROR",
        format!(
            "Cannot deserialize instance of {kind} from {token} value {shown} or request may be \
             missing a required field"
        ),
    )
}

/// `Id`, or the external id of a single-row upsert, in the body.
pub(super) fn not_in_data(field: &str) -> Refusal {
    Refusal::plain(
        "INVALID_FIELD",
        format!("The {field} field should not be specified in the sobject data."),
    )
}

/// An id that is none, or that of another object.
pub(super) fn wrong_id(field: &Field, text: &str) -> Refusal {
    Refusal::field(
        "MALFORMED_ID",
        format!("{}: id value of incorrect type: {text}", field.label),
        &field.name,
    )
}

fn check_value(field: &Field, value: &Value) -> Option<Refusal> {
    if field.place != Place::Stored {
        return None;
    }
    match (&field.kind, value) {
        (
            Kind::Number {
                precision, scale, ..
            },
            Value::Number(number),
        ) => {
            let limit = 10_f64.powi(precision.saturating_sub(*scale) as i32);
            (number.abs() >= limit).then(|| {
                let message = format!(
                    "{}: value outside of valid range on numeric field: {number}",
                    field.label
                );
                Refusal::field("NUMBER_OUTSIDE_VALID_RANGE", message, &field.name)
            })
        }
        (kind, Value::Text(text)) => {
            let length = kind.length();
            if text.len() > length as usize && text.chars().count() > length as usize {
                let message = format!(
                    "{}: data value too large: {text} (max length={length})",
                    field.label
                );
                return Some(Refusal::field("STRING_TOO_LONG", message, &field.name));
            }
            match kind {
                Kind::Email if !is_email(text) => Some(Refusal::field(
                    "INVALID_EMAIL_ADDRESS",
                    format!("{}: invalid email address: {text}", field.label),
                    &field.name,
                )),
                Kind::Picklist { values, restricted: true }
                    // Salesforce matches the value without case.
                    if !field.takes(values, text) =>
                {
                    Some(Refusal::field(
                        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                        format!("{}: bad value for restricted picklist field: {text}", field.label),
                        &field.name,
                    ))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Salesforce's check: an ASCII local part, a dot in the domain, no dot doubled or at an edge.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let dots_fit = |part: &str| part.split('.').all(|piece| !piece.is_empty());
    let local_fits = local
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte));
    let domain_fits = domain.contains('.')
        && domain
            .split('.')
            .all(|label| !label.starts_with('-') && !label.ends_with('-'))
        && domain
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    dots_fit(local) && dots_fit(domain) && local_fits && domain_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::schema::Schema;
    use serde_json::json;

    fn refusals(body: Json) -> Vec<(&'static str, String)> {
        let schema = Schema::new(
            "Leadstream_Id__c",
            &["Lead.Since__c:datetime".parse().unwrap()],
        );
        let lead = &schema.objects[schema.find("Lead").unwrap()];
        let refused = match Draft::read(lead, body.as_object().unwrap()) {
            Ok(draft) => draft.check(lead, true).err().unwrap_or_default(),
            Err(refusal) => vec![refusal],
        };
        refused
            .into_iter()
            .map(|refusal| (refusal.code, refusal.message))
            .collect()
    }

    fn check(fields: Json, code: &str, says: &str) {
        let mut body = json!({ "LastName": "Lee", "Company": "Acme" });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let refused = refusals(body);
        assert_eq!(refused.len(), 1, "{fields}: {refused:?}");
        assert_eq!(refused[0].0, code, "{fields}");
        assert!(refused[0].1.contains(says), "{fields}: {}", refused[0].1);
    }

    #[test]
    fn what_does_not_fit_is_refused_in_salesforces_words() {
        check(
            json!({ "FirstName": "x".repeat(41) }),
            "STRING_TOO_LONG",
            "First Name: data value too large: x",
        );
        check(
            json!({ "Email": "jane@@x" }),
            "INVALID_EMAIL_ADDRESS",
            "Email: invalid email address: jane@@x",
        );
        check(
            json!({ "Industry": "Blockchain" }),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Industry: bad value for restricted picklist field: Blockchain",
        );
        check(
            json!({ "NumberOfEmployees": 1_000_000_000 }),
            "NUMBER_OUTSIDE_VALID_RANGE",
            "No. of Employees",
        );
        check(
            json!({ "DoNotCall": null }),
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            "Do Not Call",
        );
        check(
            json!({ "OwnerId": "me" }),
            "MALFORMED_ID",
            "Owner ID: id value of incorrect type: me",
        );
        check(
            json!({ "Foo__c": 1 }),
            "INVALID_FIELD",
            "No such column 'Foo__c' on sobject of type Lead",
        );
        check(
            json!({ "Id": "00Q" }),
            "INVALID_FIELD",
            "The Id field should not be specified",
        );
        for name in ["CreatedDate", "IsConverted", "Name"] {
            let value = if name == "CreatedDate" {
                json!("2026-03-01T10:00:00Z")
            } else {
                json!(true)
            };
            check(
                json!({ name: value }),
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                name,
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (field, value, says) in [
            (
                "Title",
                json!({ "a": 1 }),
                "instance of string from START_OBJECT value {",
            ),
            (
                "Title",
                json!([]),
                "instance of string from START_ARRAY value [",
            ),
            (
                "DoNotCall",
                json!("maybe"),
                "instance of boolean from VALUE_STRING value maybe",
            ),
            (
                "NumberOfEmployees",
                json!("ten"),
                "instance of int from VALUE_STRING value ten",
            ),
            (
                "NumberOfEmployees",
                json!(1.5),
                "instance of int from VALUE_NUMBER_FLOAT value 1.5",
            ),
            (
                "Since__c",
                json!("2024-07-30 20:54:16 UTC"),
                "instance of datetime from VALUE_STRING",
            ),
        ] {
            check(json!({ field: value }), "JSON_PARSER_ERROR", says);
        }
    }

    #[test]
    fn several_faults_of_a_row_come_together_and_missing_fields_as_one() {
        let codes: Vec<_> =
            refusals(json!({ "Email": "x", "Company": "  ", "FirstName": "y".repeat(41) }))
                .into_iter()
                .collect();
        assert_eq!(
            codes[0],
            (
                "REQUIRED_FIELD_MISSING",
                "Required fields are missing: [LastName, Company]".to_owned()
            )
        );
        assert_eq!(codes.len(), 3);
    }

    #[test]
    fn blanks_are_cut_and_length_counts_characters() {
        assert!(
            refusals(
                json!({ "LastName": " Lee ", "Company": "Acme", "FirstName": "é".repeat(40) })
            )
            .is_empty()
        );
        assert!(
            refusals(json!({ "LastName": 5, "Company": true, "NumberOfEmployees": "12" }))
                .is_empty()
        );
    }

    #[test]
    fn the_email_check_is_strict() {
        for good in [
            "a@b.co",
            "o'neil+x@mail.example.com",
            "x_y@xn--bcher-kva.example",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "@b.co",
            "a@.co",
            "a@b.",
            "a..b@c.de",
            ".a@b.co",
            "a.@b.co",
            "a b@c.de",
            "ü@b.co",
            "a@bücher.de",
            "a@b@c.de",
            "a@-b.co",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
