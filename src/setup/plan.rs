//! What is there, and what would be done. Reads only.

use crate::diagnostic::Diagnostic;
use crate::doctor::check_external_id;
use crate::salesforce::{CallError, Client, Describe, Map, SignInError, TextField, quote};

/// What is wanted of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPlan {
    /// The field.
    pub field: TextField,
    /// It is not there, as far as can be seen.
    pub make: bool,
    /// The user may not read and write it yet.
    pub grant: bool,
    /// The field permissions that are there and too weak, by id.
    pub(super) permission: Option<String>,
}

impl FieldPlan {
    /// The object and the field, as in `Lead.Leadstream_Id__c`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.field.object, self.field.name)
    }

    /// Whether there is anything to do.
    pub fn is_ready(&self) -> bool {
        !self.make && !self.grant
    }
}

/// Through which permission set the user gets its rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermissionSet {
    /// None is needed: all may be written.
    NotNeeded,
    /// This one.
    Existing {
        /// Its id.
        id: String,
        /// Its API name.
        name: String,
    },
    /// Ours, which the user does not have yet: it is assigned to it, and made before that.
    New {
        /// Its API name.
        name: String,
        /// The integration user.
        user: String,
        /// Its id, if it is there already.
        id: Option<String>,
    },
    /// It cannot be told which.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// What would be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Every field that is wanted.
    pub fields: Vec<FieldPlan>,
    /// The permission set.
    pub set: PermissionSet,
    /// Fields that are there, but not as they should be. They are left as they are.
    pub problems: Vec<Diagnostic>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_done(&self) -> bool {
        self.fields.iter().all(FieldPlan::is_ready)
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no token.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The org cannot be read.
    #[error("cannot read {what}: {error}")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        error: CallError,
    },
}

/// The permission set that is made where the user has none of its own.
const OWN_SET: &str = "Leadstream";

/// Looks at the org, and says what is to be done for `wanted`.
pub async fn plan(
    client: &Client,
    wanted: Vec<TextField>,
    permission_set: Option<&str>,
) -> Result<Plan, PlanError> {
    client.sign_in().await?;
    let lead = describe(client, "Lead").await?;
    let contact = describe(client, "Contact").await?;
    let existing = existing_fields(client, &wanted).await;
    let mut problems = Vec::new();
    let mut fields = Vec::new();
    for field in wanted {
        let object = if field.object == "Lead" {
            &lead
        } else {
            &contact
        };
        let seen = object.field(&field.name);
        if field.is_key && seen.is_some() {
            let wrong = check_external_id(object, &field.name);
            // The right to write it is given below.
            let left = wrong
                .into_iter()
                .filter(|problem| problem.code != "doctor.external_id_read_only");
            problems.extend(left);
        }
        let hidden = || {
            existing.iter().any(|(object, bare)| {
                *object == field.object && format!("{bare}__c").eq_ignore_ascii_case(&field.name)
            })
        };
        fields.push(FieldPlan {
            make: seen.is_none() && !hidden(),
            grant: !seen.is_some_and(|seen| seen.createable && seen.updateable),
            permission: None,
            field,
        });
    }
    let set = if fields.iter().any(|field| field.grant) {
        find_set(client, permission_set).await
    } else {
        PermissionSet::NotNeeded
    };
    if let PermissionSet::Existing { id, .. } | PermissionSet::New { id: Some(id), .. } = &set {
        add_permissions(client, id, &mut fields).await;
    }
    Ok(Plan {
        fields,
        set,
        problems,
    })
}

async fn describe(client: &Client, object: &str) -> Result<Describe, PlanError> {
    client
        .describe(object)
        .await
        .map_err(|error| PlanError::Unreadable {
            what: format!("what a {object} is made of"),
            error,
        })
}

