//! What admins set up: users, queues, record types, rules, permissions.

use super::super::field::{Field, Kind};
use super::parts::{boolean, int, picklist, reference, system, text};

pub(super) fn user() -> Vec<Field> {
    let mut fields = system("User ID");
    fields.extend([
        text("Username", "Username", 80).required(),
        text("Name", "Full Name", 121).required(),
        text("FirstName", "First Name", 40),
        text("LastName", "Last Name", 80),
        text("Alias", "Alias", 8),
        Field::new("Email", "Email", Kind::Email).required(),
        boolean("IsActive", "Active"),
        text("UserType", "User Type", 40),
    ]);
    fields
}

pub(super) fn group() -> Vec<Field> {
    let mut fields = system("Group ID");
    fields.extend([
        text("Name", "Name", 40).required(),
        text("DeveloperName", "Developer Name", 80),
        picklist("Type", "Type", &["Queue"]).required(),
        Field::new("Email", "Email", Kind::Email),
    ]);
    fields
}

/// Which objects the records of a queue can be.
pub(super) fn queue_sobject() -> Vec<Field> {
    let mut fields = system("Queue Sobject ID");
    fields.extend([
        reference("QueueId", "Group ID", &["Group"], "Queue"),
        text("SobjectType", "sObject Type", 40),
    ]);
    fields
}

pub(super) fn organization() -> Vec<Field> {
    let mut fields = system("Organization ID");
    fields.extend([
        text("Name", "Name", 80).required(),
        boolean("IsSandbox", "Is Sandbox"),
        text("OrganizationType", "Edition", 40),
        text("InstanceName", "Instance Name", 5),
        text("LanguageLocaleKey", "Language", 40),
        text("TimeZoneSidKey", "Time Zone", 40),
    ]);
    fields
}

pub(super) fn lead_status() -> Vec<Field> {
    let mut fields = system("Lead Status Value ID");
    fields.extend([
        text("MasterLabel", "Master Label", 255).required(),
        text("ApiName", "API Name", 255),
        int("SortOrder", "Sort Order"),
        boolean("IsDefault", "Is Default"),
        boolean("IsConverted", "Is Converted"),
    ]);
    fields
}

pub(super) fn opportunity_stage() -> Vec<Field> {
    let mut fields = system("Opportunity Stage ID");
    fields.extend([
        text("MasterLabel", "Master Label", 255).required(),
        text("ApiName", "API Name", 255),
        int("SortOrder", "Sort Order"),
        boolean("IsActive", "Is Active"),
        boolean("IsClosed", "Closed"),
        boolean("IsWon", "Won"),
        int("DefaultProbability", "Probability (%)"),
        text("ForecastCategoryName", "Forecast Category", 40),
    ]);
    fields
}

pub(super) fn record_type() -> Vec<Field> {
    let mut fields = system("Record Type ID");
    fields.extend([
        text("Name", "Name", 80).required(),
        text("DeveloperName", "Record Type Name", 80).required(),
        text("SobjectType", "SObject Type Name", 40).required(),
        boolean("IsActive", "Active"),
        text("Description", "Description", 255),
    ]);
    fields
}

pub(super) fn duplicate_rule() -> Vec<Field> {
    let mut fields = system("Duplicate Rule ID");
    fields.extend([
        text("DeveloperName", "Object Name", 80).required(),
        text("MasterLabel", "Rule Name", 80).required(),
        text("SobjectType", "Object", 40).required(),
        boolean("IsActive", "Active"),
    ]);
    fields
}

pub(super) fn matching_rule() -> Vec<Field> {
    let mut fields = system("Matching Rule ID");
    fields.extend([
        text("DeveloperName", "Unique Name", 80).required(),
        text("MasterLabel", "Rule Name", 80).required(),
        text("SobjectType", "Object", 40).required(),
        text("MatchEngine", "Match Engine", 40),
        text("RuleStatus", "Status", 40),
        text("BooleanFilter", "Advanced Logic", 255),
    ]);
    fields
}

pub(super) fn matching_rule_item() -> Vec<Field> {
    let mut fields = system("Matching Rule Item ID");
    fields.extend([
        reference(
            "MatchingRuleId",
            "Matching Rule ID",
            &["MatchingRule"],
            "MatchingRule",
        ),
        text("Field", "Field", 80),
        text("MatchingMethod", "Matching Method", 40),
        text("BlankValueBehavior", "Blank Value Behavior", 40),
        int("SortOrder", "Sort Order"),
    ]);
    fields
}

pub(super) fn assignment_rule() -> Vec<Field> {
    let mut fields = system("Rule ID");
    fields.extend([
        text("Name", "Name", 120).required(),
        text("SobjectType", "SObject Type", 40).required(),
        boolean("Active", "Active"),
    ]);
    fields
}

pub(super) fn permission_set() -> Vec<Field> {
    let mut fields = system("PermissionSet ID");
    fields.extend([
        text("Name", "Permission Set Name", 80).required(),
        text("Label", "Permission Set Label", 80).required(),
        boolean("IsOwnedByProfile", "Is Owned By Profile").read_only(),
        boolean("PermissionsApiEnabled", "API Enabled"),
        boolean("PermissionsConvertLeads", "Convert Leads"),
        boolean("PermissionsViewSetup", "View Setup and Configuration"),
        boolean("PermissionsCustomizeApplication", "Customize Application"),
        boolean("PermissionsTransferAnyLead", "Transfer Leads"),
    ]);
    fields
}

pub(super) fn permission_set_assignment() -> Vec<Field> {
    let mut fields = system("PermissionSetAssignment ID");
    fields.extend([
        reference(
            "PermissionSetId",
            "PermissionSet ID",
            &["PermissionSet"],
            "PermissionSet",
        )
        .required()
        .create_only()
        .parent(),
        reference("AssigneeId", "Assignee ID", &["User"], "Assignee")
            .required()
            .create_only()
            .parent(),
    ]);
    fields
}

pub(super) fn field_permissions() -> Vec<Field> {
    let mut fields = system("Field Permissions ID");
    fields.extend([
        reference("ParentId", "Parent ID", &["PermissionSet"], "Parent")
            .required()
            .create_only(),
        text("SobjectType", "Sobject Type Name", 40)
            .required()
            .create_only(),
        text("Field", "Field Name", 255).required().create_only(),
        boolean("PermissionsRead", "Read Field"),
        boolean("PermissionsEdit", "Edit Field"),
    ]);
    fields
}

pub(super) fn lead_history() -> Vec<Field> {
    let mut fields = system("Lead History ID");
    fields.extend([
        reference("LeadId", "Lead ID", &["Lead"], "Lead").parent(),
        text("Field", "Changed Field", 255),
        text("OldValue", "Old Value", 255),
        text("NewValue", "New Value", 255),
    ]);
    fields
}
