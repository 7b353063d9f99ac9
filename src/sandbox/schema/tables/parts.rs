//! What the fields of many objects are made of.

use super::super::field::{Field, Kind, Place};

pub(super) const SALUTATIONS: &[&str] = &["Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."];

pub(super) const SOURCES: &[&str] = &[
    "Web",
    "Phone Inquiry",
    "Partner Referral",
    "Purchased List",
    "Other",
];

pub(super) const INDUSTRIES: &[&str] = &[
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

pub(super) fn text(name: &'static str, label: &'static str, length: u32) -> Field {
    Field::new(name, label, Kind::Text(length))
}

pub(super) fn area(name: &'static str, label: &'static str, length: u32) -> Field {
    Field::new(name, label, Kind::TextArea(length))
}

pub(super) fn phone(name: &'static str, label: &'static str) -> Field {
    Field::new(name, label, Kind::Phone)
}

pub(super) fn boolean(name: &'static str, label: &'static str) -> Field {
    Field::new(name, label, Kind::Boolean)
}

pub(super) fn int(name: &'static str, label: &'static str) -> Field {
    let kind = Kind::Number {
        kind: "int",
        precision: 9,
        scale: 0,
    };
    Field::new(name, label, kind)
}

pub(super) fn currency(name: &'static str, label: &'static str) -> Field {
    let kind = Kind::Number {
        kind: "currency",
        precision: 18,
        scale: 0,
    };
    Field::new(name, label, kind)
}

pub(super) fn percent(name: &'static str, label: &'static str) -> Field {
    let kind = Kind::Number {
        kind: "percent",
        precision: 3,
        scale: 0,
    };
    Field::new(name, label, kind)
}

pub(super) fn datetime(name: &'static str, label: &'static str) -> Field {
    Field::new(name, label, Kind::DateTime)
}

pub(super) fn date(name: &'static str, label: &'static str) -> Field {
    Field::new(name, label, Kind::Date)
}

/// A list that other values may join.
pub(super) fn picklist(name: &'static str, label: &'static str, values: &[&'static str]) -> Field {
    list(name, label, values, false)
}

/// A list that refuses other values.
pub(super) fn restricted(
    name: &'static str,
    label: &'static str,
    values: &[&'static str],
) -> Field {
    list(name, label, values, true)
}

pub(super) fn list(
    name: &'static str,
    label: &'static str,
    values: &[&'static str],
    restricted: bool,
) -> Field {
    let values = values.iter().map(|value| (*value).into()).collect();
    Field::new(name, label, Kind::Picklist { values, restricted })
}

pub(super) fn reference(
    name: &'static str,
    label: &'static str,
    to: &'static [&'static str],
    relationship: &'static str,
) -> Field {
    Field::new(name, label, Kind::Reference { to, relationship })
}

pub(super) fn owner(to: &'static [&'static str]) -> Field {
    reference("OwnerId", "Owner ID", to, "Owner").filled_in()
}

pub(super) fn record_type() -> Field {
    reference(
        "RecordTypeId",
        "Record Type ID",
        &["RecordType"],
        "RecordType",
    )
}

/// A key of the org's own that no two records share; shown to nobody.
pub(super) fn once(name: &'static str) -> Field {
    let mut once = text(name, name, 80);
    once.place = Place::Hidden;
    once.unique = true;
    // Ids are of 15 characters here, which differ by case.
    once.case_sensitive = true;
    once
}

/// The fields that every object has.
pub(super) fn system(label: &'static str) -> Vec<Field> {
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

pub(super) fn person(name_label: &'static str) -> Vec<Field> {
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
pub(super) fn address(
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

pub(super) fn opt_outs() -> Vec<Field> {
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
