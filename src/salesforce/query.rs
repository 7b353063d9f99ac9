//! SOQL queries, with their pages.

use std::fmt::Write as _;

use http::Method;
use serde::{Deserialize, Serialize};

use super::Map;
use super::call::{ApiError, CallError, Lost, Unsendable};
use super::client::{Call, Client, READ_TIMEOUT};

/// Salesforce takes 16,384 bytes of URI and headers together; a token can have 2,000 of them.
const MAX_QUERY_BYTES: usize = 12_000;

/// Pages of one query. Each is a call; a page has up to 2,000 rows, often fewer.
const MAX_PAGES: usize = 200;

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The rows, without their `attributes`.
    pub rows: Vec<Map>,
    /// Whether these are all, rather than as many as were asked for.
    pub complete: bool,
}

impl Client {
    /// Runs `soql` and reads pages until there are no more, or `max_rows` rows.
    pub async fn query(&self, soql: &str, max_rows: usize) -> Result<Rows, CallError> {
        self.run_query("query", soql, max_rows).await
    }

    async fn run_query(
        &self,
        resource: &str,
        soql: &str,
        max_rows: usize,
    ) -> Result<Rows, CallError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", soql)
            .finish();
        let mut call = Call::new(QUERY, Method::GET, READ_TIMEOUT, &[resource]).query(query);
        let mut rows = Vec::new();
        for _ in 0..MAX_PAGES {
            let page: Page = self.read(call).await?;
            for mut row in page.records {
                if rows.len() == max_rows {
                    let complete = false;
                    return Ok(Rows { rows, complete });
                }
                row.remove("attributes");
                rows.push(row);
            }
            match page.next_records_url {
                _ if page.done => {
                    let complete = true;
                    return Ok(Rows { rows, complete });
                }
                Some(next) => call = Call::follow(QUERY, &next),
                None => {
                    return Err(Lost::Unreadable {
                        purpose: QUERY,
                        reason: "a page is not the last, but names no other".to_owned(),
                    }
                    .into());
                }
            }
        }
        let complete = false;
        Ok(Rows { rows, complete })
    }

    /// Reads `fields` of the records of `object` whose `field` is one of `keys`, in no order: a
    /// key may have no record, or several where the field is not unique. As many calls as the
    /// length of an address demands, one for about 400 short keys.
    pub async fn find_by_external_ids(
        &self,
        object: &str,
        field: &str,
        keys: &[&str],
        fields: &[&str],
    ) -> Result<Vec<Map>, CallError> {
        check_name(object)?;
        check_name(field)?;
        fields.iter().try_for_each(|field| check_name(field))?;
        let mut found = Vec::new();
        let start = format!(
            "SELECT {} FROM {object} WHERE {field} IN (",
            fields.join(",")
        );
        for chunk in chunks(keys, encoded_length(&start)) {
            let keys: Vec<_> = chunk.iter().map(|key| quote(key)).collect();
            let soql = format!("{start}{})", keys.join(","));
            // Keys are unique but for mistakes: twice as many rows are more than enough.
            let rows = self.query(&soql, chunk.len() * 2 + 100).await?;
            found.extend(rows.rows);
        }
        Ok(found)
    }
}

const QUERY: &str = "query";

/// The most queries in one call. Source: REST API guide, "Composite": of 25 subrequests, five may be
/// queries.
pub const MAX_QUERIES: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    total_size: u64,
    done: bool,
    next_records_url: Option<String>,
    records: Vec<Map>,
}

/// A part of what a query found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryPage {
    /// The rows, without their `attributes`.
    pub rows: Vec<Map>,
    /// How many rows there are in all parts together.
    pub total: u64,
    /// Where the next part is; none if this is the last.
    pub next: Option<String>,
}

impl From<Page> for QueryPage {
    fn from(page: Page) -> Self {
        let mut rows = page.records;
        for row in &mut rows {
            row.remove("attributes");
        }
        Self {
            rows,
            total: page.total_size,
            next: page.next_records_url.filter(|_| !page.done),
        }
    }
}

