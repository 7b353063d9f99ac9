//! Writing many rows.

use std::time::Duration;

use http::{HeaderValue, Method};
use serde::Serialize;

use super::super::call::{ApiError, CallError};
use super::super::client::{Call, Client, READ_TIMEOUT};
use super::super::collections::{RowResult, Saved};
use super::super::id::to_18;
use super::super::query::check_name;
use super::csv::{Csv, CsvUpload};
use super::job::{Job, JobId, JobKind, RawJob, unreadable};

/// The most rows of one job: Salesforce works them off as one batch of 10,000.
pub const MAX_UPLOAD_ROWS: usize = 10_000;

/// The largest table of one job. Salesforce takes 100 MB; the results, which repeat all of it with
/// an id or an error to each row, come in one answer and have to fit into memory.
pub const MAX_UPLOAD_BYTES: usize = 8 * 1024 * 1024;

/// How long an upload may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);

const KIND: JobKind = JobKind::Ingest;

/// What a job does with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Makes a record of each.
    Insert,
    /// Changes the record whose id is in the column `Id`.
    Update,
    /// Changes the record that has the row's key, or makes it: the same job twice makes nothing
    /// twice.
    Upsert {
        /// The column that the key is in.
        external_id_field: &'a str,
    },
}

/// A job to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestSpec<'a> {
    /// Which records.
    pub object: &'a str,
    /// What to do.
    pub operation: Operation<'a>,
    /// The assignment rule to run; none runs none, other than in REST. Updates are assigned, too.
    pub assignment_rule_id: Option<&'a str>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its value in the column that was asked for.
    pub key: String,
    /// Whether it was saved.
    pub result: RowResult,
}

impl Client {
    /// Makes a job that waits for its rows. A job is left behind if nobody ends it, so its id is to
    /// be written down before the upload.
    pub async fn create_ingest(&self, spec: &IngestSpec<'_>) -> Result<Job, CallError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            object: &'a str,
            operation: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            external_id_field_name: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            assignment_rule_id: Option<&'a str>,
            content_type: &'static str,
            line_ending: &'static str,
            column_delimiter: &'static str,
        }
        check_name(spec.object)?;
        let (operation, external_id_field_name) = match spec.operation {
            Operation::Insert => ("insert", None),
            Operation::Update => ("update", None),
            Operation::Upsert { external_id_field } => {
                check_name(external_id_field)?;
                ("upsert", Some(external_id_field))
            }
        };
        let body = Body {
            object: spec.object,
            operation,
            external_id_field_name,
            assignment_rule_id: spec.assignment_rule_id,
            content_type: "CSV",
            line_ending: "LF",
            column_delimiter: "COMMA",
        };
        let path = ["jobs", KIND.name()];
        let call = Call::new(KIND.purpose(), Method::POST, READ_TIMEOUT, &path).json(&body)?;
        let job: RawJob = self.read(call).await?;
        job.read(KIND)
    }

    /// Gives the job its rows; a job takes them once. Nothing is written until
    /// [`Client::close_ingest`], so a lost answer has done no harm: abort the job and make another.
    pub async fn upload_ingest(&self, id: &JobId, upload: &CsvUpload) -> Result<(), CallError> {
        let path = ["jobs", KIND.name(), id.as_str(), "batches"];
        let call = Call::new(KIND.purpose(), Method::PUT, UPLOAD_TIMEOUT, &path)
            .body(HeaderValue::from_static("text/csv"), upload.csv.clone());
        self.call(&call).await?;
        Ok(())
    }

    /// Says that the rows are all there: from here on they are written. If the answer is lost, the
    /// job itself says whether it was heard.
    pub async fn close_ingest(&self, id: &JobId) -> Result<Job, CallError> {
        self.set_bulk_state(KIND, id, "UploadComplete").await
    }

    /// The rows that were saved, each with its value in `key`, in no order. One call.
    pub async fn ingest_saved(&self, id: &JobId, key: &str) -> Result<Vec<JobRow>, CallError> {
        let table = self.ingest_results(id, "successfulResults", key).await?;
        let mut rows = Vec::with_capacity(table.len());
        for row in table.iter() {
            let record = row.get("sf__Id").and_then(to_18);
            let id = record.ok_or_else(|| unreadable(KIND, "a row was saved, but has no id"))?;
            let created = row
                .get("sf__Created")
                .is_some_and(|text| text.eq_ignore_ascii_case("true"));
            rows.push(JobRow {
                key: row.get(key).unwrap_or_default().to_owned(),
                result: RowResult::Saved(Saved { id, created }),
            });
        }
        Ok(rows)
    }

    /// The rows that were refused, likewise.
    pub async fn ingest_refused(&self, id: &JobId, key: &str) -> Result<Vec<JobRow>, CallError> {
        let table = self.ingest_results(id, "failedResults", key).await?;
        Ok(table
            .iter()
            .map(|row| JobRow {
                key: row.get(key).unwrap_or_default().to_owned(),
                result: RowResult::Refused(row_errors(row.get("sf__Error").unwrap_or_default())),
            })
            .collect())
    }

    /// The keys of the rows that the job has not come to.
    pub async fn ingest_unprocessed(
        &self,
        id: &JobId,
        key: &str,
    ) -> Result<Vec<String>, CallError> {
        let table = self.ingest_results(id, "unprocessedrecords", key).await?;
        let keys = table.iter().filter_map(|row| row.get(key));
        Ok(keys.map(str::to_owned).collect())
    }

    async fn ingest_results(
        &self,
        id: &JobId,
        resource: &'static str,
        key: &str,
    ) -> Result<Csv, CallError> {
        let call = KIND
            .call(Method::GET, id, Some(resource))
            .header("accept", HeaderValue::from_static("text/csv"));
        let answer = self.call(&call).await?;
        // Where there are no rows, some versions of the API leave the columns out as well.
        if answer.body().iter().all(u8::is_ascii_whitespace) {
            return Ok(Csv::empty());
        }
        let table = Csv::read(KIND, answer.body())?;
        if table.has(key) || table.is_empty() {
            return Ok(table);
        }
        Err(unreadable(KIND, "its results lack the column of the key"))
    }
}

