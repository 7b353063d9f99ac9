//! What an object is made of, for the user that asks: a field that the user may not see is absent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use parking_lot::RwLock;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::Notify;

use super::call::{CallError, Lost};
use super::client::{Call, Client, READ_TIMEOUT};
use super::query::check_name;

/// An object and its fields. Source: REST API guide, "sObject Describe"; of the fields' keys the
/// partner WSDL's `Field`. It is kept and read back in the same form, reduced to what is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Describe {
    /// The API name.
    pub name: String,
    /// What people call one of them.
    #[serde(default, deserialize_with = "null_as_default")]
    pub label: String,
    /// Whether the user may create records.
    #[serde(default)]
    pub createable: bool,
    /// Whether the user may change records.
    #[serde(default)]
    pub updateable: bool,
    /// The fields that the user may see.
    pub fields: Vec<Field>,
    /// The record types.
    #[serde(default, deserialize_with = "null_as_default")]
    pub record_type_infos: Vec<RecordType>,
}

/// A field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Field {
    /// The API name.
    pub name: String,
    /// What people read.
    #[serde(deserialize_with = "null_as_default")]
    pub label: String,
    /// `string`, `textarea`, `boolean`, `int`, `double`, `picklist`, `reference`, ...
    pub r#type: String,
    /// Characters of a text; 0 for others.
    pub length: usize,
    /// Digits of a number, before and behind the point.
    pub precision: u32,
    /// Digits behind the point.
    pub scale: u32,
    /// Digits of a whole number.
    pub digits: u32,
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
    /// Whether `a` and `A` are two values to `unique`.
    pub case_sensitive: bool,
    /// Whether records can be found by it, though it need not be an external id: `Email`.
    pub id_lookup: bool,
    /// Whether it is computed.
    pub calculated: bool,
    /// Whether Salesforce counts it up by itself.
    pub auto_number: bool,
    /// The compound that it is a part of: `Name`, `Address`.
    pub compound_field_name: Option<String>,
    /// The objects that it can point to.
    #[serde(deserialize_with = "null_as_default")]
    pub reference_to: Vec<String>,
    /// Whether Salesforce refuses values that are not in `picklist_values`.
    pub restricted_picklist: bool,
    /// Whether the values to choose from depend on another field's.
    pub dependent_picklist: bool,
    /// That field.
    pub controller_name: Option<String>,
    /// The values to choose from, of all record types together.
    #[serde(deserialize_with = "null_as_default")]
    pub picklist_values: Vec<PicklistValue>,
}

/// A value of a picklist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PicklistValue {
    /// What is sent and stored.
    pub value: String,
    /// What people read.
    #[serde(deserialize_with = "null_as_default")]
    pub label: String,
    /// Whether it can be chosen.
    pub active: bool,
    /// With which values of the controlling field: see [`PicklistValue::is_for`].
    pub valid_for: Option<String>,
}

/// A record type, as far as the user may use it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RecordType {
    /// Its id.
    pub record_type_id: String,
    /// What people read.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Its API name.
    #[serde(deserialize_with = "null_as_default")]
    pub developer_name: String,
    /// Whether it is in use.
    pub active: bool,
    /// Whether the user may create records of it.
    pub available: bool,
    /// Whether it is what the user's new records get.
    pub default_record_type_mapping: bool,
    /// Whether it is the one that stands for "none".
    pub master: bool,
}

/// An object as it was described, and what to ask with the next time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The object.
    pub object: Describe,
    /// `Last-Modified` of the answer, to be given back as `If-Modified-Since`.
    pub last_modified: Option<String>,
}

/// What the org's objects are made of, as far as it is known; shared by whoever writes to them.
#[derive(Debug, Default)]
pub struct Describes {
    known: RwLock<BTreeMap<String, Arc<Describe>>>,
    doubted: AtomicBool,
    doubt_came: Notify,
}

fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Describes {
    /// The object of that API name, if it was ever described.
    pub fn get(&self, object: &str) -> Option<Arc<Describe>> {
        self.known.read().get(object).cloned()
    }

    /// All that are known, by name.
    pub fn all(&self) -> BTreeMap<String, Arc<Describe>> {
        self.known.read().clone()
    }

    /// From now on the object is this.
    pub fn put(&self, object: Describe) {
        let name = object.name.clone();
        self.known.write().insert(name, Arc::new(object));
    }

    /// A refusal said that the org is not as it was described.
    pub fn doubt(&self) {
        if !self.doubted.swap(true, Ordering::Relaxed) {
            self.doubt_came.notify_one();
        }
    }

    /// Whether there is such a doubt.
    pub fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }

    /// The org has just been asked.
    pub fn settle_doubt(&self) {
        self.doubted.store(false, Ordering::Relaxed);
    }

    /// Comes back when the next doubt comes.
    pub async fn doubt_came(&self) {
        self.doubt_came.notified().await;
    }
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

    /// Whether nobody can ever write it.
    pub fn is_computed(&self) -> bool {
        self.calculated || self.auto_number
    }

    /// Whether Salesforce takes `value`, as far as the list of values says.
    pub fn takes(&self, value: &str) -> bool {
        !self.restricted_picklist
            || self
                .picklist_values
                .iter()
                .any(|choice| choice.active && choice.value == value)
    }

    /// The values that can be chosen.
    pub fn choices(&self) -> impl Iterator<Item = &PicklistValue> {
        self.picklist_values.iter().filter(|choice| choice.active)
    }

    /// The value that can be chosen and that `text` means: the same, the same in another case, or
    /// what people read for it.
    pub fn choice(&self, text: &str) -> Option<&PicklistValue> {
        let folded = text.trim().to_lowercase();
        self.choices()
            .find(|choice| choice.value == text)
            .or_else(|| {
                self.choices()
                    .find(|choice| choice.value.to_lowercase() == folded)
            })
            .or_else(|| {
                self.choices()
                    .find(|choice| choice.label.to_lowercase() == folded)
            })
    }
}

