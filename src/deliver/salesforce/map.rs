//! A lead's record as the fields of a Salesforce Lead. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::{Typed, email, typed};
use crate::config::{LeadMapping, OnInvalid, SalesforceConfig, WritePolicy};
use crate::model::field::{FIELDS, Kind, LeadField};
use crate::model::{Held, Note};

/// What a Lead must have and a form need not ask for.
const REQUIRED: [&str; 2] = ["LastName", "Company"];
const NOT_PROVIDED: &str = "[not provided]";

/// Fields without which a lead is still a lead: an org's picklists and checks refuse them often.
const OPTIONAL: [&str; 9] = [
    "State",
    "Country",
    "Industry",
    "Rating",
    "Salutation",
    "Website",
    "NumberOfEmployees",
    "AnnualRevenue",
    "LeadSource",
];

/// Which lead field goes into which Salesforce field, and when: the standard ones, and those of
/// `[salesforce.lead]`, which override them.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    fields: Vec<MappedField>,
}

/// One Salesforce field.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedField {
    /// The API name.
    pub salesforce: String,
    /// The lead field, UTM parameter or click id that the value is from.
    pub from: String,
    /// How the value is typed.
    pub kind: Kind,
    /// The most characters of a text; 0 where only the org knows.
    pub max_chars: usize,
    /// When to write over what Salesforce holds.
    pub write: WritePolicy,
    /// What to do when Salesforce refuses the value.
    pub on_invalid: OnInvalid,
    /// The value for when there is none, or none that Salesforce takes.
    pub default: Option<String>,
    /// Values to replace.
    pub values: BTreeMap<String, String>,
    /// Whether `[salesforce.lead]` names it.
    pub configured: bool,
}

/// A lead as Salesforce fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapped {
    /// Values by API name, before write policies are applied. No blanks.
    pub fields: BTreeMap<String, Value>,
    /// What was cut, left out or replaced, for the timeline.
    pub notes: Vec<Note>,
}

impl Mapping {
    /// The standard fields, overridden by `[salesforce.lead]`.
    pub fn new(config: &SalesforceConfig) -> Self {
        let fields = FIELDS.iter().filter_map(standard).collect();
        Self::overridden(fields, &config.lead)
    }

    /// The same of a Contact: the fields of Lead that Contact has, under its names, overridden by
    /// `[salesforce.contact]`. What says something of the company belongs to its Account, which sales
    /// keep.
    pub fn of_contact(config: &SalesforceConfig) -> Self {
        let of_contact = |mut field: MappedField| {
            field.salesforce = contact_field(&field.salesforce)?.to_owned();
            // The record is there: nothing has to stand in for what was not given.
            field.default = None;
            Some(field)
        };
        let fields = FIELDS.iter().filter_map(standard).filter_map(of_contact);
        Self::overridden(fields.collect(), &config.contact)
    }

    fn overridden(
        mut fields: Vec<MappedField>,
        configured: &BTreeMap<String, LeadMapping>,
    ) -> Self {
        for (name, mapping) in configured {
            match fields
                .iter_mut()
                .find(|field| field.salesforce.eq_ignore_ascii_case(name))
            {
                Some(field) => field.configure(mapping),
                None => fields.push(custom(name, mapping)),
            }
        }
        Self { fields }
    }

    /// All fields, those that are never written too.
    pub fn all(&self) -> &[MappedField] {
        &self.fields
    }

    /// The field of that API name, in any case.
    pub fn field(&self, salesforce: &str) -> Option<&MappedField> {
        self.fields
            .iter()
            .find(|field| field.salesforce.eq_ignore_ascii_case(salesforce))
    }

    /// When `salesforce` is written; only where there is nothing, for a field that is not mapped.
    pub fn policy(&self, salesforce: &str) -> WritePolicy {
        self.field(salesforce)
            .map_or(WritePolicy::IfBlank, |field| field.write)
    }

    /// What to do when Salesforce refuses the value of `salesforce`.
    pub fn on_invalid(&self, salesforce: &str) -> OnInvalid {
        self.field(salesforce)
            .map_or(OnInvalid::Hold, |field| field.on_invalid)
    }

    /// Whether `value` says nothing of the person, but stands in for a value that was not given.
    pub fn is_default(&self, salesforce: &str, value: &Value) -> bool {
        self.field(salesforce).is_some_and(|field| {
            field
                .default_value()
                .is_some_and(|default| default == *value)
        })
    }

