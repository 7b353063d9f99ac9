//! Lets people join campaigns: each campaign once, with the status that their submission stands for.
//!
//! Salesforce has one member for each person and campaign, and says so when a second is made: a member
//! that was made and whose answer was lost does no harm. A status that a person set is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing::warn;

use super::locate::{LEAD, object_of};
use super::look::text;
use super::send::{Blame, Sender};
use super::write::get;
use crate::config::UnknownCampaign;
use crate::model::{Joining, Millis, Note};
use crate::salesforce::{
    ApiError, CallError, Class, Explanation, MAX_UPSERT, Map, QueryPage, RowResult, WriteHeaders,
    quote, to_18,
};

const CAMPAIGN: &str = "Campaign";
const MEMBER: &str = "CampaignMember";
const STATUS: &str = "CampaignMemberStatus";

/// How long what is known of a campaign is believed, and of one that was not there.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 60);
const MISSING_FOR: Duration = Duration::from_secs(60);

/// People in one query: two ids of each kind fit into its address.
const MOST_PEOPLE: usize = 200;

/// Statuses of people who have done nothing yet. Salesforce counts the others as a response.
const NO_RESPONSE: [&str; 6] = [
    "sent",
    "registered",
    "invited",
    "signed up",
    "no-show",
    "no show",
];

/// Adds to what is to be joined what comes after it: of one campaign the newest status, measured against
/// what was asked for before both. Pure.
pub fn join_together(to: &mut BTreeMap<String, Joining>, later: BTreeMap<String, Joining>) {
    for (name, joining) in later {
        match to.get_mut(&name) {
            Some(there) => there.status = joining.status.or(there.status.take()),
            None => {
                to.insert(name, joining);
            }
        }
    }
}

/// Somebody who is to join a campaign.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Who, among the leads of the call.
    pub index: usize,
    /// Their Lead or Contact.
    pub person: String,
    /// The campaign, by name or id.
    pub campaign: String,
    /// With which status.
    pub joining: Joining,
    /// They may be in it already.
    pub unsure: bool,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Joined {
    /// They have joined it, or their status was set.
    In(String),
    /// They were in it, and nothing was to be changed.
    AsItWas,
    /// The lead goes without it.
    Without(Note),
    /// It was refused, or the way to it failed.
    Failed {
        why: Explanation,
        unsure: bool,
        blame: Blame,
    },
}

/// A campaign as far as it is known.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    /// Its member statuses; the default one, if it was seen.
    statuses: Vec<String>,
    default: Option<String>,
}

/// What is known of the org's campaigns, by name or id in small letters.
#[derive(Debug, Default)]
pub struct Campaigns {
    known: Mutex<BTreeMap<String, (Option<Known>, Millis)>>,
}

type Results = Vec<(usize, Joined)>;

impl Campaigns {
    /// Lets `members` join. A result for each of them.
    pub(super) async fn join(&self, sender: &Sender<'_>, members: Vec<Member>) -> Results {
        let mut results = Results::new();
        if members.is_empty() {
            return results;
        }
        let names: BTreeSet<&str> = members.iter().map(|member| &*member.campaign).collect();
        if let Err(error) = self.learn(sender, &names).await {
            if is_out_of_reach(&error) {
                warn!(error.code = %error.explain().code, "campaigns cannot be read: leads go without them");
                let without = |member: &Member| (member.index, without(member, NOT_READABLE));
                return members.iter().map(without).collect();
            }
            return members
                .iter()
                .map(|member| failed(member, &error))
                .collect();
        }
        let mut there: Vec<(Member, Known)> = Vec::new();
        for member in members {
            match self.find(&member.campaign) {
                Some(known) => there.push((member, known)),
                None => results.push((member.index, unknown(sender, &member))),
            }
        }
        if let Err(error) = self.add_statuses(sender, &mut there).await {
            results.extend(there.iter().map(|(member, _)| failed(member, &error)));
            return results;
        }
        // Members of one campaign stand together: each write locks its campaign.
        there.sort_by(|(one, known), (other, others)| {
            (&known.id, one.index).cmp(&(&others.id, other.index))
        });
        let (seen, new): (Vec<_>, Vec<_>) = there
            .into_iter()
            .partition(|(member, _)| member.joining.again || member.unsure);
        let mut already = seen;
        already.extend(make(sender, new, &mut results).await);
        let absent = update(sender, already, &mut results).await;
        // Who was thought to be in it and is not: taken out by a person since, or never made.
        // Salesforce says that they are in it, and does not show them: looked at again later.
        for (member, _) in make(sender, absent, &mut results).await {
            results.push((member.index, hidden()));
        }
        results
    }