/// Reads `sf__Error`: `CODE:message:fields --`, as often as there are errors. Messages hold colons
/// and dashes of their own.
pub(super) fn row_errors(text: &str) -> Vec<ApiError> {
    let mut errors = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = end_of_error(rest);
        errors.push(row_error(rest[..end].trim_end_matches('-').trim_end()));
        rest = rest[end..].trim_start();
    }
    errors
}

/// Where the first error of `text` ends: behind the first `--` that ends the text or has another
/// error behind it.
fn end_of_error(text: &str) -> usize {
    text.match_indices("--")
        .map(|(at, dashes)| at + dashes.len())
        .find(|&end| {
            let behind = text[end..].trim_start();
            behind.is_empty() || code_of(behind).is_some()
        })
        .unwrap_or(text.len())
}

/// `CODE` and what follows its colon.
fn code_of(text: &str) -> Option<(&str, &str)> {
    let (code, rest) = text.split_once(':')?;
    let is_code = code.len() > 2
        && code
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_code.then_some((code, rest))
}

fn row_error(text: &str) -> ApiError {
    let Some((code, rest)) = code_of(text) else {
        return ApiError {
            code: "UNKNOWN_ERROR".to_owned(),
            message: text.to_owned(),
            fields: Vec::new(),
            ..ApiError::default()
        };
    };
    let (message, fields) = match rest.rsplit_once(':') {
        Some((message, fields)) if are_fields(fields) => (message, fields),
        _ => (rest, ""),
    };
    ApiError {
        code: code.to_owned(),
        message: message.trim().to_owned(),
        fields: fields
            .split(',')
            .map(str::trim)
            .filter(|field| !field.is_empty())
            .map(str::to_owned)
            .collect(),
        ..ApiError::default()
    }
}

