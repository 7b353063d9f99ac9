use super::row::Row;
use super::state::Org;
use crate::sandbox::errors::Refusal;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{Field, ObjectIx, STAGES};
use crate::sandbox::value::Value;

impl Org {
    /// A task for a lead is related to nothing else; whether it is closed follows its status.
    pub(super) fn check_task(&self, object: ObjectIx, row: &mut Row) -> Result<(), Refusal> {
        let known = self.object(object);
        let id = |name: &str| known.field(name).and_then(|ix| row.get(ix)?.as_id());
        let (who, what) = (id("WhoId"), id("WhatId"));
        let is_lead = who.is_some_and(|who| self.is_of("Lead", who));
        if is_lead && what.is_some() {
            return Err(Refusal {
                fields: Some(vec!["WhoId".to_owned(), "WhatId".to_owned()]),
                ..Refusal::row(
                    "FIELD_INTEGRITY_EXCEPTION",
                    "field integrity exception: WhoId, WhatId (a task for a lead cannot be related to \
                     another record)",
                )
            });
        }
        let account = [what, who]
            .into_iter()
            .flatten()
            .find_map(|related| self.account_of(related));
        let status = known
            .field("Status")
            .and_then(|ix| row.get(ix)?.as_text())
            .is_some_and(|status| status == "Completed");
        if let Some(ix) = known.field("IsClosed") {
            row.set(ix, Some(Value::Bool(status)));
        }
        if let Some(ix) = known.field("AccountId") {
            row.set(ix, account.map(Value::Id));
        }
        Ok(())
    }

    fn account_of(&self, related: RecordId) -> Option<RecordId> {
        if self.is_of("Account", related) {
            return Some(related);
        }
        let (object, row) = self.find(related)?;
        row.get(self.object(object).field("AccountId")?)?.as_id()
    }

    /// Whether an id is that of a record of this object.
    pub(super) fn is_of(&self, object: &str, id: RecordId) -> bool {
        let object = self.schema.find(object);
        object.is_some_and(|object| self.object(object).prefix == id.prefix())
    }

    /// What an opportunity's stage brings with it; a probability that was set with it stays.
    pub(super) fn follow_stage(
        &self,
        object: ObjectIx,
        row: &mut Row,
        old: Option<&Row>,
        is_set: bool,
    ) {
        let known = self.object(object);
        let Some(stage_ix) = known.field("StageName") else {
            return;
        };
        let name = row.get(stage_ix).and_then(Value::as_text);
        let stage = STAGES
            .iter()
            .find(|stage| name.is_some_and(|name| stage.name.eq_ignore_ascii_case(name)));
        let is_new = old.is_none_or(|old| old.get(stage_ix) != row.get(stage_ix));
        let (probability, forecast, is_closed, is_won) =
            stage.map_or((0, "Pipeline", false, false), |stage| {
                (
                    stage.probability,
                    stage.forecast,
                    stage.is_closed,
                    stage.is_won,
                )
            });
        let mut put = |name: &str, value| {
            if let Some(ix) = known.field(name) {
                row.set(ix, Some(value));
            }
        };
        if is_new {
            if !is_set {
                put("Probability", Value::Number(f64::from(probability)));
            }
            put("ForecastCategoryName", Value::text(forecast));
            put("IsClosed", Value::Bool(is_closed));
            put("IsWon", Value::Bool(is_won));
        }
    }

    /// A record type is one of the object, and one that is in use.
    pub(super) fn check_record_type(
        &self,
        object: ObjectIx,
        field: &Field,
        id: RecordId,
    ) -> Result<(), Refusal> {
        let refuse = || {
            Err(Refusal::field(
                "INVALID_CROSS_REFERENCE_KEY",
                format!(
                    "{}: this ID value isn't valid for the user: {id}",
                    field.label
                ),
                &field.name,
            ))
        };
        let Some((types, row)) = self.find(id) else {
            return refuse();
        };
        let known = self.object(types);
        let text = |name: &str| known.field(name).and_then(|ix| row.get(ix)?.as_text());
        let is_active = known
            .field("IsActive")
            .is_some_and(|ix| row.get(ix).is_some());
        if text("SobjectType") != Some(self.object(object).name) || !is_active {
            return refuse();
        }
        Ok(())
    }
}
