use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::row::Row;
use super::state::Org;
use super::write::Write;
use crate::sandbox::errors::Refusal;
use crate::sandbox::schema::{FieldIx, ObjectIx};
use crate::sandbox::value::Value;

/// What the duplicate rule of leads and contacts does when it finds a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateRule {
    /// "Allow and alert" on create, like Salesforce's standard rules. By API the alert is a stop
    /// unless the header says `allowSave=true`.
    Alert,
    /// "Block", on create and edit, whatever the header says.
    Block,
}

/// What the duplicate rule takes for the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateMatch {
    /// An equal e-mail address, whoever has it: a matching rule that admins like to make.
    #[default]
    Email,
    /// The equation of the standard lead and contact rules, with exact comparison of what its
    /// normalisation leaves: see `Likeness`.
    Standard,
}

/// The fields of a person that the standard equation looks at, normalised; blank is empty.
struct Likeness {
    first: String,
    last: String,
    title: String,
    company: String,
    email: String,
    phone: String,
    street: String,
    city: String,
    zip: String,
}

impl Likeness {
    /// Salesforce's equation (Help, "Standard Lead Matching Rule"). First and last name are in
    /// every clause; blank ones are passed over where the e-mail address is.
    fn is_like(&self, other: &Self) -> bool {
        let both = |a: &str, b: &str| !a.is_empty() && a == b;
        let or_blank = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
        let names = |test: &dyn Fn(&str, &str) -> bool| {
            (test(&self.first, &other.first) && test(&self.last, &other.last))
                || (test(&self.first, &other.last) && test(&self.last, &other.first))
        };
        if both(&self.email, &other.email) && names(&or_blank) {
            return true;
        }
        let title = both(&self.title, &other.title);
        let street = both(&self.street, &other.street);
        let phone = both(&self.phone, &other.phone);
        let place = both(&self.city, &other.city) || both(&self.zip, &other.zip);
        names(&both)
            && (phone || title && both(&self.company, &other.company) || street && (place || title))
    }
}

impl Org {
    /// The duplicate rule: a match on another Lead or Contact. Records of one call are compared
    /// with what was stored before it, not with each other.
    pub(super) fn check_duplicates(
        &self,
        object: ObjectIx,
        row: &Row,
        old: Option<&Row>,
        write: &Write,
    ) -> Result<(), Refusal> {
        let is_create = old.is_none();
        let stops = match self.rules.duplicate {
            None => false,
            Some(DuplicateRule::Alert) => is_create && !write.allow_duplicates,
            Some(DuplicateRule::Block) => true,
        };
        let name = self.object(object).name;
        if !stops || !["Lead", "Contact"].contains(&name) {
            return Ok(());
        }
        if old.is_some_and(|old| !self.changes_match(object, old, row)) {
            return Ok(());
        }
        let results: Vec<Json> = ["Lead", "Contact"]
            .into_iter()
            .filter_map(|other| self.matches(object, other, row, write))
            .collect();
        if results.is_empty() {
            return Ok(());
        }
        let message = if is_create {
            "You're creating a duplicate record. We recommend you use an existing record instead."
        } else {
            "You're about to make this record a duplicate of another."
        };
        Err(Refusal {
            duplicates: Some(Box::new(json!({
                "allowSave": self.rules.duplicate == Some(DuplicateRule::Alert),
                "duplicateRule": format!("Standard_{name}_Duplicate_Rule"),
                "duplicateRuleEntityType": name,
                "errorMessage": message,
                "matchResults": results,
            }))),
            ..Refusal::row("DUPLICATES_DETECTED", message)
        })
    }

    /// Whether an edit touches a field of the matching rule: only then does the rule run.
    fn changes_match(&self, object: ObjectIx, old: &Row, new: &Row) -> bool {
        let fields: &[&str] = match self.rules.matching {
            DuplicateMatch::Email => &["Email"],
            DuplicateMatch::Standard => &[
                "FirstName",
                "LastName",
                "Title",
                "Company",
                "AccountId",
                "Email",
                "Phone",
                "Street",
                "City",
                "PostalCode",
                "MailingStreet",
                "MailingCity",
                "MailingPostalCode",
            ],
        };
        let known = self.object(object);
        let fields = fields.iter().filter_map(|name| known.field(name));
        fields.into_iter().any(|ix| old.get(ix) != new.get(ix))
    }

