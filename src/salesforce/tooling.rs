//! The org's own set-up: custom fields and validation rules by the Tooling API, permissions by REST.
//! Source: Tooling API guide, "CustomField"; Object reference, "FieldPermissions".

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::Map;
use super::call::{ApiError, CallError, Unsendable};
use super::client::{Call, Client, READ_TIMEOUT};
use super::query::{Rows, check_name};

/// Making a field can take long in a large org.
const SETUP_TIMEOUT: Duration = Duration::from_secs(120);

const PURPOSE: &str = "setup";

/// What the user may do with an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectAccess {
    /// The API name.
    pub name: String,
    /// Whether records can be made.
    pub createable: bool,
    /// Whether records can be changed.
    pub updateable: bool,
    /// Whether records can be read.
    pub queryable: bool,
}

/// A text field that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextField {
    /// The object, e.g. `Lead`.
    pub object: String,
    /// The API name, with `__c`.
    pub name: String,
    /// What people read.
    pub label: String,
    /// The most characters, up to 255.
    pub length: usize,
    /// External id, and unique in any case: what records are upserted by.
    pub is_key: bool,
}

#[derive(Deserialize)]
struct Made {
    id: Option<String>,
    success: bool,
    #[serde(default)]
    errors: Vec<ApiError>,
}

impl Client {
    /// The objects that the user may see. One call for all of them.
    pub async fn objects(&self) -> Result<Vec<ObjectAccess>, CallError> {
        #[derive(Deserialize)]
        struct Objects {
            sobjects: Vec<ObjectAccess>,
        }
        let call = Call::new("describe", Method::GET, READ_TIMEOUT, &["sobjects"]);
        let objects: Objects = self.read(call).await?;
        Ok(objects.sobjects)
    }