impl Client {
    /// Runs up to [`MAX_QUERIES`] queries in one call, each of which sees deleted records, too, if
    /// `with_deleted`. Gives the first part of each, or why that one was refused.
    pub async fn query_together(
        &self,
        purpose: &'static str,
        queries: &[String],
        with_deleted: bool,
    ) -> Result<Vec<Result<QueryPage, Vec<ApiError>>>, CallError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            all_or_none: bool,
            collate_subrequests: bool,
            composite_request: Vec<Subrequest>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Subrequest {
            method: &'static str,
            url: String,
            reference_id: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            composite_response: Vec<Subanswer>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Subanswer {
            body: serde_json::Value,
            http_status_code: u16,
        }
        if queries.len() > MAX_QUERIES {
            return Err(Unsendable::TooMany {
                count: queries.len(),
                most: MAX_QUERIES,
            }
            .into());
        }
        let version = &self.config().api_version;
        let resource = if with_deleted { "queryAll" } else { "query" };
        let requests = queries.iter().enumerate().map(|(number, soql)| {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("q", soql)
                .finish();
            Subrequest {
                method: "GET",
                url: format!("/services/data/v{version}/{resource}?{query}"),
                reference_id: format!("q{number}"),
            }
        });
        let body = Body {
            all_or_none: false,
            collate_subrequests: false,
            composite_request: requests.collect(),
        };
        let call = Call::new(purpose, Method::POST, READ_TIMEOUT, &["composite"]).json(&body)?;
        let answer: Answer = self.read(call).await?;
        let count = answer.composite_response.len();
        if count != queries.len() {
            let reason = format!("{count} answers to {} queries", queries.len());
            return Err(Lost::Unreadable { purpose, reason }.into());
        }
        let read = |answer: Subanswer| {
            if answer.http_status_code == 200
                && let Ok(page) = serde_json::from_value::<Page>(answer.body.clone())
            {
                return Ok(QueryPage::from(page));
            }
            Err(serde_json::from_value(answer.body).unwrap_or_default())
        };
        Ok(answer.composite_response.into_iter().map(read).collect())
    }

    /// The part of an answer at `next`, which an earlier part named.
    pub async fn query_next(
        &self,
        purpose: &'static str,
        next: &str,
    ) -> Result<QueryPage, CallError> {
        let page: Page = self.read(Call::follow(purpose, next)).await?;
        Ok(page.into())
    }

    /// Runs `soql`, which sees deleted records, too.
    pub async fn query_all(&self, soql: &str, max_rows: usize) -> Result<Rows, CallError> {
        self.run_query("queryAll", soql, max_rows).await
    }
}

/// `text` as a SOQL string, with its quotes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

/// Refuses what is not the API name of an object or field: it would change the query's meaning.
pub(super) fn check_name(name: &str) -> Result<(), Unsendable> {
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let goes_on_well = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if starts_well && goes_on_well && name.len() <= 100 {
        return Ok(());
    }
    Err(Unsendable::InvalidName(name.to_owned()))
}

/// Splits `keys` so that each part fits into one address behind `start` bytes of query.
fn chunks<'k, 't>(keys: &'k [&'t str], start: usize) -> Vec<&'k [&'t str]> {
    let mut chunks = Vec::new();
    let mut from = 0;
    let mut length = start;
    for (position, key) in keys.iter().enumerate() {
        let more = encoded_length(&quote(key)) + ",".len() * 3;
        if position > from && length + more > MAX_QUERY_BYTES {
            chunks.push(&keys[from..position]);
            from = position;
            length = start;
        }
        length += more;
    }
    if from < keys.len() {
        chunks.push(&keys[from..]);
    }
    chunks
}

