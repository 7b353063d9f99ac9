use serde_json::{Value as Json, json};

use super::row::Row;
use super::state::Org;
use super::write::Write;
use crate::sandbox::errors::Refusal;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{FieldIx, ObjectIx};
use crate::sandbox::value::Value;

/// What a duplicate rule on equal e-mail addresses does when it finds a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateRule {
    /// "Allow and alert" on create, like Salesforce's standard rules. By API the alert is a stop
    /// unless the header says `allowSave=true`.
    Alert,
    /// "Block", on create and edit, whatever the header says.
    Block,
}

/// What the org does of itself.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) duplicate: Option<DuplicateRule>,
    /// Where the lead assignment rule puts leads, if one is active.
    pub(super) queue: Option<RecordId>,
}

/// What `Sforce-Auto-Assign` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoAssign {
    /// The active rule runs. This is what no header means.
    Active,
    /// No rule runs.
    Off,
    /// This rule runs, on create only.
    Rule(RecordId),
}

/// The id of the assignment rule.
const ASSIGNMENT_RULE: [u8; 3] = *b"01Q";

impl Org {
    /// The id of the active lead assignment rule.
    pub(in crate::sandbox) fn assignment_rule(&self) -> Option<RecordId> {
        self.rules.queue.map(|_| RecordId::new(ASSIGNMENT_RULE, 0))
    }

    /// The rules that change a record on its way in.
    pub(super) fn before_save(
        &self,
        object: ObjectIx,
        row: &mut Row,
        is_create: bool,
        write: &Write,
    ) -> Result<(), Refusal> {
        match self.object(object).name {
            "Lead" => self.assign(object, row, is_create, write),
            "CampaignMember" => self.join(object, row, write),
            _ => Ok(()),
        }
    }

    fn assign(
        &self,
        object: ObjectIx,
        row: &mut Row,
        is_create: bool,
        write: &Write,
    ) -> Result<(), Refusal> {
        let runs = match write.auto_assign {
            AutoAssign::Off => false,
            AutoAssign::Active => true,
            AutoAssign::Rule(rule) if self.assignment_rule() == Some(rule) => is_create,
            AutoAssign::Rule(rule) => {
                return Err(Refusal::row(
                    "INVALID_ASSIGNMENT_RULE",
                    format!("Invalid assignment rule id: {rule}"),
                ));
            }
        };
        if let (true, Some(queue), Some(owner)) =
            (runs, self.rules.queue, self.object(object).field("OwnerId"))
        {
            row.set(owner, Some(Value::Id(queue)));
        }
        Ok(())
    }

    /// A member is one person, once in a campaign; the response follows the status.
    fn join(&self, object: ObjectIx, row: &mut Row, write: &Write) -> Result<(), Refusal> {
        let members = self.object(object);
        let id = |name| members.field(name).and_then(|ix| row.get(ix)?.as_id());
        let person = match (id("LeadId"), id("ContactId")) {
            (Some(person), None) | (None, Some(person)) => person,
            (Some(_), Some(_)) => {
                return Err(Refusal::row(
                    "FIELD_INTEGRITY_EXCEPTION",
                    "A campaign member can have a lead or a contact, not both",
                ));
            }
            (None, None) => {
                return Err(Refusal::field(
                    "REQUIRED_FIELD_MISSING",
                    "Required fields are missing: [LeadId, ContactId]",
                    "LeadId",
                ));
            }
        };
        let campaign = id("CampaignId")
            .map(|campaign| campaign.short())
            .unwrap_or_default();
        let responded = |status: &str| status.eq_ignore_ascii_case("Responded");
        let status_ix = members.field("Status");
        let has_responded = status_ix
            .and_then(|ix| row.get(ix)?.as_text())
            .is_some_and(responded);
        if let Some(ix) = status_ix {
            // A status that the campaign does not know is replaced by its default.
            row.set(
                ix,
                Some(Value::text(if has_responded {
                    "Responded"
                } else {
                    "Sent"
                })),
            );
        }
        if let Some(ix) = members.field("HasResponded") {
            row.set(ix, Some(Value::Bool(has_responded)));
        }
        if let Some(ix) = members.field("FirstRespondedDate")
            && has_responded
            && row.get(ix).is_none()
            && let Ok(now) = jiff::Timestamp::from_millisecond(write.now.0)
        {
            let day = jiff::tz::Offset::UTC.to_datetime(now).date();
            row.set(ix, Some(Value::Date(day)));
        }
        if let Some(ix) = members.hidden() {
            row.set(ix, Some(Value::text(campaign + &person.short())));
        }
        Ok(())
    }

    /// No two records share a value of a unique field.
    pub(super) fn check_unique(
        &self,
        object: ObjectIx,
        row: &Row,
        write: &Write,
    ) -> Result<(), Refusal> {
        let table = self.table(object);
        for (ix, field) in (0..).zip(&self.object(object).fields) {
            if !field.unique {
                continue;
            }
            let Some(text) = row.get(ix).and_then(Value::as_text) else {
                continue;
            };
            let others = table.find(ix, text).unwrap_or_default();
            let Some(other) = others.iter().find(|other| table.at(**other).id != row.id) else {
                continue;
            };
            if self.object(object).hidden() == Some(ix) {
                return Err(Refusal::row(
                    "DUPLICATE_VALUE",
                    "Already a campaign member.",
                ));
            }
            let (name, id) = if *other < write.before[object] {
                (&*field.name, table.at(*other).id.short())
            } else {
                ("<unknown>", "<unknown>".to_owned())
            };
            return Err(Refusal::row(
                "DUPLICATE_VALUE",
                format!("duplicate value found: {name} duplicates value on record with id: {id}"),
            ));
        }
        Ok(())
    }

    /// The duplicate rule: an equal e-mail address on another Lead or Contact. Records of one
    /// call are compared with what was stored before it, not with each other.
    pub(super) fn check_duplicates(
        &self,
        object: ObjectIx,
        row: &Row,
        is_create: bool,
        write: &Write,
    ) -> Result<(), Refusal> {
        let stops = match self.rules.duplicate {
            None => false,
            Some(DuplicateRule::Alert) => is_create && !write.allow_duplicates,
            Some(DuplicateRule::Block) => true,
        };
        let name = self.object(object).name;
        if !stops || !["Lead", "Contact"].contains(&name) {
            return Ok(());
        }
        let email = self
            .object(object)
            .field("Email")
            .and_then(|ix| row.get(ix)?.as_text());
        let Some(email) = email else { return Ok(()) };
        let results: Vec<Json> = ["Lead", "Contact"]
            .into_iter()
            .filter_map(|other| self.matches(other, email, row, write))
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

    fn matches(&self, object: &str, email: &str, row: &Row, write: &Write) -> Option<Json> {
        let ix = self.schema.find(object)?;
        let table = self.table(ix);
        let converted = self.object(ix).field("IsConverted");
        let is_converted =
            |row: &Row| converted.is_some_and(|ix| row.get(ix) == Some(&Value::Bool(true)));
        let found: Vec<Json> = table
            .find(self.object(ix).field("Email")?, email)?
            .iter()
            .filter(|number| **number < write.before[ix])
            .map(|number| table.at(*number))
            .filter(|other| other.id != row.id && !is_converted(other))
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
}
