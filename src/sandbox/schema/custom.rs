use std::borrow::Cow;
use std::str::FromStr;

use super::field::{Field, Kind};
use super::tables;

/// A field that an admin made, as `Lead.Plan__c`, `Lead.Plan__c:picklist(Starter|Pro)` or
/// `Contact.Erp_Id__c:text(18):unique`.
#[derive(Debug, Clone)]
pub struct CustomField {
    /// The object's API name.
    pub object: String,
    /// The field.
    pub field: Field,
}

impl FromStr for CustomField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (object, name) = parts
            .next()
            .and_then(|name| name.split_once('.'))
            .ok_or("a field is written as Object.Name__c, e.g. Lead.Plan__c")?;
        let object = tables::objects()
            .iter()
            .find(|known| known.name.eq_ignore_ascii_case(object))
            .map(|known| known.name.to_owned())
            .ok_or_else(|| format!("the sandbox has no object {object}"))?;
        let stem = name.strip_suffix("__c").unwrap_or_default();
        if !stem.starts_with(|first: char| first.is_ascii_alphabetic())
            || !stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            return Err(format!(
                "{name}: a custom field has letters, digits and _, then __c"
            ));
        }
        let mut field = Field::new(name.to_owned(), stem.replace('_', " "), Kind::Text(255));
        for part in parts {
            match part {
                "unique" => field.unique = true,
                "external_id" => field.external_id = true,
                "required" => field = field.required(),
                kind => {
                    // A checkbox comes with a default and is never blank, unlike text.
                    let (required, unique, external) =
                        (!field.nillable, field.unique, field.external_id);
                    field = Field::new(field.name, field.label, parse_kind(kind)?);
                    field.nillable &= !required;
                    field.unique = unique;
                    field.external_id = external;
                }
            }
        }
        if (field.unique || field.external_id) && !matches!(field.kind, Kind::Text(_) | Kind::Email)
        {
            return Err(format!(
                "{name}: only text can be unique or an external id here"
            ));
        }
        Ok(Self { object, field })
    }
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    let (name, argument) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')')),
        None => (text, None),
    };
    let length = |default| match argument {
        None => Ok(default),
        Some(digits) => digits
            .parse::<u32>()
            .map_err(|_| format!("{digits} is no length")),
    };
    Ok(match name {
        "text" => Kind::Text(length(255)?.min(255)),
        "textarea" => Kind::TextArea(length(32_768)?),
        "email" => Kind::Email,
        "phone" => Kind::Phone,
        "url" => Kind::Url,
        "checkbox" => Kind::Boolean,
        "number" => Kind::Number {
            kind: "double",
            precision: 18,
            scale: length(0)?.min(17),
        },
        "date" => Kind::Date,
        "datetime" => Kind::DateTime,
        "picklist" => Kind::Picklist {
            values: argument
                .unwrap_or_default()
                .split('|')
                .map(|value| Cow::Owned(value.to_owned()))
                .collect(),
            restricted: true,
        },
        other => {
            return Err(format!(
                "{other} is none of text, textarea, email, phone, url, checkbox, number, date, \
                 datetime, picklist, unique, external_id, required"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_with_its_kind_and_marks() {
        let plain: CustomField = "lead.Plan__c".parse().unwrap();
        assert_eq!(
            (plain.object.as_str(), &*plain.field.name),
            ("Lead", "Plan__c")
        );
        assert_eq!(plain.field.kind, Kind::Text(255));

        let key: CustomField = "Contact.Erp_Id__c:text(18):unique:external_id"
            .parse()
            .unwrap();
        assert_eq!(key.field.kind, Kind::Text(18));
        assert!(key.field.unique && key.field.external_id);
        assert_eq!(key.field.label, "Erp Id");

        let list: CustomField = "Lead.Plan__c:required:picklist(Starter|Pro)"
            .parse()
            .unwrap();
        assert!(
            matches!(&list.field.kind, Kind::Picklist { values, restricted: true } if values.len() == 2)
        );
        assert!(list.field.is_required_on_create());
    }

    #[test]
    fn what_is_no_field_is_refused_with_the_reason() {
        for (text, says) in [
            ("Plan__c", "Object.Name__c"),
            ("Leed.Plan__c", "no object Leed"),
            ("Lead.Plan", "then __c"),
            ("Lead.Pl an__c", "then __c"),
            ("Lead.Plan__c:list", "list is none of"),
            ("Lead.Plan__c:text(x)", "x is no length"),
            ("Lead.Plan__c:checkbox:unique", "only text"),
        ] {
            let error = text.parse::<CustomField>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
