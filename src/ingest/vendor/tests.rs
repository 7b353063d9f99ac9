//! A vendor's requests through the whole door, with an inbox in memory.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{Request, StatusCode};
use parking_lot::Mutex;
use ring::hmac;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::*;
use crate::config::{Config, ServerConfig, SourceConfig, StoreConfig};
use crate::connector::mechanism::signature::to_hex;
use crate::connector::{Catalog, ConnectorOptions, ManifestSource};
use crate::edge::clock::ManualClock;
use crate::edge::http::{Http, HttpError, Limits};
use crate::ingest::{Append, AppendError, HooksState};
use crate::model::{Door, EventId, NewEvent};

const NOW: Millis = Millis(1_772_442_847_000);

/// Where events go, or why they do not.
#[derive(Debug, Default)]
struct Kept {
    events: Mutex<Vec<NewEvent>>,
    is_broken: Mutex<bool>,
}

#[derive(Debug, Clone, Default)]
struct MemoryInbox(Arc<Kept>);

impl Append for MemoryInbox {
    async fn append(&self, event: NewEvent) -> Result<EventId, AppendError> {
        if *self.0.is_broken.lock() {
            return Err(AppendError::Unavailable);
        }
        let mut events = self.0.events.lock();
        events.push(event);
        Ok(EventId(events.len() as i64))
    }
}

/// Nothing here calls anybody.
#[derive(Debug)]
struct NoNetwork;

#[async_trait::async_trait]
impl Http for NoNetwork {
    async fn send(
        &self,
        _request: Request<Bytes>,
        _limits: Limits,
    ) -> Result<http::Response<Bytes>, HttpError> {
        Err(HttpError::HostNotAllowed("any".to_owned()))
    }
}

/// A door with one source, `acme`.
struct Site {
    state: HooksState<MemoryInbox>,
    inbox: Arc<Kept>,
    hints: Arc<Mutex<Vec<String>>>,
    metrics: Arc<Metrics>,
    secret_file: NamedTempFile,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

const SECRET: &str = "s3cret";

impl Site {
    /// A manifest of which only what concerns webhooks is given. Its option `secret` is set unless
    /// the source is to have none.
    fn with(toml: &str, has_secret: bool) -> Self {
        let manifest = format!(
            r#"
                name = "acme"
                title = "Acme"
                help = "Leads of Acme."
                options.secret = {{ type = "secret", help = "-" }}
                {toml}
            "#
        );
        let manifest = Manifest::parse(&manifest).unwrap();
        let mut secret = NamedTempFile::new().unwrap();
        secret.write_all(SECRET.as_bytes()).unwrap();
        let written = if has_secret {
            json!({ "secret": { "file": secret.path() } })
        } else {
            json!({})
        };
        let options = ManifestSource::read(&Arc::new(manifest), &written).unwrap();
        let source = SourceConfig {
            priority: crate::config::Priority::Normal,
            connector: "acme".to_owned(),
            default_country: None,
            lead_source: None,
            campaign: None,
            base_url: None,
            fields: BTreeMap::new(),
            options: ConnectorOptions::Manifest(Box::new(options)),
        };
        let salesforce = r#"{"login_url":"https://acme.my.salesforce.com","client_id":"x"}"#;
        let config = Config {
            server: ServerConfig {
                max_body_bytes: 2_000,
                ..ServerConfig::default()
            },
            store: StoreConfig::default(),
            salesforce: serde_json::from_str(salesforce).unwrap(),
            sources: BTreeMap::from([(SourceName::new("acme"), source)]),
            fenced: vec![SourceName::new("broken")],
            hash: "test".to_owned(),
            catalog: Catalog::embedded(),
        };
        let inbox = MemoryInbox::default();
        let metrics = Metrics::new();
        let state = HooksState::new(
            &config,
            inbox.clone(),
            ManualClock::at(NOW),
            Arc::new(NoNetwork),
            Arc::clone(&metrics),
        );
        let hints = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&hints);
        state.on_poll_hint(Arc::new(move |source| told.lock().push(source.to_string())));
        Self {
            state,
            inbox: inbox.0,
            hints,
            metrics,
            secret_file: secret,
        }
    }

