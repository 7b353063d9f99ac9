use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::diagnostic::Severity;
use crate::model::field::{self, Kind};
use crate::salesforce::testing::{Answer, Org, Sent, config, json_answer};

/// A field as a healthy org describes it.
fn org_field(name: &str, kind: &str, length: usize, more: Value) -> Value {
    let mut field = json!({
        "name": name,
        "type": kind,
        "length": length,
        "createable": true,
        "updateable": true,
        "nillable": true,
    });
    let fields = field.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    field
}

/// A Lead on which nothing is missing, changed by `change`.
fn lead(change: impl Fn(&str) -> Option<Value>) -> Value {
    let key = json!({ "externalId": true, "unique": true });
    let mut fields = vec![org_field("Leadstream_Id__c", "string", 64, key)];
    for standard in field::FIELDS {
        if let Some(name) = standard.salesforce {
            let kind = match standard.kind {
                Kind::OptOut => "boolean",
                Kind::Text | Kind::Integer | Kind::Decimal => "string",
            };
            fields.push(org_field(name, kind, standard.max_chars, json!({})));
        }
    }
    for name in ["LastName", "Company"] {
        let position = fields.iter().position(|field| field["name"] == name);
        fields[position.unwrap()]["nillable"] = false.into();
    }
    let fields: Vec<Value> = fields
        .into_iter()
        .filter_map(|field| match change(field["name"].as_str().unwrap()) {
            Some(Value::Null) => None,
            Some(changes) => {
                let mut field = field;
                let changes = changes.as_object().unwrap().clone();
                field.as_object_mut().unwrap().extend(changes);
                Some(field)
            }
            None => Some(field),
        })
        .collect();
    json!({ "name": "Lead", "createable": true, "updateable": true, "fields": fields })
}

fn with_field(mut lead: Value, field: Value) -> Value {
    lead["fields"].as_array_mut().unwrap().push(field);
    lead
}

fn budget(remaining: u32) -> Value {
    json!({ "DailyApiRequests": { "Max": 15000, "Remaining": remaining } })
}