    fn find(&self, campaign: &str) -> Option<Known> {
        let known = self.known.lock();
        known.get(&campaign.to_lowercase())?.0.clone()
    }

    /// Reads what is not known of `names`, and makes campaigns that are missing, if that is allowed.
    async fn learn(&self, sender: &Sender<'_>, names: &BTreeSet<&str>) -> Result<(), CallError> {
        let asked: Vec<&str> = {
            let known = self.known.lock();
            let is_unknown = |name: &&&str| match known.get(&name.to_lowercase()) {
                Some((Some(_), at)) => !at.was_within(KNOWN_FOR, sender.now),
                Some((None, at)) => !at.was_within(MISSING_FOR, sender.now),
                None => true,
            };
            names.iter().filter(is_unknown).copied().collect()
        };
        if asked.is_empty() {
            return Ok(());
        }
        let mut found = read(sender, &asked).await?;
        let config = &sender.client.config().campaigns;
        let missing: Vec<&str> = asked
            .iter()
            .copied()
            .filter(|name| !found.contains_key(&name.to_lowercase()) && campaign_id(name).is_none())
            .collect();
        if config.create && !missing.is_empty() && (sender.may_write)().await {
            create(sender, &missing).await?;
            // Another may have made one of that name at the same time: both then take the same.
            found.extend(read(sender, &missing).await?);
        }
        let mut known = self.known.lock();
        for name in asked {
            let key = name.to_lowercase();
            known.insert(key.clone(), (found.get(&key).cloned(), sender.now));
        }
        Ok(())
    }

    /// Makes the statuses that the campaigns lack, if that is allowed; else members get the default.
    async fn add_statuses(
        &self,
        sender: &Sender<'_>,
        members: &mut [(Member, Known)],
    ) -> Result<(), CallError> {
        let config = &sender.client.config().campaigns;
        let mut missing: BTreeSet<(String, String)> = BTreeSet::new();
        for (member, known) in members.iter_mut() {
            let status = member.joining.status.clone();
            let status = status.unwrap_or_else(|| config.status.clone());
            let defined = known.statuses.iter();
            let defined = defined
                .clone()
                .find(|label| label.eq_ignore_ascii_case(&status));
            // Whose statuses could not be read is believed to have them all.
            if defined.is_none() && !known.statuses.is_empty() {
                missing.insert((known.id.clone(), status.clone()));
            }
            member.joining.status = Some(defined.cloned().unwrap_or(status));
        }
        if missing.is_empty() || !config.create_statuses || !(sender.may_write)().await {
            return Ok(());
        }
        let missing: Vec<(String, String)> = missing.into_iter().collect();
        for chunk in missing.chunks(MAX_UPSERT) {
            let records: Vec<(&str, Map)> = chunk
                .iter()
                .map(|(campaign, label)| {
                    let responded = !NO_RESPONSE.contains(&&*label.to_lowercase());
                    let mut status = Map::new();
                    status.insert("CampaignId".to_owned(), json!(campaign));
                    status.insert("Label".to_owned(), json!(label));
                    status.insert("HasResponded".to_owned(), json!(responded));
                    (STATUS, status)
                })
                .collect();
            let results = sender
                .client
                .create_collection(&records, &headers(sender))
                .await?;
            for ((campaign, label), result) in chunk.iter().zip(results) {
                if let RowResult::Refused(errors) = &result
                    && !errors
                        .iter()
                        .any(|error| error.code.starts_with("DUPLICATE"))
                {
                    let why = Explanation::of(200, errors);
                    passes(&why, errors)?;
                    warn!(error.code = %why.code, "a campaign lacks a member status and cannot get it: members get its default");
                }
                let mut known = self.known.lock();
                for (entry, _) in known.values_mut() {
                    if let Some(entry) = entry.as_mut().filter(|entry| entry.id == *campaign) {
                        entry.statuses.push(label.clone());
                    }
                }
            }
        }
        Ok(())
    }
}

