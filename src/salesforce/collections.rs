//! Many rows in one call: sObject Collections.
//!
//! Source: REST API guide, "Upsert Multiple Records with an External ID" and "Get Multiple
//! Records with Fields in the Body".

use std::time::Duration;

use http::{HeaderValue, Method};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};

use super::Map;
use super::call::{ApiError, CallError, Explanation, Lost, Unsendable};
use super::client::{Call, Client, READ_TIMEOUT};
use super::id::{same_record, to_18};
use super::query::check_name;

/// The most records in one upsert.
pub const MAX_UPSERT: usize = 200;

/// The most records in one retrieve.
pub const MAX_RETRIEVE: usize = 2_000;

/// Headers that change what a write does; they hold for all records of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteHeaders {
    /// Whether the org's active assignment rule runs. Salesforce runs it when nothing is said, on
    /// updates as well, so something is always said.
    pub auto_assign: bool,
    /// Whether to save although a duplicate rule that only alerts finds a match.
    pub allow_duplicates: bool,
    /// Whether a duplicate rule that stops a record is to name what it found.
    pub names_duplicates: bool,
    /// An id that Salesforce keeps in its logs beside the call.
    pub request_id: Option<String>,
}

impl WriteHeaders {
    fn add_to(&self, call: Call) -> Call {
        let mut call = call.header("sforce-auto-assign", on_or_off(self.auto_assign));
        // So that a record that is refused says what it is a duplicate of.
        let rule = if self.allow_duplicates {
            "allowSave=true"
        } else {
            "allowSave=false; includeRecordDetails=true"
        };
        if self.allow_duplicates || self.names_duplicates {
            call = call.header(
                "sforce-duplicate-rule-header",
                HeaderValue::from_static(rule),
            );
        }
        let request_id = self.request_id.as_deref();
        if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            call = call.header("x-request-id", id);
        }
        call
    }
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowResult {
    /// It is in Salesforce.
    Saved(Saved),
    /// It was refused, for one or several reasons. Its neighbours are not affected.
    Refused(Vec<ApiError>),
}

impl RowResult {
    /// The refusal in words for people; none for a record that was saved.
    pub fn explain(&self) -> Option<Explanation> {
        match self {
            Self::Saved(_) => None,
            Self::Refused(errors) => Some(Explanation::of(200, errors)),
        }
    }
}

/// A record that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Its 18-character id.
    pub id: String,
    /// Whether it is new.
    pub created: bool,
}

impl Client {
    /// Creates or updates up to [`MAX_UPSERT`] records of `object`, each found by the value of its
    /// `external_id_field`. One refused record does not stop the others. Results are in the order
    /// of `records`.
    ///
    /// A record holds the external id and the fields to set, no `Id`. No key may occur twice.
    pub async fn upsert_collection(
        &self,
        object: &str,
        external_id_field: &str,
        records: &[Map],
        headers: &WriteHeaders,
    ) -> Result<Vec<RowResult>, CallError> {
        check_name(object)?;
        check_name(external_id_field)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        if records.len() > MAX_UPSERT {
            return Err(Unsendable::TooMany {
                count: records.len(),
                most: MAX_UPSERT,
            }
            .into());
        }
        let rows = records.iter().map(|fields| Row { object, fields });
        let path = ["composite", "sobjects", object, external_id_field];
        self.write_rows(UPSERT, Method::PATCH, &path, rows.collect(), headers)
            .await
    }

    /// Changes up to [`MAX_UPSERT`] records, each with its object's name; each holds its `id` and the
    /// fields to set. Salesforce works through them in runs of one object, of which there may be ten:
    /// records of one object have to stand together. Results are in the order of `records`.
    pub async fn update_collection(
        &self,
        records: &[(&str, Map)],
        headers: &WriteHeaders,
    ) -> Result<Vec<RowResult>, CallError> {
        self.write_collection(UPDATE, Method::PATCH, records, headers)
            .await
    }

    /// Makes up to [`MAX_UPSERT`] records, each with its object's name. To be used only where a second
    /// one would be refused or looked for first: should the answer be lost, nobody knows.
    pub async fn create_collection(
        &self,
        records: &[(&str, Map)],
        headers: &WriteHeaders,
    ) -> Result<Vec<RowResult>, CallError> {
        self.write_collection(CREATE, Method::POST, records, headers)
            .await
    }