/// An org that answers by path, and by the object that is queried.
struct Answers {
    lead: Value,
    contact: Value,
    objects: Value,
    limits: (u16, Value),
    rows: Vec<(&'static str, u16, Value)>,
}

/// A healthy org with this Lead.
fn org_of(described: Value, limits: Value) -> Answers {
    let object = |name: &str| json!({ "name": name, "createable": true, "updateable": true, "queryable": true });
    let mut contact = lead(|_| None);
    contact["name"] = "Contact".into();
    let names = ["Lead", "Contact", "Campaign", "CampaignMember"];
    Answers {
        lead: described,
        contact,
        objects: json!({ "sobjects": names.map(object) }),
        limits: (200, limits),
        rows: Vec::new(),
    }
}

impl Answers {
    fn answer(&self, sent: &Sent) -> Answer {
        let path = sent.path.trim_start_matches("/services/data");
        match path.trim_start_matches("/v62.0") {
            "/services/oauth2/token" => json_answer(
                200,
                json!({
                    "access_token": "one",
                    "instance_url": "https://acme.my.salesforce.com",
                    "id": "https://acme.my.salesforce.com/id/00Dxx0000001gPL/005xx000001SwiU",
                }),
            ),
            "" => json_answer(200, json!([{ "version": "61.0" }, { "version": "62.0" }])),
            "/sobjects" => json_answer(200, self.objects.clone()),
            "/sobjects/Lead/describe" => json_answer(200, self.lead.clone()),
            "/sobjects/Contact/describe" => json_answer(200, self.contact.clone()),
            "/limits" => json_answer(self.limits.0, self.limits.1.clone()),
            "/query" | "/tooling/query" => {
                let mut query = form_urlencoded::parse(sent.query.as_bytes());
                let soql = query.find(|(name, _)| name == "q").unwrap().1;
                let object = soql.split(" FROM ").nth(1).unwrap();
                let found = self.rows.iter().find(|(name, ..)| object.starts_with(name));
                match found {
                    Some((_, 200, rows)) => json_answer(
                        200,
                        json!({ "done": true, "totalSize": 1, "records": rows }),
                    ),
                    Some((_, status, error)) => json_answer(*status, error.clone()),
                    None => json_answer(200, json!({ "done": true, "records": [] })),
                }
            }
            other => panic!("{other}"),
        }
    }
}

/// Runs the doctor over an org with `lead`, where `[salesforce.lead]` is `mapped`.
async fn doctor(mapped: Value, lead: Value, limits: Value) -> Vec<Diagnostic> {
    let mut config = config();
    config.lead = serde_json::from_value(mapped).unwrap();
    let mapping = Mapping::new(&config);
    let org = Org::with(config.clone());
    let answers = org_of(lead, limits);
    org.http.otherwise(move |sent| answers.answer(sent));
    let whole = Config {
        server: crate::config::ServerConfig::default(),
        store: crate::config::StoreConfig::default(),
        salesforce: config,
        catalog: crate::connector::Catalog::embedded(),
        sources: std::collections::BTreeMap::new(),
        fenced: Vec::new(),
        hash: String::new(),
    };
    let expected = Expectations::of(&whole, &mapping);
    examine(&org.client, &mapping, &expected).await.problems
}

async fn check(mapped: Value, lead: Value, codes: &[&str], hint: &str) {
    let found = doctor(mapped, lead, budget(14_000)).await;
    let found_codes: Vec<_> = found.iter().map(|problem| problem.code).collect();
    assert_eq!(found_codes, codes, "{found:#?}");
    if let Some(problem) = found.first() {
        let text = problem.hint.clone().unwrap_or_default();
        assert!(text.contains(hint), "{text}");
    }
}

/// A lead whose field `name` is changed.
fn changed(name: &'static str, changes: Value) -> Value {
    lead(move |field| (field == name).then(|| changes.clone()))
}

#[tokio::test]
async fn nothing_is_said_of_an_org_that_is_ready() {
    check(json!({}), lead(|_| None), &[], "").await;
}

#[tokio::test]
async fn what_the_external_id_field_lacks_is_said_with_the_clicks() {
    let key = "Leadstream_Id__c";
    let cases = [
        (
            Value::Null,
            "doctor.external_id_missing",
            "tick External ID and Unique",
        ),
        (
            json!({ "externalId": false }),
            "doctor.external_id_not_external",
            "tick External ID",
        ),
        (
            json!({ "unique": false }),
            "doctor.external_id_not_unique",
            "tick Unique",
        ),
        (
            json!({ "createable": false }),
            "doctor.external_id_read_only",
            "Edit Access",
        ),
        (
            json!({ "length": 10 }),
            "doctor.external_id_type",
            "length 64",
        ),
    ];
    for (changes, code, hint) in cases {
        check(json!({}), changed(key, changes), &[code], hint).await;
    }
}

#[tokio::test]
async fn a_mapped_field_that_is_not_there_is_named_with_its_nearest() {
    let plan = with_field(
        lead(|_| None),
        org_field("Plan__c", "string", 255, json!({})),
    );
    let mapped = json!({ "Paln__c": { "from": "plan" } });
    check(
        mapped,
        plan,
        &["doctor.field_missing"],
        "did you mean `Plan__c`?",
    )
    .await;
    // Of a standard field this is a warning: only a lead that brings a value is held.
    let hidden = changed("HasOptedOutOfEmail", Value::Null);
    let found = doctor(json!({}), hidden, budget(14_000)).await;
    assert_eq!(found[0].code, "doctor.field_missing");
    assert_eq!(found[0].severity, Severity::Warning);
    let off = json!({ "HasOptedOutOfEmail": { "from": "email_opt_out", "write": "never" } });
    let hidden = changed("HasOptedOutOfEmail", Value::Null);
    check(off, hidden, &[], "").await;
}

#[tokio::test]
async fn what_a_field_does_not_take_is_said() {
    let cases = [
        (
            json!({ "createable": false }),
            "doctor.field_read_only",
            "Edit Access",
        ),
        (
            json!({ "calculated": true }),
            "doctor.field_read_only",
            "computed",
        ),
        (
            json!({ "updateable": false }),
            "doctor.field_not_updateable",
            "create_only",
        ),
        (json!({ "length": 100 }), "doctor.field_short", "drop_field"),
    ];
    for (changes, code, hint) in cases {
        check(json!({}), changed("Title", changes), &[code], hint).await;
    }
    let flag = |policy| json!({ "Flag__c": { "from": "flag", "write": policy } });
    let field = |kind| with_field(lead(|_| None), org_field("Flag__c", kind, 255, json!({})));
    check(
        flag("most_restrictive"),
        field("string"),
        &["doctor.field_type"],
        "opt-outs",
    )
    .await;
    check(
        flag("if_blank"),
        field("boolean"),
        &["doctor.checkbox_policy"],
        "always",
    )
    .await;
}

#[tokio::test]
async fn a_value_that_is_not_in_a_restricted_list_is_found() {
    let list = json!({ "restrictedPicklist": true, "picklistValues": [
        { "value": "Starter", "active": true }, { "value": "Old", "active": false },
    ] });
    let plan = || {
        with_field(
            lead(|_| None),
            org_field("Plan__c", "picklist", 255, list.clone()),
        )
    };
    let mapped = |value: &str| json!({ "Plan__c": { "from": "plan", "default": "Starter", "values": { "a": value } } });
    check(mapped("Starter"), plan(), &[], "").await;
    let code = "doctor.picklist_value";
    check(mapped("Startr"), plan(), &[code], "did you mean `Starter`?").await;
    check(mapped("Old"), plan(), &[code], "add it in Setup").await;
}

#[test]
fn values_of_sources_are_expected_where_they_are_sent_to() {
    let source: crate::config::SourceConfig = serde_json::from_value(json!({
        "connector": "web-form",
        "lead_source": "web",
        "fields": { "plan": { "from": "p", "values": { "a": "Starter" } } },
    }))
    .unwrap();
    let mut org = config();
    org.lead = serde_json::from_value(json!({
        "LeadSource": { "from": "lead_source", "values": { "web": "Web" } },
        "Plan__c": { "from": "plan" },
    }))
    .unwrap();
    let mapping = Mapping::new(&org);
    let config = Config {
        server: crate::config::ServerConfig::default(),
        store: crate::config::StoreConfig::default(),
        salesforce: org,
        catalog: crate::connector::Catalog::embedded(),
        sources: [(crate::model::SourceName::new("demo"), source)].into(),
        fenced: Vec::new(),
        hash: String::new(),
    };
    let expected: Vec<_> = expected_values(&config, &mapping)
        .into_iter()
        .map(|expected| format!("{} {}: {}", expected.field, expected.value, expected.set_by))
        .collect();
    assert_eq!(
        expected,
        [
            "LeadSource Web: lead_source in [sources.demo]",
            "Plan__c Starter: values of plan in [sources.demo.fields]",
            "LastName [not provided]: default of LastName in [salesforce.lead]",
            "Company [not provided]: default of Company in [salesforce.lead]",
            "LeadSource Web: values of LeadSource in [salesforce.lead]",
        ]
    );
}

#[tokio::test]
async fn a_field_that_the_org_demands_and_nothing_fills_is_found() {
    let demanded = org_field("Region__c", "string", 255, json!({ "nillable": false }));
    let lead = with_field(lead(|_| None), demanded);
    let code = "doctor.required_unfilled";
    check(json!({}), lead.clone(), &[code], "Region__c = {").await;
    let mapped = json!({ "Region__c": { "from": "region", "default": "EMEA" } });
    check(mapped, lead, &[], "").await;
}

#[tokio::test]
async fn a_budget_that_is_nearly_used_up_is_a_warning() {
    let found = doctor(json!({}), lead(|_| None), budget(1_000)).await;
    assert_eq!(found[0].code, "doctor.api_budget");
    assert_eq!(found[0].severity, Severity::Warning);
    assert_eq!(
        found[0].message,
        "the org has 1000 of its 15000 API calls of 24 hours left"
    );
}

#[tokio::test]
async fn what_hides_the_rest_is_said_alone() {
    let org = Org::new();
    let mapping = Mapping::new(org.client.config());
    org.http.then(json_answer(
        400,
        json!({ "error": "invalid_grant", "error_description": "no client credentials user enabled" }),
    ));
    let none = Expectations::default();
    let found = examine(&org.client, &mapping, &none).await.problems;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "doctor.sign_in");
    assert!(found[0].hint.as_deref().unwrap().contains("Run As"));