impl PicklistValue {
    /// Whether it can be chosen where the controlling field has the value at `index` of its own
    /// list (inactive ones count); true if nothing is said of that. `validFor` is a base64 bitmap,
    /// its first bit the highest of the first byte. Source: `PicklistEntry` of the SOAP API guide.
    pub fn is_for(&self, index: usize) -> bool {
        let Some(bitmap) = &self.valid_for else {
            return true;
        };
        let Ok(bits) = STANDARD.decode(bitmap) else {
            return true;
        };
        bits.get(index / 8)
            .is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }
}

impl Client {
    /// Describes `object` as the integration user sees it.
    pub async fn describe(&self, object: &str) -> Result<Describe, CallError> {
        check_name(object)?;
        let path = ["sobjects", object, "describe"];
        self.read(Call::new(PURPOSE, Method::GET, READ_TIMEOUT, &path))
            .await
    }

    /// The same if it has changed since `last_modified`, which an earlier answer told; none if it
    /// has not. It is one call either way. That the user's permissions have changed need not move
    /// the date: without one, the answer is always whole.
    pub async fn describe_if_changed(
        &self,
        object: &str,
        last_modified: Option<&str>,
    ) -> Result<Option<Described>, CallError> {
        check_name(object)?;
        let path = ["sobjects", object, "describe"];
        let mut call = Call::new(PURPOSE, Method::GET, READ_TIMEOUT, &path);
        if let Some(since) = last_modified.and_then(|since| HeaderValue::from_str(since).ok()) {
            call = call.header("if-modified-since", since);
        }
        let answer = match self.call(&call).await {
            Ok(answer) => answer,
            Err(CallError::Refused { status: 304, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let last_modified = answer
            .headers()
            .get(http::header::LAST_MODIFIED)
            .and_then(|date| date.to_str().ok())
            .map(str::to_owned);
        let object = serde_json::from_slice(answer.body()).map_err(|error| Lost::Unreadable {
            purpose: PURPOSE,
            reason: format!("{:?} error at line {}", error.classify(), error.line()),
        })?;
        Ok(Some(Described {
            object,
            last_modified,
        }))
    }
}

const PURPOSE: &str = "describe";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Org, answer, json_answer};
    use super::*;

    #[tokio::test]
    async fn an_object_that_has_not_changed_is_not_sent_again() {
        let org = Org::signed_in().await;
        let lead = json!({
            "name": "Lead", "label": "Lead", "createable": true, "custom": false,
            "fields": [{
                "name": "Industry", "label": null, "type": "picklist", "length": 255,
                "compoundFieldName": null, "referenceTo": null, "restrictedPicklist": true,
                "picklistValues": [{ "value": "Banking", "label": null, "active": true, "validFor": null }],
            }],
        });
        let mut whole = json_answer(200, lead).unwrap();
        let date = "Thu, 05 Jul 2026 15:31:30 GMT";
        let header = HeaderValue::from_static("Thu, 05 Jul 2026 15:31:30 GMT");
        whole.headers_mut().insert("Last-Modified", header);
        org.http.then(Ok(whole));
        let first = org.client.describe_if_changed("Lead", None).await.unwrap();
        let first = first.unwrap();
        assert_eq!(first.last_modified.as_deref(), Some(date));
        assert!(first.object.field("industry").unwrap().takes("Banking"));
        assert_eq!(org.last().header("if-modified-since"), None);

        org.http.then(answer(304, ""));
        let second = org.client.describe_if_changed("Lead", Some(date)).await;
        assert_eq!(second.unwrap(), None);
        assert_eq!(org.last().header("if-modified-since"), Some(date));

        // As it is kept, it is read back.
        let kept = serde_json::to_string(&first.object).unwrap();
        let read: Describe = serde_json::from_str(&kept).unwrap();
        assert_eq!(read, first.object);
    }

    #[test]
    fn a_dependent_value_is_known_by_its_bit() {
        let value = |bits: &[u8]| PicklistValue {
            valid_for: Some(STANDARD.encode(bits)),
            ..PicklistValue::default()
        };
        let first_and_ninth = value(&[0b1000_0000, 0b1000_0000]);
        let found: Vec<usize> = (0..20)
            .filter(|index| first_and_ninth.is_for(*index))
            .collect();
        assert_eq!(found, [0, 8]);
        assert!(PicklistValue::default().is_for(3));
    }
}