    async fn write_collection(
        &self,
        purpose: &'static str,
        method: Method,
        records: &[(&str, Map)],
        headers: &WriteHeaders,
    ) -> Result<Vec<RowResult>, CallError> {
        records
            .iter()
            .try_for_each(|(object, _)| check_name(object))?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let rows = records
            .iter()
            .map(|(object, fields)| Row { object, fields });
        let path = ["composite", "sobjects"];
        self.write_rows(purpose, method, &path, rows.collect(), headers)
            .await
    }

    async fn write_rows(
        &self,
        purpose: &'static str,
        method: Method,
        path: &[&str],
        records: Vec<Row<'_>>,
        headers: &WriteHeaders,
    ) -> Result<Vec<RowResult>, CallError> {
        let count = records.len();
        if count > MAX_UPSERT {
            return Err(Unsendable::TooMany {
                count,
                most: MAX_UPSERT,
            }
            .into());
        }
        let body = Body {
            all_or_none: false,
            records,
        };
        let timeout = Duration::from_secs(self.config().request_timeout_seconds);
        let call = headers
            .add_to(Call::new(purpose, method, timeout, path))
            .json(&body)?;
        let rows: Vec<RawResult> = self.read(call).await?;
        if rows.len() != count {
            return Err(unreadable(
                purpose,
                format!("{} results for {count} records", rows.len()),
            ));
        }
        rows.into_iter().map(|row| row.read(purpose)).collect()
    }

    /// Creates or updates one record, as [`Client::upsert_collection`] does. Where a duplicate rule
    /// stops it, the error names the records that it has found: see
    /// [`ApiError::matches`](super::ApiError::matches); a collection names none.
    pub async fn upsert_row(
        &self,
        object: &str,
        external_id_field: &str,
        external_id: &str,
        record: &Map,
        headers: &WriteHeaders,
    ) -> Result<Saved, CallError> {
        check_name(object)?;
        check_name(external_id_field)?;
        let timeout = Duration::from_secs(self.config().request_timeout_seconds);
        let path = ["sobjects", object, external_id_field, external_id];
        // Salesforce takes the key in the address, and refuses it in the body.
        let mut fields = record.clone();
        fields.retain(|name, _| !name.eq_ignore_ascii_case(external_id_field));
        let call = headers
            .add_to(Call::new(UPSERT_ROW, Method::PATCH, timeout, &path))
            .json(&fields)?;
        let row: RawResult = self.read(call).await?;
        match row.read(UPSERT_ROW)? {
            RowResult::Saved(saved) => Ok(saved),
            RowResult::Refused(errors) => Err(CallError::Refused {
                status: 200,
                errors,
            }),
        }
    }

    /// Reads `fields` of the records of `object` with `ids`; none for those that do not exist or
    /// are not to be seen. Results are in the order of `ids`. One call for each
    /// [`MAX_RETRIEVE`] ids.
    ///
    /// A blank field is there, with the value null.
    pub async fn retrieve(
        &self,
        object: &str,
        ids: &[&str],
        fields: &[&str],
    ) -> Result<Vec<Option<Map>>, CallError> {
        #[derive(Serialize)]
        struct Asked<'a> {
            ids: &'a [&'a str],
            fields: &'a [&'a str],
        }
        check_name(object)?;
        fields.iter().try_for_each(|field| check_name(field))?;
        let mut fields = fields.to_vec();
        if !fields.iter().any(|field| field.eq_ignore_ascii_case("Id")) {
            fields.push("Id");
        }
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_RETRIEVE) {
            let body = Asked {
                ids,
                fields: &fields,
            };
            let path = ["composite", "sobjects", object];
            let call = Call::new(RETRIEVE, Method::POST, READ_TIMEOUT, &path).json(&body)?;
            let rows: Vec<Option<Map>> = self.read(call).await?;
            if rows.len() != ids.len() {
                let reason = format!("{} rows for {} ids", rows.len(), ids.len());
                return Err(unreadable(RETRIEVE, reason));
            }
            for (id, mut row) in ids.iter().zip(rows) {
                if let Some(row) = &mut row {
                    row.remove("attributes");
                    if !row_id(row).is_some_and(|found| same_record(found, id)) {
                        let reason = "a row is not the one that was asked for".to_owned();
                        return Err(unreadable(RETRIEVE, reason));
                    }
                }
                found.push(row);
            }
        }
        Ok(found)
    }
}

const UPSERT: &str = "upsert";
const UPSERT_ROW: &str = "upsert_row";
const UPDATE: &str = "update";
const CREATE: &str = "create";
const RETRIEVE: &str = "retrieve";

