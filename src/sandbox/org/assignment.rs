use super::row::Row;
use super::state::Org;
use super::write::Write;
use crate::sandbox::errors::Refusal;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::ObjectIx;
use crate::sandbox::value::Value;

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

    /// Gives a lead to the queue of the assignment rule, if that is to run.
    pub(super) fn assign(
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
}
