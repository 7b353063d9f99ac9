//! What is missing in the Salesforce org: signs in, reads, writes nothing, and says where to click.

use crate::config::{Config, WritePolicy};
use crate::deliver::salesforce::{MappedField, Mapping};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::field::{self, Kind};
use crate::salesforce::{CallError, Class, Client, Describe, Field, Limit, Usage};
use crate::store::EXTERNAL_ID_CHARS;

const LEAD: &str = "Lead";

/// Characters of a value that no table limits: UTM parameters, click ids, a form's own questions.
const USUAL_CHARS: usize = 255;

/// The share of the org's daily calls below which what is left is little.
const LITTLE_LEFT: f64 = 0.1;

/// A value that the configuration will send, for comparing with the org's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedValue {
    /// The Salesforce field.
    pub field: String,
    /// The value.
    pub value: String,
    /// Where it is set, e.g. "lead_source in [sources.demo]".
    pub set_by: String,
}

/// The values that `config` names, as `mapping` sends them.
pub fn expected_values(config: &Config, mapping: &Mapping) -> Vec<ExpectedValue> {
    let mut expected = Vec::new();
    let mut expect = |lead_field: &str, value: &str, set_by: String| {
        for target in mapping.all().iter().filter(|to| to.from == lead_field) {
            expected.push(ExpectedValue {
                field: target.salesforce.clone(),
                value: target.replaced(value.trim()).to_owned(),
                set_by: set_by.clone(),
            });
        }
    };
    for (name, source) in &config.sources {
        if let Some(lead_source) = &source.lead_source {
            let set_by = format!("lead_source in [sources.{name}]");
            expect("lead_source", lead_source, set_by);
        }
        for (lead_field, from) in &source.fields {
            for value in from.values.values() {
                let set_by = format!("values of {lead_field} in [sources.{name}.fields]");
                expect(lead_field, value, set_by);
            }
        }
    }
    for target in mapping.all() {
        let set_by = |what| format!("{what} of {} in [salesforce.lead]", target.salesforce);
        let values = target.values.values().map(|value| (value, "values"));
        let default = target.default.iter().map(|value| (value, "default"));
        for (value, what) in values.chain(default) {
            expected.push(ExpectedValue {
                field: target.salesforce.clone(),
                value: value.trim().to_owned(),
                set_by: set_by(what),
            });
        }
    }
    expected.retain(|expected| {
        !expected.value.is_empty() && mapping.policy(&expected.field) != WritePolicy::Never
    });
    expected
}

/// Everything that keeps leads from reaching the org, or will. Stops at what hides the rest.
pub async fn examine(
    client: &Client,
    mapping: &Mapping,
    expected: &[ExpectedValue],
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Err(error) = client.sign_in().await {
        let problem = Diagnostic::error("doctor.sign_in", error.to_string());
        return vec![problem.hint(error.hint)];
    }
    match client.versions().await {
        Ok(versions) => found.extend(check_version(&client.config().api_version, &versions)),
        Err(error) => found.push(unreadable("the list of API versions", &error)),
    }
    if !found.is_empty() {
        return found;
    }
    match client.describe(LEAD).await {
        Ok(lead) => {
            found.extend(check_object(&lead));
            found.extend(check_external_id(&lead, &client.config().external_id_field));
            found.extend(check_fields(&lead, mapping));
            found.extend(check_values(&lead, expected));
            found.extend(check_required(
                &lead,
                mapping,
                &client.config().external_id_field,
            ));
        }
        Err(error) => found.push(unreadable("what a Lead is made of", &error)),
    }
    found.extend(check_budget(client).await);
    found
}

fn unreadable(what: &str, error: &CallError) -> Diagnostic {
    let explained = error.explain();
    let message = format!("cannot read {what}: {}", explained.message);
    Diagnostic::error("doctor.unreadable", message).hint(explained.hint)
}

fn warning(code: &'static str, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        ..Diagnostic::error(code, message)
    }
}