    /// The API names of the fields that may be written, for reading what Salesforce holds.
    pub fn written(&self) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(|field| field.write != WritePolicy::Never)
            .map(|field| field.salesforce.as_str())
    }

    /// The fields of the lead that `record` describes, attribution included.
    pub fn fields(&self, record: &BTreeMap<String, Held>) -> Mapped {
        self.fields_of(|name| record.get(name).map(|held| held.value.as_str()))
    }

    /// The same of a lead whose values `value` gives by name.
    pub fn fields_of<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Mapped {
        let can_be_called = || {
            let number = |name: &str| value(name).is_some_and(|number| !number.trim().is_empty());
            number("phone") || number("mobile")
        };
        let mut mapped = Mapped::default();
        for field in &self.fields {
            if field.write == WritePolicy::Never {
                continue;
            }
            let with_notes = (field.from == "message").then(|| message_and_notes(&value));
            let text = match &with_notes {
                Some(text) => Some(text.as_str()),
                None => value(&field.from),
            };
            let value = text
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .and_then(|text| field.value(text, &can_be_called, &mut mapped.notes))
                .or_else(|| field.default_value());
            if let Some(value) = value {
                mapped.fields.insert(field.salesforce.clone(), value);
            }
        }
        mapped
    }
}

/// What the person wrote, and below it what was noted when they were met.
fn message_and_notes<'v>(value: impl Fn(&str) -> Option<&'v str>) -> String {
    let texts = ["message", "notes"].into_iter().filter_map(value);
    let texts: Vec<&str> = texts.filter(|text| !text.trim().is_empty()).collect();
    texts.join("\n\n")
}

impl MappedField {
    /// Takes over a line of `[salesforce.lead]`.
    fn configure(&mut self, mapping: &LeadMapping) {
        self.from.clone_from(&mapping.from);
        // An opt-out that could be taken back, or was blocked by the `false` that Salesforce
        // shows for "not yet", would be none.
        if self.kind != Kind::OptOut || mapping.write == WritePolicy::Never {
            self.write = mapping.write;
        }
        self.on_invalid = mapping.on_invalid;
        if mapping.default.is_some() {
            self.default.clone_from(&mapping.default);
        }
        self.values.clone_from(&mapping.values);
        self.configured = true;
    }

    /// The value that stands in for one that was not given, or was refused.
    pub fn default_value(&self) -> Option<Value> {
        let text = self.default.as_deref()?;
        match typed(text, self.kind, self.max_chars) {
            Typed::Value(value) | Typed::Altered(value, _) if value != "" => Some(value),
            _ => None,
        }
    }

    fn value(
        &self,
        text: &str,
        can_be_called: &dyn Fn() -> bool,
        notes: &mut Vec<Note>,
    ) -> Option<Value> {
        let mut note = |code: &str, message: String| {
            notes.push(Note {
                code: code.to_owned(),
                field: self.from.clone(),
                message,
            });
        };
        let name = &self.salesforce;
        let text = self.replaced(text);
        if name == "Email" {
            match email(text) {
                Some(email) => return Some(email.into()),
                None if can_be_called() => {
                    let message = format!(
                        "`{name}` was left out: Salesforce does not take this address; the phone \
                         number reaches the person"
                    );
                    note("salesforce.email_left_out", message);
                    return None;
                }
                // Without it nobody could be reached: let Salesforce refuse, and a person mend it.
                None => return Some(text.into()),
            }
        }
        match typed(text, self.kind, self.max_chars) {
            Typed::Altered(..) if name == "Website" => {
                let message = format!("`{name}` was left out: half an address leads nowhere");
                note("salesforce.too_long", message);
                None
            }
            Typed::Altered(value, what) => {
                note("salesforce.cut", format!("`{name}` {what}"));
                Some(value)
            }
            Typed::Value(value) => (value != "").then_some(value),
            Typed::Nothing => None,
            Typed::Unreadable(why) => {
                let message = format!("`{name}` was left out: the value of `{}` {why}", self.from);
                note("salesforce.unreadable", message);
                None
            }
        }
    }

    /// `text`, or what `values` puts in its place: the same text, else the same in another case.
    pub fn replaced<'a>(&'a self, text: &'a str) -> &'a str {
        if self.values.is_empty() {
            return text;
        }
        self.values
            .get(text)
            .or_else(|| {
                let folded = text.to_lowercase();
                self.values
                    .iter()
                    .find(|(from, _)| from.trim().to_lowercase() == folded)
                    .map(|(_, to)| to)
            })
            .map_or(text, |to| to.trim())
    }
}

/// What Contact calls a field of Lead; none for what it does not have. Source: Salesforce object
/// reference, Contact; the fields that conversion maps by itself.
fn contact_field(lead_field: &str) -> Option<&str> {
    Some(match lead_field {
        "Street" => "MailingStreet",
        "City" => "MailingCity",
        "State" => "MailingState",
        "StateCode" => "MailingStateCode",
        "PostalCode" => "MailingPostalCode",
        "Country" => "MailingCountry",
        "CountryCode" => "MailingCountryCode",
        "Salutation" | "FirstName" | "MiddleName" | "LastName" | "Suffix" | "Title" | "Email"
        | "Phone" | "MobilePhone" | "Fax" | "LeadSource" | "Description" | "HasOptedOutOfEmail"
        | "HasOptedOutOfFax" | "DoNotCall" => lead_field,
        _ => return None,
    })
}

