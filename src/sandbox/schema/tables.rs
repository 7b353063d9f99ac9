//! The objects of a fresh org, as data. Lengths and lists: Salesforce's field reference of Lead
//! and object reference; a real org's describe decides.

use super::field::{Field, Kind, Place};
use super::object::Object;

/// Every object of the org.
pub(super) fn objects() -> Vec<Object> {
    vec![
        Object::new("Lead", "Lead", "Leads", *b"00Q", lead()),
        Object::new("Contact", "Contact", "Contacts", *b"003", contact()),
        Object::new("Account", "Account", "Accounts", *b"001", account()),
        Object::new("Campaign", "Campaign", "Campaigns", *b"701", campaign()),
        Object::new(
            "CampaignMember",
            "Campaign Member",
            "Campaign Members",
            *b"00v",
            campaign_member(),
        ),
        Object::new("User", "User", "Users", *b"005", user()).read_only(),
        Object::new("Group", "Group", "Groups", *b"00G", group()).read_only(),
        Object::new(
            "Organization",
            "Organization",
            "Organizations",
            *b"00D",
            organization(),
        )
        .read_only(),
        Object::new(
            "LeadStatus",
            "Lead Status Value",
            "Lead Status Values",
            *b"01J",
            lead_status(),
        )
        .read_only(),
    ]
}

/// The values of Lead's `Status`, and whether each ends in conversion.
pub(in crate::sandbox) const LEAD_STATUSES: [(&str, bool); 4] = [
    ("Open - Not Contacted", false),
    ("Working - Contacted", false),
    ("Closed - Converted", true),
    ("Closed - Not Converted", false),
];

const SALUTATIONS: &[&str] = &["Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."];

const SOURCES: &[&str] = &[
    "Web",
    "Phone Inquiry",
    "Partner Referral",
    "Purchased List",
    "Other",
];

const INDUSTRIES: &[&str] = &[
    "Agriculture",
    "Apparel",
    "Banking",
    "Biotechnology",
    "Chemicals",
    "Communications",
    "Construction",
    "Consulting",
    "Education",
    "Electronics",
    "Energy",
    "Engineering",
    "Entertainment",
    "Environmental",
    "Finance",
    "Food & Beverage",
    "Government",
    "Healthcare",
    "Hospitality",
    "Insurance",
    "Machinery",
    "Manufacturing",
    "Media",
    "Not For Profit",
    "Other",
    "Recreation",
    "Retail",
    "Shipping",
    "Technology",
    "Telecommunications",
    "Transportation",
    "Utilities",
];

fn text(name: &'static str, label: &'static str, length: u32) -> Field {
    Field::new(name, label, Kind::Text(length))
}

fn area(name: &'static str, label: &'static str, length: u32) -> Field {
    Field::new(name, label, Kind::TextArea(length))
}

fn phone(name: &'static str, label: &'static str) -> Field {
    Field::new(name, label, Kind::Phone)
}

fn boolean(name: &'static str, label: &'static str) -> Field {
    Field::new(name, label, Kind::Boolean)
}

fn int(name: &'static str, label: &'static str) -> Field {
    let kind = Kind::Number {
        kind: "int",
        precision: 9,
        scale: 0,
    };
    Field::new(name, label, kind)
}

fn currency(name: &'static str, label: &'static str) -> Field {
    let kind = Kind::Number {
        kind: "currency",
        precision: 18,
        scale: 0,
    };
    Field::new(name, label, kind)
}

fn datetime(name: &'static str, label: &'static str) -> Field {
    Field::new(name, label, Kind::DateTime)
}

fn date(name: &'static str, label: &'static str) -> Field {
    Field::new(name, label, Kind::Date)
}

