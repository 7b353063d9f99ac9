//! Whether the owners that the configuration names can still own anything.

use std::collections::BTreeSet;

use tracing::warn;

use super::{Drift, Looked, tell};
use crate::deliver::salesforce::cause::Cause;
use crate::model::Millis;
use crate::salesforce::{CallError, Client, Map, quote, same_record, to_18};
use crate::store::{DeadCause, Lease, OrgProblem, StoreError};

/// The field that names an owner.
const OWNER: &str = "OwnerId";

/// Where problems of owners are kept.
const OBJECT: &str = "User";

/// The most owners that are looked up.
const MOST_OWNERS: usize = 200;

/// How an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Active,
    Inactive,
    Unknown,
}

impl Drift {
    /// Looks the named owners up, says who has left, and lets go what that held once it is mended.
    pub(super) async fn look_at_owners(
        &self,
        known: &[OrgProblem],
        causes: &[DeadCause],
        lease: &Lease,
        all: &mut Looked,
    ) -> Result<(), StoreError> {
        let owners: BTreeSet<&str> = self
            .watched
            .iter()
            .flat_map(|watched| &watched.expected)
            .filter(|expected| expected.field.eq_ignore_ascii_case(OWNER))
            .map(|expected| expected.value.as_str())
            .take(MOST_OWNERS)
            .collect();
        let now = self.clock.now();
        let problems = if owners.is_empty() {
            Vec::new()
        } else {
            match standings(&self.client, &owners).await {
                Ok(standings) => problems(&standings, known, now),
                Err(error) => {
                    let why = error.explain();
                    warn!(error.code = %why.code, hint = %why.hint, "the owners that the configuration names cannot be looked up");
                    return Ok(());
                }
            }
        };
        let over = known.iter().any(|known| {
            known.object == OBJECT && !problems.iter().any(|problem| problem.about == known.about)
        });
        if problems.is_empty() && !over {
            return Ok(());
        }
        let mut write = self.store.write().await?;
        write.guard(lease).await?;
        write.put_org_problems(OBJECT, &problems).await?;
        write.commit().await?;
        tell(OBJECT, known, &problems, false, causes);
        if over {
            for cause in causes {
                if Cause::parse(&cause.cause).code == "salesforce.inactive_owner_or_user" {
                    all.released += self.release(&cause.cause).await?;
                }
            }
        }
        Ok(())
    }
}

fn problems(
    standings: &[(String, Standing)],
    known: &[OrgProblem],
    now: Millis,
) -> Vec<OrgProblem> {
    standings
        .iter()
        .filter_map(|(owner, standing)| {
            let (code, what) = match standing {
                Standing::Active => return None,
                Standing::Inactive => ("doctor.owner_inactive", "is no longer active"),
                Standing::Unknown => ("doctor.owner_unknown", "is no user or queue of the org"),
            };
            let about = format!("{OWNER} = {owner}");
            let earlier = known
                .iter()
                .find(|known| known.object == OBJECT && known.code == code && known.about == about);
            Some(OrgProblem {
                object: OBJECT.to_owned(),
                code: code.to_owned(),
                about,
                is_error: true,
                // Somebody has left: nothing of ours was changed.
                drifted: *standing == Standing::Inactive,
                message: format!("the owner `{owner}`, whom the configuration names, {what}"),
                hint:
                    "name another owner in the mapping, or activate the user: Salesforce refuses \
                       leads of owners who have left"
                        .to_owned(),
                since: earlier.map_or(now, |earlier| earlier.since),
            })
        })
        .collect()
}

/// How each owner stands: users by id, username or name, queues by id or name.
async fn standings(
    client: &Client,
    owners: &BTreeSet<&str>,
) -> Result<Vec<(String, Standing)>, CallError> {
    let (ids, names): (Vec<&str>, Vec<&str>) = owners
        .iter()
        .copied()
        .partition(|owner| to_18(owner).is_some());
    let list = |values: &[&str]| {
        let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
        values.join(",")
    };
    let mut users = Vec::new();
    let mut queues = Vec::new();
    let user_ids: Vec<&str> = ids
        .iter()
        .copied()
        .filter(|id| id.starts_with("005"))
        .collect();
    let queue_ids: Vec<&str> = ids
        .iter()
        .copied()
        .filter(|id| id.starts_with("00G"))
        .collect();
    let mut user_conditions = Vec::new();
    let mut queue_conditions = Vec::new();
    if !user_ids.is_empty() {
        user_conditions.push(format!("Id IN ({})", list(&user_ids)));
    }
    if !queue_ids.is_empty() {
        queue_conditions.push(format!("Id IN ({})", list(&queue_ids)));
    }
    if !names.is_empty() {
        let names = list(&names);
        user_conditions.push(format!("Username IN ({names})"));
        user_conditions.push(format!("Name IN ({names})"));
        queue_conditions.push(format!("DeveloperName IN ({names})"));
        queue_conditions.push(format!("Name IN ({names})"));
    }
    if !user_conditions.is_empty() {
        let condition = user_conditions.join(" OR ");
        let soql = format!("SELECT Id, Username, Name, IsActive FROM User WHERE {condition}");
        users = client.query(&soql, 2_000).await?.rows;
    }
    if !queue_conditions.is_empty() {
        let condition = queue_conditions.join(" OR ");
        let soql = format!(
            "SELECT Id, DeveloperName, Name FROM Group WHERE Type = 'Queue' AND ({condition})"
        );
        queues = client.query(&soql, 2_000).await?.rows;
    }
    Ok(owners
        .iter()
        .map(|owner| ((*owner).to_owned(), standing(owner, &users, &queues)))
        .collect())
}

fn standing(owner: &str, users: &[Map], queues: &[Map]) -> Standing {
    let is_meant = |row: &&Map| {
        let is = |name: &str| {
            row.get(name)
                .and_then(|value| value.as_str())
                .is_some_and(|value| value.eq_ignore_ascii_case(owner))
        };
        let id = row.get("Id").and_then(|id| id.as_str()).unwrap_or_default();
        same_record(id, owner) || ["Username", "Name", "DeveloperName"].into_iter().any(is)
    };
    if queues.iter().any(|row| is_meant(&row)) {
        return Standing::Active;
    }
    let mut meant = users.iter().filter(is_meant).peekable();
    if meant.peek().is_none() {
        return Standing::Unknown;
    }
    if meant.any(|row| row.get("IsActive") == Some(&true.into())) {
        Standing::Active
    } else {
        Standing::Inactive
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_owner_is_a_user_who_is_there_or_a_queue() {
        let rows = |json: serde_json::Value| serde_json::from_value::<Vec<Map>>(json).unwrap();
        let users = rows(json!([
            { "Id": "005xx000001SwiUAAS", "Username": "jane@acme.com", "Name": "Jane Lee", "IsActive": true },
            { "Id": "005xx000001SwiVAAS", "Username": "joe@acme.com", "Name": "Joe Fox", "IsActive": false },
        ]));
        let queues =
            rows(json!([{ "Id": "00Gxx0000004ABC", "DeveloperName": "Web", "Name": "Web leads" }]));
        for (owner, expect) in [
            ("005xx000001SwiU", Standing::Active),
            ("jane lee", Standing::Active),
            ("joe@acme.com", Standing::Inactive),
            ("Web leads", Standing::Active),
            ("Nobody", Standing::Unknown),
        ] {
            assert_eq!(standing(owner, &users, &queues), expect, "{owner}");
        }
    }
}