fn standard(field: &LeadField) -> Option<MappedField> {
    let salesforce = field.salesforce?;
    Some(MappedField {
        salesforce: salesforce.to_owned(),
        from: field.name.to_owned(),
        kind: field.kind,
        max_chars: field.max_chars,
        write: match field.kind {
            Kind::OptOut => WritePolicy::MostRestrictive,
            Kind::Text | Kind::Integer | Kind::Decimal => WritePolicy::IfBlank,
        },
        on_invalid: if OPTIONAL.contains(&salesforce) {
            OnInvalid::DropField
        } else {
            OnInvalid::Hold
        },
        default: REQUIRED
            .contains(&salesforce)
            .then(|| NOT_PROVIDED.to_owned()),
        values: BTreeMap::new(),
        configured: false,
    })
}

fn custom(name: &str, mapping: &LeadMapping) -> MappedField {
    MappedField {
        salesforce: name.to_owned(),
        from: mapping.from.clone(),
        // What type a custom field has only the org knows; it reads numbers and dates from text.
        kind: match mapping.write {
            WritePolicy::MostRestrictive => Kind::OptOut,
            _ => Kind::Text,
        },
        max_chars: 0,
        write: mapping.write,
        on_invalid: mapping.on_invalid,
        default: mapping.default.clone(),
        values: mapping.values.clone(),
        configured: true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::{EventId, Millis};
    use crate::salesforce::testing::config;

    fn mapping(lead: Value) -> Mapping {
        let mut config = config();
        config.lead = serde_json::from_value(lead).unwrap();
        Mapping::new(&config)
    }

    fn record(fields: &[(&str, &str)]) -> BTreeMap<String, Held> {
        let held = |value: &str| Held {
            value: value.to_owned(),
            at: Millis(0),
            event: EventId(1),
        };
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), held(value)))
            .collect()
    }

    fn check(lead: Value, fields: &[(&str, &str)], expect: Value, notes: &[&str]) {
        let mapped = mapping(lead).fields(&record(fields));
        assert_eq!(json!(mapped.fields), expect);
        let codes: Vec<_> = mapped.notes.iter().map(|note| note.code.as_str()).collect();
        assert_eq!(codes, notes);
    }

    #[test]
    fn the_usual_names_need_no_line() {
        check(
            json!({}),
            &[
                ("email", "jane@acme.com"),
                ("last_name", "Lee"),
                ("company", "Acme"),
                ("employees", "1,200"),
                ("revenue", "1200000.50"),
                ("email_opt_out", "true"),
                ("do_not_call", "false"),
                ("message", "Hello\nthere"),
                ("utm_source", "google"),
                ("plan", "pro"),
            ],
            json!({
                "Email": "jane@acme.com",
                "LastName": "Lee",
                "Company": "Acme",
                "NumberOfEmployees": 1200,
                "AnnualRevenue": 1_200_000.5,
                "HasOptedOutOfEmail": true,
                "Description": "Hello\nthere",
            }),
            &[],
        );
    }

    #[test]
    fn what_a_lead_must_have_is_stood_in_for() {
        let both = json!({ "LastName": "[not provided]", "Company": "[not provided]" });
        check(json!({}), &[("last_name", "  ")], both, &[]);
        check(
            json!({ "Company": { "from": "company", "default": "Private" } }),
            &[],
            json!({ "LastName": "[not provided]", "Company": "Private" }),
            &[],
        );
        check(
            json!({ "company": { "from": "company", "write": "never" } }),
            &[("company", "Acme"), ("last_name", "Lee")],
            json!({ "LastName": "Lee" }),
            &[],
        );
    }

    #[test]
    fn a_line_of_config_overrides_the_standard_one_in_any_case() {
        let mapping = mapping(json!({
            "PHONE": { "from": "mobile", "write": "always", "on_invalid": "drop_field" },
            "Utm__c": { "from": "utm_source", "write": "create_only" },
        }));
        let phone = mapping.field("Phone").unwrap();
        assert_eq!((phone.from.as_str(), phone.max_chars), ("mobile", 40));
        assert_eq!(mapping.policy("Phone"), WritePolicy::Always);
        assert_eq!(mapping.on_invalid("phone"), OnInvalid::DropField);
        assert_eq!(mapping.policy("utm__C"), WritePolicy::CreateOnly);
        let lead = record(&[("mobile", "+49"), ("phone", "+1"), ("utm_source", "google")]);
        let fields = mapping.fields(&lead).fields;
        assert_eq!(fields["Phone"], "+49");
        assert_eq!(fields["Utm__c"], "google");
    }

    #[test]
    fn values_are_replaced_and_a_blank_one_falls_back() {
        let plan = json!({ "Plan__c": {
            "from": "plan", "default": "None", "values": { "a": "Starter", "B": "Pro", "-": "" },
        } });
        let lead = |plan| [("last_name", "Lee"), ("company", "Acme"), ("plan", plan)];
        let expect = |plan: &str| json!({ "LastName": "Lee", "Company": "Acme", "Plan__c": plan });
        check(plan.clone(), &lead("a"), expect("Starter"), &[]);
        check(plan.clone(), &lead("b"), expect("Pro"), &[]);
        check(plan.clone(), &lead("c"), expect("c"), &[]);
        check(plan.clone(), &lead("-"), expect("None"), &[]);
        check(plan, &lead(""), expect("None"), &[]);
    }

    #[test]
    fn what_does_not_fit_is_cut_or_left_out_with_a_note() {
        let mapping = mapping(json!({}));
        let website = format!("https://{}.example", "a".repeat(250));
        let mapped = mapping.fields(&record(&[
            ("first_name", &"ä".repeat(50)),
            ("website", &website),
            ("employees", "50-100"),
        ]));
        assert_eq!(mapped.fields["FirstName"], json!("ä".repeat(40)));
        assert!(!mapped.fields.contains_key("Website"));
        assert!(!mapped.fields.contains_key("NumberOfEmployees"));
        let notes: Vec<_> = mapped
            .notes
            .iter()
            .map(|note| (note.field.as_str(), note.message.as_str()))
            .collect();
        assert_eq!(
            notes,
            [
                (
                    "first_name",
                    "`FirstName` takes 40 characters; the last 10 were cut"
                ),
                (
                    "website",
                    "`Website` was left out: half an address leads nowhere"
                ),
                (
                    "employees",
                    "`NumberOfEmployees` was left out: the value of `employees` is not a whole \
                     number"
                ),
            ]
        );
    }

    #[test]
    fn an_address_that_salesforce_refuses_is_left_out_only_if_there_is_a_phone() {
        let mapping = mapping(json!({}));
        let both = mapping.fields(&record(&[("email", "jané@acme.com"), ("phone", "+49")]));
        assert!(!both.fields.contains_key("Email"));
        assert_eq!(both.notes[0].code, "salesforce.email_left_out");
        let alone = mapping.fields(&record(&[("email", "jané@acme.com")]));
        assert_eq!(alone.fields["Email"], "jané@acme.com");
    }

    #[test]
    fn an_opt_out_cannot_be_configured_away_by_a_weaker_policy() {
        let weaker = json!({ "HasOptedOutOfEmail": { "from": "unsubscribed", "write": "always" } });
        let policy = mapping(weaker).policy("HasOptedOutOfEmail");
        assert_eq!(policy, WritePolicy::MostRestrictive);
        let own = json!({ "No_Sms__c": { "from": "no_sms", "write": "most_restrictive" } });
        let fields = mapping(own).fields(&record(&[("no_sms", "0")])).fields;
        assert!(!fields.contains_key("No_Sms__c"));
    }

    #[test]
    fn a_contact_has_the_persons_fields_under_its_own_names() {
        let mut config = config();
        config.contact = serde_json::from_value(json!({
            "Plan__c": { "from": "plan" },
            "Title": { "from": "title", "write": "never" },
        }))
        .unwrap();
        let lead = record(&[
            ("email", "jane@acme.com"),
            ("city", "Berlin"),
            ("company", "Acme"),
            ("title", "CTO"),
            ("plan", "Pro"),
        ]);
        let mapped = Mapping::of_contact(&config).fields(&lead).fields;
        let expect = json!({ "Email": "jane@acme.com", "MailingCity": "Berlin", "Plan__c": "Pro" });
        assert_eq!(json!(mapped), expect);
    }

    #[test]
    fn optional_fields_are_dropped_when_refused_and_others_hold_the_lead() {
        let mapping = mapping(json!({}));
        for name in OPTIONAL {
            assert_eq!(mapping.on_invalid(name), OnInvalid::DropField, "{name}");
        }
        for name in ["Email", "LastName", "Unknown__c"] {
            assert_eq!(mapping.on_invalid(name), OnInvalid::Hold, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_field_is_ever_blank(values in prop::collection::vec("\\PC{0,20}|[ \t\u{0}]{0,3}", FIELDS.len())) {
            let fields: Vec<_> = FIELDS
                .iter()
                .zip(&values)
                .map(|(field, value)| (field.name, value.as_str()))
                .collect();
            let mapped = mapping(json!({})).fields(&record(&fields));
            for (name, value) in mapped.fields {
                prop_assert!(!value.is_null() && value != "", "{name}");
            }
        }
    }
}