/// The campaigns of those names or ids, with their statuses. Of several of one name the one that is
/// active, then the one that was made first, so that it stays the same one. One call for 50 names.
async fn read(sender: &Sender<'_>, names: &[&str]) -> Result<BTreeMap<String, Known>, CallError> {
    let mut found = BTreeMap::new();
    for chunk in names.chunks(MOST_NAMES) {
        let ids: Vec<String> = chunk.iter().filter_map(|name| campaign_id(name)).collect();
        let quoted = |values: &mut dyn Iterator<Item = &str>| {
            values.map(quote).collect::<Vec<_>>().join(",")
        };
        let by_name = format!("Name IN ({})", quoted(&mut chunk.iter().copied()));
        let which = if ids.is_empty() {
            by_name
        } else {
            let ids = quoted(&mut ids.iter().map(String::as_str));
            format!("({by_name} OR Id IN ({ids}))")
        };
        let queries = [
            format!(
                "SELECT Id,Name,IsActive FROM {CAMPAIGN} WHERE {which} ORDER BY IsActive, CreatedDate DESC, Id DESC"
            ),
            format!(
                "SELECT CampaignId,Label,IsDefault FROM {STATUS} \
                 WHERE CampaignId IN (SELECT Id FROM {CAMPAIGN} WHERE {which})"
            ),
        ];
        let answers = sender.client.query_together(QUERY, &queries, false).await?;
        let mut answers = answers.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Ok(QueryPage::default()));
        let campaigns = next().map_err(|errors| CallError::Refused {
            status: 400,
            errors,
        })?;
        // An org that hides the statuses has them all the same.
        let statuses = next().unwrap_or_default().rows;
        // The last of one name stays.
        for row in campaigns.rows {
            let (Some(id), Some(name)) = (text(&row, "Id").and_then(to_18), text(&row, "Name"))
            else {
                continue;
            };
            let known = known(&id, &statuses);
            let is_meant = |asked: &&&str| {
                asked.trim().to_lowercase() == name.trim().to_lowercase()
                    || campaign_id(asked).as_deref() == Some(&*id)
            };
            for asked in chunk.iter().filter(is_meant) {
                found.insert(asked.to_lowercase(), known.clone());
            }
        }
    }
    Ok(found)
}

const QUERY: &str = "campaign";

/// A campaign, with those of `statuses` that are its own.
fn known(id: &str, statuses: &[Map]) -> Known {
    let mut known = Known {
        id: id.to_owned(),
        statuses: Vec::new(),
        default: None,
    };
    for row in statuses {
        if text(row, "CampaignId").and_then(to_18).as_deref() != Some(id) {
            continue;
        }
        let label = text(row, "Label").unwrap_or_default().to_owned();
        if get(row, "IsDefault") == Some(&Value::Bool(true)) {
            known.default = Some(label.clone());
        }
        known.statuses.push(label);
    }
    known
}

/// Names in one query.
const MOST_NAMES: usize = 50;

/// The id, if that is what a campaign is named by.
fn campaign_id(name: &str) -> Option<String> {
    let name = name.trim();
    name.starts_with("701").then(|| to_18(name)).flatten()
}

