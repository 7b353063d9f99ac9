//! Reading a whole object.

use http::{HeaderMap, HeaderValue, Method};
use serde::Serialize;

use super::super::call::CallError;
use super::super::client::{Call, Client, READ_TIMEOUT};
use super::csv::Csv;
use super::job::{Job, JobId, JobKind, RawJob, unreadable};

/// The most rows of one page. At a few hundred bytes each they stay far below what one answer may
/// have.
pub const MAX_PAGE_ROWS: usize = 50_000;

/// Some of the rows that a query job found.
#[derive(Debug)]
pub struct BulkPage {
    /// The rows, in no order.
    pub rows: Csv,
    /// Where the next page begins; none after the last. Good for as long as the job is.
    pub next: Option<String>,
}

impl Client {
    /// Makes a job that reads what `soql` asks for, with deleted and merged records if
    /// `with_deleted`. No COUNT, GROUP BY, OFFSET, FIELDS(), subqueries or compound fields.
    ///
    /// A job whose id was lost reads for nobody, and harms nobody.
    pub async fn create_bulk_query(
        &self,
        soql: &str,
        with_deleted: bool,
    ) -> Result<Job, CallError> {
        #[derive(Serialize)]
        struct Body<'a> {
            operation: &'static str,
            query: &'a str,
        }
        let body = Body {
            operation: if with_deleted { "queryAll" } else { "query" },
            query: soql,
        };
        let kind = JobKind::Query;
        let path = ["jobs", kind.name()];
        let call = Call::new(kind.purpose(), Method::POST, READ_TIMEOUT, &path).json(&body)?;
        let job: RawJob = self.read(call).await?;
        job.read(kind)
    }

    /// Reads up to `max_rows` rows that the job `id` has found, which must have ended well: from
    /// the first, or from where `locator` says. One call. The same page can be read again.
    pub async fn bulk_query_page(
        &self,
        id: &JobId,
        locator: Option<&str>,
        max_rows: usize,
    ) -> Result<BulkPage, CallError> {
        let kind = JobKind::Query;
        let max_rows = max_rows.clamp(1, MAX_PAGE_ROWS);
        // In a block: the serializer must not live across an await.
        let query = {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("maxRecords", &max_rows.to_string());
            if let Some(locator) = locator {
                query.append_pair("locator", locator);
            }
            query.finish()
        };
        let call = kind
            .call(Method::GET, id, Some("results"))
            .query(query)
            .header("accept", HeaderValue::from_static("text/csv"));
        let answer = self.call(&call).await?;
        let next = match header(answer.headers(), "sforce-locator") {
            // Without it, nobody knows whether these are all.
            None => {
                return Err(unreadable(
                    kind,
                    "a page does not say whether it is the last",
                ));
            }
            Some("null" | "") => None,
            Some(next) => Some(next.to_owned()),
        };
        if next.as_deref().is_some_and(|next| Some(next) == locator) {
            return Err(unreadable(kind, "a page names itself as the next"));
        }
        let said = header(answer.headers(), "sforce-numberofrecords").map(str::parse::<usize>);
        let rows = Csv::read(kind, answer.body())?;
        match said {
            Some(Ok(said)) if said != rows.len() => {
                let reason = format!("a page has {} rows and says {said}", rows.len());
                Err(unreadable(kind, reason))
            }
            _ => Ok(BulkPage { rows, next }),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::testing::{Answer, Org, answer, json_answer};
    use super::super::JobState;
    use super::*;

    const ID: &str = "7505g00000AbCdEAAX";

    fn id() -> JobId {
        JobId::new(ID).unwrap()
    }

    fn page(body: &'static str, headers: &[(&'static str, &'static str)]) -> Answer {
        let mut page = answer(200, body)?;
        for (name, value) in headers {
            page.headers_mut()
                .insert(*name, HeaderValue::from_static(value));
        }
        Ok(page)
    }

    #[tokio::test]
    async fn a_job_is_made_asked_after_and_deleted() {
        let org = Org::signed_in().await;
        let job = |state: &str| {
            json_answer(
                200,
                json!({
                    "id": ID,
                    "operation": "queryAll",
                    "object": "Lead",
                    "state": state,
                    "apiVersion": 62.0,
                    "numberRecordsProcessed": 3,
                }),
            )
        };
        org.http.then(job("UploadComplete"));
        let made = org.client.create_bulk_query("SELECT Id FROM Lead", true);
        let made = made.await.unwrap();
        assert_eq!((made.id, made.state), (id(), JobState::UploadComplete));
        let sent = org.last();
        assert_eq!(sent.path, "/services/data/v62.0/jobs/query");
        assert_eq!(
            sent.json(),
            json!({ "operation": "queryAll", "query": "SELECT Id FROM Lead" })
        );

        org.http.then(job("JobComplete"));
        let asked = org.client.bulk_job(JobKind::Query, &id()).await.unwrap();
        assert!(asked.state.has_ended());
        assert_eq!(asked.processed, 3);
        org.http.then(job("Aborted"));
        let ended = org.client.abort_bulk_job(JobKind::Query, &id()).await;
        assert_eq!(ended.unwrap().state, JobState::Aborted);
        assert_eq!(org.last().json(), json!({ "state": "Aborted" }));
        org.http.then(answer(204, ""));
        org.client
            .delete_bulk_job(JobKind::Query, &id())
            .await
            .unwrap();
        let of_job = format!("/services/data/v62.0/jobs/query/{ID}");
        assert_eq!(
            org.http.lines()[2..],
            [
                format!("GET {of_job}"),
                format!("PATCH {of_job}"),
                format!("DELETE {of_job}"),
            ]
        );
    }

    #[tokio::test]
    async fn pages_are_read_one_by_one() {
        let org = Org::signed_in().await;
        org.http.then(page(
            "\"Id\",\"Owner.Name\",\"Email\"\n\"00Q1\",\"Ann \"\"A\"\" Lee\",\"\"\n",
            &[
                ("Sforce-Locator", "MTAw/+="),
                ("Sforce-NumberOfRecords", "1"),
            ],
        ));
        let first = org.client.bulk_query_page(&id(), None, 1).await.unwrap();
        assert_eq!(org.last().query, "maxRecords=1");
        assert_eq!(first.next.as_deref(), Some("MTAw/+="));
        let row = first.rows.iter().next().unwrap();
        assert_eq!(row.get("owner.name"), Some("Ann \"A\" Lee"));
        assert_eq!((row.get("Email"), row.get("Phone")), (None, None));

        org.http.then(page(
            "\"Id\"\n",
            &[("Sforce-Locator", "null"), ("Sforce-NumberOfRecords", "0")],
        ));
        let last = org
            .client
            .bulk_query_page(&id(), first.next.as_deref(), 900_000)
            .await
            .unwrap();
        assert_eq!((last.rows.len(), last.next), (0, None));
        assert_eq!(org.last().query, "maxRecords=50000&locator=MTAw%2F%2B%3D");
    }

    #[tokio::test]
    async fn a_page_of_which_something_is_missing_is_not_taken() {
        let org = Org::signed_in().await;
        let end = ("Sforce-Locator", "null");
        for (body, headers) in [
            ("\"Id\"\n\"1\"\n", vec![]),
            (
                "\"Id\"\n\"1\"\n",
                vec![end, ("Sforce-NumberOfRecords", "2")],
            ),
            ("\"Id\",\"Email\"\n\"1\"\n", vec![end]),
            ("\"Id\"\n\"1", vec![end, ("Sforce-NumberOfRecords", "2")]),
            ("", vec![end]),
            ("\"Id\"\n\"1\"\n", vec![("Sforce-Locator", "same")]),
        ] {
            org.http.then(page(body, &headers));
            let read = org.client.bulk_query_page(&id(), Some("same"), 10).await;
            assert!(read.unwrap_err().maybe_carried_out(), "{body}");
        }
    }
}
