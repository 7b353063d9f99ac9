//! `convertLead` at the SOAP door.

use std::fmt::Write as _;

use leadstream::sandbox::Faults;
use serde_json::{Value as Json, json};

use super::org::{Reply, TestOrg, reply};

/// The elements of a LeadConvert that are required, in the WSDL's order.
const REQUIRED: [(&str, &str); 4] = [
    ("convertedStatus", "Closed - Converted"),
    ("doNotCreateOpportunity", "true"),
    ("overwriteLeadSource", "false"),
    ("sendNotificationEmail", "false"),
];

impl TestOrg {
    /// Converts a lead; `more` are further elements, or others in the place of the required ones.
    async fn convert(&self, lead: &str, more: &[(&str, &str)]) -> Reply {
        self.soap(&leads(&[(lead, more)])).await
    }

    async fn soap(&self, operation: &str) -> Reply {
        let envelope = format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:urn=\"urn:partner.soap.sforce.com\"><soapenv:Header><urn:SessionHeader>\
             <urn:sessionId>{}</urn:sessionId></urn:SessionHeader></soapenv:Header><soapenv:Body>\
             {operation}</soapenv:Body></soapenv:Envelope>",
            self.token
        );
        let request = self
            .http
            .post(format!("{}/services/Soap/u/62.0", self.url))
            .header("content-type", "text/xml; charset=UTF-8")
            .header("SOAPAction", "\"\"")
            .body(envelope);
        reply(request.send().await.expect("an answer")).await
    }

    async fn record(&self, object: &str, id: &str) -> Json {
        self.get(&format!("sobjects/{object}/{id}")).await.json()
    }
}

fn leads(leads: &[(&str, &[(&str, &str)])]) -> String {
    let mut body = String::from("<urn:convertLead>");
    for (lead, more) in leads {
        let mut elements: Vec<(&str, &str)> = REQUIRED.to_vec();
        elements.push(("leadId", lead));
        for (name, value) in *more {
            elements.retain(|(known, _)| known != name);
            elements.push((name, value));
        }
        elements.sort_unstable();
        body.push_str("<urn:leadConverts>");
        for (name, value) in elements {
            write!(body, "<urn:{name}>{value}</urn:{name}>").unwrap();
        }
        body.push_str("</urn:leadConverts>");
    }
    body + "</urn:convertLead>"
}

/// What the first element of this name holds.
fn text<'r>(reply: &'r Reply, name: &str) -> &'r str {
    let (_, rest) = reply
        .text
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no <{name}> in {}", reply.text));
    rest.split_once('<').unwrap().0
}

#[tokio::test]
async fn a_lead_is_converted_into_new_records() {
    let org = TestOrg::start().await;
    let lead = org
        .lead(json!({ "Company": "Acme & Sons", "Leadstream_Id__c": "k" }))
        .await;
    let done = org
        .convert(
            &lead[..15],
            &[
                ("doNotCreateOpportunity", "false"),
                ("opportunityName", "A &lt; B"),
            ],
        )
        .await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.header("content-type").unwrap().starts_with("text/xml"));
    assert_eq!(text(&done, "success"), "true");
    assert_eq!(text(&done, "leadId"), lead);
    let row = org.record("Lead", &lead).await;
    assert_eq!(row["ConvertedContactId"], text(&done, "contactId"));
    let account = org.record("Account", text(&done, "accountId")).await;
    assert_eq!(account["Name"], "Acme & Sons");
    let opportunity = org
        .record("Opportunity", text(&done, "opportunityId"))
        .await;
    assert_eq!(
        (&opportunity["Name"], &opportunity["AccountId"]),
        (&json!("A < B"), &account["Id"])
    );
    let contact = org.record("Contact", text(&done, "contactId")).await;
    assert_eq!(contact["Leadstream_Id__c"], "k");
    assert_eq!(org.sandbox.calls().count("convert_lead"), 1);

    // A second call fails: a lost answer is resolved by reading.
    let again = org.convert(&lead, &[]).await;
    assert_eq!(
        (again.status.as_u16(), text(&again, "statusCode")),
        (200, "CANNOT_UPDATE_CONVERTED_LEAD")
    );
    assert_eq!(
        (text(&again, "success"), text(&again, "message")),
        ("false", "cannot reference converted lead")
    );
    assert!(again.text.contains("<contactId xsi:nil=\"true\"/>"));

    // As jsforce's own tests send it: the lead, its status, no booleans. The opportunity is made.
    let other = org.lead(json!({})).await;
    let bare = format!(
        "<urn:convertLead><urn:leadConverts><urn:leadId>{other}</urn:leadId>\
         <urn:convertedStatus>Closed - Converted</urn:convertedStatus></urn:leadConverts></urn:convertLead>"
    );
    let done = org.soap(&bare).await;
    assert!(text(&done, "opportunityId").starts_with("006"));
}