fn check_version(version: &str, known: &[String]) -> Option<Diagnostic> {
    if known.iter().any(|known| known == version) {
        return None;
    }
    let message = format!("the org does not have API version {version}");
    let hint = match known.last() {
        Some(latest) => format!("set api_version = \"{latest}\" in [salesforce], its latest"),
        None => "check login_url in [salesforce]: no API version is there".to_owned(),
    };
    Some(Diagnostic::error("doctor.api_version", message).hint(hint))
}

fn check_object(lead: &Describe) -> Option<Diagnostic> {
    (!lead.createable || !lead.updateable).then(|| {
        Diagnostic::error(
            "doctor.lead_not_writable",
            "the integration user may not create and edit leads",
        )
        .hint(
            "Setup > Permission Sets > the integration user's > Object Settings > Leads: tick \
             Read, Create and Edit (and View All, if leads are private)",
        )
    })
}

fn check_external_id(lead: &Describe, name: &str) -> Vec<Diagnostic> {
    let place = format!("Setup > Object Manager > Lead > Fields & Relationships > {name}");
    let Some(field) = lead.field(name) else {
        let message = format!("Lead has no field `{name}`, or it is hidden from the user");
        let label = name.strip_suffix("__c").unwrap_or(name);
        let hint = format!(
            "Setup > Object Manager > Lead > Fields & Relationships > New > Text: length 64, name \
             {label}, tick External ID and Unique (case insensitive); then Setup > Permission \
             Sets > the integration user's > Object Settings > Leads: tick Read and Edit Access \
             for it{}",
            did_you_mean(name, lead.fields.iter().map(|field| field.name.as_str()))
        );
        return vec![Diagnostic::error("doctor.external_id_missing", message).hint(hint)];
    };
    let mut found = Vec::new();
    let mut problem = |code, what: &str, hint: String| {
        let message = format!("the external id field `{name}` {what}");
        found.push(Diagnostic::error(code, message).hint(hint));
    };
    if !field.external_id {
        problem(
            "doctor.external_id_not_external",
            "is not marked as External ID, so that nothing can be upserted by it",
            format!("{place} > Edit: tick External ID"),
        );
    }
    if !field.unique {
        problem(
            "doctor.external_id_not_unique",
            "is not unique, so that two leads can be made at once for one person",
            format!("{place} > Edit: tick Unique, case insensitive"),
        );
    }
    if !field.createable || !field.updateable {
        problem(
            "doctor.external_id_read_only",
            "may not be written by the integration user",
            format!(
                "Setup > Permission Sets > the integration user's > Object Settings > Leads: tick \
                 Edit Access for {name}"
            ),
        );
    }
    if field.r#type != "string" || field.length < EXTERNAL_ID_CHARS {
        problem(
            "doctor.external_id_type",
            &format!("is not a text of at least {EXTERNAL_ID_CHARS} characters"),
            format!("{place} > Edit: make it a Text of length 64"),
        );
    }
    found
}

fn check_fields(lead: &Describe, mapping: &Mapping) -> Vec<Diagnostic> {
    mapping
        .all()
        .iter()
        .filter(|field| field.write != WritePolicy::Never)
        .flat_map(|mapped| match lead.field(&mapped.salesforce) {
            None => vec![missing(lead, mapped)],
            Some(field) => check_field(mapped, field),
        })
        .collect()
}

fn missing(lead: &Describe, mapped: &MappedField) -> Diagnostic {
    let name = &mapped.salesforce;
    let message = format!("Lead has no field `{name}`, or it is hidden from the integration user");
    let edit_access = format!(
        "tick Edit Access for it in Setup > Permission Sets > the integration user's > Object \
         Settings > Leads, or set `{name} = {{ from = \"{}\", write = \"never\" }}` in \
         [salesforce.lead]",
        mapped.from
    );
    if mapped.configured {
        let names = lead.fields.iter().map(|field| field.name.as_str());
        let hint = format!(
            "correct the name{}; if it is right, {edit_access}",
            did_you_mean(name, names)
        );
        return Diagnostic::error("doctor.field_missing", message).hint(hint);
    }
    // Nothing is wrong until a lead brings a value for it.
    warning("doctor.field_missing", message).hint(edit_access)
}