/// A list that other values may join.
fn picklist(name: &'static str, label: &'static str, values: &[&'static str]) -> Field {
    list(name, label, values, false)
}

/// A list that refuses other values.
fn restricted(name: &'static str, label: &'static str, values: &[&'static str]) -> Field {
    list(name, label, values, true)
}

fn list(
    name: &'static str,
    label: &'static str,
    values: &[&'static str],
    restricted: bool,
) -> Field {
    let values = values.iter().map(|value| (*value).into()).collect();
    Field::new(name, label, Kind::Picklist { values, restricted })
}

fn reference(
    name: &'static str,
    label: &'static str,
    to: &'static [&'static str],
    relationship: &'static str,
) -> Field {
    Field::new(name, label, Kind::Reference { to, relationship })
}

fn owner(to: &'static [&'static str]) -> Field {
    reference("OwnerId", "Owner ID", to, "Owner").filled_in()
}

/// The fields that every object has.
fn system(label: &'static str) -> Vec<Field> {
    let user: &[&str] = &["User"];
    vec![
        Field::new("Id", label, Kind::Id).system(Place::Id),
        boolean("IsDeleted", "Deleted").system(Place::Deleted),
        datetime("CreatedDate", "Created Date").system(Place::Created),
        reference("CreatedById", "Created By ID", user, "CreatedBy").system(Place::CreatedBy),
        datetime("LastModifiedDate", "Last Modified Date").system(Place::Modified),
        reference(
            "LastModifiedById",
            "Last Modified By ID",
            user,
            "LastModifiedBy",
        )
        .system(Place::ModifiedBy),
        datetime("SystemModstamp", "System Modstamp").system(Place::Modified),
    ]
}

fn person(name_label: &'static str) -> Vec<Field> {
    vec![
        text("LastName", "Last Name", 80).required().part_of("Name"),
        text("FirstName", "First Name", 40).part_of("Name"),
        picklist("Salutation", "Salutation", SALUTATIONS).part_of("Name"),
        text("MiddleName", "Middle Name", 40).part_of("Name"),
        text("Suffix", "Suffix", 40).part_of("Name"),
        text("Name", name_label, 121).system(Place::PersonName),
    ]
}

/// The parts of an address and the compound itself.
fn address(
    parts: [(&'static str, &'static str); 5],
    compound: &'static str,
    prefix: &'static str,
) -> Vec<Field> {
    let [street, city, state, postal_code, country] = parts;
    let mut whole = Field::new(compound, compound, Kind::Address).read_only();
    whole.place = Place::Address(prefix);
    vec![
        area(street.0, street.1, 255).part_of(compound),
        text(city.0, city.1, 40).part_of(compound),
        text(state.0, state.1, 80).part_of(compound),
        text(postal_code.0, postal_code.1, 20).part_of(compound),
        text(country.0, country.1, 80).part_of(compound),
        whole,
    ]
}

fn opt_outs() -> Vec<Field> {
    vec![
        boolean("HasOptedOutOfEmail", "Email Opt Out"),
        boolean("HasOptedOutOfFax", "Fax Opt Out"),
        boolean("DoNotCall", "Do Not Call"),
        text("EmailBouncedReason", "Email Bounced Reason", 255).read_only(),
        datetime("EmailBouncedDate", "Email Bounced Date").read_only(),
        date("LastActivityDate", "Last Activity").read_only(),
        Field::new("PhotoUrl", "Photo URL", Kind::Url).read_only(),
    ]
}

fn lead() -> Vec<Field> {
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
    ]);
    fields.extend(opt_outs());
    fields
}

fn contact() -> Vec<Field> {
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
        reference("AccountId", "Account ID", &["Account"], "Account"),
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

fn account() -> Vec<Field> {
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

fn campaign() -> Vec<Field> {
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
    ]);
    fields
}

fn campaign_member() -> Vec<Field> {
    let mut fields = system("Campaign Member ID");
    let mut once = text("CampaignAndPerson", "Campaign and person", 30);
    once.place = Place::Hidden;
    once.unique = true;
    fields.extend([
        reference("CampaignId", "Campaign ID", &["Campaign"], "Campaign")
            .required()
            .create_only(),
        reference("LeadId", "Lead ID", &["Lead"], "Lead").create_only(),
        reference("ContactId", "Contact ID", &["Contact"], "Contact").create_only(),
        picklist("Status", "Status", &["Sent", "Responded"]).default_text("Sent"),
        boolean("HasResponded", "Responded").read_only(),
        date("FirstRespondedDate", "First Responded Date").read_only(),
        once,
    ]);
    fields
}

fn user() -> Vec<Field> {
    let mut fields = system("User ID");
    fields.extend([
        text("Username", "Username", 80).required(),
        text("Name", "Full Name", 121).required(),
        Field::new("Email", "Email", Kind::Email).required(),
        boolean("IsActive", "Active"),
    ]);
    fields
}

fn group() -> Vec<Field> {
    let mut fields = system("Group ID");
    fields.extend([
        text("Name", "Name", 40).required(),
        text("DeveloperName", "Developer Name", 80),
        picklist("Type", "Type", &["Queue"]).required(),
    ]);
    fields
}

fn organization() -> Vec<Field> {
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

fn lead_status() -> Vec<Field> {
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
