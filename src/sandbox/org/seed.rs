use super::row::Row;
use super::rules::{DuplicateRule, Rules};
use super::state::Org;
use crate::model::Millis;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{LEAD_STATUSES, Schema};
use crate::sandbox::value::Value;

/// How an org is set up.
#[derive(Debug, Clone)]
pub struct OrgSettings {
    /// The integration user's username.
    pub(in crate::sandbox) username: String,
    /// The duplicate rule, if one is active.
    pub(in crate::sandbox) duplicate_rule: Option<DuplicateRule>,
    /// The queue of the active lead assignment rule, if there is one.
    pub(in crate::sandbox) assignment_queue: Option<String>,
}

impl Org {
    /// A fresh org: its own record, three users, the queue, the lead statuses; no leads.
    pub(in crate::sandbox) fn new(schema: Schema, now: Millis, settings: &OrgSettings) -> Self {
        let now = Millis(now.0 - now.0.rem_euclid(1000));
        let rules = Rules {
            duplicate: settings.duplicate_rule,
            queue: None,
        };
        let mut org = Self::empty(schema, now, rules);
        let text = |text: &str| Value::text(text);
        org.id = org.plant(
            now,
            "Organization",
            &[
                ("Name", text("leadstream sandbox")),
                ("IsSandbox", Value::Bool(true)),
                ("OrganizationType", text("Developer Edition")),
                ("InstanceName", text("MEM1")),
                ("LanguageLocaleKey", text("en_US")),
                ("TimeZoneSidKey", text("GMT")),
            ],
        );
        org.integration_user = org.plant(
            now,
            "User",
            &[
                ("Username", text(&settings.username)),
                ("Name", text("Integration User")),
                ("Email", text("integration@example.com")),
                ("IsActive", Value::Bool(true)),
            ],
        );
        org.sales_user = org.plant(
            now,
            "User",
            &[
                ("Username", text("sales@example.com")),
                ("Name", text("Sally Sales")),
                ("Email", text("sales@example.com")),
                ("IsActive", Value::Bool(true)),
            ],
        );
        org.plant(
            now,
            "User",
            &[
                ("Username", text("former@example.com")),
                ("Name", text("Former Employee")),
                ("Email", text("former@example.com")),
            ],
        );
        if let Some(name) = &settings.assignment_queue {
            org.rules.queue = Some(org.plant(
                now,
                "Group",
                &[
                    ("Name", text(name)),
                    ("DeveloperName", text(&name.replace(' ', "_"))),
                    ("Type", text("Queue")),
                ],
            ));
        }
        for (order, (status, is_converted)) in (1..).zip(LEAD_STATUSES) {
            org.plant(
                now,
                "LeadStatus",
                &[
                    ("MasterLabel", text(status)),
                    ("ApiName", text(status)),
                    ("SortOrder", Value::Number(f64::from(order))),
                    ("IsDefault", Value::Bool(order == 1)),
                    ("IsConverted", Value::Bool(is_converted)),
                ],
            );
        }
        org
    }

    /// Adds a record past all rules. Unknown names are left out.
    pub(super) fn plant(
        &mut self,
        now: Millis,
        object: &str,
        values: &[(&str, Value)],
    ) -> RecordId {
        let Some(ix) = self.schema.find(object) else {
            return self.id;
        };
        let mut row = Row::new(self.table(ix).next_id(), now, self.integration_user);
        for (name, value) in values {
            if let Some(field) = self.object(ix).field(name) {
                row.set(field, Some(value.clone()));
            }
        }
        self.push(ix, row)
    }

    /// Does what a person's click on "Convert" does: makes an Account and a Contact that takes
    /// over what the lead has, the external ids included, and closes the lead.
    pub(in crate::sandbox) fn convert(
        &mut self,
        lead: RecordId,
        now: Millis,
    ) -> Option<(RecordId, RecordId)> {
        let now = Millis(now.0 - now.0.rem_euclid(1000));
        let leads = self.schema.find("Lead")?;
        let number = self.table(leads).number(lead)?;
        let mut row = self.table(leads).live(lead)?.clone();
        let stored = |name: &str| {
            let ix = self.object(leads).field(name)?;
            row.get(ix).cloned()
        };
        let company = stored("Company").unwrap_or(Value::text("[not provided]"));
        let name = [("Name", company)];
        let carried: Vec<(String, Value)> = self
            .object(leads)
            .visible()
            .filter(|(_, field)| {
                field.is_custom()
                    || [
                        "LastName",
                        "FirstName",
                        "Salutation",
                        "Title",
                        "Email",
                        "Phone",
                        "MobilePhone",
                        "Fax",
                        "LeadSource",
                        "Description",
                    ]
                    .contains(&&*field.name)
            })
            .filter_map(|(_, field)| Some((field.name.clone().into_owned(), stored(&field.name)?)))
            .collect();
        let account = self.plant(now, "Account", &name);
        let mut carried: Vec<(&str, Value)> = carried
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        carried.push(("AccountId", Value::Id(account)));
        let contact = self.plant(now, "Contact", &carried);

        let object = self.object(leads);
        let day = jiff::Timestamp::from_millisecond(now.0).ok()?;
        let changes = [
            ("IsConverted", Value::Bool(true)),
            ("Status", Value::text("Closed - Converted")),
            ("ConvertedAccountId", Value::Id(account)),
            ("ConvertedContactId", Value::Id(contact)),
            (
                "ConvertedDate",
                Value::Date(jiff::tz::Offset::UTC.to_datetime(day).date()),
            ),
        ];
        for (name, value) in changes {
            if let Some(ix) = object.field(name) {
                row.set(ix, Some(value));
            }
        }
        row.modified = now;
        row.modified_by = self.sales_user;
        self.replace(leads, number, row);
        Some((account, contact))
    }
}