/// Makes campaigns. One that the org does not take is missing as it was.
async fn create(sender: &Sender<'_>, names: &[&str]) -> Result<(), CallError> {
    for chunk in names.chunks(MAX_UPSERT) {
        let records: Vec<(&str, Map)> = chunk
            .iter()
            .map(|name| {
                let mut campaign = Map::new();
                let name: String = name.chars().take(MOST_NAME_CHARS).collect();
                campaign.insert("Name".to_owned(), json!(name));
                // Salesforce makes them inactive unless told.
                campaign.insert("IsActive".to_owned(), json!(true));
                (CAMPAIGN, campaign)
            })
            .collect();
        let results = sender
            .client
            .create_collection(&records, &headers(sender))
            .await?;
        for result in results {
            if let RowResult::Refused(errors) = result {
                let why = Explanation::of(200, &errors);
                passes(&why, &errors)?;
                warn!(error.code = %why.code, hint = %why.hint, "a campaign cannot be made");
            }
        }
    }
    Ok(())
}

/// An error for a refusal that a retry cures, such as of a row that is locked: it says nothing of the
/// campaign.
fn passes(why: &Explanation, errors: &[ApiError]) -> Result<(), CallError> {
    if matches!(
        why.class,
        Class::RetrySoon | Class::RetryLater | Class::HoldAll
    ) {
        return Err(CallError::Refused {
            status: 200,
            errors: errors.to_vec(),
        });
    }
    Ok(())
}

/// Characters of a campaign's name. Source: Salesforce object reference, Campaign.
const MOST_NAME_CHARS: usize = 80;

/// Makes members. Gives those who are in it already.
async fn make(
    sender: &Sender<'_>,
    members: Vec<(Member, Known)>,
    results: &mut Results,
) -> Vec<(Member, Known)> {
    let mut already = Vec::new();
    for chunk in members.chunks(MAX_UPSERT) {
        if !(sender.may_write)().await {
            results.extend(chunk.iter().map(|(member, _)| (member.index, taken_over())));
            continue;
        }
        let records: Vec<(&str, Map)> = chunk
            .iter()
            .map(|(member, known)| {
                let mut record = Map::new();
                record.insert("CampaignId".to_owned(), json!(known.id));
                let is_lead = object_of(&member.person) == Some(LEAD);
                let person = if is_lead { "LeadId" } else { "ContactId" };
                record.insert(person.to_owned(), json!(member.person));
                record.insert("Status".to_owned(), json!(member.joining.status));
                (MEMBER, record)
            })
            .collect();
        let answer = sender
            .client
            .create_collection(&records, &headers(sender))
            .await;
        let rows = match answer {
            Ok(rows) => rows,
            Err(error) if is_out_of_reach(&error) => {
                let refused =
                    |(member, _): &(Member, Known)| (member.index, without(member, NOT_ALLOWED));
                results.extend(chunk.iter().map(refused));
                continue;
            }
            Err(error) => {
                results.extend(chunk.iter().map(|(member, _)| failed(member, &error)));
                continue;
            }
        };
        for ((member, known), row) in chunk.iter().zip(rows) {
            match row {
                RowResult::Saved(_) => {
                    results.push((member.index, Joined::In(member.campaign.clone())));
                }
                RowResult::Refused(errors)
                    if errors.iter().any(|error| error.code == "DUPLICATE_VALUE") =>
                {
                    already.push((member.clone(), known.clone()));
                }
                RowResult::Refused(errors) => {
                    let mut why = Explanation::of(200, &errors);
                    // The lead was converted since it was looked at: the next try finds its Contact.
                    if errors
                        .iter()
                        .any(|error| error.code == "CANNOT_UPDATE_CONVERTED_LEAD")
                    {
                        why.class = Class::RetrySoon;
                    }
                    results.push((
                        member.index,
                        Joined::Failed {
                            why,
                            unsure: true,
                            blame: Blame::Lead,
                        },
                    ));
                }
            }
        }
    }
    already
}

