//! What an object is made of, for the user that asks: a field that the user may not see is absent.

use http::Method;
use serde::Deserialize;

use super::call::CallError;
use super::client::{Call, Client, READ_TIMEOUT};
use super::query::check_name;

/// An object and its fields. Source: REST API guide, "sObject Describe".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Describe {
    /// The API name.
    pub name: String,
    /// Whether the user may create records.
    #[serde(default)]
    pub createable: bool,
    /// Whether the user may change records.
    #[serde(default)]
    pub updateable: bool,
    /// The fields that the user may see.
    pub fields: Vec<Field>,
}

/// A field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Field {
    /// The API name.
    pub name: String,
    /// What people read.
    pub label: String,
    /// `string`, `textarea`, `boolean`, `int`, `double`, `picklist`, `reference`, ...
    pub r#type: String,
    /// Characters of a text; 0 for others.
    pub length: usize,
    /// Whether the user may set it in a new record.
    pub createable: bool,
    /// Whether the user may change it.
    pub updateable: bool,
    /// Whether it may be blank.
    pub nillable: bool,
    /// Whether Salesforce fills it when nothing is sent.
    pub defaulted_on_create: bool,
    /// Whether records can be found and upserted by it.
    pub external_id: bool,
    /// Whether no two records may hold the same value.
    pub unique: bool,
    /// Whether it is computed.
    pub calculated: bool,
    /// Whether Salesforce refuses values that are not in `picklist_values`.
    pub restricted_picklist: bool,
    /// The values to choose from, of all record types together.
    pub picklist_values: Vec<PicklistValue>,
}

/// A value of a picklist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PicklistValue {
    /// What is sent and stored.
    pub value: String,
    /// Whether it can be chosen.
    pub active: bool,
}

impl Describe {
    /// The field of that name, in any case.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
    }
}

impl Field {
    /// Whether a new record needs a value. A checkbox never does: it is off.
    pub fn required(&self) -> bool {
        self.createable && !self.nillable && !self.defaulted_on_create && self.r#type != "boolean"
    }

    /// Whether Salesforce takes `value`, as far as the list of values says.
    pub fn takes(&self, value: &str) -> bool {
        !self.restricted_picklist
            || self
                .picklist_values
                .iter()
                .any(|choice| choice.active && choice.value == value)
    }
}

impl Client {
    /// Describes `object` as the integration user sees it.
    pub async fn describe(&self, object: &str) -> Result<Describe, CallError> {
        check_name(object)?;
        let path = ["sobjects", object, "describe"];
        self.read(Call::new("describe", Method::GET, READ_TIMEOUT, &path))
            .await
    }
}