fn on_or_off(on: bool) -> HeaderValue {
    HeaderValue::from_static(if on { "TRUE" } else { "FALSE" })
}

fn row_id(row: &Map) -> Option<&str> {
    row.get("Id")?.as_str()
}

fn unreadable(purpose: &'static str, reason: String) -> CallError {
    Lost::Unreadable { purpose, reason }.into()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    all_or_none: bool,
    records: Vec<Row<'a>>,
}

/// A record with the `attributes` that say its type.
struct Row<'a> {
    object: &'a str,
    fields: &'a Map,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Attributes<'a> {
            r#type: &'a str,
        }
        let mut row = serializer.serialize_map(Some(self.fields.len() + 1))?;
        row.serialize_entry(
            "attributes",
            &Attributes {
                r#type: self.object,
            },
        )?;
        for (name, value) in self.fields {
            row.serialize_entry(name, value)?;
        }
        row.end()
    }
}

#[derive(Deserialize)]
struct RawResult {
    #[serde(default)]
    id: Option<String>,
    success: bool,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    errors: Vec<ApiError>,
}

impl RawResult {
    fn read(self, purpose: &'static str) -> Result<RowResult, CallError> {
        if !self.success {
            return Ok(RowResult::Refused(self.errors));
        }
        let id =
            self.id.as_deref().and_then(to_18).ok_or_else(|| {
                unreadable(purpose, "a record was saved, but has no id".to_owned())
            })?;
        Ok(RowResult::Saved(Saved {
            id,
            created: self.created,
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{Org, json_answer};
    use super::*;
    use crate::edge::http::HttpError;
    use crate::salesforce::Class;

    const KEY: &str = "Leadstream_Id__c";

    fn records(values: &[Value]) -> Vec<Map> {
        values
            .iter()
            .map(|value| value.as_object().unwrap().clone())
            .collect()
    }

    async fn upsert(
        org: &Org,
        values: &[Value],
        headers: &WriteHeaders,
    ) -> Result<Vec<RowResult>, CallError> {
        let records = records(values);
        org.client
            .upsert_collection("Lead", KEY, &records, headers)
            .await
    }

    #[tokio::test]
    async fn each_record_has_its_own_result() {
        let org = Org::signed_in().await;
        org.http.then(json_answer(
            200,
            json!([
                { "id": "00Q5g000001AbCd", "success": true, "errors": [], "created": true },
                { "success": false, "errors": [
                    { "statusCode": "UNABLE_TO_LOCK_ROW", "message": "unable to obtain", "fields": [] },
                ] },
                { "id": "00Q5g000001AbCeEAK", "success": true, "errors": [], "created": false },
            ]),
        ));
        let leads = [
            json!({ KEY: "a", "LastName": "Lee" }),
            json!({ KEY: "b" }),
            json!({ KEY: "c" }),
        ];
        let results = upsert(&org, &leads, &WriteHeaders::default())
            .await
            .unwrap();
        let id = to_18("00Q5g000001AbCd").unwrap();
        let created = true;
        assert_eq!(results[0], RowResult::Saved(Saved { id, created }));
        assert_eq!(results[1].explain().unwrap().class, Class::RetrySoon);
        assert!(matches!(
            results[2],
            RowResult::Saved(Saved { created: false, .. })
        ));

        let sent = org.last();
        let path = "/services/data/v62.0/composite/sobjects/Lead/Leadstream_Id__c";
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("PATCH", path));
        let lead = json!({ "type": "Lead" });
        assert_eq!(
            sent.json(),
            json!({ "allOrNone": false, "records": [
                { "attributes": lead, KEY: "a", "LastName": "Lee" },
                { "attributes": lead, KEY: "b" },
                { "attributes": lead, KEY: "c" },
            ] })
        );
    }

    #[tokio::test]
    async fn the_assignment_rule_runs_only_when_asked_for() {
        let org = Org::signed_in().await;
        let saved = || {
            let row = json!({ "id": "00Q5g000001AbCd", "success": true, "created": true });
            json_answer(200, json!([row]))
        };
        org.http.then(saved());
        let lead = [json!({ KEY: "a" })];
        upsert(&org, &lead, &WriteHeaders::default()).await.unwrap();
        let sent = org.last();
        assert_eq!(sent.header("sforce-auto-assign"), Some("FALSE"));
        assert_eq!(sent.header("sforce-duplicate-rule-header"), None);

        org.http.then(saved());
        let headers = WriteHeaders {
            auto_assign: true,
            allow_duplicates: true,
            names_duplicates: false,
            request_id: Some("r-1".to_owned()),
        };
        upsert(&org, &lead, &headers).await.unwrap();
        let sent = org.last();
        assert_eq!(sent.header("sforce-auto-assign"), Some("TRUE"));
        assert_eq!(
            sent.header("sforce-duplicate-rule-header"),
            Some("allowSave=true")
        );
        assert_eq!(sent.header("x-request-id"), Some("r-1"));
    }

    #[tokio::test]
    async fn a_large_body_is_compressed_and_a_small_one_is_not() {
        let org = Org::signed_in().await;
        let lead = json!({ KEY: "a", "Description": "long ".repeat(1000) });
        let row = json!({ "id": "00Q5g000001AbCd", "success": true });
        org.http.then(json_answer(200, json!([row])));
        upsert(&org, &[lead], &WriteHeaders::default())
            .await
            .unwrap();
        let sent = org.last();
        assert_eq!(sent.header("content-encoding"), Some("gzip"));
        // The scripted Salesforce has unpacked it.
        assert_eq!(sent.json()["records"][0][KEY], "a");

        org.http.then(json_answer(200, json!([row])));
        upsert(&org, &[json!({ KEY: "a" })], &WriteHeaders::default())
            .await
            .unwrap();
        assert_eq!(org.last().header("content-encoding"), None);
    }

    #[tokio::test]
    async fn results_that_do_not_fit_the_records_are_a_lost_answer() {
        let org = Org::signed_in().await;
        org.http.then(json_answer(200, json!([])));
        let lead = [json!({ KEY: "a" })];
        let error = upsert(&org, &lead, &WriteHeaders::default()).await;
        assert!(error.unwrap_err().maybe_carried_out());
        org.http
            .then(json_answer(200, json!([{ "success": true }])));
        let error = upsert(&org, &lead, &WriteHeaders::default()).await;
        assert!(error.unwrap_err().maybe_carried_out());
    }

    #[tokio::test]
    async fn a_lost_answer_is_not_repeated_by_the_client() {
        let org = Org::signed_in().await;
        org.http.then(Err(HttpError::Broken {
            host: "acme.my.salesforce.com".to_owned(),
            reason: "reset".to_owned(),
        }));
        let lead = [json!({ KEY: "a" })];
        let error = upsert(&org, &lead, &WriteHeaders::default()).await;
        assert!(error.unwrap_err().maybe_carried_out());
        assert_eq!(org.http.sent().len(), 2);
    }

    #[tokio::test]
    async fn what_salesforce_would_refuse_as_a_whole_is_not_sent() {
        let org = Org::new();
        let leads = vec![json!({ KEY: "a" }); 201];
        let headers = WriteHeaders::default();
        let error = upsert(&org, &leads, &headers).await.unwrap_err();
        assert!(matches!(
            error,
            CallError::NotSent(Unsendable::TooMany { count: 201, .. })
        ));
        let one = records(&leads[..1]);
        let error = org
            .client
            .upsert_collection("Lead", "Key/../x", &one, &headers)
            .await;
        assert_eq!(error.unwrap_err().class(), Class::FixConfig);
        assert_eq!(upsert(&org, &[], &headers).await.unwrap(), []);
        assert!(org.http.sent().is_empty());
    }

    #[tokio::test]
    async fn retrieved_rows_are_in_the_order_of_their_ids() {
        let org = Org::signed_in().await;
        let attributes = json!({ "type": "Lead", "url": "/x" });
        org.http.then(json_answer(
            200,
            json!([
                null,
                { "attributes": attributes, "Id": "00Q5g000001AbCeEAK", "Phone": null },
            ]),
        ));
        let ids = ["00Q5g000001AbCd", "00Q5g000001AbCe"];
        let rows = org.client.retrieve("Lead", &ids, &["Phone"]).await.unwrap();
        let found = records(&[json!({ "Id": "00Q5g000001AbCeEAK", "Phone": null })]);
        assert_eq!(rows, [None, found.into_iter().next()]);
        assert_eq!(
            org.last().json(),
            json!({ "ids": ids, "fields": ["Phone", "Id"] })
        );
    }

    #[tokio::test]
    async fn a_row_that_was_not_asked_for_is_not_taken() {
        let org = Org::signed_in().await;
        let row = json!({ "Id": "00Q5g000001XxXxEAK" });
        org.http.then(json_answer(200, json!([row])));
        let rows = org.client.retrieve("Lead", &["00Q5g000001AbCd"], &[]).await;
        assert!(rows.is_err());
    }
}