/// Fields of those names that are there, hidden ones too: object and name without `__c`. None if the
/// user may not look: then making one says so.
async fn existing_fields(client: &Client, wanted: &[TextField]) -> Vec<(String, String)> {
    let names: Vec<String> = wanted
        .iter()
        .map(|field| quote(field.name.strip_suffix("__c").unwrap_or(&field.name)))
        .collect();
    let soql = format!(
        "SELECT DeveloperName, TableEnumOrId FROM CustomField WHERE TableEnumOrId IN \
         ('Lead','Contact') AND DeveloperName IN ({})",
        names.join(",")
    );
    match client.tooling_query(&soql).await {
        Ok(found) => found
            .rows
            .iter()
            .map(|row| (text(row, "TableEnumOrId"), text(row, "DeveloperName")))
            .collect(),
        Err(error) => {
            tracing::debug!(%error, "custom fields cannot be listed");
            Vec::new()
        }
    }
}

async fn find_set(client: &Client, named: Option<&str>) -> PermissionSet {
    let unknown = |reason: String| PermissionSet::Unknown { reason };
    if let Some(named) = named {
        let name = quote(named);
        let soql = format!(
            "SELECT Id, Name FROM PermissionSet WHERE IsOwnedByProfile = false AND (Name = {name} OR \
             Label = {name})"
        );
        return match client.query(&soql, 2).await {
            Err(error) => unknown(format!("permission sets cannot be read: {error}")),
            Ok(found) => match found.rows.as_slice() {
                [row] => existing(row, "Id", "Name"),
                [] => unknown(format!("there is no permission set `{named}`")),
                _ => unknown(format!("several permission sets are called `{named}`")),
            },
        };
    }
    let Some(user) = client.user_id() else {
        return unknown("the token does not say who the integration user is".to_owned());
    };
    let soql = format!(
        "SELECT PermissionSetId, PermissionSet.Name FROM PermissionSetAssignment WHERE AssigneeId = {} \
         AND PermissionSet.IsOwnedByProfile = false",
        quote(&user)
    );
    let rows = match client.query(&soql, 100).await {
        Ok(found) => found.rows,
        Err(error) => return unknown(format!("permission sets cannot be read: {error}")),
    };
    let name = |row: &Map| {
        row.get("PermissionSet")
            .and_then(|set| set.get("Name"))
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let chosen = match rows.as_slice() {
        [] => {
            let soql = format!(
                "SELECT Id FROM PermissionSet WHERE Name = {}",
                quote(OWN_SET)
            );
            let found = client.query(&soql, 1).await;
            return PermissionSet::New {
                name: OWN_SET.to_owned(),
                user,
                // If it cannot be looked for, making it says whether it is there.
                id: found
                    .ok()
                    .and_then(|found| Some(text(found.rows.first()?, "Id"))),
            };
        }
        [row] => Some(row),
        rows => rows.iter().find(|row| name(row) == OWN_SET),
    };
    let Some(row) = chosen else {
        let names: Vec<String> = rows.iter().map(name).collect();
        return unknown(format!(
            "the integration user has several permission sets: {}",
            names.join(", ")
        ));
    };
    PermissionSet::Existing {
        id: text(row, "PermissionSetId"),
        name: name(row),
    }
}

fn existing(row: &Map, id: &str, name: &str) -> PermissionSet {
    PermissionSet::Existing {
        id: text(row, id),
        name: text(row, name),
    }
}

/// Notes which field permissions the set has already.
async fn add_permissions(client: &Client, set: &str, fields: &mut [FieldPlan]) {
    let soql = format!(
        "SELECT Id, Field, PermissionsRead, PermissionsEdit FROM FieldPermissions WHERE ParentId = {} \
         AND SobjectType IN ('Lead','Contact')",
        quote(set)
    );
    let rows = match client.query(&soql, 5_000).await {
        Ok(found) => found.rows,
        Err(error) => {
            tracing::debug!(%error, "field permissions cannot be listed");
            return;
        }
    };
    for field in fields.iter_mut().filter(|field| field.grant) {
        let full_name = field.full_name();
        let found = rows
            .iter()
            .find(|row| text(row, "Field").eq_ignore_ascii_case(&full_name));
        field.permission = found.map(|row| text(row, "Id"));
    }
}

fn text(row: &Map, name: &str) -> String {
    row.get(name)
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
