//! What is done with people: campaigns and their members, opportunities, tasks.

use super::super::field::{Field, Kind};
use super::STAGES;
use super::parts::{
    SOURCES, area, boolean, currency, date, int, once, owner, percent, picklist, record_type,
    reference, system, text,
};

pub(super) fn campaign() -> Vec<Field> {
    let mut fields = system("Campaign ID");
    fields.extend([
        text("Name", "Name", 80).required(),
        boolean("IsActive", "Active"),
        picklist(
            "Type",
            "Type",
            &["Conference", "Webinar", "Email", "Advertisement", "Other"],
        ),
        picklist(
            "Status",
            "Status",
            &["Planned", "In Progress", "Completed", "Aborted"],
        )
        .default_text("Planned"),
        date("StartDate", "Start Date"),
        date("EndDate", "End Date"),
        currency("BudgetedCost", "Budgeted Cost in Campaign"),
        currency("ActualCost", "Actual Cost in Campaign"),
        currency("ExpectedRevenue", "Expected Revenue in Campaign"),
        area("Description", "Description", 32_000),
        reference("ParentId", "Parent Campaign ID", &["Campaign"], "Parent"),
        owner(&["User"]),
        record_type(),
    ]);
    fields
}

/// `Status` is a list of each campaign's own; what describe shows is what most campaigns have.
pub(super) fn campaign_member() -> Vec<Field> {
    let mut fields = system("Campaign Member ID");
    fields.extend([
        reference("CampaignId", "Campaign ID", &["Campaign"], "Campaign")
            .required()
            .create_only()
            .parent(),
        reference("LeadId", "Lead ID", &["Lead"], "Lead")
            .create_only()
            .parent(),
        reference("ContactId", "Contact ID", &["Contact"], "Contact")
            .create_only()
            .parent(),
        picklist("Status", "Status", &["Sent", "Responded"]).filled_in(),
        boolean("HasResponded", "Responded").read_only(),
        date("FirstRespondedDate", "First Responded Date").read_only(),
        reference(
            "LeadOrContactId",
            "Related Record ID",
            &["Contact", "Lead"],
            "LeadOrContact",
        )
        .read_only(),
        text("Type", "Type", 40).read_only(),
        once("CampaignAndPerson"),
    ]);
    fields
}

pub(super) fn campaign_member_status() -> Vec<Field> {
    let mut fields = system("Campaign Member Status ID");
    fields.extend([
        reference("CampaignId", "Campaign ID", &["Campaign"], "Campaign")
            .required()
            .create_only()
            .parent(),
        text("Label", "Label", 765).required(),
        int("SortOrder", "Sort Order"),
        boolean("IsDefault", "Is Default"),
        boolean("HasResponded", "Responded"),
        once("CampaignAndLabel"),
    ]);
    fields
}

pub(super) fn opportunity() -> Vec<Field> {
    let mut fields = system("Opportunity ID");
    let mut contact = reference("ContactId", "Contact ID", &["Contact"], "Contact");
    contact.updateable = false;
    fields.extend([
        text("Name", "Name", 120).required(),
        picklist("StageName", "Stage", &STAGES.map(|stage| stage.name)).required(),
        date("CloseDate", "Close Date").required(),
        currency("Amount", "Amount"),
        percent("Probability", "Probability (%)").filled_in(),
        reference("AccountId", "Account ID", &["Account"], "Account").parent(),
        reference("CampaignId", "Campaign ID", &["Campaign"], "Campaign"),
        contact,
        picklist("LeadSource", "Lead Source", SOURCES),
        picklist(
            "Type",
            "Opportunity Type",
            &["Existing Business", "New Business"],
        ),
        text("NextStep", "Next Step", 255),
        area("Description", "Description", 32_000),
        boolean("IsClosed", "Closed").read_only(),
        boolean("IsWon", "Won").read_only(),
        text("ForecastCategoryName", "Forecast Category", 40).read_only(),
        owner(&["User"]),
        record_type(),
    ]);
    fields
}

pub(super) fn task() -> Vec<Field> {
    let mut fields = system("Activity ID");
    fields.extend([
        Field::new("Subject", "Subject", Kind::Text(255)),
        picklist(
            "Status",
            "Status",
            &[
                "Not Started",
                "In Progress",
                "Completed",
                "Waiting on someone else",
                "Deferred",
            ],
        )
        .default_text("Not Started"),
        picklist("Priority", "Priority", &["High", "Normal", "Low"]).default_text("Normal"),
        date("ActivityDate", "Due Date Only"),
        reference("WhoId", "Name ID", &["Contact", "Lead"], "Who").parent(),
        reference(
            "WhatId",
            "Related To ID",
            &["Account", "Opportunity", "Campaign"],
            "What",
        )
        .parent(),
        reference("AccountId", "Account ID", &["Account"], "Account").read_only(),
        boolean("IsClosed", "Closed").read_only(),
        boolean("IsReminderSet", "Reminder Set"),
        area("Description", "Description", 32_000),
        picklist("Type", "Type", &["Call", "Email", "Meeting", "Other"]),
        owner(&["User", "Group"]),
    ]);
    fields
}
