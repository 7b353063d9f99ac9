//! A running sandbox and a client that is signed in to it.

use std::sync::Arc;

use http::{Method, StatusCode};
use leadstream::edge::clock::ManualClock;
use leadstream::model::Millis;
use leadstream::sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use serde_json::{Map, Value as Json};

use crate::tools::http_client;

/// 2026-03-01T10:00:00Z
pub const NOW: Millis = Millis(1_772_359_200_000);

pub struct TestOrg {
    pub sandbox: Sandbox,
    pub clock: Arc<ManualClock>,
    pub http: reqwest::Client,
    pub url: String,
    pub token: String,
    _running: RunningSandbox,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The only refusal's status, code and message.
    pub fn refusal(&self) -> (u16, String, String) {
        let body = self.json();
        assert_eq!(
            body.as_array().map(Vec::len),
            Some(1),
            "one refusal: {body}"
        );
        let text = |name: &str| body[0][name].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), text("errorCode"), text("message"))
    }

    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str, says: &str) {
        let (seen_status, seen_code, message) = self.refusal();
        assert_eq!(
            (seen_status, seen_code.as_str()),
            (status, code),
            "{message}"
        );
        assert!(message.contains(says), "{message:?} says {says:?}");
    }

    /// The id of a row that was written.
    #[track_caller]
    pub fn id(&self) -> String {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.json()["id"].as_str().expect("an id").to_owned()
    }
}

impl TestOrg {
    pub async fn start() -> Self {
        Self::with(SandboxOptions::default()).await
    }

    pub async fn with(options: SandboxOptions) -> Self {
        let mut org = Self::signed_out(options).await;
        org.sign_in().await;
        org
    }

    pub async fn signed_out(options: SandboxOptions) -> Self {
        let clock = ManualClock::at(NOW);
        let sandbox = Sandbox::new(options, clock.clone());
        let running = sandbox.start().await.expect("a free port");
        Self {
            url: running.url(),
            sandbox,
            clock,
            http: http_client(),
            token: String::new(),
            _running: running,
        }
    }

    pub async fn sign_in(&mut self) {
        let form = "grant_type=client_credentials&client_id=key&client_secret=secret";
        let reply = self.oauth("token", form).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        let token = reply.json()["access_token"].clone();
        self.token = String::from(token.as_str().expect("a token"));
    }

    pub async fn oauth(&self, endpoint: &str, form: &str) -> Reply {
        let request = self
            .http
            .post(format!("{}/services/oauth2/{endpoint}", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        reply(request.send().await.expect("an answer")).await
    }

    /// A request below `/services/data/v62.0`, unless the path starts with `/`.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
    ) -> reqwest::RequestBuilder {
        let url = if path.starts_with('/') {
            format!("{}{path}", self.url)
        } else {
            format!("{}/services/data/v62.0/{path}", self.url)
        };
        let method = Method::try_from(method).expect("a method");
        let request = self.http.request(method, url).bearer_auth(&self.token);
        match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string()),
            None => request,
        }
    }

    pub async fn send(&self, method: &str, path: &str, body: Json) -> Reply {
        reply(
            self.request(method, path, Some(&body))
                .send()
                .await
                .expect("an answer"),
        )
        .await
    }

    pub async fn send_with(
        &self,
        header: (&str, &str),
        method: &str,
        path: &str,
        body: Json,
    ) -> Reply {
        let request = self
            .request(method, path, Some(&body))
            .header(header.0, header.1);
        reply(request.send().await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        reply(
            self.request("GET", path, None)
                .send()
                .await
                .expect("an answer"),
        )
        .await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        reply(
            self.request("DELETE", path, None)
                .send()
                .await
                .expect("an answer"),
        )
        .await
    }

    pub async fn query(&self, soql: &str) -> Reply {
        let encoded: String = form_urlencoded::byte_serialize(soql.as_bytes()).collect();
        self.get(&format!("query?q={encoded}")).await
    }

    /// Creates a lead and returns its id.
    pub async fn lead(&self, fields: Json) -> String {
        self.send("POST", "sobjects/Lead", lead(fields)).await.id()
    }
}

pub async fn reply(response: reqwest::Response) -> Reply {
    Reply {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.expect("a whole body"),
    }
}

/// A lead that nothing is wrong with, and these fields.
pub fn lead(fields: Json) -> Json {
    let mut lead = serde_json::json!({ "LastName": "Lee", "Company": "Acme" });
    merge(&mut lead, fields);
    lead
}

/// The same as a row of a collection.
pub fn row(fields: Json) -> Json {
    let mut row = serde_json::json!({ "attributes": { "type": "Lead" } });
    merge(&mut row, lead(fields));
    row
}

fn merge(into: &mut Json, fields: Json) {
    let Json::Object(fields) = fields else {
        panic!("fields are an object");
    };
    for (name, value) in fields {
        into[name] = value;
    }
}

/// Fields for the sandbox's own methods.
pub fn fields(fields: Json) -> Map<String, Json> {
    fields.as_object().expect("an object").clone()
}