#[tokio::test]
async fn each_lead_of_a_call_is_converted_by_itself() {
    let org = TestOrg::start().await;
    let queue = org
        .query("SELECT Id FROM Group WHERE Name = 'EMEA Queue'")
        .await
        .json()["records"][0]["Id"]
        .clone();
    let (good, queued) = (
        org.lead(json!({})).await,
        org.lead(json!({ "OwnerId": queue })).await,
    );
    let gone = org.lead(json!({})).await;
    org.delete(&format!("sobjects/Lead/{gone}")).await;
    let status: &[(&str, &str)] = &[("convertedStatus", "Working - Contacted")];
    let call = leads(&[
        (&good, status),
        (&queued, &[]),
        (&gone, &[]),
        ("00Q5g0000000099", &[]),
        ("nonsense", &[]),
        (&good, &[]),
    ]);
    let done = org.soap(&call).await;
    let codes: Vec<&str> = done
        .text
        .split("<statusCode>")
        .skip(1)
        .map(|rest| rest.split_once('<').unwrap().0)
        .collect();
    assert_eq!(
        codes,
        [
            "INVALID_STATUS",
            "UNKNOWN_EXCEPTION",
            "ENTITY_IS_DELETED",
            "INVALID_CROSS_REFERENCE_KEY",
            "MALFORMED_ID"
        ]
    );
    assert!(done.text.ends_with(
        "<success>true</success></result></convertLeadResponse></soapenv:Body></soapenv:Envelope>"
    ));
    assert!(
        done.text
            .contains("Converted objects can only be owned by users.")
    );
    let user = org.sandbox.person("Rita Rep").unwrap().id().to_string();
    let owned = org.convert(&queued, &[("ownerId", &user)]).await;
    let contact = org.record("Contact", text(&owned, "contactId")).await;
    assert_eq!(contact["OwnerId"], user);

    org.sandbox.set_faults(Faults {
        row_lock_rate: 1.0,
        ..Faults::default()
    });
    let locked = org.convert(&good, &[]).await;
    assert_eq!(text(&locked, "statusCode"), "UNABLE_TO_LOCK_ROW");
}

#[tokio::test]
async fn a_call_of_another_shape_is_a_fault() {
    let org = TestOrg::start().await;
    let lead = org.lead(json!({})).await;
    let fault = |reply: &Reply, code: &str, says: &str| {
        assert_eq!(reply.status, 500, "{}", reply.text);
        assert_eq!(text(reply, "faultcode"), code);
        let string = text(reply, "faultstring");
        assert!(string.contains(says), "{string:?} says {says:?}");
    };
    let swapped = leads(&[(&lead, &[])]).replace("leadId", "aLead");
    fault(
        &org.soap(&swapped).await,
        "soapenv:Client",
        "Element {urn:partner.soap.sforce.com}aLead invalid at this location",
    );
    let many: Vec<(&str, &[(&str, &str)])> = (0..101).map(|_| (&*lead, &[][..])).collect();
    fault(
        &org.soap(&leads(&many)).await,
        "sf:EXCEEDED_ID_LIMIT",
        "100 records",
    );
    org.sandbox.expire_tokens();
    let expired = org.convert(&lead, &[]).await;
    fault(
        &expired,
        "sf:INVALID_SESSION_ID",
        "Invalid Session ID found in SessionHeader",
    );
    assert_eq!(text(&expired, "sf:exceptionCode"), "INVALID_SESSION_ID");
    assert_eq!(org.sandbox.count("Contact"), 0);
}