fn check_field(mapped: &MappedField, field: &Field) -> Vec<Diagnostic> {
    let name = &field.name;
    let mut found = Vec::new();
    if field.calculated || !field.createable {
        let message = format!("`{name}` cannot be written by the integration user");
        let hint = if field.calculated {
            "it is computed: map another field".to_owned()
        } else {
            format!(
                "Setup > Permission Sets > the integration user's > Object Settings > Leads: tick \
                 Edit Access for {name}"
            )
        };
        found.push(Diagnostic::error("doctor.field_read_only", message).hint(hint));
        return found;
    }
    if !field.updateable && mapped.write != WritePolicy::CreateOnly {
        let message = format!("`{name}` can be set in new leads, but not changed");
        let hint = format!("set write = \"create_only\" for {name} in [salesforce.lead]");
        found.push(warning("doctor.field_not_updateable", message).hint(hint));
    }
    let is_checkbox = field.r#type == "boolean";
    if mapped.kind == Kind::OptOut && !is_checkbox {
        let message = format!("`{name}` is not a checkbox, but its policy is most_restrictive");
        let hint = "most_restrictive is for opt-outs: choose another policy".to_owned();
        found.push(Diagnostic::error("doctor.field_type", message).hint(hint));
    }
    if is_checkbox && mapped.write == WritePolicy::IfBlank {
        let message = format!("`{name}` is a checkbox, which is never blank");
        let hint = "if_blank sets it in new leads only: choose always or most_restrictive";
        found.push(warning("doctor.checkbox_policy", message).hint(hint));
    }
    let longest = longest_value(mapped);
    if field.length > 0 && field.length < longest {
        let length = field.length;
        let message = format!("`{name}` takes {length} characters, values may have {longest}");
        let hint = format!(
            "lengthen the field in Setup > Object Manager > Lead, or set on_invalid = \
             \"drop_field\" for {name}"
        );
        found.push(warning("doctor.field_short", message).hint(hint));
    }
    found
}

/// The most characters that a value of `mapped` can have; 0 for what is not text.
fn longest_value(mapped: &MappedField) -> usize {
    if mapped.kind != Kind::Text {
        return 0;
    }
    if mapped.max_chars > 0 {
        return mapped.max_chars;
    }
    field::find(&mapped.from).map_or(USUAL_CHARS, |from| from.max_chars)
}

fn check_values(lead: &Describe, expected: &[ExpectedValue]) -> Vec<Diagnostic> {
    expected
        .iter()
        .filter_map(|expected| {
            let field = lead.field(&expected.field)?;
            if field.takes(&expected.value) {
                return None;
            }
            let message = format!(
                "`{}`, {}, is not in the list of `{}`",
                expected.value, expected.set_by, field.name
            );
            let active = field.picklist_values.iter().filter(|choice| choice.active);
            let hint = format!(
                "add it in Setup > Object Manager > Lead > Fields & Relationships > {}, or write \
                 one of its values{}",
                field.name,
                did_you_mean(&expected.value, active.map(|choice| choice.value.as_str()))
            );
            Some(Diagnostic::error("doctor.picklist_value", message).hint(hint))
        })
        .collect()
}

fn check_required(lead: &Describe, mapping: &Mapping, external_id: &str) -> Vec<Diagnostic> {
    lead.fields
        .iter()
        .filter(|field| field.required() && !field.name.eq_ignore_ascii_case(external_id))
        .filter(|field| {
            mapping
                .field(&field.name)
                .is_none_or(|mapped| mapped.write == WritePolicy::Never)
        })
        .map(|field| {
            let message = format!(
                "the org demands `{}` of a lead, and nothing fills it",
                field.name
            );
            let hint = format!(
                "add `{} = {{ from = \"…\", default = \"…\" }}` to [salesforce.lead]",
                field.name
            );
            Diagnostic::error("doctor.required_unfilled", message).hint(hint)
        })
        .collect()
}

