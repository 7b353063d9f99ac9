//! What the configuration needs of the org. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, WritePolicy};
use crate::deliver::salesforce::Mapping;
use crate::model::field::Kind;

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

/// An object that is worked with beside Lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededObject {
    /// The API name.
    pub name: &'static str,
    /// Whether records of it are made.
    pub create: bool,
    /// Whether records of it are changed.
    pub update: bool,
    /// What for, as in "so that …".
    pub why: &'static str,
}

/// All that the configuration needs of the org.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations {
    /// Values of picklists.
    pub values: Vec<ExpectedValue>,
    /// Objects beside Lead.
    pub objects: Vec<NeededObject>,
    /// Campaigns by name or id, and which sources name them.
    pub campaigns: BTreeMap<String, String>,
    /// Owners by name, username or id: users and queues.
    pub owners: BTreeMap<String, String>,
    /// Record types of Lead by name or id.
    pub record_types: BTreeMap<String, String>,
    /// Opt-outs that are written, by their names on Lead and Contact.
    pub opt_outs: BTreeSet<String>,
}

impl Expectations {
    /// What `config` needs, whose leads are mapped by `mapping`.
    pub fn of(config: &Config, mapping: &Mapping) -> Self {
        let mut expected = Self {
            values: expected_values(config, mapping),
            ..Self::default()
        };
        expected.objects.push(NeededObject {
            name: "Contact",
            create: false,
            update: true,
            why: "a lead that sales have converted goes on as a Contact",
        });
        for (name, source) in &config.sources {
            if let Some(campaign) = &source.campaign {
                let set_by = format!("campaign in [sources.{name}]");
                expected.campaigns.entry(campaign.clone()).or_insert(set_by);
            }
        }
        if !expected.campaigns.is_empty() {
            let why = "sources name campaigns, which their people join";
            for (name, writes) in [("Campaign", false), ("CampaignMember", true)] {
                expected.objects.push(NeededObject {
                    name,
                    create: writes,
                    update: writes,
                    why,
                });
            }
        }
        for value in &expected.values {
            let named = if value.field.eq_ignore_ascii_case("OwnerId") {
                &mut expected.owners
            } else if value.field.eq_ignore_ascii_case("RecordTypeId") {
                &mut expected.record_types
            } else {
                continue;
            };
            named
                .entry(value.value.clone())
                .or_insert_with(|| value.set_by.clone());
        }
        expected.opt_outs = mapping
            .all()
            .iter()
            .filter(|field| field.kind == Kind::OptOut && field.write != WritePolicy::Never)
            .map(|field| field.salesforce.clone())
            .collect();
        expected
    }
}