    let org = Org::signed_in().await;
    org.http
        .then(json_answer(200, json!([{ "version": "67.0" }])));
    let found = examine(&org.client, &mapping, &none).await.problems;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "doctor.api_version");
    assert!(found[0].hint.as_deref().unwrap().contains("\"67.0\""));
}

#[tokio::test]
async fn hidden_limits_and_objects_are_said_with_the_permission() {
    let not_found = json!([{ "errorCode": "NOT_FOUND", "message": "does not exist" }]);
    let forbidden = json!([{ "errorCode": "FORBIDDEN", "message": "no" }]);
    let org = Org::new();
    let mapping = Mapping::new(org.client.config());
    let mut answers = org_of(lead(|_| None), budget(14_000));
    answers.limits = (403, forbidden);
    org.http.otherwise(move |sent| match sent.path.as_str() {
        "/services/data/v62.0/sobjects/Lead/describe" => json_answer(404, not_found.clone()),
        _ => answers.answer(sent),
    });
    let found = examine(&org.client, &mapping, &Expectations::default()).await;
    let codes: Vec<_> = found.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["doctor.unreadable", "doctor.limits_hidden"]);

    let mut read_only = lead(|_| None);
    read_only["createable"] = false.into();
    check(json!({}), read_only, &["doctor.lead_not_writable"], "tick").await;
}