async fn check_budget(client: &Client) -> Option<Diagnostic> {
    let limits = match client.limits().await {
        Ok(limits) => limits,
        Err(error) if error.class() == Class::FixPermissions => {
            let message = "the integration user may not read the org's limits".to_owned();
            let hint = "Setup > Permission Sets > the integration user's > System Permissions: \
                        tick View Setup and Configuration";
            return Some(warning("doctor.limits_hidden", message).hint(hint));
        }
        Err(error) => return Some(unreadable("the org's limits", &error)),
    };
    // The header of the last answer is fresher than /limits, which lags by minutes.
    let usage = client
        .usage()
        .or_else(|| usage(limits.get("DailyApiRequests")?))?;
    let left = usage.allowed.saturating_sub(usage.used);
    (left as f64 <= usage.allowed as f64 * LITTLE_LEFT).then(|| {
        let message = format!(
            "the org has {left} of its {} API calls of 24 hours left",
            usage.allowed
        );
        let hint = "Setup > System Overview > API Usage shows which integration uses them";
        warning("doctor.api_budget", message).hint(hint)
    })
}

fn usage(limit: &Limit) -> Option<Usage> {
    Some(Usage {
        used: u64::try_from(limit.max.saturating_sub(limit.remaining)).ok()?,
        allowed: u64::try_from(limit.max).ok()?,
    })
}

/// "; did you mean `X`?" if one of `known` is near.
fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let folded = name.to_lowercase();
    known
        .map(|known| (strsim::jaro_winkler(&folded, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::salesforce::testing::{Org, config, json_answer, token};

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

    /// Runs the doctor over an org with `lead`, where `[salesforce.lead]` is `mapped`.
    async fn doctor(mapped: Value, lead: Value, limits: Value) -> Vec<Diagnostic> {
        let mut config = config();
        config.lead = serde_json::from_value(mapped).unwrap();
        let mapping = Mapping::new(&config);
        let org = Org::with(config.clone());
        org.http.then(token("one"));
        org.http.then(json_answer(
            200,
            json!([{ "version": "61.0" }, { "version": "62.0" }]),
        ));
        org.http.then(json_answer(200, lead));
        org.http.then(json_answer(200, limits));
        let whole = Config {
            server: crate::config::ServerConfig::default(),
            store: crate::config::StoreConfig::default(),
            salesforce: config,
            catalog: crate::connector::Catalog::embedded(),
            sources: std::collections::BTreeMap::new(),
            fenced: Vec::new(),
            hash: String::new(),
        };
        let expected = expected_values(&whole, &mapping);
        examine(&org.client, &mapping, &expected).await
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
        let found = examine(&org.client, &mapping, &[]).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, "doctor.sign_in");
        assert!(found[0].hint.as_deref().unwrap().contains("Run As"));

        let org = Org::signed_in().await;
        org.http
            .then(json_answer(200, json!([{ "version": "67.0" }])));
        let found = examine(&org.client, &mapping, &[]).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, "doctor.api_version");
        assert!(found[0].hint.as_deref().unwrap().contains("\"67.0\""));
    }

    #[tokio::test]
    async fn hidden_limits_and_objects_are_said_with_the_permission() {
        let org = Org::signed_in().await;
        let mapping = Mapping::new(org.client.config());
        org.http
            .then(json_answer(200, json!([{ "version": "62.0" }])));
        let not_found = json!([{ "errorCode": "NOT_FOUND", "message": "does not exist" }]);
        org.http.then(json_answer(404, not_found));
        let forbidden = json!([{ "errorCode": "FORBIDDEN", "message": "no" }]);
        org.http.then(json_answer(403, forbidden));
        let found = examine(&org.client, &mapping, &[]).await;
        let codes: Vec<_> = found.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["doctor.unreadable", "doctor.limits_hidden"]);

        let mut read_only = lead(|_| None);
        read_only["createable"] = false.into();
        check(json!({}), read_only, &["doctor.lead_not_writable"], "tick").await;
    }
}
