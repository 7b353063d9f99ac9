use super::duplicates::{DuplicateMatch, DuplicateRule};
use super::failures::ActiveFailure;
use super::row::Row;
use super::state::Org;
use super::validation::ValidationRule;
use super::write::Write;
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::ObjectIx;
use crate::sandbox::value::Value;

/// What the org does of itself.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Rules {
    /// What happens to duplicates, if a rule is active.
    pub(in crate::sandbox) duplicate: Option<DuplicateRule>,
    /// What a duplicate is.
    pub(in crate::sandbox) matching: DuplicateMatch,
    /// Where the lead assignment rule puts leads, if one is active.
    pub(in crate::sandbox) queue: Option<RecordId>,
    /// The validation rules.
    pub(in crate::sandbox) validation: Vec<ValidationRule>,
    /// Writes that fail for a reason of the org's own.
    pub(in crate::sandbox) failures: Vec<ActiveFailure>,
    /// Whether field history of leads is kept.
    pub(in crate::sandbox) history: bool,
}

impl Org {
    /// The rules that change a record on its way in, and those that refuse it. `old` is what it was
    /// before; none on create.
    pub(super) fn before_save(
        &self,
        object: ObjectIx,
        row: &mut Row,
        old: Option<&Row>,
        sets_probability: bool,
        write: &Write,
    ) -> Result<(), Refusals> {
        let is_create = old.is_none();
        match self.object(object).name {
            "Lead" => self.assign(object, row, is_create, write)?,
            "CampaignMember" => self.join(object, row, is_create, write)?,
            "CampaignMemberStatus" => self.check_status(object, row)?,
            "Task" => self.check_task(object, row)?,
            "Opportunity" => self.follow_stage(object, row, old, sets_probability),
            "FieldPermissions" => self.check_permission(object, row)?,
            _ => {}
        }
        self.check_required(object, row)?;
        self.fail(object, row)?;
        self.validate(object, row)?;
        self.check_unique(object, row, write)?;
        self.check_duplicates(object, row, old, write)?;
        Ok(())
    }

    /// What follows when a record has been saved.
    pub(super) fn after_save(
        &mut self,
        object: ObjectIx,
        id: RecordId,
        is_create: bool,
        write: &Write,
    ) {
        match self.object(object).name {
            "Campaign" if is_create => self.give_statuses(id, write),
            "CampaignMemberStatus" => self.after_status(object, id),
            "Lead" if is_create => self.note_history(id, &[("created", None, None)], write),
            "FieldPermissions" | "PermissionSetAssignment" => self.apply_permissions(write.now),
            _ => {}
        }
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
                let message = match self.object(object).name {
                    "CampaignMember" => "Already a campaign member.",
                    _ => "duplicate value found: Label duplicates value on another record",
                };
                return Err(Refusal::row("DUPLICATE_VALUE", message));
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
}