/// Examines an org that `change` makes other than healthy, for `expected`.
async fn examined(
    change: impl FnOnce(&mut Answers, &mut crate::config::SalesforceConfig),
    expected: Expectations,
) -> Examination {
    let mut config = config();
    let mut answers = org_of(lead(|_| None), budget(14_000));
    change(&mut answers, &mut config);
    let mapping = Mapping::new(&config);
    let org = Org::with(config);
    org.http.otherwise(move |sent| answers.answer(sent));
    examine(&org.client, &mapping, &expected).await
}

fn codes(found: &Examination) -> Vec<&'static str> {
    found.problems.iter().map(|problem| problem.code).collect()
}

fn noted(found: &Examination, code: &str) -> String {
    let notes = found.notes.iter().filter(|note| note.code == code);
    notes
        .map(|note| note.text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn a_query_that_is_refused_is_a_note_and_no_failure() {
    let refused = json!([{ "errorCode": "INSUFFICIENT_ACCESS", "message": "not for you" }]);
    let found = examined(
        |org, _| {
            for object in [
                "Organization",
                "DuplicateRule",
                "AssignmentRule",
                "ValidationRule",
                "PermissionSetAssignment",
            ] {
                org.rows.push((object, 403, refused.clone()));
            }
        },
        Expectations::default(),
    )
    .await;
    assert_eq!(codes(&found), Vec::<&str>::new());
    let notes = noted(&found, "doctor.not_readable");
    assert_eq!(notes.lines().count(), 5, "{notes}");
    assert!(
        notes.contains("validation rules cannot be read: not for you"),
        "{notes}"
    );
    assert_eq!(found.calls, 9);
}

#[tokio::test]
async fn duplicate_rules_are_named_and_what_allow_duplicates_would_do() {
    let rules = json!([
        { "DeveloperName": "Standard_Lead_Duplicate_Rule", "MasterLabel": "Standard Lead Duplicate Rule", "SobjectType": "Lead" },
        { "DeveloperName": "Accounts", "MasterLabel": "Accounts", "SobjectType": "Account" },
    ]);
    let with = |allow| {
        let rules = rules.clone();
        examined(
            move |org, config| {
                org.rows.push(("DuplicateRule", 200, rules));
                config.allow_duplicates = allow;
            },
            Expectations::default(),
        )
    };
    let found = with(false).await;
    assert_eq!(codes(&found), ["doctor.duplicate_rule"]);
    assert!(
        found.problems[0]
            .message
            .contains("`Standard Lead Duplicate Rule` (Lead)")
    );
    assert!(!found.problems[0].message.contains("Accounts"));
    assert!(
        found.problems[0]
            .hint
            .as_deref()
            .unwrap()
            .contains("allow_duplicates")
    );
    let found = with(true).await;
    assert_eq!(codes(&found), Vec::<&str>::new());
    assert!(noted(&found, "doctor.duplicate_rule").contains("still stops"));
}

#[tokio::test]
async fn the_assignment_rule_is_compared_with_the_setting() {
    let rule = json!([{ "Name": "EMEA", "SobjectType": "Lead" }]);
    let with = |rules: Value, setting| {
        examined(
            move |org, config| {
                org.rows.push(("AssignmentRule", 200, rules));
                config.assignment_rule = setting;
            },
            Expectations::default(),
        )
    };
    use crate::config::AssignmentRule::{Off, OnCreate};
    let found = with(rule.clone(), Off).await;
    assert!(noted(&found, "doctor.assignment_rule").contains("`EMEA` does not run"));
    let found = with(rule, OnCreate).await;
    assert!(noted(&found, "doctor.assignment_rule").contains("assigned by the rule `EMEA`"));
    assert_eq!(
        codes(&with(json!([]), OnCreate).await),
        ["doctor.assignment_rule"]
    );
    assert_eq!(codes(&with(json!([]), Off).await), Vec::<&str>::new());
}

#[tokio::test]
async fn validation_rules_are_told_with_their_words() {
    let rule = json!([{ "ValidationName": "Region_Needed", "ErrorMessage": "Say the region",
        "EntityDefinition": { "QualifiedApiName": "Lead" } }]);
    let found = examined(
        |org, _| org.rows.push(("ValidationRule", 200, rule)),
        Expectations::default(),
    )
    .await;
    let notes = noted(&found, "doctor.validation_rule");
    assert!(
        notes.contains("`Region_Needed` of Lead") && notes.contains("Say the region"),
        "{notes}"
    );
}

#[tokio::test]
async fn private_leads_that_the_user_does_not_see_are_a_warning() {
    let with = |access: &'static str, views_all: bool| {
        examined(
            move |org, _| {
                org.rows.push((
                    "Organization",
                    200,
                    json!([{ "DefaultLeadAccess": access }]),
                ));
                let set = json!([{ "PermissionSetId": "0PS000000000001AAA" }]);
                org.rows.push(("PermissionSetAssignment", 200, set));
                let rights = json!([{ "PermissionsViewAllRecords": views_all }]);
                org.rows.push(("ObjectPermissions", 200, rights));
            },
            Expectations::default(),
        )
    };
    assert_eq!(codes(&with("None", false).await), ["doctor.private_leads"]);
    assert_eq!(codes(&with("None", true).await), Vec::<&str>::new());
    assert_eq!(codes(&with("ReadEdit", false).await), Vec::<&str>::new());
}

#[tokio::test]
async fn what_is_missing_on_other_objects_is_a_warning() {
    let source = json!({ "connector": "web-form", "campaign": "Spring" });
    let source: crate::config::SourceConfig = serde_json::from_value(source).unwrap();
    let whole = Config {
        server: crate::config::ServerConfig::default(),
        store: crate::config::StoreConfig::default(),
        salesforce: config(),
        catalog: crate::connector::Catalog::embedded(),
        sources: [(crate::model::SourceName::new("demo"), source)].into(),
        fenced: Vec::new(),
        hash: String::new(),
    };
    let expected = Expectations::of(&whole, &Mapping::new(&whole.salesforce));
    let found = examined(
        |org, _| {
            let seen = json!({ "name": "Contact", "queryable": true });
            org.objects = json!({ "sobjects": [seen] });
            let fields = org.contact["fields"].as_array_mut().unwrap();
            fields.retain(|field| {
                field["name"] != "Leadstream_Id__c" && field["name"] != "DoNotCall"
            });
        },
        expected.clone(),
    )
    .await;
    let expect = [
        "doctor.object_access",
        "doctor.object_access",
        "doctor.object_access",
        "doctor.external_id_missing",
        "doctor.opt_out_hidden",
        "doctor.campaign_missing",
    ];
    assert_eq!(codes(&found), expect, "{:#?}", found.problems);
    assert!(found.problems.iter().all(|problem| !problem.is_error()));
    assert!(found.problems[0].message.contains("may not edit Contacts"));
    assert!(
        found.problems[2]
            .hint
            .as_deref()
            .unwrap()
            .contains("Marketing User")
    );

    let campaign = |name: &str, id: &str| json!({ "Id": id, "Name": name, "IsActive": true });
    let (one, two) = (
        campaign("Spring", "701000000000001AAA"),
        campaign("spring", "701000000000002AAA"),
    );
    let rows = json!([one]);
    let found = examined(
        |org, _| org.rows.push(("Campaign", 200, rows)),
        expected.clone(),
    )
    .await;
    assert_eq!(codes(&found), Vec::<&str>::new());
    let rows = json!([one, two]);
    let found = examined(|org, _| org.rows.push(("Campaign", 200, rows)), expected).await;
    assert_eq!(codes(&found), ["doctor.campaign_ambiguous"]);
}

#[tokio::test]
async fn owners_and_record_types_that_are_named_exist_and_are_active() {
    let named = |names: &[&str]| {
        let entry = |name: &&str| {
            (
                (*name).to_owned(),
                "values of OwnerId in [salesforce.lead]".to_owned(),
            )
        };
        names
            .iter()
            .map(entry)
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let expected = Expectations {
        owners: named(&["Inbound", "jane@acme.com", "gone@acme.com", "Nobody"]),
        record_types: named(&["Partner", "Old_Type"]),
        ..Expectations::default()
    };
    let found = examined(
        |org, _| {
            let users = json!([
                { "Id": "005000000000001AAA", "Name": "Jane", "Username": "jane@acme.com", "IsActive": true },
                { "Id": "005000000000002AAA", "Name": "Gone", "Username": "gone@acme.com", "IsActive": false },
            ]);
            org.rows.push(("User", 200, users));
            let queues = json!([{ "Id": "00G000000000001AAA", "Name": "Inbound", "DeveloperName": "Inbound" }]);
            org.rows.push(("Group", 200, queues));
            let types = json!([{ "Id": "012000000000001AAA", "Name": "Old", "DeveloperName": "Old_Type", "IsActive": false }]);
            org.rows.push(("RecordType", 200, types));
        },
        expected,
    )
    .await;
    let expect = [
        "doctor.owner_unknown",
        "doctor.owner_inactive",
        "doctor.record_type",
        "doctor.record_type",
    ];
    assert_eq!(codes(&found), expect, "{:#?}", found.problems);
    assert!(found.problems[0].message.contains("`Nobody`"));
    assert!(found.problems[1].message.contains("`gone@acme.com`"));
}

#[tokio::test]
async fn the_budget_is_told_and_what_the_run_took() {
    let found = examined(|_, _| {}, Expectations::default()).await;
    assert_eq!(codes(&found), Vec::<&str>::new());
    let budget = noted(&found, "doctor.api_budget");
    assert!(
        budget.contains("1000 used of 15000, 14000 left"),
        "{budget}"
    );
    assert_eq!(found.calls, 9);
}
