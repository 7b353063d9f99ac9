//! What an admin changes in the org while it is in use: the drift that integrations meet.

use serde::Deserialize;

use super::handle::Sandbox;
use super::ids::RecordId;
use super::org::{ActiveFailure, DuplicateMatch, DuplicateRule, Failure, Org, ValidationRule};
use super::schema::{Access, CustomField, Field, FieldIx, Kind, ObjectIx};
use super::value::Value;
use crate::model::Millis;

/// A change of the org's setup; also the body of `POST /sandbox/setup`, e.g.
/// `{"rename_picklist_value": {"object": "Lead", "field": "Industry", "from": "Media", "to": "Press"}}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Setup {
    /// A picklist's value gets another name; records that hold it are changed along, without a
    /// new stamp.
    RenamePicklistValue {
        /// The object.
        object: String,
        /// The field.
        field: String,
        /// The value.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A picklist gets a further value, or an inactive one back.
    AddPicklistValue {
        /// The object.
        object: String,
        /// The field.
        field: String,
        /// The value.
        value: String,
    },
    /// A picklist's value is kept for old records only.
    DeactivatePicklistValue {
        /// The object.
        object: String,
        /// The field.
        field: String,
        /// The value.
        value: String,
    },
    /// A picklist takes its own values only, or any text.
    RestrictPicklist {
        /// The object.
        object: String,
        /// The field.
        field: String,
        /// Whether others are refused.
        restricted: bool,
    },
    /// A field gets another API name.
    RenameField {
        /// The object.
        object: String,
        /// The field.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A text field becomes shorter or longer. What is stored stays.
    ResizeField {
        /// The object.
        object: String,
        /// The field.
        field: String,
        /// The most characters.
        length: u32,
    },
    /// Field-level security of the API user. As in an org, describe's date does not move.
    SetFieldAccess {
        /// The object.
        object: String,
        /// The field.
        field: String,
        /// What the API user may do with it.
        access: Access,
    },
    /// Permissions of the API user on an object; describe's date does not move, either.
    SetObjectAccess {
        /// The object.
        object: String,
        /// What the API user may do with its records.
        access: Access,
    },
    /// A field must have a value from now on, or need not.
    RequireField {
        /// The object.
        object: String,
        /// The field.
        field: String,
        /// Whether it must.
        required: bool,
    },
    /// A field is added: `Lead.Plan__c:picklist(Starter|Pro)`.
    AddField(String),
    /// A validation rule is added, or put in the place of one of the same name.
    AddValidationRule(ValidationRule),
    /// A validation rule is removed.
    RemoveValidationRule {
        /// Its name.
        name: String,
    },
    /// Writes of an object fail from now on: a trigger, a flow, an approval.
    FailWrites(Failure),
    /// No writes fail any more.
    ClearFailures,
    /// A user leaves, or comes back.
    SetUserActive {
        /// Username, name or id.
        user: String,
        /// Whether they are active.
        active: bool,
    },
    /// A queue is added.
    AddQueue {
        /// Its name.
        name: String,
    },
    /// The lead assignment rule gives leads to this queue, or is off.
    SetAssignmentQueue {
        /// The queue's name.
        queue: Option<String>,
    },
    /// The duplicate rule of leads and contacts is set, or is off.
    SetDuplicateRule {
        /// What it does.
        action: Option<DuplicateRule>,
        /// What a duplicate is.
        #[serde(default)]
        matching: DuplicateMatch,
    },
    /// Field history of leads is kept from now on, or no longer.
    SetLeadHistory {
        /// Whether it is.
        kept: bool,
    },
}

impl Sandbox {
    /// An admin changes the setup; the reason if that cannot be.
    pub fn set_up(&self, change: Setup) -> Result<(), String> {
        let now = self.shared.clock.now();
        self.shared.state.lock().org.set_up(change, now)
    }
}

impl Org {
    fn set_up(&mut self, change: Setup, now: Millis) -> Result<(), String> {
        match change {
            Setup::RenamePicklistValue {
                object,
                field,
                from,
                to,
            } => self.rename_value(&object, &field, &from, &to)?,
            Setup::AddPicklistValue {
                object,
                field,
                value,
            } => {
                let (field, values) = self.picklist(&object, &field)?;
                let is = |known: &std::borrow::Cow<'static, str>| **known == *value;
                field.inactive.retain(|known| !is(known));
                if !values.iter().any(is) {
                    values.push(value.into());
                }
            }
            Setup::DeactivatePicklistValue {
                object,
                field,
                value,
            } => {
                let (field, values) = self.picklist(&object, &field)?;
                if !values.iter().any(|known| **known == *value) {
                    return Err(format!("{} has no value {value}", field.name));
                }
                field.inactive.push(value.into());
            }
            Setup::RestrictPicklist {
                object,
                field,
                restricted,
            } => {
                let (object, ix) = self.named(&object, &field)?;
                match &mut self.field_mut(object, ix).kind {
                    Kind::Picklist {
                        restricted: old, ..
                    } => *old = restricted,
                    _ => return Err(format!("{field} is no picklist")),
                }
            }
            Setup::RenameField { object, from, to } => {
                let (object, ix) = self.named(&object, &from)?;
                if self.object(object).field(&to).is_some() {
                    return Err(format!("there is a field {to}"));
                }
                self.schema.objects[object].rename(ix, &to);
            }
            Setup::ResizeField {
                object,
                field,
                length: wanted,
            } => {
                let (object, ix) = self.named(&object, &field)?;
                match &mut self.field_mut(object, ix).kind {
                    Kind::Text(length) | Kind::TextArea(length) => *length = wanted,
                    _ => return Err(format!("{field} is no text")),
                }
            }
            Setup::SetFieldAccess {
                object,
                field,
                access,
            } => {
                let (object, ix) = self.named(&object, &field)?;
                self.field_mut(object, ix).access = access;
                return Ok(());
            }
            Setup::SetObjectAccess { object, access } => {
                let place = self.schema.find(&object);
                let place = place.ok_or_else(|| format!("no object {object}"))?;
                self.schema.objects[place].access = access;
                return Ok(());
            }
            Setup::RequireField {
                object,
                field,
                required,
            } => {
                let (object, ix) = self.named(&object, &field)?;
                self.field_mut(object, ix).nillable = !required;
            }
            Setup::AddField(field) => {
                let field: CustomField = field.parse()?;
                self.add_field(&field, now);
                return Ok(());
            }
            rule => return self.set_rule(rule, now),
        }
        self.schema_moves(now);
        Ok(())
    }

    /// Changes that describe does not show.
    fn set_rule(&mut self, change: Setup, now: Millis) -> Result<(), String> {
        match change {
            Setup::AddValidationRule(rule) => {
                let object = self.schema.find(&rule.object);
                let object = object.ok_or_else(|| format!("no object {}", rule.object))?;
                for condition in &rule.when {
                    if self.object(object).field(&condition.field).is_none() {
                        return Err(format!("{} has no field {}", rule.object, condition.field));
                    }
                }
                self.rules
                    .validation
                    .retain(|known| known.name != rule.name);
                self.rules.validation.push(rule);
            }
            Setup::RemoveValidationRule { name } => {
                self.rules.validation.retain(|known| known.name != name);
            }
            Setup::FailWrites(failure) => {
                let unknown = format!("{} is no code that a row is refused with", failure.code);
                let active = ActiveFailure::new(failure).ok_or(unknown)?;
                self.rules.failures.push(active);
            }
            Setup::ClearFailures => self.rules.failures.clear(),
            Setup::SetUserActive { user, active } => {
                let id = self.user(&user).ok_or_else(|| format!("no user {user}"))?;
                self.mark_record("User", id, "IsActive", active, now);
            }
            Setup::AddQueue { name } => {
                self.add_queue(now, &name);
            }
            Setup::SetAssignmentQueue { queue } => {
                let queue = queue.map(|name| {
                    let queue = self.by_name("Group", &name);
                    queue.ok_or_else(|| format!("no queue {name}"))
                });
                let queue = queue.transpose()?;
                self.set_assignment(queue, now);
            }
            Setup::SetDuplicateRule { action, matching } => {
                self.rules.duplicate = action;
                self.rules.matching = matching;
                let object = self.schema.find("DuplicateRule");
                let ids: Vec<RecordId> = object.map_or_else(Vec::new, |object| {
                    self.table(object).rows().iter().map(|row| row.id).collect()
                });
                for id in ids {
                    self.mark_record("DuplicateRule", id, "IsActive", action.is_some(), now);
                }
            }
            Setup::SetLeadHistory { kept } => self.rules.history = kept,
            _ => {}
        }
        Ok(())
    }

    fn named(&self, object: &str, field: &str) -> Result<(ObjectIx, FieldIx), String> {
        let place = self
            .schema
            .find(object)
            .ok_or_else(|| format!("no object {object}"))?;
        let ix = self
            .object(place)
            .field(field)
            .ok_or_else(|| format!("{object} has no field {field}"))?;
        Ok((place, ix))
    }

    fn field_mut(&mut self, object: ObjectIx, ix: FieldIx) -> &mut Field {
        &mut self.schema.objects[object].fields[usize::from(ix)]
    }

    /// A picklist field without its values, and these: so that both can be changed.
    fn picklist(
        &mut self,
        object: &str,
        field: &str,
    ) -> Result<(PicklistMarks<'_>, &mut Vec<std::borrow::Cow<'static, str>>), String> {
        let (object, ix) = self.named(object, field)?;
        let Field {
            name,
            kind,
            inactive,
            ..
        } = &mut self.schema.objects[object].fields[usize::from(ix)];
        match kind {
            Kind::Picklist { values, .. } => Ok((PicklistMarks { name, inactive }, values)),
            _ => Err(format!("{field} is no picklist")),
        }
    }

    fn rename_value(
        &mut self,
        object: &str,
        field: &str,
        from: &str,
        to: &str,
    ) -> Result<(), String> {
        let (marks, values) = self.picklist(object, field)?;
        let Some(value) = values.iter_mut().find(|known| **known == from) else {
            return Err(format!("{} has no value {from}", marks.name));
        };
        *value = to.to_owned().into();
        for inactive in marks.inactive.iter_mut().filter(|known| **known == from) {
            *inactive = to.to_owned().into();
        }
        let (place, ix) = self.named(object, field)?;
        let default = &mut self.field_mut(place, ix).default;
        if default.as_ref().and_then(Value::as_text) == Some(from) {
            *default = Some(Value::text(to));
        }
        self.replace_text(place, ix, from, to);
        if object.eq_ignore_ascii_case("Lead") && field.eq_ignore_ascii_case("Status") {
            for name in ["MasterLabel", "ApiName"] {
                if let Ok((place, ix)) = self.named("LeadStatus", name) {
                    self.replace_text(place, ix, from, to);
                }
            }
        }
        Ok(())
    }

    fn replace_text(&mut self, object: ObjectIx, ix: FieldIx, from: &str, to: &str) {
        for number in 0..self.table(object).rows().len() as u32 {
            let row = self.table(object).at(number);
            if row.get(ix).and_then(Value::as_text) != Some(from) {
                continue;
            }
            let mut row = row.clone();
            row.put(ix, Value::text(to));
            self.put_back(object, number, row);
        }
    }

    fn mark_record(&mut self, object: &str, id: RecordId, field: &str, is: bool, now: Millis) {
        let Ok((object, ix)) = self.named(object, field) else {
            return;
        };
        let Some(number) = self.table(object).number(id) else {
            return;
        };
        let mut row = self.table(object).at(number).clone();
        row.put(ix, Value::Bool(is));
        row.modified = row.modified.max(now);
        self.put_back(object, number, row);
    }

    /// The user of this username, name or id.
    pub(super) fn user(&self, who: &str) -> Option<RecordId> {
        let users = self.schema.find("User")?;
        let known = self.object(users);
        let names = [known.field("Username"), known.field("Name")];
        let id = RecordId::parse(who);
        let mut rows = self.table(users).rows().iter();
        let is = |row: &&super::org::Row| {
            let text = |ix: &Option<FieldIx>| row.get((*ix)?)?.as_text();
            Some(row.id) == id || names.iter().filter_map(text).any(|name| name == who)
        };
        rows.find(is).map(|row| row.id)
    }

    fn by_name(&self, object: &str, name: &str) -> Option<RecordId> {
        let object = self.schema.find(object)?;
        let ix = self.object(object).field("Name")?;
        let mut rows = self.table(object).rows().iter();
        let found = rows.find(|row| row.get(ix).and_then(Value::as_text) == Some(name));
        found.map(|row| row.id)
    }
}

struct PicklistMarks<'a> {
    name: &'a std::borrow::Cow<'static, str>,
    inactive: &'a mut Vec<std::borrow::Cow<'static, str>>,
}
