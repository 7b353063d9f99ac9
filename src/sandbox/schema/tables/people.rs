//! People and companies: Lead, Contact, Account.

use super::super::field::{Field, Kind};
use super::LEAD_STATUSES;
use super::parts::{
    INDUSTRIES, SOURCES, address, area, boolean, currency, date, int, opt_outs, owner, person,
    phone, picklist, record_type, reference, restricted, system, text,
};

pub(super) fn lead() -> Vec<Field> {
    let mut fields = system("Lead ID");
    fields.push(
        reference(
            "MasterRecordId",
            "Master Record ID",
            &["Lead"],
            "MasterRecord",
        )
        .read_only(),
    );
    fields.extend(person("Full Name"));
    fields.extend([
        text("Company", "Company", 255).required(),
        text("Title", "Title", 128),
        Field::new("Email", "Email", Kind::Email).id_lookup(),
        phone("Phone", "Phone"),
        phone("MobilePhone", "Mobile Phone"),
        phone("Fax", "Fax"),
        Field::new("Website", "Website", Kind::Url),
    ]);
    let parts = [
        ("Street", "Street"),
        ("City", "City"),
        ("State", "State/Province"),
        ("PostalCode", "Zip/Postal Code"),
        ("Country", "Country"),
    ];
    fields.extend(address(parts, "Address", ""));
    fields.extend([
        area("Description", "Description", 32_000),
        picklist("LeadSource", "Lead Source", SOURCES),
        restricted("Status", "Status", &LEAD_STATUSES.map(|(status, _)| status))
            .default_text("Open - Not Contacted"),
        restricted("Industry", "Industry", INDUSTRIES),
        picklist("Rating", "Rating", &["Hot", "Warm", "Cold"]),
        currency("AnnualRevenue", "Annual Revenue"),
        int("NumberOfEmployees", "No. of Employees"),
        owner(&["User", "Group"]),
        boolean("IsUnreadByOwner", "Unread By Owner"),
        boolean("IsConverted", "Converted").read_only(),
        date("ConvertedDate", "Converted Date").read_only(),
        reference(
            "ConvertedAccountId",
            "Converted Account ID",
            &["Account"],
            "ConvertedAccount",
        )
        .read_only(),
        reference(
            "ConvertedContactId",
            "Converted Contact ID",
            &["Contact"],
            "ConvertedContact",
        )
        .read_only(),
        reference(
            "ConvertedOpportunityId",
            "Converted Opportunity ID",
            &["Opportunity"],
            "ConvertedOpportunity",
        )
        .read_only(),
        record_type(),
    ]);
    fields.extend(opt_outs());
    fields
}

pub(super) fn contact() -> Vec<Field> {
    let mut fields = system("Contact ID");
    fields.push(
        reference(
            "MasterRecordId",
            "Master Record ID",
            &["Contact"],
            "MasterRecord",
        )
        .read_only(),
    );
    fields.extend(person("Full Name"));
    fields.extend([
        reference("AccountId", "Account ID", &["Account"], "Account").parent(),
        text("Title", "Title", 128),
        text("Department", "Department", 80),
        Field::new("Email", "Email", Kind::Email).id_lookup(),
        phone("Phone", "Business Phone"),
        phone("MobilePhone", "Mobile Phone"),
        phone("HomePhone", "Home Phone"),
        phone("OtherPhone", "Other Phone"),
        phone("Fax", "Business Fax"),
        date("Birthdate", "Birthdate"),
        area("Description", "Contact Description", 32_000),
        picklist("LeadSource", "Lead Source", SOURCES),
        owner(&["User"]),
        record_type(),
    ]);
    let mailing = [
        ("MailingStreet", "Mailing Street"),
        ("MailingCity", "Mailing City"),
        ("MailingState", "Mailing State/Province"),
        ("MailingPostalCode", "Mailing Zip/Postal Code"),
        ("MailingCountry", "Mailing Country"),
    ];
    fields.extend(address(mailing, "MailingAddress", "Mailing"));
    fields.extend(opt_outs());
    fields
}

pub(super) fn account() -> Vec<Field> {
    let mut fields = system("Account ID");
    fields.extend([
        reference(
            "MasterRecordId",
            "Master Record ID",
            &["Account"],
            "MasterRecord",
        )
        .read_only(),
        text("Name", "Account Name", 255).required(),
        picklist(
            "Type",
            "Account Type",
            &[
                "Prospect",
                "Customer - Direct",
                "Customer - Channel",
                "Other",
            ],
        ),
        phone("Phone", "Account Phone"),
        phone("Fax", "Account Fax"),
        Field::new("Website", "Website", Kind::Url),
        restricted("Industry", "Industry", INDUSTRIES),
        currency("AnnualRevenue", "Annual Revenue"),
        int("NumberOfEmployees", "Employees"),
        picklist("AccountSource", "Account Source", SOURCES),
        area("Description", "Account Description", 32_000),
        reference("ParentId", "Parent Account ID", &["Account"], "Parent"),
        owner(&["User"]),
        record_type(),
    ]);
    let billing = [
        ("BillingStreet", "Billing Street"),
        ("BillingCity", "Billing City"),
        ("BillingState", "Billing State/Province"),
        ("BillingPostalCode", "Billing Zip/Postal Code"),
        ("BillingCountry", "Billing Country"),
    ];
    fields.extend(address(billing, "BillingAddress", "Billing"));
    fields
}
