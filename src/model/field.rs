//! The lead's own fields: one table that normalising, mapping, docs and checks read.
//!
//! Other names are allowed everywhere (a form's own questions): they are kept as they came and can
//! be mapped in `[salesforce.lead]`.

/// One standard lead field and the Salesforce Lead field that it fills without a line of config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeadField {
    /// Our name, as in `[sources.<name>.fields]` and `from = "…"`.
    pub name: &'static str,
    /// The API name on Salesforce's Lead, if there is a standard one.
    pub salesforce: Option<&'static str>,
    /// The most characters that a fresh org takes; 0 for what is not text.
    /// Source: Salesforce field reference, Lead.
    pub max_chars: usize,
    /// How the value is typed in Salesforce.
    pub kind: Kind,
    /// One line for people.
    pub help: &'static str,
}

/// How a value is typed in Salesforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, also phone, e-mail, URL and picklists: sent as a string.
    Text,
    /// Whole number.
    Integer,
    /// Number with decimals.
    Decimal,
    /// An opt-out: only `true` is ever sent.
    OptOut,
}

const fn text(
    name: &'static str,
    salesforce: &'static str,
    max_chars: usize,
    help: &'static str,
) -> LeadField {
    LeadField {
        name,
        salesforce: Some(salesforce),
        max_chars,
        kind: Kind::Text,
        help,
    }
}

const fn typed(
    name: &'static str,
    salesforce: &'static str,
    kind: Kind,
    help: &'static str,
) -> LeadField {
    LeadField {
        name,
        salesforce: Some(salesforce),
        max_chars: 0,
        kind,
        help,
    }
}

const fn ours(name: &'static str, help: &'static str) -> LeadField {
    LeadField {
        name,
        salesforce: None,
        max_chars: 255,
        kind: Kind::Text,
        help,
    }
}

/// The standard lead fields.
pub const FIELDS: &[LeadField] = &[
    text("email", "Email", 80, "e-mail address"),
    text(
        "phone",
        "Phone",
        40,
        "phone number, E.164 where it can be read",
    ),
    text("mobile", "MobilePhone", 40, "mobile phone number"),
    text("fax", "Fax", 40, "fax number"),
    text(
        "salutation",
        "Salutation",
        40,
        "Mr., Ms., Mrs., Dr., Prof., Mx.",
    ),
    text("first_name", "FirstName", 40, "given name"),
    text("last_name", "LastName", 80, "family name"),
    ours(
        "full_name",
        "whole name in one field; split into first and last name",
    ),
    text("company", "Company", 255, "company"),
    text("title", "Title", 128, "job title"),
    text("website", "Website", 255, "website"),
    text("street", "Street", 255, "street, lines by newline"),
    text("city", "City", 40, "city"),
    text("state", "State", 80, "state or region"),
    text("postal_code", "PostalCode", 20, "postal code"),
    text("country", "Country", 80, "country, as its English name"),
    text("message", "Description", 32_000, "what the person wrote"),
    ours(
        "notes",
        "what was noted at each meeting, all of it; goes with the message into Description",
    ),
    text("industry", "Industry", 255, "industry"),
    text("rating", "Rating", 255, "Hot, Warm, Cold"),
    text(
        "lead_source",
        "LeadSource",
        255,
        "lead source; the source's own setting if the form sends none",
    ),
    typed(
        "employees",
        "NumberOfEmployees",
        Kind::Integer,
        "number of employees",
    ),
    typed("revenue", "AnnualRevenue", Kind::Decimal, "annual revenue"),
    typed(
        "email_opt_out",
        "HasOptedOutOfEmail",
        Kind::OptOut,
        "true: do not mail",
    ),
    typed(
        "fax_opt_out",
        "HasOptedOutOfFax",
        Kind::OptOut,
        "true: do not fax",
    ),
    typed(
        "do_not_call",
        "DoNotCall",
        Kind::OptOut,
        "true: do not call",
    ),
    ours(
        "consent",
        "true: agreed to be contacted; kept as evidence, not written by itself",
    ),
    ours("language", "language of the person, BCP 47"),
    ours(
        "campaign",
        "campaign by name or id; the source's own setting if the form sends none",
    ),
    ours("member_status", "campaign member status"),
];

/// UTM parameters and click ids that are kept as attribution, by their usual names.
pub const ATTRIBUTION: &[&str] = &[
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "utm_id",
    "first_utm_source",
    "first_utm_medium",
    "first_utm_campaign",
    "first_utm_term",
    "first_utm_content",
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "fbclid",
    "fbc",
    "fbp",
    "li_fat_id",
    "msclkid",
    "ttclid",
    "twclid",
    "rdt_cid",
    "epik",
    "ScCid",
    "mc_eid",
    "referrer",
    "landing_page",
];

/// The standard field of that name.
pub fn find(name: &str) -> Option<&'static LeadField> {
    FIELDS.iter().find(|field| field.name == name)
}