    fn new(toml: &str) -> Self {
        Self::with(toml, true)
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        let peer = SocketAddr::from(([127, 0, 0, 1], 4_000));
        let answer = self.state.clone().hook_whole(request, peer).await;
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Posts `body`, signed.
    async fn post(&self, body: &str) -> Answer {
        let signature = sign(body);
        let headers = [
            ("x-signature", signature.as_str()),
            ("x-topic", "lead"),
            ("content-type", "application/json"),
        ];
        self.send("POST", "/hooks/acme", &headers, body).await
    }

    fn bodies(&self) -> Vec<String> {
        let events = self.inbox.events.lock();
        let bodies = events.iter().map(|event| event.body.to_vec());
        bodies
            .map(|body| String::from_utf8(body).unwrap())
            .collect()
    }

    fn counts(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|it| it == line)
    }
}

fn sign(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    to_hex(hmac::sign(&key, body.as_bytes()).as_ref())
}

const SIGNED: &str = r#"
    [webhook]
    headers = ["X-Topic"]
    redact = ["key"]
    ignore_when = [
        { from = "type", equals = "ping" },
        { from = "X-Kind", of = "header", equals = "test" },
    ]
    [webhook.signature]
    scheme = "hmac_sha256"
    key = "secret"
    header = "X-Signature"
"#;

