//! Rules of the org that act on what we write.
//! Source: Object reference, "DuplicateRule", "AssignmentRule"; Tooling API, "ValidationRule".

use super::asking::{Asking, text};
use crate::config::AssignmentRule;
use crate::diagnostic::Diagnostic;
use crate::salesforce::Map;

/// Active duplicate rules. Whether one blocks or only alerts is not told by any query; by API an alert
/// is a stop as well.
pub(super) async fn check_duplicates(asking: &mut Asking<'_>) {
    let soql = "SELECT DeveloperName, MasterLabel, SobjectType FROM DuplicateRule \
                WHERE IsActive = true";
    let Some(rules) = asking.rows("duplicate rules", soql).await else {
        return;
    };
    let ours = |row: &&Map| matches!(text(row, "SobjectType"), "Lead" | "Contact");
    let names: Vec<String> = rules
        .iter()
        .filter(ours)
        .map(|row| {
            let label = text(row, "MasterLabel");
            let name = text(row, "DeveloperName");
            let shown = if label.is_empty() { name } else { label };
            format!("`{shown}` ({})", text(row, "SobjectType"))
        })
        .collect();
    if names.is_empty() {
        return;
    }
    let names = names.join(", ");
    if asking.client.config().allow_duplicates {
        asking.note(
            "doctor.duplicate_rule",
            format!(
                "active duplicate rules: {names}. allow_duplicates saves past those that only alert; one \
                 that blocks still stops the lead"
            ),
        );
        return;
    }
    let message = format!("active duplicate rules will stop leads that they find alike: {names}");
    let hint = "a lead that is stopped is linked to the record that exists, where the rule names it; \
                else it waits as a dead letter. allow_duplicates = true in [salesforce] saves past rules \
                that only alert, a rule that blocks stops it all the same. Setup > Duplicate Rules shows \
                which do what";
    asking.problem(Diagnostic::warning("doctor.duplicate_rule", message).hint(hint));
}

/// The active assignment rule, and whether ours is the right setting for it.
pub(super) async fn check_assignment(asking: &mut Asking<'_>) {
    let soql = "SELECT Name, SobjectType FROM AssignmentRule WHERE Active = true";
    let Some(rules) = asking.rows("assignment rules", soql).await else {
        return;
    };
    let rule = rules
        .iter()
        .find(|row| text(row, "SobjectType") == "Lead")
        .map(|row| text(row, "Name").to_owned());
    match (rule, asking.client.config().assignment_rule) {
        (Some(name), AssignmentRule::Off) => asking.note(
            "doctor.assignment_rule",
            format!(
                "the lead assignment rule `{name}` does not run for our leads: they belong to the \
                 integration user, or to the owner that is mapped. assignment_rule = \"on_create\" in \
                 [salesforce] runs it for new leads"
            ),
        ),
        (Some(name), AssignmentRule::OnCreate) => asking.note(
            "doctor.assignment_rule",
            format!("new leads are assigned by the rule `{name}`"),
        ),
        (None, AssignmentRule::OnCreate) => {
            let message = "assignment_rule is \"on_create\", and the org has no active lead assignment \
                           rule";
            let hint = "Setup > Lead Assignment Rules: activate one, or write assignment_rule = \"off\" \
                        in [salesforce]";
            asking.problem(Diagnostic::warning("doctor.assignment_rule", message).hint(hint));
        }
        (None, AssignmentRule::Off) => {}
    }
}

/// Active validation rules: what they refuse is seen only when it is refused.
pub(super) async fn check_validation(asking: &mut Asking<'_>) {
    let soql = "SELECT ValidationName, ErrorMessage, EntityDefinition.QualifiedApiName FROM \
                ValidationRule WHERE Active = true AND EntityDefinition.QualifiedApiName IN \
                ('Lead','Contact')";
    asking.calls += 1;
    let rules = match asking.client.tooling_query(soql).await {
        Ok(found) => found.rows,
        Err(error) => {
            asking.not_looked_at("validation rules", &error);
            return;
        }
    };
    for rule in &rules {
        let object = rule
            .get("EntityDefinition")
            .and_then(|entity| entity.get("QualifiedApiName"))
            .and_then(serde_json::Value::as_str)
            .unwrap_or("Lead");
        asking.note(
            "doctor.validation_rule",
            format!(
                "the validation rule `{}` of {object} refuses what it does not like with: {}",
                text(rule, "ValidationName"),
                text(rule, "ErrorMessage")
            ),
        );
    }
}