fn encoded_length(text: &str) -> usize {
    form_urlencoded::byte_serialize(text.as_bytes())
        .map(str::len)
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::testing::{Org, json_answer};
    use super::*;

    #[tokio::test]
    async fn pages_are_followed_to_the_end() {
        let org = Org::signed_in().await;
        org.http.then(json_answer(
            200,
            json!({
                "totalSize": 2,
                "done": false,
                "nextRecordsUrl": "/services/data/v62.0/query/01g5g-2000",
                "records": [{ "attributes": {}, "Id": "1" }],
            }),
        ));
        let last = json!({ "totalSize": 2, "done": true, "records": [{ "Id": "2" }] });
        org.http.then(json_answer(200, last));
        let soql = "SELECT Id FROM Lead WHERE Name = 'A+B & C'";
        let found = org.client.query(soql, 10).await.unwrap();
        assert!(found.complete);
        assert_eq!(json!(found.rows), json!([{ "Id": "1" }, { "Id": "2" }]));
        let sent = org.http.sent();
        let asked: Vec<_> = form_urlencoded::parse(sent[1].query.as_bytes()).collect();
        assert_eq!(asked, [("q".into(), soql.into())]);
        assert_eq!(sent[2].path, "/services/data/v62.0/query/01g5g-2000");
    }

    #[tokio::test]
    async fn a_query_ends_at_the_rows_that_were_asked_for() {
        let org = Org::signed_in().await;
        let rows = json!([{ "Id": "1" }, { "Id": "2" }]);
        let page = json!({ "totalSize": 2, "done": true, "records": rows });
        org.http.then(json_answer(200, page));
        let found = org.client.query("SELECT Id FROM Lead", 1).await.unwrap();
        assert_eq!((found.rows.len(), found.complete), (1, false));
    }

    #[tokio::test]
    async fn a_next_page_elsewhere_is_not_followed() {
        let org = Org::signed_in().await;
        for next in [
            "https://evil.example/services/data/",
            "//evil.example",
            "/x",
        ] {
            let page = json!({ "done": false, "nextRecordsUrl": next, "records": [] });
            org.http.then(json_answer(200, page));
            assert!(org.client.query("SELECT Id FROM Lead", 1).await.is_err());
        }
        assert_eq!(org.http.sent().len(), 4);
    }

    #[tokio::test]
    async fn records_are_found_by_their_keys() {
        let org = Org::signed_in().await;
        let rows = json!([{ "Id": "1", "Key__c": "it's" }]);
        let page = json!({ "done": true, "records": rows });
        org.http.then(json_answer(200, page));
        let found = org
            .client
            .find_by_external_ids("Lead", "Key__c", &["it's", "b"], &["Id", "Key__c"])
            .await
            .unwrap();
        assert_eq!(json!(found), rows);
        let sent = org.last();
        let (_, asked) = form_urlencoded::parse(sent.query.as_bytes())
            .next()
            .unwrap();
        let soql = r"SELECT Id,Key__c FROM Lead WHERE Key__c IN ('it\'s','b')";
        assert_eq!(asked, soql);
    }

    #[tokio::test]
    async fn no_keys_make_no_call() {
        let org = Org::new();
        let found = org
            .client
            .find_by_external_ids("Lead", "Key__c", &[], &["Id"]);
        assert_eq!(found.await.unwrap(), Vec::<Map>::new());
    }

    #[test]
    fn a_string_cannot_leave_its_quotes() {
        assert_eq!(quote("O'Hara"), r"'O\'Hara'");
        assert_eq!(quote(r"\' OR Id != '"), r"'\\\' OR Id != \''");
        assert_eq!(quote("a\n\u{1}\""), r#"'a\n\u0001\"'"#);
    }

    #[test]
    fn only_names_pass_for_names() {
        for name in ["Lead", "Leadstream_Id__c", "ns__Key__c"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "1st",
            "_x",
            "Id FROM User",
            "a'b",
            "Größe__c",
            "a/b",
            "..",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn chunks_hold_every_key_in_order_and_fit(
            keys in prop::collection::vec("\\PC{0,100}", 0..200),
        ) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let parts = chunks(&keys, 100);
            prop_assert_eq!(parts.concat(), keys.clone());
            for part in parts {
                let text: String = part.iter().map(|key| quote(key) + ",").collect();
                prop_assert!(encoded_length(&text) + 100 <= MAX_QUERY_BYTES);
            }
        }
    }

    #[test]
    fn a_batch_of_leads_is_found_by_one_query() {
        let keys = vec!["0123456789ABC"; 400];
        assert_eq!(chunks(&keys, 600).len(), 1);
    }
}
