//! The way to Salesforce, and Salesforce itself: the sandbox's router in this process, with faults
//! before and behind it.

use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use leadstream::edge::http::{Http, HttpError, Limits};
use leadstream::sandbox::Sandbox;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use super::history::{Followed, History};
use super::points::{ANSWER, Points, REQUEST, Verdict};
use super::schedule::{AnswerFault, RequestFault, ServerError};

const HOST: &str = "the org";

/// How late a write may come that its sender has given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    /// Before the next write of any of its leads: Salesforce ends a transaction within minutes, and
    /// two of one row wait for each other.
    BeforeTheNextWrite,
    /// At any time. No client could bear that: the API has no write that depends on what is there.
    AnyTime,
}

#[derive(Debug)]
pub struct Network {
    sandbox: Sandbox,
    org: Router,
    points: Arc<Points>,
    lateness: Lateness,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    late: Vec<Late>,
    history: History,
}

/// A request that is still to arrive.
#[derive(Debug)]
struct Late {
    request: Request<Bytes>,
    keys: Vec<String>,
}

impl Network {
    pub fn new(sandbox: &Sandbox, points: Arc<Points>, lateness: Lateness) -> Arc<Self> {
        Arc::new(Self {
            sandbox: sandbox.clone(),
            org: sandbox.router(),
            points,
            lateness,
            state: Mutex::default(),
        })
    }

    /// Requests that are still to arrive.
    pub fn late(&self) -> usize {
        self.state.lock().late.len()
    }

    /// Lets one of them arrive.
    pub fn arrive_late(&self, index: usize) {
        let late = self.state.lock().late.remove(index);
        self.points
            .say(format!("org: {} arrives late", name(&late.request)));
        self.carry_out(&late.request);
    }

    /// The values that each lead had in the org, one after the other.
    pub fn history(&self) -> History {
        self.state.lock().history.clone()
    }

    fn carry_out(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let rows = rows(request);
        if self.lateness == Lateness::BeforeTheNextWrite {
            while let Some(index) = self.late_write_of(&rows) {
                self.arrive_late(index);
            }
        }
        let (head, body) = request.clone().into_parts();
        let request = Request::from_parts(head, Body::from(body));
        let answer = self.org.clone().oneshot(request).now_or_never();
        let (head, body) = answer.unwrap().unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).now_or_never();
        let answer = Response::from_parts(head, body.unwrap().unwrap());
        if !rows.is_empty() {
            self.note(&rows, &answer);
        }
        answer
    }

    /// Notes what the org took of a write.
    fn note(&self, rows: &[Map<String, Value>], answer: &Response<Bytes>) {
        let results: Value = serde_json::from_slice(answer.body()).unwrap();
        let mut line = format!("org: {} write:", answer.status());
        let mut state = self.state.lock();
        for (row, result) in rows.iter().zip(results.as_array().unwrap()) {
            let key = self.key(row);
            if result["success"] == true {
                state.history.note(&key, row);
            }
            write!(line, " {key} {}", result["success"]).unwrap();
            for field in Followed::ALL {
                if let Some(value) = field.of(row) {
                    write!(line, " {field:?}={value}").unwrap();
                }
            }
            line.push(';');
        }
        drop(state);
        self.points.say(line);
    }

    /// The external id of a row; of one that is changed by its id, what its record has, or gets.
    fn key(&self, row: &Map<String, Value>) -> String {
        if let Some(key) = row.get("Leadstream_Id__c") {
            return key.as_str().unwrap().to_owned();
        }
        let mut leads = self.sandbox.records("Lead").into_iter();
        let record = leads.find(|lead| lead["Id"] == row["id"]);
        let key = record.and_then(|lead| Some(lead.get("Leadstream_Id__c")?.as_str()?.to_owned()));
        key.unwrap_or_default()
    }

    fn late_write_of(&self, rows: &[Map<String, Value>]) -> Option<usize> {
        let state = self.state.lock();
        let is_hit = |late: &Late| {
            let mut keys = late.keys.iter();
            keys.any(|late| rows.iter().any(|row| self.key(row) == *late))
        };
        state.late.iter().position(is_hit)
    }

    fn postpone(&self, request: Request<Bytes>) {
        let keys = rows(&request).iter().map(|row| self.key(row)).collect();
        self.state.lock().late.push(Late { request, keys });
    }
}

