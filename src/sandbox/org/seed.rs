use super::duplicates::{DuplicateMatch, DuplicateRule};
use super::row::Row;
use super::rules::Rules;
use super::state::Org;
use super::write::Write;
use crate::model::Millis;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::AutoAssign;
use crate::sandbox::schema::{LEAD_STATUSES, STAGES, Schema};
use crate::sandbox::value::Value;

/// How an org is set up.
#[derive(Debug, Clone)]
pub struct OrgSettings {
    /// The integration user's username.
    pub(in crate::sandbox) username: String,
    /// The duplicate rule, if one is active.
    pub(in crate::sandbox) duplicate_rule: Option<DuplicateRule>,
    /// What it takes for the same person.
    pub(in crate::sandbox) duplicate_match: DuplicateMatch,
    /// The queue of the active lead assignment rule, if there is one.
    pub(in crate::sandbox) assignment_queue: Option<String>,
    /// Campaigns that are there and active.
    pub(in crate::sandbox) campaigns: Vec<String>,
    /// Whether field history of leads is kept.
    pub(in crate::sandbox) lead_history: bool,
}

/// The queues of every org, beside that of the assignment rule.
const QUEUES: [&str; 2] = ["EMEA Queue", "AMER Queue"];

/// The record types of every org: object, developer name, name, whether it is in use.
const RECORD_TYPES: [(&str, &str, &str, bool); 4] = [
    ("Lead", "Business", "Business", true),
    ("Lead", "Partner", "Partner", true),
    ("Lead", "Legacy", "Legacy", false),
    ("Campaign", "Event", "Event", true),
];

fn text(text: &str) -> Value {
    Value::text(text)
}

