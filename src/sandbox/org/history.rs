use super::row::Row;
use super::state::Org;
use super::write::Write;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::ObjectIx;
use crate::sandbox::value::Value;

/// What field history is kept of, if the admin has switched it on.
const TRACKED: [&str; 2] = ["Status", "HasOptedOutOfEmail"];

impl Org {
    /// Notes what a save has changed of the tracked fields. An owner makes two rows: the ids, and
    /// the names.
    pub(super) fn note_changes(&mut self, object: ObjectIx, old: &Row, new: &Row, write: &Write) {
        if !self.rules.history || self.object(object).name != "Lead" {
            return;
        }
        let known = self.object(object);
        let mut notes = Vec::new();
        for name in TRACKED {
            let Some(ix) = known.field(name) else {
                continue;
            };
            if old.get(ix) != new.get(ix) {
                let text = |row| self.json(object, row, ix);
                notes.push((name, shown(&text(old)), shown(&text(new))));
            }
        }
        if let Some(ix) = known.field("OwnerId") {
            let (before, after) = (old.get(ix), new.get(ix));
            if before != after {
                let id = |value: Option<&Value>| value.and_then(Value::as_id);
                let text = |id: Option<RecordId>| id.map(|id| id.to_string());
                notes.push(("Owner", self.name_of(id(before)), self.name_of(id(after))));
                notes.push(("Owner", text(id(before)), text(id(after))));
            }
        }
        self.note_history(new.id, &notes, write);
    }

    /// Adds rows of history.
    pub(super) fn note_history(
        &mut self,
        lead: RecordId,
        notes: &[(&str, Option<String>, Option<String>)],
        write: &Write,
    ) {
        if !self.rules.history {
            return;
        }
        for (field, old, new) in notes {
            let mut values = vec![("LeadId", Value::Id(lead)), ("Field", Value::text(*field))];
            for (name, text) in [("OldValue", old), ("NewValue", new)] {
                values.extend(text.as_deref().map(|text| (name, Value::text(text))));
            }
            self.plant(write.now, write.user, "LeadHistory", &values);
        }
    }

    fn name_of(&self, id: Option<RecordId>) -> Option<String> {
        let (object, row) = self.find(id?)?;
        let name = row.get(self.object(object).field("Name")?)?;
        name.as_text().map(str::to_owned)
    }
}

fn shown(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