    fn matches(&self, own: ObjectIx, object: &str, row: &Row, write: &Write) -> Option<Json> {
        let ix = self.schema.find(object)?;
        let table = self.table(ix);
        let candidates: Vec<u32> = match self.rules.matching {
            DuplicateMatch::Email => {
                let email = row.get(self.object(own).field("Email")?)?.as_text()?;
                table.find(self.object(ix).field("Email")?, email)?.to_vec()
            }
            DuplicateMatch::Standard => {
                let likeness = self.likeness(own, row);
                (0..table.rows().len() as u32)
                    .filter(|number| {
                        let other = table.at(*number);
                        !other.deleted && likeness.is_like(&self.likeness(ix, other))
                    })
                    .collect()
            }
        };
        let found: Vec<Json> = candidates
            .iter()
            .filter(|number| **number < write.before[ix])
            .map(|number| table.at(*number))
            .filter(|other| other.id != row.id && !self.is_converted(ix, other))
            .map(|other| {
                json!({
                    "additionalInformation": [],
                    "fieldDiffs": [],
                    "matchConfidence": 100.0,
                    "record": self.matched_record(ix, other, write),
                })
            })
            .collect();
        (!found.is_empty()).then(|| {
            json!({
                "entityType": object,
                "errors": [],
                "matchEngine": "FuzzyMatchEngine",
                "matchRecords": found,
                "rule": format!("Standard_{object}_Match_Rule_v1_1"),
                "size": found.len(),
                "success": true,
            })
        })
    }

    fn matched_record(&self, object: ObjectIx, row: &Row, write: &Write) -> Json {
        let name = self.object(object).name;
        let mut record = json!({
            "attributes": { "type": name, "url": format!("/services/data/v{}.0/sobjects/{name}/{}", write.version, row.id) },
            "Id": row.id.to_string(),
        });
        if write.include_record_details {
            for name in ["Name", "Email"] {
                let ix: Option<FieldIx> = self.object(object).field(name);
                record[name] = ix.map_or(Json::Null, |ix| self.json(object, row, ix));
            }
        }
        record
    }

    fn likeness(&self, object: ObjectIx, row: &Row) -> Likeness {
        let known = self.object(object);
        let text = |name: &str| -> Cow<'_, str> {
            let value = known.field(name).and_then(|ix| row.get(ix)?.as_text());
            value.unwrap_or_default().into()
        };
        let either = |a: &str, b: &str| {
            let first = text(a);
            if first.is_empty() { text(b) } else { first }
        };
        let account = || {
            let id = row.get(known.field("AccountId")?)?.as_id()?;
            let (accounts, account) = self.find(id)?;
            let name = account.get(self.object(accounts).field("Name")?)?;
            name.as_text().map(str::to_owned)
        };
        let company = match known.field("Company") {
            Some(_) => text("Company").into_owned(),
            None => account().unwrap_or_default(),
        };
        Likeness {
            first: letters(&text("FirstName")),
            last: letters(&text("LastName")),
            title: letters(&text("Title")),
            company: company_key(&company),
            email: email_key(&text("Email")),
            phone: phone_key(&text("Phone")),
            street: letters(&either("Street", "MailingStreet")),
            city: letters(&either("City", "MailingCity")),
            zip: letters(&either("PostalCode", "MailingPostalCode"))
                .chars()
                .take(5)
                .collect(),
        }
    }
}

/// Letters and digits in lower case.
fn letters(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

/// Without the words for a company's form.
fn company_key(text: &str) -> String {
    const FORMS: [&str; 12] = [
        "inc",
        "incorporated",
        "corp",
        "corporation",
        "ltd",
        "limited",
        "llc",
        "gmbh",
        "co",
        "and",
        "the",
        "of",
    ];
    let lower = text.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !FORMS.contains(word));
    words.collect()
}

/// Specials are removed on both sides, and the domain keeps its last two labels.
fn email_key(text: &str) -> String {
    let lower = text.to_lowercase();
    let Some((local, domain)) = lower.split_once('@') else {
        return String::new();
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let kept = labels[labels.len().saturating_sub(2)..].join(".");
    format!("{}@{}", letters(local), letters(&kept))
}

/// Phones that differ in their last four digits only are the same to Salesforce (score 90 of 80).
fn phone_key(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix('1').unwrap_or(&digits);
    if digits.len() < 7 {
        return String::new();
    }
    digits[..digits.len() - 4].to_owned()
}

/// Whether a value is set and true.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_normalised_as_salesforce_says() {
        assert_eq!(
            email_key("john_doe@us.ibm.com"),
            email_key("JohnDoe@ibm.com")
        );
        assert_eq!(phone_key("+1 (415) 555-1234"), phone_key("415 555 9999"));
        assert_ne!(phone_key("415 555 1234"), phone_key("415 556 1234"));
        assert_eq!(company_key("The Acme Corp."), company_key("ACME, Inc"));
        assert_eq!(phone_key("12"), "");
    }
}
