use super::xml::{Element, tag};
use super::{Fault, SoapCall};
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::{Conversion, Converted};

/// Leads in one call.
const MAX_LEADS: usize = 100;

/// The elements of a LeadConvert.
const ELEMENTS: [&str; 15] = [
    "accountId",
    "accountRecord",
    "bypassAccountDedupeCheck",
    "bypassContactDedupeCheck",
    "contactId",
    "contactRecord",
    "convertedStatus",
    "doNotCreateOpportunity",
    "leadId",
    "opportunityId",
    "opportunityName",
    "opportunityRecord",
    "overwriteLeadSource",
    "ownerId",
    "sendNotificationEmail",
];

/// `convertLead`: each lead by itself, answered in the order of the request.
pub(super) fn run(
    state: &mut State,
    call: &SoapCall<'_>,
    operation: &Element,
) -> Result<String, Fault> {
    let leads: Vec<&Element> = operation.all("leadConverts").collect();
    if leads.len() > MAX_LEADS {
        return Err(Fault::new(
            "EXCEEDED_ID_LIMIT",
            "record limit reached. cannot submit more than 100 records into this call",
        ));
    }
    for lead in &leads {
        check_shape(lead)?;
    }
    let results: Vec<String> = leads.iter().map(|lead| one(state, call, lead)).collect();
    Ok(format!(
        "<convertLeadResponse>{}</convertLeadResponse>",
        results.concat()
    ))
}

/// An element that is none of a LeadConvert refuses the whole call. The WSDL gives an order and
/// requires the booleans; real orgs insist on neither: jsforce's tests, which run against them,
/// send `leadId` first and nothing but the status behind it.
fn check_shape(lead: &Element) -> Result<(), Fault> {
    let unknown = lead
        .children
        .iter()
        .find(|child| !ELEMENTS.contains(&child.name.as_str()));
    match unknown {
        None => Ok(()),
        Some(child) => Err(Fault::client(format!(
            "Element {{urn:partner.soap.sforce.com}}{} invalid at this location",
            child.name
        ))),
    }
}

fn one(state: &mut State, call: &SoapCall<'_>, lead: &Element) -> String {
    let text = |name: &str| lead.text_of(name).map(str::to_owned);
    let is_set = |name: &str| matches!(lead.text_of(name), Some("true" | "1"));
    let how = Conversion {
        account: text("accountId"),
        contact: text("contactId"),
        opportunity: text("opportunityId"),
        // An empty status is none that converts.
        status: Some(text("convertedStatus").unwrap_or_default()),
        with_opportunity: !is_set("doNotCreateOpportunity"),
        opportunity_name: text("opportunityName"),
        overwrite_lead_source: is_set("overwriteLeadSource"),
        owner: text("ownerId"),
    };
    let id = text("leadId").unwrap_or_default();
    let done = carry_out(state, call, &id, &how);
    match done {
        Ok(made) => success(&id, &made),
        Err(refusals) => failure(&id, &refusals),
    }
}

fn carry_out(
    state: &mut State,
    call: &SoapCall<'_>,
    id: &str,
    how: &Conversion,
) -> Result<Converted, Refusals> {
    let lead = RecordId::parse(id).ok_or_else(|| {
        Refusal::row(
            "MALFORMED_ID",
            format!("Lead ID: id value of incorrect type: {id}"),
        )
    })?;
    if state.faults.row_lock() {
        return Err(Refusal::locked(Some(lead)).into());
    }
    let now = state.faults.stamp(call.now);
    let write = state.org.write_of(state.org.integration_user, now);
    let leads = state.org.schema.find("Lead");
    let is_there = leads.is_some_and(|leads| state.org.table(leads).get(lead).is_some());
    if !is_there {
        return Err(
            Refusal::row("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id").into(),
        );
    }
    state.org.convert(lead, how, &write)
}

fn success(lead: &str, made: &Converted) -> String {
    let opportunity = made.opportunity.map(|id| id.to_string());
    [
        "<result>".to_owned(),
        tag("accountId", Some(&made.account.to_string())),
        tag("contactId", Some(&made.contact.to_string())),
        tag("leadId", whole(lead).as_deref()),
        tag("opportunityId", opportunity.as_deref()),
        tag("success", Some("true")),
        "</result>".to_owned(),
    ]
    .concat()
}

fn failure(lead: &str, refusals: &Refusals) -> String {
    let errors = refusals.iter().map(|refusal| {
        let fields = refusal.fields.iter().flatten();
        let fields: String = fields.map(|field| tag("fields", Some(field))).collect();
        format!(
            "<errors>{fields}{}{}</errors>",
            tag("message", Some(&refusal.message)),
            tag("statusCode", Some(refusal.code)),
        )
    });
    [
        "<result>".to_owned(),
        tag("accountId", None),
        tag("contactId", None),
        errors.collect(),
        tag("leadId", whole(lead).as_deref()),
        tag("opportunityId", None),
        tag("success", Some("false")),
        "</result>".to_owned(),
    ]
    .concat()
}

/// An id in its 18 characters.
fn whole(id: &str) -> Option<String> {
    RecordId::parse(id).map(|id| id.to_string())
}
