//! Which campaigns a lead is to be in: pure.

use std::collections::BTreeMap;

use crate::model::{Joining, Lead, Membership, Submission};

/// Statuses that say no more than that somebody was invited or has signed up: they never follow what
/// the person has done since. The first three are Salesforce's own and those of webinars.
const BEGINNINGS: [&str; 4] = ["sent", "registered", "invited", "signed up"];

/// Notes the campaign that `said` is of, and gives what is new of it. Each campaign once, in any case
/// of its name; an older status, or one that is but a beginning, changes none that is there.
pub(super) fn join(lead: &mut Lead, said: &Submission) -> Option<(String, Joining)> {
    let text = |name: &str| {
        let value = said.fields.get(name).map(|value| value.trim());
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let campaign = text("campaign")?;
    let status = text("member_status");
    let at = said.at;
    let mut held = lead.campaigns.iter_mut();
    let Some((name, held)) = held.find(|(name, _)| name.eq_ignore_ascii_case(&campaign)) else {
        let membership = Membership {
            status: status.clone(),
            at,
        };
        lead.campaigns.insert(campaign.clone(), membership);
        let joining = Joining {
            status,
            before: None,
            again: false,
        };
        return Some((campaign, joining));
    };
    let status = status?;
    let is_step_back = held.status.is_some() && BEGINNINGS.contains(&&*status.to_lowercase());
    if at < held.at || held.status.as_deref() == Some(&*status) || is_step_back {
        return None;
    }
    held.at = at;
    let joining = Joining {
        before: held.status.replace(status.clone()),
        status: Some(status),
        again: true,
    };
    Some((name.clone(), joining))
}

/// All campaigns of a lead, for one that is sent whole.
pub(super) fn all(lead: &Lead, again: bool) -> BTreeMap<String, Joining> {
    let campaigns = lead.campaigns.iter();
    campaigns
        .map(|(name, membership)| {
            let joining = Joining {
                status: membership.status.clone(),
                before: None,
                again,
            };
            (name.clone(), joining)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::salesforce::join_together;
    use crate::model::{EventId, LeadId, Millis, SourceName};

    fn lead() -> Lead {
        Lead {
            id: LeadId(1),
            created_at: Millis(0),
            record: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            salesforce_id: None,
            followed: crate::model::Followed::default(),
        }
    }

    fn said(at: i64, fields: &[(&str, &str)]) -> Submission {
        let fields = fields.iter();
        Submission {
            event: EventId(1),
            ordinal: 0,
            source: SourceName::new("demo"),
            at: Millis(at),
            vendor_id: None,
            fields: fields
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            attribution: BTreeMap::new(),
            keys: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What each of `steps` (time, campaign, status) changes, as `campaign status before again`.
    fn check(steps: &[(i64, &str, &str)], expect: &[&str]) {
        let mut lead = lead();
        let told: Vec<String> = steps
            .iter()
            .map(|(at, campaign, status)| {
                let said = said(*at, &[("campaign", campaign), ("member_status", status)]);
                let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                join(&mut lead, &said).map_or_else(String::new, |(name, joining)| {
                    let Joining {
                        status,
                        before,
                        again,
                    } = joining;
                    format!("{name} {} {} {again}", text(status), text(before))
                })
            })
            .collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn a_campaign_is_joined_once_whatever_the_case_of_its_name() {
        check(
            &[(1, "Demo", ""), (2, "demo", ""), (3, "Fair", "")],
            &["Demo - - false", "", "Fair - - false"],
        );
        check(&[(1, " ", "Responded")], &[""]);
    }

    #[test]
    fn a_status_goes_forward_only() {
        check(
            &[
                (1, "W", "Registered"),
                (3, "W", "Attended"),
                (4, "W", "Registered"),
                (2, "W", "No-show"),
                (5, "W", "Responded"),
                (5, "W", "Responded"),
            ],
            &[
                "W Registered - false",
                "W Attended Registered true",
                "",
                "",
                "W Responded Attended true",
                "",
            ],
        );
    }

    #[test]
    fn what_is_added_keeps_what_was_asked_for_before() {
        let mut lead = lead();
        let mut to = BTreeMap::new();
        for (at, status) in [(1, "Registered"), (2, "Attended")] {
            let said = said(at, &[("campaign", "W"), ("member_status", status)]);
            join_together(&mut to, join(&mut lead, &said).into_iter().collect());
        }
        let expect = Joining {
            status: Some("Attended".to_owned()),
            before: None,
            again: false,
        };
        assert_eq!(to["W"], expect);
        assert_eq!(all(&lead, true)["W"].status.as_deref(), Some("Attended"));
    }
}