    /// Runs `soql` over the org's set-up, such as `ValidationRule`. The first page is enough: an org
    /// has few of them.
    pub async fn tooling_query(&self, soql: &str) -> Result<Rows, CallError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            done: bool,
            records: Vec<Map>,
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", soql)
            .finish();
        let path = ["tooling", "query"];
        let call = Call::new("query", Method::GET, READ_TIMEOUT, &path).query(query);
        let page: Page = self.read(call).await?;
        let rows = page.records.into_iter().map(|mut row| {
            row.remove("attributes");
            row
        });
        Ok(Rows {
            rows: rows.collect(),
            complete: page.done,
        })
    }

    /// Makes a field. Needs "Customize Application". Nobody sees it before there are field
    /// permissions for it.
    pub async fn create_text_field(&self, field: &TextField) -> Result<(), CallError> {
        check_name(&field.object)?;
        check_name(&field.name)?;
        let mut metadata = json!({
            "type": "Text",
            "label": field.label,
            "length": field.length,
        });
        if field.is_key
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.insert("externalId".to_owned(), true.into());
            metadata.insert("unique".to_owned(), true.into());
            metadata.insert("caseSensitive".to_owned(), false.into());
        }
        let body = json!({
            "FullName": format!("{}.{}", field.object, field.name),
            "Metadata": metadata,
        });
        let path = ["tooling", "sobjects", "CustomField"];
        let call = Call::new(PURPOSE, Method::POST, SETUP_TIMEOUT, &path).json(&body)?;
        self.made(call).await.map(drop)
    }

    /// Makes one record of the org's set-up, such as `FieldPermissions`; returns its id.
    pub async fn create_setup(&self, object: &str, fields: &Map) -> Result<String, CallError> {
        check_name(object)?;
        let path = ["sobjects", object];
        let call = Call::new(PURPOSE, Method::POST, SETUP_TIMEOUT, &path).json(fields)?;
        self.made(call).await
    }

    /// Changes one record of the org's set-up.
    pub async fn update_setup(
        &self,
        object: &str,
        id: &str,
        fields: &Map,
    ) -> Result<(), CallError> {
        check_name(object)?;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Unsendable::Malformed("a record's id is not one".to_owned()).into());
        }
        let path = ["sobjects", object, id];
        let call = Call::new(PURPOSE, Method::PATCH, SETUP_TIMEOUT, &path).json(fields)?;
        self.call(&call).await.map(drop)
    }

    async fn made(&self, call: Call) -> Result<String, CallError> {
        let made: Made = self.read(call).await?;
        match made.id {
            Some(id) if made.success => Ok(id),
            _ => Err(CallError::Refused {
                status: 400,
                errors: made.errors,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Org, answer, json_answer};
    use super::*;

    fn key() -> TextField {
        TextField {
            object: "Lead".to_owned(),
            name: "Leadstream_Id__c".to_owned(),
            label: "Leadstream Id".to_owned(),
            length: 64,
            is_key: true,
        }
    }

    #[tokio::test]
    async fn a_key_is_made_external_unique_and_blind_to_case() {
        let org = Org::signed_in().await;
        let made = json!({ "id": "00N000000000001AAA", "success": true, "errors": [] });
        org.http.then(json_answer(201, made));
        org.client.create_text_field(&key()).await.unwrap();
        let sent = org.last();
        assert_eq!(
            sent.path,
            "/services/data/v62.0/tooling/sobjects/CustomField"
        );
        let expected = json!({
            "FullName": "Lead.Leadstream_Id__c",
            "Metadata": {
                "type": "Text", "label": "Leadstream Id", "length": 64,
                "externalId": true, "unique": true, "caseSensitive": false,
            },
        });
        assert_eq!(sent.json(), expected);

        let error = json!([{ "errorCode": "INSUFFICIENT_ACCESS", "message": "no" }]);
        org.http.then(json_answer(403, error));
        let error = org.client.create_text_field(&key()).await.unwrap_err();
        assert_eq!(error.explain().code, "salesforce.insufficient_access");
    }

    #[tokio::test]
    async fn records_of_the_set_up_are_made_and_changed() {
        let org = Org::signed_in().await;
        let fields = json!({ "Name": "Leadstream" }).as_object().unwrap().clone();
        org.http
            .then(json_answer(201, json!({ "id": "0PS1", "success": true })));
        let made = org.client.create_setup("PermissionSet", &fields).await;
        assert_eq!(made.unwrap(), "0PS1");
        org.http.then(answer(204, ""));
        let changed = org.client.update_setup("PermissionSet", "0PS1", &fields);
        changed.await.unwrap();
        assert_eq!(org.last().method, "PATCH");
        assert!(
            org.client
                .update_setup("PermissionSet", "0/1", &fields)
                .await
                .is_err()
        );
        let not_made = json!({ "success": false, "errors": [{ "statusCode": "DUPLICATE_VALUE" }] });
        org.http.then(json_answer(200, not_made));
        let error = org.client.create_setup("PermissionSet", &fields).await;
        assert_eq!(
            error.unwrap_err().explain().code,
            "salesforce.duplicate_value"
        );
    }

    #[tokio::test]
    async fn the_set_up_is_queried_by_its_own_door() {
        let org = Org::signed_in().await;
        let row = json!({ "attributes": { "type": "ValidationRule" }, "ValidationName": "Region" });
        org.http
            .then(json_answer(200, json!({ "done": true, "records": [row] })));
        let soql = "SELECT ValidationName FROM ValidationRule";
        let found = org.client.tooling_query(soql).await.unwrap();
        assert_eq!(org.last().path, "/services/data/v62.0/tooling/query");
        assert_eq!(json!(found.rows), json!([{ "ValidationName": "Region" }]));
        let lead = json!({ "name": "Lead", "createable": true, "keyPrefix": "00Q" });
        org.http.then(json_answer(
            200,
            json!({ "maxBatchSize": 200, "sobjects": [lead] }),
        ));
        let objects = org.client.objects().await.unwrap();
        assert!(objects[0].createable && !objects[0].updateable);
    }
}
