//! Users, queues, record types and campaigns that the configuration names.

use std::collections::BTreeMap;

use super::asking::{Asking, flag, text};
use super::did_you_mean;
use super::expect::Expectations;
use crate::diagnostic::Diagnostic;
use crate::salesforce::{Map, quote, to_18};

/// All that is named. What is not named takes no call.
pub(super) async fn check(asking: &mut Asking<'_>, expected: &Expectations) {
    if !expected.owners.is_empty() {
        check_owners(asking, &expected.owners).await;
    }
    if !expected.record_types.is_empty() {
        check_record_types(asking, &expected.record_types).await;
    }
    if !expected.campaigns.is_empty() {
        check_campaigns(asking, &expected.campaigns).await;
    }
}

/// `(field IN (…) OR other IN (…))`, and by id for what looks like one.
fn any_of(names: &BTreeMap<String, String>, fields: &[&str]) -> String {
    let all: Vec<String> = names.keys().map(|name| quote(name)).collect();
    let all = all.join(",");
    let mut any: Vec<String> = fields
        .iter()
        .map(|field| format!("{field} IN ({all})"))
        .collect();
    let ids: Vec<String> = names
        .keys()
        .filter_map(|name| to_18(name))
        .map(|id| quote(&id))
        .collect();
    if !ids.is_empty() {
        any.push(format!("Id IN ({})", ids.join(",")));
    }
    format!("({})", any.join(" OR "))
}

/// Whether `row` is what `name` names, by one of `fields` or by id.
fn is_named(row: &Map, name: &str, fields: &[&str]) -> bool {
    let by_id = to_18(name).is_some_and(|id| Some(id) == to_18(text(row, "Id")));
    let is = |field: &&str| text(row, field).to_lowercase() == name.to_lowercase();
    by_id || fields.iter().any(is)
}

async fn check_owners(asking: &mut Asking<'_>, owners: &BTreeMap<String, String>) {
    const USER: [&str; 2] = ["Name", "Username"];
    const QUEUE: [&str; 2] = ["Name", "DeveloperName"];
    let soql = format!(
        "SELECT Id, Name, Username, IsActive FROM User WHERE {}",
        any_of(owners, &USER)
    );
    let users = asking.rows("users", &soql).await;
    let soql = format!(
        "SELECT Id, Name, DeveloperName FROM Group WHERE Type = 'Queue' AND {}",
        any_of(owners, &QUEUE)
    );
    let queues = asking.rows("queues", &soql).await;
    let (Some(users), Some(queues)) = (users, queues) else {
        return;
    };
    for (name, set_by) in owners {
        if queues.iter().any(|row| is_named(row, name, &QUEUE)) {
            continue;
        }
        let named: Vec<&Map> = users
            .iter()
            .filter(|row| is_named(row, name, &USER))
            .collect();
        if named.is_empty() {
            let message = format!("`{name}`, {set_by}, is no user and no queue of the org");
            let hint =
                "write a user's username or a queue's name as in Setup > Users and Setup > Queues";
            asking.problem(Diagnostic::error("doctor.owner_unknown", message).hint(hint));
        } else if named.iter().all(|row| flag(row, "IsActive") == Some(false)) {
            let message = format!("the user `{name}`, {set_by}, is inactive, and can own no lead");
            let hint = "name another owner, or activate the user in Setup > Users";
            asking.problem(Diagnostic::error("doctor.owner_inactive", message).hint(hint));
        }
    }
}

async fn check_record_types(asking: &mut Asking<'_>, named: &BTreeMap<String, String>) {
    const FIELDS: [&str; 2] = ["Name", "DeveloperName"];
    let soql =
        "SELECT Id, Name, DeveloperName, IsActive FROM RecordType WHERE SobjectType = 'Lead'";
    let Some(types) = asking.rows("record types", soql).await else {
        return;
    };
    for (name, set_by) in named {
        let found = types.iter().find(|row| is_named(row, name, &FIELDS));
        let problem = match found {
            None => "is no record type of Lead",
            Some(row) if flag(row, "IsActive") == Some(false) => "is inactive",
            Some(_) => continue,
        };
        let names = types.iter().map(|row| text(row, "DeveloperName"));
        let message = format!("the record type `{name}`, {set_by}, {problem}");
        let hint = format!(
            "write the name of an active one (Setup > Object Manager > Lead > Record Types){}",
            did_you_mean(name, names)
        );
        asking.problem(Diagnostic::error("doctor.record_type", message).hint(hint));
    }
}

async fn check_campaigns(asking: &mut Asking<'_>, named: &BTreeMap<String, String>) {
    let soql = format!(
        "SELECT Id, Name, IsActive FROM Campaign WHERE {}",
        any_of(named, &["Name"])
    );
    let Some(campaigns) = asking.rows("campaigns", &soql).await else {
        return;
    };
    for (name, set_by) in named {
        let found: Vec<&Map> = campaigns
            .iter()
            .filter(|row| is_named(row, name, &["Name"]))
            .collect();
        match found.len() {
            0 => {
                let message = format!("the org has no campaign `{name}`, {set_by}");
                let hint = "make it in Salesforce, or write its name as it is there, or its id; campaigns \
                            are made by leadstream only where [salesforce.campaigns] allows it";
                asking.problem(Diagnostic::warning("doctor.campaign_missing", message).hint(hint));
            }
            1 => {}
            count => {
                let message = format!("{count} campaigns are called `{name}`, {set_by}");
                let hint =
                    "write the id of the one that is meant: names of campaigns are not unique";
                asking
                    .problem(Diagnostic::warning("doctor.campaign_ambiguous", message).hint(hint));
            }
        }
        if let [row] = found.as_slice()
            && flag(row, "IsActive") == Some(false)
        {
            asking.note(
                "doctor.campaign_inactive",
                format!(
                    "the campaign `{name}`, {set_by}, is not active: people join it all the same"
                ),
            );
        }
    }
}
