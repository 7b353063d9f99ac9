//! The objects of a fresh org, as data. Lengths and lists: Salesforce's field reference of Lead
//! and object reference; a real org's describe decides.

mod parts;
mod people;
mod setup;
mod tooling;
mod work;

use super::field::Field;
use super::object::Object;

/// Every object of the org.
pub(super) fn objects() -> Vec<Object> {
    let data = [
        ("Lead", "Lead", "Leads", b"00Q", people::lead()),
        ("Contact", "Contact", "Contacts", b"003", people::contact()),
        ("Account", "Account", "Accounts", b"001", people::account()),
        (
            "Campaign",
            "Campaign",
            "Campaigns",
            b"701",
            work::campaign(),
        ),
        (
            "CampaignMember",
            "Campaign Member",
            "Campaign Members",
            b"00v",
            work::campaign_member(),
        ),
        (
            "CampaignMemberStatus",
            "Campaign Member Status",
            "Campaign Member Statuses",
            b"01Y",
            work::campaign_member_status(),
        ),
        (
            "Opportunity",
            "Opportunity",
            "Opportunities",
            b"006",
            work::opportunity(),
        ),
        ("Task", "Task", "Tasks", b"00T", work::task()),
        (
            "PermissionSet",
            "Permission Set",
            "Permission Sets",
            b"0PS",
            setup::permission_set(),
        ),
        (
            "PermissionSetAssignment",
            "Permission Set Assignment",
            "Permission Set Assignments",
            b"0Pa",
            setup::permission_set_assignment(),
        ),
        (
            "FieldPermissions",
            "Field Permissions",
            "Field Permissions",
            b"01k",
            setup::field_permissions(),
        ),
    ];
    let read_only = [
        ("User", "User", "Users", b"005", setup::user()),
        ("Group", "Group", "Groups", b"00G", setup::group()),
        (
            "QueueSobject",
            "Queue Sobject",
            "Queue Sobjects",
            b"03g",
            setup::queue_sobject(),
        ),
        (
            "Organization",
            "Organization",
            "Organizations",
            b"00D",
            setup::organization(),
        ),
        (
            "LeadStatus",
            "Lead Status Value",
            "Lead Status Values",
            b"01J",
            setup::lead_status(),
        ),
        // Salesforce gives it the prefix of LeadStatus; one of its own keeps ids apart here.
        (
            "OpportunityStage",
            "Opportunity Stage",
            "Opportunity Stages",
            b"01K",
            setup::opportunity_stage(),
        ),
        (
            "RecordType",
            "Record Type",
            "Record Types",
            b"012",
            setup::record_type(),
        ),
        (
            "DuplicateRule",
            "Duplicate Rule",
            "Duplicate Rules",
            b"0Bm",
            setup::duplicate_rule(),
        ),
        (
            "MatchingRule",
            "Matching Rule",
            "Matching Rules",
            b"0JD",
            setup::matching_rule(),
        ),
        (
            "MatchingRuleItem",
            "Matching Rule Item",
            "Matching Rule Items",
            b"0JE",
            setup::matching_rule_item(),
        ),
        (
            "AssignmentRule",
            "Assignment Rule",
            "Assignment Rules",
            b"01Q",
            setup::assignment_rule(),
        ),
        (
            "LeadHistory",
            "Lead History",
            "Lead Histories",
            b"017",
            setup::lead_history(),
        ),
    ];
    let object = |(name, label, plural, prefix, fields): Entry| {
        Object::new(name, label, plural, *prefix, fields)
    };
    let data = data.into_iter().map(object);
    let read_only = read_only.into_iter().map(|entry| object(entry).read_only());
    data.chain(read_only).collect()
}

/// The objects of the Tooling API.
pub(super) fn tooling_objects() -> Vec<Object> {
    tooling::objects()
}

/// Name, label, label of many, prefix of ids, fields.
type Entry = (
    &'static str,
    &'static str,
    &'static str,
    &'static [u8; 3],
    Vec<Field>,
);

/// The values of Lead's `Status`, and whether each ends in conversion.
pub(in crate::sandbox) const LEAD_STATUSES: [(&str, bool); 4] = [
    ("Open - Not Contacted", false),
    ("Working - Contacted", false),
    ("Closed - Converted", true),
    ("Closed - Not Converted", false),
];

/// A stage of an opportunity.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Stage {
    pub(in crate::sandbox) name: &'static str,
    pub(in crate::sandbox) probability: u8,
    pub(in crate::sandbox) forecast: &'static str,
    pub(in crate::sandbox) is_closed: bool,
    pub(in crate::sandbox) is_won: bool,
}

const fn stage(name: &'static str, probability: u8, forecast: &'static str) -> Stage {
    Stage {
        name,
        probability,
        forecast,
        is_closed: matches!(probability, 0 | 100),
        is_won: probability == 100,
    }
}

/// The stages of a fresh org.
pub(in crate::sandbox) const STAGES: [Stage; 10] = [
    stage("Prospecting", 10, "Pipeline"),
    stage("Qualification", 10, "Pipeline"),
    stage("Needs Analysis", 20, "Pipeline"),
    stage("Value Proposition", 50, "Pipeline"),
    stage("Id. Decision Makers", 60, "Pipeline"),
    stage("Perception Analysis", 70, "Pipeline"),
    stage("Proposal/Price Quote", 75, "Pipeline"),
    stage("Negotiation/Review", 90, "Pipeline"),
    stage("Closed Won", 100, "Closed"),
    stage("Closed Lost", 0, "Omitted"),
];
