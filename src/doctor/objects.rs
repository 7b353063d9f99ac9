//! Objects beside Lead: what the user may do with them. What is wrong there stops no new lead.

use super::asking::Asking;
use super::expect::Expectations;
use super::external_id::check_external_id;
use crate::diagnostic::{Diagnostic, Severity};
use crate::salesforce::{CallError, Class, ObjectAccess};

/// The opt-outs that Contact has under the same names as Lead.
const OPT_OUTS: [&str; 3] = ["HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"];

/// Which objects the user may see and write, in one call.
pub(super) async fn check(asking: &mut Asking<'_>, expected: &Expectations) {
    asking.calls += 1;
    match asking.client.objects().await {
        Ok(objects) => {
            for needed in &expected.objects {
                let found = objects
                    .iter()
                    .find(|object| object.name.eq_ignore_ascii_case(needed.name));
                asking.problems(
                    lacking(needed.name, needed.create, needed.update, found).map(
                        |(lacking, hint)| {
                            let message =
                                format!("the integration user may not {lacking}: {}", needed.why);
                            Diagnostic::warning("doctor.object_access", message).hint(hint)
                        },
                    ),
                );
            }
        }
        Err(error) => asking.not_looked_at("what the user may do with objects", &error),
    }
}

/// What the user may not do, and where to click.
fn lacking(
    name: &str,
    create: bool,
    update: bool,
    found: Option<&ObjectAccess>,
) -> Option<(String, String)> {
    let mut lacking = Vec::new();
    if !found.is_some_and(|object| object.queryable) {
        lacking.push("read");
    }
    if create && !found.is_some_and(|object| object.createable) {
        lacking.push("create");
    }
    if update && !found.is_some_and(|object| object.updateable) {
        lacking.push("edit");
    }
    if lacking.is_empty() {
        return None;
    }
    let hint = match name {
        // Members have no permissions of their own. Source: Salesforce Help, "Campaign Members".
        "CampaignMember" => {
            "Setup > Users > the integration user: tick Marketing User, and give it Read and Edit on \
             Campaigns"
                .to_owned()
        }
        _ => format!(
            "Setup > Permission Sets > the integration user's > Object Settings > {name}s: tick {}",
            lacking.join(", ")
        ),
    };
    Some((format!("{} {name}s", lacking.join(" and ")), hint))
}

/// Contact's own fields: our key, by which a converted lead is found again, and opt-outs.
pub(super) async fn check_contact(asking: &mut Asking<'_>, expected: &Expectations) {
    asking.calls += 1;
    let contact = match asking.client.describe("Contact").await {
        Ok(contact) => contact,
        Err(error) => {
            if is_hidden(&error) {
                let text = "Contacts are hidden from the integration user";
                asking.note("doctor.not_readable", text);
            } else {
                asking.not_looked_at("what a Contact is made of", &error);
            }
            return;
        }
    };
    let key = asking.client.config().external_id_field.clone();
    let problems = check_external_id(&contact, &key);
    // Leads go without it: it is what finds a person again once sales have converted the lead.
    asking.problems(problems.into_iter().map(|problem| Diagnostic {
        severity: Severity::Warning,
        ..problem
    }));
    for name in OPT_OUTS {
        if expected.opt_outs.contains(name) && contact.field(name).is_none() {
            let message = format!(
                "Contact has no field `{name}`, or it is hidden from the integration user: an opt-out \
                 cannot be written there"
            );
            let hint = format!(
                "Setup > Permission Sets > the integration user's > Object Settings > Contacts: tick \
                 Edit Access for {name}"
            );
            asking.problem(Diagnostic::warning("doctor.opt_out_hidden", message).hint(hint));
        }
    }
}

fn is_hidden(error: &CallError) -> bool {
    matches!(error, CallError::Refused { status: 404, .. })
        || error.class() == Class::FixPermissions
}
