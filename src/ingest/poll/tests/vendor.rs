//! A vendor in memory: lists its records in each of the ways that manifests know, and misbehaves.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::connector::mechanism::auth::CredentialFacts;
use crate::connector::mechanism::call::{Answer, CallError, Next, Request, Target, Vendor};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: String,
    /// Last change, in milliseconds.
    pub at: i64,
    /// Times that it has changed.
    pub version: u32,
}

/// How it lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// By number of the page, in no promised order.
    Page,
    /// By how many come before.
    Offset,
    /// Newest first, by a token.
    Token,
    /// By the whole address of the next page.
    NextUrl,
    /// Newest first, by the id of the last one.
    AfterLast,
    /// Oldest first, by the cursor itself.
    Keyed,
    /// Newest first, by a token, without a `since`.
    Stops,
}

pub const STYLES: [Style; 7] = [
    Style::Page,
    Style::Offset,
    Style::Token,
    Style::NextUrl,
    Style::AfterLast,
    Style::Keyed,
    Style::Stops,
];

impl Style {
    /// The manifest of a vendor that lists so.
    pub fn manifest(self, size: usize) -> String {
        let (query, cursor, paging) = match self {
            Self::Page => (
                r#"since = "{cursor}""#,
                "",
                r#"style = "page", query = "page""#,
            ),
            Self::Offset => (
                r#"since = "{cursor}""#,
                "",
                r#"style = "offset", query = "offset", total = "total""#,
            ),
            Self::Token => (
                r#"since = "{cursor}""#,
                r#", order = "descending""#,
                r#"style = "token", query = "token", from = "next""#,
            ),
            Self::NextUrl => (
                r#"since = "{cursor}""#,
                "",
                r#"style = "next_url", from = "next_url""#,
            ),
            Self::AfterLast => (
                r#"since = "{cursor}""#,
                r#", order = "descending""#,
                r#"style = "after_last", query = "before", from = "id""#,
            ),
            Self::Keyed => (
                r#"since = "{cursor}""#,
                r#", order = "ascending""#,
                r#"style = "cursor", query = "offset", total = "total""#,
            ),
            Self::Stops => (
                "",
                r#", order = "descending", stops = true"#,
                r#"style = "token", query = "token", from = "next""#,
            ),
        };
        format!(
            r#"
            name = "stand-in"
            title = "Stand-in"
            help = "a stand-in"
            base_url = "https://api.example.com"
            hosts = ["api.example.com"]
            [poll]
            schedule = "*/5 * * * *"
            path = "/items"
            query = {{ {query} }}
            records = "items"
            cursor = {{ from = "at", format = "rfc3339_seconds", overlap_seconds = 2{cursor} }}
            paging = {{ {paging}, size = {size}, size_query = "limit" }}
            [record]
            id = "id"
            version = "version"
            at = {{ from = "at" }}
            "#
        )
    }
}

/// What it answers next, in place of a page.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This.
    Error(Next),
    /// That it does not take the request.
    Refused,
    /// Half a page of JSON.
    Torn,
}

#[derive(Debug)]
pub struct StandIn {
    style: Style,
    pub state: Mutex<State>,
}

#[derive(Debug, Default)]
pub struct State {
    pub rows: Vec<Row>,
    /// Answers instead of pages, by the number of the call.
    pub faults: BTreeMap<u64, Fault>,
    /// Changes before pages, by the number of the call.
    pub changes: BTreeMap<u64, Change>,
    /// Tokens of walks that began before this call are no longer good.
    pub tokens_since: u64,
    /// Whatever is asked for with this in its address is refused.
    pub refused: Option<&'static str>,
    /// What is known of the credential.
    pub credential: Option<CredentialFacts>,
    pub calls: u64,
    /// The targets of all calls.
    pub asked: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum Change {
    Insert(Row),
    /// A record changes: it is now the newest.
    Edit(usize, i64),
    /// All tokens given so far expire.
    Expire,
}

impl StandIn {
    pub fn new(style: Style, rows: Vec<Row>) -> Self {
        let state = State {
            rows,
            ..State::default()
        };
        Self {
            style,
            state: Mutex::new(state),
        }
    }