/// Sets the status of members, where it is still what we or Salesforce set. Gives those who are no
/// members.
async fn update(
    sender: &Sender<'_>,
    members: Vec<(Member, Known)>,
    results: &mut Results,
) -> Vec<(Member, Known)> {
    let mut absent = Vec::new();
    let mut changes: Vec<(Member, Map)> = Vec::new();
    let mut by_campaign: BTreeMap<String, Vec<(Member, Known)>> = BTreeMap::new();
    for (member, known) in members {
        let of = by_campaign.entry(known.id.clone()).or_default();
        of.push((member, known));
    }
    for (campaign, members) in by_campaign {
        for chunk in members.chunks(MOST_PEOPLE) {
            let held = match held(sender, &campaign, chunk).await {
                Ok(held) => held,
                Err(error) => {
                    results.extend(chunk.iter().map(|(member, _)| failed(member, &error)));
                    continue;
                }
            };
            for (member, known) in chunk {
                let Some((id, status)) = held.get(&member.person) else {
                    absent.push((member.clone(), known.clone()));
                    continue;
                };
                let wanted = member.joining.status.as_deref().unwrap_or_default();
                if !may_set(wanted, status, &member.joining, known) {
                    results.push((member.index, Joined::AsItWas));
                    continue;
                }
                let mut change = Map::new();
                change.insert("id".to_owned(), json!(id));
                change.insert("Status".to_owned(), json!(wanted));
                changes.push((member.clone(), change));
            }
        }
    }
    for chunk in changes.chunks(MAX_UPSERT) {
        if !(sender.may_write)().await {
            results.extend(chunk.iter().map(|(member, _)| (member.index, taken_over())));
            continue;
        }
        let records: Vec<(&str, Map)> = chunk
            .iter()
            .map(|(_, change)| (MEMBER, change.clone()))
            .collect();
        match sender
            .client
            .update_collection(&records, &headers(sender))
            .await
        {
            Ok(rows) => {
                for ((member, _), row) in chunk.iter().zip(rows) {
                    let joined = match row {
                        RowResult::Saved(_) => Joined::In(member.campaign.clone()),
                        RowResult::Refused(errors) => Joined::Failed {
                            why: Explanation::of(200, &errors),
                            unsure: true,
                            blame: Blame::Lead,
                        },
                    };
                    results.push((member.index, joined));
                }
            }
            Err(error) => {
                results.extend(chunk.iter().map(|(member, _)| failed(member, &error)));
            }
        }
    }
    absent
}

/// Whether a status may be set: not over one that a person chose. Theirs is any that is neither the one
/// we asked for before, nor the campaign's default, nor but a beginning.
fn may_set(wanted: &str, held: &str, joining: &Joining, known: &Known) -> bool {
    let is = |other: &str| held.eq_ignore_ascii_case(other);
    let is_ours = joining.before.as_deref().is_some_and(is);
    let is_default = known.default.as_deref().is_some_and(is) || held.trim().is_empty();
    let is_beginning = NO_RESPONSE[..4].iter().any(|status| is(status));
    !is(wanted) && (is_ours || is_default || is_beginning)
}

/// The members among `people` of `campaign`: id and status, by their Lead or Contact.
async fn held(
    sender: &Sender<'_>,
    campaign: &str,
    people: &[(Member, Known)],
) -> Result<BTreeMap<String, (String, String)>, CallError> {
    let list = |of_leads: bool| {
        let people = people.iter().map(|(member, _)| &member.person);
        let of = people.filter(|person| (object_of(person) == Some(LEAD)) == of_leads);
        of.map(|person| quote(person)).collect::<Vec<_>>().join(",")
    };
    let mut held = BTreeMap::new();
    for (field, list) in [("LeadId", list(true)), ("ContactId", list(false))] {
        if list.is_empty() {
            continue;
        }
        let soql = format!(
            "SELECT Id,{field},Status FROM {MEMBER} WHERE CampaignId = {} AND {field} IN ({list})",
            quote(campaign)
        );
        for row in sender.client.query(&soql, 10_000).await?.rows {
            let id = text(&row, "Id").and_then(to_18);
            if let (Some(id), Some(person)) = (id, text(&row, field).and_then(to_18)) {
                let status = text(&row, "Status").unwrap_or_default().to_owned();
                held.insert(person, (id, status));
            }
        }
    }
    Ok(held)
}