#[async_trait]
impl Http for Network {
    async fn send(&self, request: Request<Bytes>, _: Limits) -> Result<Response<Bytes>, HttpError> {
        let timeout = || HttpError::Timeout(HOST.to_owned());
        let verdict = self.points.arrive(REQUEST).await;
        let fault = match verdict {
            Verdict::Request(fault) => Some(fault),
            Verdict::Go | Verdict::Fail | Verdict::Answer(_) => None,
        };
        let answer = match fault {
            None => self.carry_out(&request),
            Some(RequestFault::Refused) => {
                return Err(HttpError::Connect {
                    host: HOST.to_owned(),
                    reason: "refused".to_owned(),
                });
            }
            Some(RequestFault::Lost) => return Err(timeout()),
            Some(RequestFault::Late) => {
                self.postpone(request);
                return Err(timeout());
            }
            Some(RequestFault::Doubled) => {
                self.carry_out(&request);
                self.carry_out(&request)
            }
            Some(RequestFault::CopiedLate) => {
                let answer = self.carry_out(&request);
                self.postpone(request);
                answer
            }
            Some(RequestFault::Error(error)) => return Ok(refusal(error)),
        };
        match self.points.arrive(ANSWER).await {
            Verdict::Answer(AnswerFault::Lost) => Err(HttpError::Broken {
                host: HOST.to_owned(),
                reason: "reset".to_owned(),
            }),
            Verdict::Answer(AnswerFault::Late) => Err(timeout()),
            Verdict::Answer(AnswerFault::Gateway) => Ok(page(504)),
            Verdict::Answer(AnswerFault::Cut) => {
                let (head, body) = answer.into_parts();
                Ok(Response::from_parts(head, body.slice(..body.len() / 2)))
            }
            Verdict::Go | Verdict::Fail | Verdict::Request(_) => Ok(answer),
        }
    }
}

fn name(request: &Request<Bytes>) -> String {
    format!("{} {}", request.method(), request.uri().path())
}

/// The leads that a request writes.
fn rows(request: &Request<Bytes>) -> Vec<Map<String, Value>> {
    #[derive(serde::Deserialize)]
    struct Write {
        records: Vec<Map<String, Value>>,
    }
    if request.method() != Method::PATCH {
        return Vec::new();
    }
    let body = request.body();
    let write: Write = if request.headers().contains_key("content-encoding") {
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&body[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        serde_json::from_slice(&unpacked).unwrap()
    } else {
        serde_json::from_slice(body).unwrap()
    };
    let is_lead = |row: &Map<String, Value>| row["attributes"]["type"] == "Lead";
    write.records.into_iter().filter(is_lead).collect()
}

fn page(status: u16) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(b"<html><body>Bad Gateway</body></html>"));
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

fn refusal(error: ServerError) -> Response<Bytes> {
    let (status, code, message): (u16, _, _) = match error {
        ServerError::Page => return page(503),
        ServerError::Unknown => (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred."),
        ServerError::Unavailable => (503, "SERVER_UNAVAILABLE", "We are down for maintenance."),
        ServerError::TooMany => (429, "TOO_MANY_REQUESTS", "Too many requests"),
        ServerError::Limit => (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        ),
        ServerError::Session => (401, "INVALID_SESSION_ID", "Session expired or invalid"),
    };
    let body = json!([{ "errorCode": code, "message": message }]);
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status.try_into().unwrap();
    answer
}