#[tokio::test]
async fn a_signed_webhook_is_stored_as_it_came_but_for_its_secrets() {
    let site = Site::new(SIGNED);
    let answer = site
        .post(r#"{"email":"a@b.example", "key":"k3y", "n":1.50}"#)
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let events = std::mem::take(&mut *site.inbox.events.lock());
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        &*event.body,
        br#"{"email":"a@b.example", "key":"", "n":1.50}"#
    );
    assert_eq!(event.content_type, "application/json");
    assert_eq!(event.received_at, NOW);
    assert_eq!(event.meta.door, Door::Webhook);
    assert_eq!(
        event.meta.headers,
        BTreeMap::from([("x-topic".to_owned(), "lead".to_owned())])
    );
    assert!(!event.meta.request_id.is_empty());
    let id = EventId(1).to_string();
    assert_eq!(answer.body, format!(r#"{{"id":"{id}"}}"#));
    assert_eq!(answer.headers["x-leadstream-event"], id);
    assert!(site.counts(r#"leadstream_events_accepted_total{source="acme"} 1"#));
}

#[tokio::test]
async fn what_is_not_the_vendors_is_refused_and_nothing_is_stored() {
    let site = Site::new(SIGNED);
    let good = sign("{}");
    for (headers, body, status, code) in [
        (vec![], "{}", 401, "hook.signature"),
        (vec![("x-signature", "00")], "{}", 401, "hook.signature"),
        (
            vec![("x-signature", good.as_str())],
            "{ }",
            401,
            "hook.signature",
        ),
        // A browser is not what sends this, so that it is no page.
        (vec![("accept", "text/html")], "{}", 401, "hook.signature"),
    ] {
        let answer = site.send("POST", "/hooks/acme", &headers, body).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.code(), code, "{headers:?}");
        assert!(!answer.body.contains(SECRET) && !answer.body.contains(&good));
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    let unreadable = site.post("{").await;
    assert_eq!(unreadable.status, StatusCode::BAD_REQUEST);
    assert_eq!(unreadable.code(), "body.malformed_json");
    assert_eq!(site.bodies(), Vec::<String>::new());
    assert!(
        site.counts(
            r#"leadstream_requests_refused_total{source="acme",reason="hook.signature"} 4"#
        )
    );
}

#[tokio::test]
async fn without_a_secret_the_door_is_closed_and_says_which_option_is_missing() {
    let site = Site::with(SIGNED, false);
    let answer = site.post("{}").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.code(), "hook.no_secret");
    assert!(answer.body.contains("`secret`"), "{}", answer.body);
    let unproved = Site::new("[webhook]\n").post("{}").await;
    assert_eq!(unproved.status, StatusCode::FORBIDDEN);
    assert_eq!(unproved.code(), "hook.no_secret");
}

#[tokio::test]
async fn our_own_trouble_is_told_as_such_so_that_the_vendor_tries_again() {
    let site = Site::new(SIGNED);
    *site.inbox.is_broken.lock() = true;
    let answer = site.post("{}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after"));

    let site = Site::new(SIGNED);
    std::fs::remove_file(site.secret_file.path()).unwrap();
    let answer = site.post("{}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "hook.secret_unreadable");

    let site = Site::new("webhook.signature = { scheme = \"md5\", key = \"secret\" }");
    let answer = site.post("{}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "hook.misconfigured");

    let fenced = site.send("POST", "/hooks/broken/s3cret", &[], "{}").await;
    assert_eq!(fenced.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_is_ignored_is_acknowledged_counted_and_not_stored() {
    let site = Site::new(SIGNED);
    let ping = site.post(r#"{"type":"ping"}"#).await;
    assert_eq!(ping.status, StatusCode::OK);
    assert_eq!(ping.body, "{}");
    let signature = sign("{}");
    let headers = [("x-signature", signature.as_str()), ("x-kind", "test")];
    let test = site.send("POST", "/hooks/acme", &headers, "{}").await;
    assert_eq!(test.status, StatusCode::OK);
    let unsigned = site
        .send("POST", "/hooks/acme", &[], r#"{"type":"ping"}"#)
        .await;
    assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.bodies(), Vec::<String>::new());
    assert!(site.counts(r#"leadstream_webhooks_ignored_total{source="acme"} 2"#));
}

#[tokio::test]
async fn a_stale_webhook_is_told_by_how_much_the_clocks_differ() {
    let site = Site::new(
        r#"
        [webhook.signature]
        scheme = "hmac_sha256"
        key = "secret"
        header = "X-Signature"
        format = "t={timestamp},v1={signature}"
        signed = "{timestamp}.{body}"
        "#,
    );
    for (time, direction) in [
        (1_772_442_447, "400 seconds ago"),
        (1_772_443_247, "400 seconds in the future"),
    ] {
        let header = format!("t={time},v1={}", sign(&format!("{time}.{{}}")));
        let headers = [("x-signature", header.as_str())];
        let answer = site.send("POST", "/hooks/acme", &headers, "{}").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.code(), "hook.stale");
        assert!(answer.body.contains(direction), "{}", answer.body);
    }
    assert_eq!(site.bodies(), Vec::<String>::new());
}

#[tokio::test]
async fn a_word_of_something_new_wakes_the_poller_and_is_not_stored() {
    let site = Site::new(
        &format!("{SIGNED}\n[webhook.answer]\nstatus = 204\n").replacen(
            "[webhook]",
            "[webhook]\npoll_now = true",
            1,
        ),
    );
    let answer = site.post(r#"{"message":{"data":"x"}}"#).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.body, "");
    let ping = site.post(r#"{"type":"ping"}"#).await;
    assert_eq!(ping.status, StatusCode::NO_CONTENT);
    let unsigned = site.send("POST", "/hooks/acme", &[], "{}").await;
    assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
    assert_eq!(*site.hints.lock(), ["acme"]);
    // Google Drive's have no body at all.
    assert_eq!(site.post("").await.status, StatusCode::NO_CONTENT);
    assert_eq!(*site.hints.lock(), ["acme", "acme"]);
    assert_eq!(site.bodies(), Vec::<String>::new());
}

const IN_THE_ADDRESS: &str = r#"
    [webhook]
    body = "urlencoded"
    redact = ["data.secret"]
    [webhook.signature]
    scheme = "url"
    key = "secret"
    [webhook.handshake]
    style = "accept"
    [webhook.answer]
    body = "thanks"
"#;

#[tokio::test]
async fn a_secret_in_the_address_opens_the_door_and_is_not_stored() {
    let site = Site::new(IN_THE_ADDRESS);
    let body = "type=subscribe&data[secret]=x&data[email]=a%40b.example";
    for target in ["/hooks/acme/s3cret", "/hooks/acme?key=s3cret"] {
        let answer = site.send("POST", target, &[], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{target}");
        assert_eq!(answer.body, "thanks");
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        assert!(answer.headers.contains_key("x-leadstream-event"));
    }
    for target in ["/hooks/acme", "/hooks/acme/other", "/hooks/acme?key=other"] {
        let answer = site.send("POST", target, &[], body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{target}");
    }
    let redacted = "type=subscribe&data[secret]=&data[email]=a%40b.example";
    assert_eq!(site.bodies(), [redacted, redacted]);
    for event in &*site.inbox.events.lock() {
        let told = format!("{event:?}");
        assert!(!told.contains(SECRET), "{told}");
        assert_eq!(event.meta.query, None);
    }
}

#[tokio::test]
async fn a_secret_in_the_body_is_not_stored_though_nobody_says_so() {
    let site = Site::new(
        r#"webhook.signature = { scheme = "equals", key = "secret", body_path = "google_key" }"#,
    );
    let good = r#"{"lead_id":"1","google_key":"s3cret","campaign_id":9223372036854775807}"#;
    let answer = site.send("POST", "/hooks/acme", &[], good).await;
    assert_eq!(answer.status, StatusCode::OK);
    let bad = good.replace("s3cret", "s3cre");
    let answer = site.send("POST", "/hooks/acme", &[], &bad).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.bodies(), [good.replace("s3cret", "")]);
}

#[tokio::test]
async fn vendors_that_look_whether_we_are_there_find_us() {
    let site = Site::new(IN_THE_ADDRESS);
    for (method, body) in [("GET", ""), ("HEAD", ""), ("POST", "")] {
        let answer = site.send(method, "/hooks/acme/s3cret", &[], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{method}");
    }
    assert_eq!(site.bodies(), Vec::<String>::new());
    let other = site.send("PUT", "/hooks/acme", &[], "").await;
    assert_eq!(other.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(other.headers["allow"], "GET, HEAD, POST");

    let silent = Site::new(SIGNED);
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        let answer = silent
            .send(
                method,
                "/hooks/acme",
                &[("origin", "https://a.example")],
                "",
            )
            .await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn meta_gets_its_challenge_back_bare_and_others_get_403() {
    let site = Site::new(
        r#"webhook.handshake = { style = "echo_query", challenge = "hub.challenge", verify = "hub.verify_token", key = "secret" }"#,
    );
    let ask = async |query: &str| {
        site.send("GET", &format!("/hooks/acme?{query}"), &[], "")
            .await
    };
    let good = ask("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=s3cret").await;
    assert_eq!(good.status, StatusCode::OK);
    assert_eq!(good.body, "1158201444");
    assert_eq!(good.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(good.headers["x-content-type-options"], "nosniff");
    for query in [
        "",
        "hub.challenge=1",
        "hub.challenge=1&hub.verify_token=s3cre",
        "hub.challenge=%3Cscript%3E&hub.verify_token=s3cret",
    ] {
        let bad = ask(query).await;
        assert_eq!(bad.status, StatusCode::FORBIDDEN, "{query}");
        assert_eq!(bad.code(), "hook.handshake", "{query}");
    }
}

#[tokio::test]
async fn zooms_greeting_is_answered_only_if_it_is_signed() {
    let site = Site::new(
        r#"
        [webhook.signature]
        scheme = "hmac_sha256"
        key = "secret"
        header = "X-Signature"
        [webhook.handshake]
        style = "signed_body"
        key = "secret"
        when = { from = "event", equals = "endpoint.url_validation" }
        from = "payload.plainToken"
        answer_challenge = "plainToken"
        answer_signature = "encryptedToken"
        "#,
    );
    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"abc-DEF_1"}}"#;
    let answer = site.post(body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let expect = json!({ "plainToken": "abc-DEF_1", "encryptedToken": sign("abc-DEF_1") });
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expect);
    let unsigned = site.send("POST", "/hooks/acme", &[], body).await;
    assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
    assert!(!unsigned.body.contains("encryptedToken"));
    // The signature of a webhook that somebody would like to send.
    let forged = site
        .post(&body.replace("abc-DEF_1", "v0:1772442847:{}"))
        .await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(site.bodies(), Vec::<String>::new());
}

#[tokio::test]
async fn a_source_that_only_polls_has_no_hook() {
    let site = Site::new("");
    for (method, target) in [("POST", "/hooks/acme"), ("GET", "/hooks/acme/x")] {
        let answer = site.send(method, target, &[], "{}").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.code(), "hook.no_webhook");
    }
}

#[tokio::test]
async fn the_door_is_a_hooks_path_only_for_who_may_have_one() {
    let site = Site::new(SIGNED);
    for (path, takes) in [
        ("/hooks/acme", true),
        ("/hooks/acme/", true),
        ("/hooks/acme/a/b", true),
        ("/hooks/broken/a", true),
        ("/hooks/none", true),
        ("/hooks/none/a", false),
        ("/hooks/", false),
        ("/hooks//a", false),
        ("/healthz", false),
    ] {
        assert_eq!(site.state.takes(path), takes, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic(
        body in "[\\[\\]{}\":,a-c0-9%&= é]{0,60}",
        value in "[ -~]{0,40}",
        query in "[a-z.=&%0-9_]{0,40}",
        method in "GET|HEAD|POST",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sites = [
            Site::new(SIGNED),
            Site::new(IN_THE_ADDRESS),
        ];
        for site in sites {
            for target in [format!("/hooks/acme?{query}"), format!("/hooks/acme/s3cret?{query}")] {
                let signature = sign(&body);
                for signature in [signature.as_str(), value.as_str()] {
                    let headers = [("x-signature", signature), ("content-type", &value)];
                    let answer = runtime.block_on(site.send(&method, &target, &headers, &body));
                    proptest::prop_assert!(answer.status.as_u16() < 500);
                }
            }
        }
    }
}