/// Whether `text` lists names of fields, or nothing.
fn are_fields(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.split(',').all(|name| check_name(name.trim()).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::super::Map;
    use super::super::super::testing::{Org, answer, json_answer};
    use super::super::JobState;
    use super::*;

    const ID: &str = "7505g00000AbCdEAAX";
    const KEY: &str = "Leadstream_Id__c";

    fn id() -> JobId {
        JobId::new(ID).unwrap()
    }

    fn row(key: &str, name: &str) -> Map {
        let row = json!({ KEY: key, "LastName": name });
        row.as_object().unwrap().clone()
    }

    #[tokio::test]
    async fn a_job_gets_its_rows_and_is_closed() {
        let org = Org::signed_in().await;
        let job = |state| json_answer(200, json!({ "id": ID, "state": state }));
        org.http.then(job("Open"));
        let spec = IngestSpec {
            object: "Lead",
            operation: Operation::Upsert {
                external_id_field: KEY,
            },
            assignment_rule_id: Some("01Q5g000000AbCdEAK"),
        };
        let made = org.client.create_ingest(&spec).await.unwrap();
        assert_eq!((made.id, made.state), (id(), JobState::Open));
        let sent = org.last();
        assert_eq!(sent.path, "/services/data/v62.0/jobs/ingest");
        assert_eq!(
            sent.json(),
            json!({
                "object": "Lead",
                "operation": "upsert",
                "externalIdFieldName": KEY,
                "assignmentRuleId": "01Q5g000000AbCdEAK",
                "contentType": "CSV",
                "lineEnding": "LF",
                "columnDelimiter": "COMMA",
            })
        );

        org.http.then(answer(201, ""));
        let rows = [row("a", "Müller"), row("b", "Lee")];
        let upload = CsvUpload::write(&[&rows[0], &rows[1]]).unwrap();
        org.client.upload_ingest(&id(), &upload).await.unwrap();
        let sent = org.last();
        assert_eq!(
            (sent.method.as_str(), sent.path.as_str()),
            (
                "PUT",
                &*format!("/services/data/v62.0/jobs/ingest/{ID}/batches")
            )
        );
        assert_eq!(sent.header("content-type"), Some("text/csv"));
        assert_eq!(sent.header("content-encoding"), None);
        assert_eq!(sent.body, "Leadstream_Id__c,LastName\na,Müller\nb,Lee\n");

        org.http.then(job("UploadComplete"));
        let closed = org.client.close_ingest(&id()).await.unwrap();
        assert_eq!(closed.state, JobState::UploadComplete);
        assert_eq!(org.last().json(), json!({ "state": "UploadComplete" }));
    }

    #[tokio::test]
    async fn a_large_table_is_not_compressed() {
        let org = Org::signed_in().await;
        org.http.then(answer(201, ""));
        let row = row("a", &"long ".repeat(5_000));
        let upload = CsvUpload::write(&[&row]).unwrap();
        org.client.upload_ingest(&id(), &upload).await.unwrap();
        assert_eq!(org.last().header("content-encoding"), None);
    }

    #[tokio::test]
    async fn rows_are_found_by_their_keys_in_any_order() {
        let org = Org::signed_in().await;
        org.http.then(answer(
            200,
            "\"sf__Id\",\"sf__Created\",\"LEADSTREAM_ID__C\",\"LastName\"\n\
             \"00Q5g000001AbCd\",\"true\",\"b\",\"Lee\"\n\
             \"00Q5g000001AbCeEAK\",\"false\",\"a\",\"O\"\"Hara\nTwo\"\n",
        ));
        let saved = org.client.ingest_saved(&id(), KEY).await.unwrap();
        let saved_row = |key: &str, id: &str, created| JobRow {
            key: key.to_owned(),
            result: RowResult::Saved(Saved {
                id: to_18(id).unwrap(),
                created,
            }),
        };
        assert_eq!(
            saved,
            [
                saved_row("b", "00Q5g000001AbCd", true),
                saved_row("a", "00Q5g000001AbCeEAK", false),
            ]
        );

        org.http.then(answer(
            200,
            "\"sf__Id\",\"sf__Error\",\"Leadstream_Id__c\"\n\
             \"\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --\",\"c\"\n",
        ));
        let refused = org.client.ingest_refused(&id(), KEY).await.unwrap();
        let RowResult::Refused(errors) = &refused[0].result else {
            panic!("{refused:?}");
        };
        assert_eq!(refused[0].key, "c");
        assert_eq!(errors[0].code, "REQUIRED_FIELD_MISSING");
        assert_eq!(errors[0].fields, ["LastName"]);

        org.http.then(answer(
            200,
            "\"Leadstream_Id__c\",\"LastName\"\n\"d\",\"Lee\"\n",
        ));
        let left = org.client.ingest_unprocessed(&id(), KEY).await.unwrap();
        assert_eq!(left, ["d"]);
        for nothing in ["", "\n", "\"sf__Id\",\"sf__Created\"\n"] {
            org.http.then(answer(200, nothing));
            assert_eq!(org.client.ingest_saved(&id(), KEY).await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn results_that_cannot_be_told_apart_are_a_lost_answer() {
        let org = Org::signed_in().await;
        for body in [
            "\"sf__Id\",\"sf__Created\"\n\"00Q5g000001AbCd\",\"true\"\n",
            "\"sf__Id\",\"sf__Created\",\"Leadstream_Id__c\"\n\"\",\"true\",\"a\"\n",
            "\"sf__Id\",\"sf__Created\",\"Leadstream_Id__c\"\n\"00Q5g000001AbCd\",\"tr",
        ] {
            org.http.then(answer(200, body));
            let error = org.client.ingest_saved(&id(), KEY).await.unwrap_err();
            assert!(error.maybe_carried_out(), "{body}");
            assert!(!format!("{error} {error:?}").contains("00Q5"), "{error:?}");
        }
    }

    fn check(text: &str, expect: &[(&str, &str, &[&str])]) {
        let errors = row_errors(text);
        let found: Vec<_> = errors
            .iter()
            .map(|error| {
                let fields: Vec<&str> = error.fields.iter().map(String::as_str).collect();
                (error.code.as_str(), error.message.as_str(), fields)
            })
            .collect();
        let expect: Vec<_> = expect
            .iter()
            .map(|(code, message, fields)| (*code, *message, fields.to_vec()))
            .collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn the_error_of_a_row_is_taken_apart() {
        check(
            "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --",
            &[(
                "REQUIRED_FIELD_MISSING",
                "Required fields are missing: [LastName]",
                &["LastName"],
            )],
        );
        check(
            "DUPLICATES_DETECTED:Use one of these records?:--",
            &[("DUPLICATES_DETECTED", "Use one of these records?", &[])],
        );
        check(
            "FIELD_CUSTOM_VALIDATION_EXCEPTION:Zip -- code: 5 digits:--\
             INVALID_EMAIL_ADDRESS:Email: invalid email address: a@@b:Email --",
            &[
                (
                    "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                    "Zip -- code: 5 digits",
                    &[],
                ),
                (
                    "INVALID_EMAIL_ADDRESS",
                    "Email: invalid email address: a@@b",
                    &["Email"],
                ),
            ],
        );
        check(
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: System.LimitException: line 1, column 1: []:--",
            &[(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "T: System.LimitException: line 1, column 1: []",
                &[],
            )],
        );
        check(
            "FIELD_INTEGRITY_EXCEPTION:There is a problem:State,Country --",
            &[(
                "FIELD_INTEGRITY_EXCEPTION",
                "There is a problem",
                &["State", "Country"],
            )],
        );
        check(
            "Something else",
            &[("UNKNOWN_ERROR", "Something else", &[])],
        );
        check("", &[]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart(text in "\\PC{0,80}") {
            let errors = row_errors(&text);
            prop_assert_eq!(errors.is_empty(), text.trim().is_empty());
        }

        #[test]
        fn the_end_of_an_error_is_found(text in "([A-Z]{3}:)?[a-z:\\- ]{0,10}(--)?([A-Z]{3}:[a-z ]{0,4}:--)?") {
            let errors = row_errors(&text);
            prop_assert_eq!(errors.is_empty(), text.trim().is_empty());
        }
    }
}