impl Org {
    /// A fresh org: its own record, users, queues, record types, lead statuses, stages, rules and
    /// the API user's permission set; no leads.
    pub(in crate::sandbox) fn new(schema: Schema, now: Millis, settings: &OrgSettings) -> Self {
        let now = Millis(now.0 - now.0.rem_euclid(1000));
        let rules = Rules {
            duplicate: settings.duplicate_rule,
            matching: settings.duplicate_match,
            queue: None,
            validation: Vec::new(),
            failures: Vec::new(),
            history: settings.lead_history,
        };
        let mut org = Self::empty(schema, now, rules);
        let nobody = org.integration_user;
        org.id = org.plant(
            now,
            nobody,
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
        org.seed_users(now, &settings.username);
        if let Some(name) = &settings.assignment_queue {
            let queue = org.add_queue(now, name);
            org.set_assignment(Some(queue), now);
        }
        for name in QUEUES {
            org.add_queue(now, name);
        }
        org.seed_lists(now);
        org.seed_rules(now);
        for name in &settings.campaigns {
            org.add_campaign(now, name);
        }
        org
    }

    fn seed_users(&mut self, now: Millis, username: &str) {
        let users = [
            (
                username,
                "Integration",
                "User",
                "integration@example.com",
                true,
            ),
            (
                "sales@example.com",
                "Sally",
                "Sales",
                "sales@example.com",
                true,
            ),
            ("rep@example.com", "Rita", "Rep", "rep@example.com", true),
            (
                "former@example.com",
                "Former",
                "Employee",
                "former@example.com",
                false,
            ),
        ];
        for (place, (username, first, last, email, is_active)) in users.into_iter().enumerate() {
            let id = self.plant(
                now,
                self.integration_user,
                "User",
                &[
                    ("Username", text(username)),
                    ("Name", text(&format!("{first} {last}"))),
                    ("FirstName", text(first)),
                    ("LastName", text(last)),
                    (
                        "Alias",
                        text(&first.to_lowercase().chars().take(8).collect::<String>()),
                    ),
                    ("Email", text(email)),
                    ("IsActive", Value::Bool(is_active)),
                    ("UserType", text("Standard")),
                ],
            );
            match place {
                0 => self.integration_user = id,
                1 => self.sales_user = id,
                _ => {}
            }
        }
        let by = self.integration_user;
        let set = self.plant(
            now,
            by,
            "PermissionSet",
            &[
                ("Name", text("Leadstream")),
                ("Label", text("Leadstream")),
                ("PermissionsApiEnabled", Value::Bool(true)),
                ("PermissionsConvertLeads", Value::Bool(true)),
                ("PermissionsViewSetup", Value::Bool(true)),
                ("PermissionsCustomizeApplication", Value::Bool(true)),
                ("PermissionsTransferAnyLead", Value::Bool(true)),
            ],
        );
        let assigned = [
            ("PermissionSetId", Value::Id(set)),
            ("AssigneeId", Value::Id(by)),
        ];
        self.plant(now, by, "PermissionSetAssignment", &assigned);
    }

    fn seed_lists(&mut self, now: Millis) {
        let by = self.integration_user;
        for (order, (status, is_converted)) in (1..).zip(LEAD_STATUSES) {
            let values = [
                ("MasterLabel", text(status)),
                ("ApiName", text(status)),
                ("SortOrder", Value::Number(f64::from(order))),
                ("IsDefault", Value::Bool(order == 1)),
                ("IsConverted", Value::Bool(is_converted)),
            ];
            self.plant(now, by, "LeadStatus", &values);
        }
        for (order, stage) in (1..).zip(STAGES) {
            let values = [
                ("MasterLabel", text(stage.name)),
                ("ApiName", text(stage.name)),
                ("SortOrder", Value::Number(f64::from(order))),
                ("IsActive", Value::Bool(true)),
                ("IsClosed", Value::Bool(stage.is_closed)),
                ("IsWon", Value::Bool(stage.is_won)),
                (
                    "DefaultProbability",
                    Value::Number(f64::from(stage.probability)),
                ),
                ("ForecastCategoryName", text(stage.forecast)),
            ];
            self.plant(now, by, "OpportunityStage", &values);
        }
        for (object, developer_name, name, is_active) in RECORD_TYPES {
            let values = [
                ("SobjectType", text(object)),
                ("DeveloperName", text(developer_name)),
                ("Name", text(name)),
                ("IsActive", Value::Bool(is_active)),
            ];
            self.plant(now, by, "RecordType", &values);
        }
    }

    /// The rules as records, as an admin's queries see them.
    fn seed_rules(&mut self, now: Millis) {
        let by = self.integration_user;
        let is_active = Value::Bool(self.rules.duplicate.is_some());
        for object in ["Lead", "Contact"] {
            let values = [
                (
                    "DeveloperName",
                    text(&format!("Standard_{object}_Duplicate_Rule")),
                ),
                (
                    "MasterLabel",
                    text(&format!("Standard {object} Duplicate Rule")),
                ),
                ("SobjectType", text(object)),
                ("IsActive", is_active.clone()),
            ];
            self.plant(now, by, "DuplicateRule", &values);
            let values = [
                (
                    "DeveloperName",
                    text(&format!("Standard_{object}_Match_Rule_v1_1")),
                ),
                (
                    "MasterLabel",
                    text(&format!("Standard {object} Matching Rule")),
                ),
                ("SobjectType", text(object)),
                ("MatchEngine", text("FuzzyMatchEngine")),
                ("RuleStatus", text("Active")),
            ];
            let rule = self.plant(now, by, "MatchingRule", &values);
            let values = [
                ("MatchingRuleId", Value::Id(rule)),
                ("Field", text("Email")),
                ("MatchingMethod", text("Exact")),
                ("BlankValueBehavior", text("NullNotAllowed")),
                ("SortOrder", Value::Number(1.0)),
            ];
            self.plant(now, by, "MatchingRuleItem", &values);
        }
    }

    /// Adds a queue for leads.
    pub(in crate::sandbox) fn add_queue(&mut self, now: Millis, name: &str) -> RecordId {
        let by = self.integration_user;
        let queue = self.plant(
            now,
            by,
            "Group",
            &[
                ("Name", text(name)),
                ("DeveloperName", text(&name.replace(' ', "_"))),
                ("Type", text("Queue")),
            ],
        );
        let values = [("QueueId", Value::Id(queue)), ("SobjectType", text("Lead"))];
        self.plant(now, by, "QueueSobject", &values);
        queue
    }

    /// Switches the lead assignment rule to a queue, or off. Its record appears with the first.
    pub(in crate::sandbox) fn set_assignment(&mut self, queue: Option<RecordId>, now: Millis) {
        self.rules.queue = queue;
        let Some(object) = self.schema.find("AssignmentRule") else {
            return;
        };
        let active = Value::Bool(queue.is_some());
        if let Some(row) = self.table(object).rows().first() {
            let mut row = row.clone();
            if let Some(ix) = self.object(object).field("Active") {
                row.set(ix, Some(active));
            }
            self.replace(object, 0, row);
        } else if queue.is_some() {
            let values = [
                ("Name", text("Lead assignment")),
                ("SobjectType", text("Lead")),
                ("Active", active),
            ];
            self.plant(now, self.integration_user, "AssignmentRule", &values);
        }
    }

    fn add_campaign(&mut self, now: Millis, name: &str) {
        let by = self.sales_user;
        let values = [
            ("Name", text(name)),
            ("IsActive", Value::Bool(true)),
            ("Status", text("In Progress")),
            ("OwnerId", Value::Id(by)),
        ];
        let campaign = self.plant(now, by, "Campaign", &values);
        let write = self.write_of(by, now);
        self.give_statuses(campaign, &write);
    }

    /// A write by a person: no rule assigns, and an alert of duplicates is clicked away.
    pub(in crate::sandbox) fn write_of(&self, user: RecordId, now: Millis) -> Write {
        Write {
            now,
            user,
            version: 62,
            auto_assign: AutoAssign::Off,
            allow_duplicates: true,
            include_record_details: false,
            before: self.sizes(),
        }
    }

    /// Adds a record past all rules. Unknown names are left out.
    pub(super) fn plant(
        &mut self,
        now: Millis,
        by: RecordId,
        object: &str,
        values: &[(&str, Value)],
    ) -> RecordId {
        let Some(ix) = self.schema.find(object) else {
            return self.id;
        };
        let now = Millis(now.0 - now.0.rem_euclid(1000));
        let mut row = Row::new(self.table(ix).next_id(), now, by);
        for (name, value) in values {
            if let Some(field) = self.object(ix).place_of(name) {
                row.set(field, Some(value.clone()));
            }
        }
        self.push(ix, row)
    }
}