    fn page(
        &self,
        state: &mut State,
        query: &BTreeMap<String, String>,
    ) -> Result<Value, CallError> {
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
        let limit = number("limit").unwrap_or(10);
        let since = query.get("since").map(|text| {
            let at: jiff::Timestamp = text.parse().unwrap();
            at.as_millisecond()
        });
        let mut rows: Vec<Row> = state
            .rows
            .iter()
            .filter(|row| {
                // By the second, and inclusive.
                since.is_none_or(|since| row.at.div_euclid(1000) >= since.div_euclid(1000))
            })
            .cloned()
            .collect();
        rows.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        if matches!(self.style, Style::Token | Style::AfterLast | Style::Stops) {
            rows.reverse();
        }
        let total = rows.len();
        let token = query.get("token").or_else(|| query.get("c"));
        let start = match (self.style, token) {
            (Style::Page, _) => (number("page").unwrap() - 1) * limit,
            (Style::Offset | Style::Keyed, _) => number("offset").unwrap(),
            (Style::AfterLast, _) => match query.get("before") {
                Some(id) => match rows.iter().position(|row| row.id == *id) {
                    Some(index) => index + 1,
                    // As Typeform: a token that is not known is ignored.
                    None => 0,
                },
                None => 0,
            },
            (_, None) => 0,
            (_, Some(token)) => {
                let parts: Vec<&str> = token.split('~').collect();
                let given: u64 = parts[0].parse().unwrap();
                if given < state.tokens_since {
                    return Err(error(Next::Restart));
                }
                // What a token pins: all behind this record.
                let pinned = (parts[1].parse::<i64>().unwrap(), parts[2].to_owned());
                let is_behind = |row: &Row| match self.style {
                    Style::NextUrl => (row.at, row.id.clone()) > pinned,
                    _ => (row.at, row.id.clone()) < pinned,
                };
                rows.iter().position(is_behind).unwrap_or(total)
            }
        };
        let page: Vec<Row> = rows.iter().skip(start).take(limit).cloned().collect();
        let mut answer = json!({
            "items": page.iter().map(Row::json).collect::<Vec<_>>(),
            "total": total,
        });
        if let Some(last) = page.last()
            && start + page.len() < total
        {
            let token = format!("{}~{}~{}", state.calls, last.at, last.id);
            answer["next_url"] = format!(
                "https://api.example.com/items?limit={limit}&c={token}&since={}",
                query.get("since").map_or("", String::as_str)
            )
            .into();
            answer["next"] = token.into();
        }
        Ok(answer)
    }
}

impl Row {
    pub fn new(id: usize, at: i64) -> Self {
        Self {
            id: format!("r{id:05}"),
            at,
            version: 1,
        }
    }

    fn json(&self) -> Value {
        let at = crate::model::Millis(self.at).to_string();
        json!({ "id": self.id, "at": at, "version": self.version, "email": format!("{}@example.org", self.id) })
    }
}

#[async_trait]
impl Vendor for StandIn {
    async fn call(&self, request: Request) -> Result<Answer, CallError> {
        // A point at which a crash may come before anything is asked.
        tokio::task::yield_now().await;
        let mut state = self.state.lock();
        state.calls += 1;
        let call = state.calls;
        let (Target::Path(target) | Target::Url(target)) = &request.target;
        state.asked.push(target.clone());
        match state.changes.remove(&call) {
            Some(Change::Insert(row)) => state.rows.push(row),
            Some(Change::Edit(index, at)) => {
                let count = state.rows.len();
                let row = &mut state.rows[index % count];
                row.at = at;
                row.version += 1;
            }
            Some(Change::Expire) => state.tokens_since = call,
            None => {}
        }
        let fault = state.faults.remove(&call);
        if let Some(Fault::Error(next)) = fault {
            return Err(error(next));
        }
        let is_refused = state.refused.is_some_and(|part| target.contains(part));
        if is_refused || matches!(fault, Some(Fault::Refused)) {
            return Err(CallError {
                code: "vendor.refused",
                ..error(Next::Pause)
            });
        }
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let mut query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        query.retain(|_, value| !value.is_empty());
        let page = self.page(&mut state, &query)?;
        let mut body = page.to_string();
        if matches!(fault, Some(Fault::Torn)) {
            body.truncate(body.len() / 2);
        }
        Ok(Answer {
            headers: HeaderMap::new(),
            body: Bytes::from(body),
        })
    }

    async fn credential(&self) -> Option<CredentialFacts> {
        self.state.lock().credential.clone()
    }
}

pub fn error(next: Next) -> CallError {
    CallError {
        next,
        code: "vendor.stand_in",
        message: "the stand-in says no".to_owned(),
        hint: "let it".to_owned(),
    }
}

pub fn retry() -> Fault {
    Fault::Error(Next::Retry(Some(Duration::from_secs(1))))
}
