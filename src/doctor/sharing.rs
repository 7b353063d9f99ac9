//! Permissions of the user that no describe tells.
//! Source: Object reference, "PermissionSetAssignment", "ObjectPermissions", "Organization".

use super::asking::{Asking, flag, text};
use crate::diagnostic::Diagnostic;
use crate::salesforce::{Map, quote};

/// Whether the user sees all leads: whom it does not see it makes once more.
pub(super) async fn check(asking: &mut Asking<'_>) {
    let soql = "SELECT DefaultLeadAccess FROM Organization";
    let org = asking.rows("who sees whose leads", soql).await;
    let access = org.as_ref().and_then(|rows| rows.first());
    let access = access.map_or("", |row| text(row, "DefaultLeadAccess"));
    if !access.is_empty() && access != "None" {
        return;
    }
    match views_all(asking).await {
        Some(true) | None => {}
        Some(false) if access == "None" => {
            let message = "leads are private in this org, and the integration user sees its own only: \
                           a lead of somebody else is made once more";
            asking.problem(Diagnostic::warning("doctor.private_leads", message).hint(VIEW_ALL));
        }
        Some(false) => asking.note(
            "doctor.private_leads",
            format!(
                "the integration user has no View All on Leads; if leads are private in this org (Setup \
                 > Sharing Settings), it needs it: {VIEW_ALL}"
            ),
        ),
    }
}

const VIEW_ALL: &str = "Setup > Permission Sets > the integration user's > Object Settings > Leads: tick View All Records";

/// None if that cannot be read.
async fn views_all(asking: &mut Asking<'_>) -> Option<bool> {
    let Some(user) = asking.client.user_id() else {
        asking.note(
            "doctor.not_readable",
            "the permissions of the integration user cannot be read: the token does not say who it is",
        );
        return None;
    };
    let assigned = format!(
        "SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = {}",
        quote(&user)
    );
    let what = "the integration user's permission sets";
    let sets = asking.rows(what, &assigned).await?;
    let ids: Vec<String> = sets
        .iter()
        .map(|row| quote(text(row, "PermissionSetId")))
        .collect();
    if ids.is_empty() {
        return Some(false);
    }
    let soql = format!(
        "SELECT PermissionsViewAllRecords FROM ObjectPermissions WHERE SobjectType = 'Lead' AND \
         ParentId IN ({})",
        ids.join(",")
    );
    let rows = asking.rows("the object permissions of Lead", &soql).await?;
    let views_all = |row: &Map| flag(row, "PermissionsViewAllRecords") == Some(true);
    Some(rows.iter().any(views_all))
}