fn headers(sender: &Sender<'_>) -> WriteHeaders {
    WriteHeaders {
        request_id: Some(sender.request_id.to_owned()),
        ..WriteHeaders::default()
    }
}

/// Whether the org does not have this at all, or not for us: nothing that a retry cures, and no reason
/// to hold the lead itself.
fn is_out_of_reach(error: &CallError) -> bool {
    let CallError::Refused { errors, .. } = error else {
        return false;
    };
    errors.iter().any(|error| {
        matches!(
            error.code.as_str(),
            "INVALID_TYPE" | "NOT_FOUND" | "INSUFFICIENT_ACCESS" | "INVALID_TYPE_FOR_OPERATION"
        )
    })
}

const NOT_READABLE: &str = "the integration user may not read campaigns";
const NOT_ALLOWED: &str = "the integration user may not add campaign members";

fn unknown(sender: &Sender<'_>, member: &Member) -> Joined {
    match sender.client.config().campaigns.unknown {
        UnknownCampaign::Note => without(member, "the org has no campaign of that name or id"),
        UnknownCampaign::Hold => Joined::Failed {
            why: Explanation {
                class: Class::FixConfig,
                about: Vec::new(),
                code: "salesforce.campaign_unknown".to_owned(),
                message: format!(
                    "the org has no campaign `{}`; the lead itself is in Salesforce",
                    member.campaign
                ),
                hint: "make it in Salesforce, or set `create = true` in [salesforce.campaigns], and replay"
                    .to_owned(),
},
            unsure: true,
            blame: Blame::Lead,
        },
    }
}

fn without(member: &Member, why: &str) -> Joined {
    Joined::Without(Note {
        code: "salesforce.campaign_unknown".to_owned(),
        field: "campaign".to_owned(),
        message: format!("`{}` was not joined: {why}", member.campaign),
    })
}

fn failed(member: &Member, error: &CallError) -> (usize, Joined) {
    let joined = Joined::Failed {
        why: error.explain(),
        // The lead's own fields may be there already: they are looked at first.
        unsure: true,
        blame: Blame::of(error),
    };
    (member.index, joined)
}

fn hidden() -> Joined {
    Joined::Failed {
        why: Explanation {
            class: Class::RetrySoon,
            about: Vec::new(),
            code: "salesforce.duplicate_value".to_owned(),
            message: "Salesforce says that the person is in the campaign, and does not show it"
                .to_owned(),
            hint: "give the integration user Read on campaigns and their members".to_owned(),
        },
        unsure: true,
        blame: Blame::Lead,
    }
}

fn taken_over() -> Joined {
    Joined::Failed {
        why: Explanation {
            class: Class::RetrySoon,
            about: Vec::new(),
            code: "salesforce.unanswered".to_owned(),
            message: "it was not sent".to_owned(),
            hint: "it is tried again by itself".to_owned(),
        },
        unsure: true,
        blame: Blame::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_a_person_set_is_left_alone() {
        let check = |wanted: &str, held: &str, before: Option<&str>, expect: bool| {
            let known = Known {
                id: String::new(),
                statuses: Vec::new(),
                default: Some("Open".to_owned()),
            };
            let joining = Joining {
                status: Some(wanted.to_owned()),
                before: before.map(str::to_owned),
                again: true,
            };
            let may = may_set(wanted, held, &joining, &known);
            assert_eq!(may, expect, "{wanted} {held} {before:?}");
        };
        check("Attended", "Registered", Some("Registered"), true);
        check("Attended", "open", None, true);
        check("Attended", "Sent", None, true);
        check("Attended", "", None, true);
        check("Attended", "Asked for a demo", Some("Registered"), false);
        check("Responded", "Attended", None, false);
        check("Attended", "attended", Some("Registered"), false);
    }

    #[test]
    fn a_campaign_is_named_by_its_id_or_its_name() {
        assert_eq!(
            campaign_id("701000000000001").as_deref(),
            Some("701000000000001AAA")
        );
        assert_eq!(campaign_id("70 years of Acme"), None);
        assert_eq!(campaign_id("00Q000000000001AAA"), None);
    }
}
