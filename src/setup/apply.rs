//! Does what was planned, and says of each step how it went.

use serde_json::{Value, json};

use super::plan::{FieldPlan, PermissionSet, Plan};
use crate::salesforce::{CallError, Client, Explanation, Map};

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It was so before.
    There,
    /// Salesforce refused.
    Refused(Explanation),
    /// It was not tried, because what it needs was refused.
    Skipped,
}

/// A step, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Stable: `field`, `permission_set`, `assignment` or `field_permission`.
    pub step: &'static str,
    /// What it is about.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl Applied {
    /// Whether what the step is for is there now.
    pub fn is_well(&self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::There)
    }
}

/// Does `plan`, telling `tell` of each step. A step that is refused stops those that need it only.
pub async fn apply(client: &Client, plan: &Plan, mut tell: impl FnMut(&Applied)) -> Vec<Applied> {
    let mut applied = Vec::new();
    let mut note = |step, what: String, outcome: Outcome| {
        let step = Applied {
            step,
            what,
            outcome,
        };
        tell(&step);
        applied.push(step);
    };
    let mut made = Vec::new();
    for field in &plan.fields {
        let outcome = make(client, field).await;
        made.push(!matches!(outcome, Outcome::Refused(_)));
        note("field", field.full_name(), outcome);
    }
    let set = match &plan.set {
        PermissionSet::NotNeeded => return applied,
        PermissionSet::Existing { id, name } => Some((id.clone(), name.clone())),
        PermissionSet::Unknown { .. } => None,
        PermissionSet::New { name, user, id } => {
            let made = if let Some(id) = id {
                Ok(id.clone())
            } else {
                let fields = map(json!({ "Name": name, "Label": name }));
                client.create_setup("PermissionSet", &fields).await
            };
            match made {
                Ok(made) => {
                    let is_there = id.is_some();
                    let outcome = if is_there {
                        Outcome::There
                    } else {
                        Outcome::Done
                    };
                    note("permission_set", name.clone(), outcome);
                    let outcome = assign(client, &made, user).await;
                    note("assignment", format!("{name} to the user {user}"), outcome);
                    Some((made, name.clone()))
                }
                Err(error) => {
                    note("permission_set", name.clone(), refused(&error));
                    None
                }
            }
        }
    };
    for (field, made) in plan.fields.iter().zip(made) {
        if !field.grant {
            continue;
        }
        let (outcome, in_set) = match &set {
            Some((id, name)) if made => (grant(client, field, id).await, format!(" in {name}")),
            Some((_, name)) => (Outcome::Skipped, format!(" in {name}")),
            None => (Outcome::Skipped, String::new()),
        };
        note("field_permission", field.full_name() + &in_set, outcome);
    }
    applied
}

async fn assign(client: &Client, set: &str, user: &str) -> Outcome {
    let fields = map(json!({ "AssigneeId": user, "PermissionSetId": set }));
    let assigned = client.create_setup("PermissionSetAssignment", &fields);
    outcome(assigned.await.map(drop))
}

async fn make(client: &Client, field: &FieldPlan) -> Outcome {
    if !field.make {
        return Outcome::There;
    }
    match client.create_text_field(&field.field).await {
        Err(error) if is_taken(&error) => Outcome::There,
        result => outcome(result),
    }
}

async fn grant(client: &Client, field: &FieldPlan, set: &str) -> Outcome {
    let rights = json!({ "PermissionsRead": true, "PermissionsEdit": true });
    if let Some(id) = &field.permission {
        let rights = map(rights);
        let changed = client.update_setup("FieldPermissions", id, &rights);
        return outcome(changed.await);
    }
    let mut fields = map(json!({
        "ParentId": set,
        "SobjectType": field.field.object,
        "Field": field.full_name(),
    }));
    fields.extend(map(rights));
    let made = client.create_setup("FieldPermissions", &fields);
    outcome(made.await.map(drop))
}

/// Whether there is a field of this name already, which the user does not see.
fn is_taken(error: &CallError) -> bool {
    let CallError::Refused { errors, .. } = error else {
        return false;
    };
    errors.iter().any(|error| {
        error.code == "DUPLICATE_DEVELOPER_NAME"
            || error.message.contains("already a field named")
            || error.message.contains("duplicates value on record")
    })
}

fn outcome(result: Result<(), CallError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => refused(&error),
    }
}

fn refused(error: &CallError) -> Outcome {
    Outcome::Refused(error.explain())
}

fn map(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
