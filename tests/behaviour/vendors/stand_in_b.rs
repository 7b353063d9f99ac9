//! A server in place of a vendor, a daemon that is configured for it, and what tests of ad
//! networks, forms and sheets share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method};
use leadstream::edge::clock::{Clock as _, ManualClock};
use leadstream::sandbox::SandboxOptions;
use parking_lot::Mutex;
use ring::{hmac, signature};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::harness::{Setup, TestDaemon};

/// Seconds of 2026-03-01T10:00:00Z, when every daemon starts.
pub const START: i64 = 1_772_359_200;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub raw_query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Seconds.
    pub now: i64,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The query, decoded.
    pub fn query(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.raw_query.as_bytes())
            .into_owned()
            .collect()
    }

    pub fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub fn bearer(&self) -> &str {
        self.header("authorization")
            .strip_prefix("Bearer ")
            .unwrap_or("")
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

pub fn answer(status: u16, body: Value) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.to_string(),
    }
}

impl Answer {
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A vendor as its documentation describes it.
pub trait Vendor: Send + 'static {
    fn answer(&mut self, request: &Request) -> Answer;
}

/// A vendor, a daemon that is configured for it, and an org.
pub struct Stage<V> {
    pub vendor: Arc<Mutex<V>>,
    pub log: Arc<Mutex<Vec<Request>>>,
    /// Answered before the vendor is asked, one a request; not to requests for tokens.
    pub trouble: Arc<Mutex<VecDeque<Answer>>>,
    pub test: TestDaemon,
    _secrets: TempDir,
}

/// How the source is configured.
#[derive(Default)]
pub struct Source<'a> {
    pub connector: &'a str,
    /// What follows the stand-in's address in `base_url`.
    pub base: &'a str,
    pub token_url: bool,
    /// Options that are secrets.
    pub secrets: &'a [(&'a str, &'a str)],
    /// Further lines of the source.
    pub lines: &'a str,
    /// Further fields of leads in the org, and what they are filled from.
    pub fields: &'a [(&'a str, &'a str)],
}

impl<V: Vendor> Stage<V> {
    pub async fn with(vendor: V, source: Source<'_>) -> Self {
        let vendor = Arc::new(Mutex::new(vendor));
        let log = Arc::new(Mutex::new(Vec::new()));
        let trouble = Arc::new(Mutex::new(VecDeque::new()));
        let clock: Arc<OnceLock<Arc<ManualClock>>> = Arc::default();
        let url = serve(vendor.clone(), log.clone(), trouble.clone(), clock.clone()).await;

        let secrets = tempfile::tempdir().unwrap();
        let mut more = format!("[sources.v]\nconnector = \"{}\"\n", source.connector);
        if source.connector != "webhook" {
            writeln!(more, "base_url = \"{url}{}\"", source.base).unwrap();
            more += "schedule = \"* * * * *\"\nreconcile = \"off\"\n";
        }
        if source.token_url {
            writeln!(more, "token_url = \"{url}/token\"").unwrap();
        }
        for (name, text) in source.secrets {
            let file = secrets.path().join(name);
            std::fs::write(&file, text).unwrap();
            let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, owner_only).unwrap();
            writeln!(more, "{name} = {{ file = \"{}\" }}", file.display()).unwrap();
        }
        more += source.lines;
        let mut lead = String::new();
        let mut custom_fields = Vec::new();
        for (name, from) in source.fields {
            writeln!(lead, "{name}__c = {{ from = \"{from}\" }}").unwrap();
            custom_fields.push(format!("Lead.{name}__c").parse().unwrap());
        }
        let test = TestDaemon::with(Setup {
            sandbox: SandboxOptions {
                custom_fields,
                ..SandboxOptions::default()
            },
            lead: &lead,
            more: &more,
            ..Setup::default()
        })
        .await;
        clock.set(test.clock.clone()).unwrap();
        Self {
            vendor,
            log,
            trouble,
            test,
            _secrets: secrets,
        }
    }

    /// Posts to the source; what follows its address may be a secret or a query.
    pub async fn hook(
        &self,
        after: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> (u16, String) {
        let url = self.test.url(&format!("/hooks/v{after}"));
        let mut request = self.test.http.post(url).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The time in seconds.
    pub fn now(&self) -> i64 {
        self.test.clock.now().0 / 1000
    }

    /// Events of the source that were taken.
    pub async fn accepted(&self) -> u64 {
        let books = self.test.audit().await;
        books
            .iter()
            .filter(|(name, _)| ***name == *"v")
            .map(|(_, line)| line.accepted)
            .sum()
    }

    /// Requests so far whose path holds `part`.
    pub fn asked(&self, part: &str) -> usize {
        self.log
            .lock()
            .iter()
            .filter(|request| request.path.contains(part))
            .count()
    }

    /// Moves on to the next poll, and waits until it and all that it brought is done.
    pub async fn poll(&self) {
        let before = self.log.lock().len();
        self.test.clock.advance(Duration::from_secs(60));
        self.test
            .until("the vendor is asked", async || {
                self.log.lock().len() > before
            })
            .await;
        self.quiet().await;
    }

    /// Waits until nothing more is asked for and all is at its end.
    pub async fn quiet(&self) {
        let mut seen = (0, 0);
        let mut same = 0;
        self.test
            .until("it is quiet", async || {
                let now = (self.log.lock().len(), self.test.calls("collection_upsert"));
                same = if now == seen { same + 1 } else { 0 };
                seen = now;
                same > 30
            })
            .await;
        self.test.drained().await;
    }

    /// Waits for so many leads, and sees that there are no more.
    pub async fn leads(&self, count: usize) -> Vec<Map<String, Value>> {
        self.test
            .until(&format!("{count} leads"), async || {
                self.test.leads().len() >= count
            })
            .await;
        self.quiet().await;
        let leads = self.test.leads();
        let mut emails: Vec<_> = leads.iter().map(|lead| lead["Email"].to_string()).collect();
        emails.sort();
        emails.dedup();
        assert_eq!((leads.len(), emails.len()), (count, count));
        leads
    }

    pub fn lead(&self, email: &str) -> Map<String, Value> {
        self.test.lead_of(email).unwrap_or_else(|| {
            panic!("no lead {email}");
        })
    }

    /// All people of that range are leads with what they said.
    pub fn assert_people(&self, people: std::ops::Range<usize>) {
        let leads: HashMap<String, Map<String, Value>> = self
            .test
            .leads()
            .into_iter()
            .map(|lead| (lead["Email"].as_str().unwrap().to_owned(), lead))
            .collect();
        for i in people {
            let person = Person::nth(i);
            let lead = &leads[&person.email];
            assert_eq!(lead["FirstName"], person.first, "{lead:?}");
            assert_eq!(lead["LastName"], person.last, "{lead:?}");
            assert_eq!(lead["Phone"], person.phone, "{lead:?}");
            assert_eq!(lead["Company"], person.company, "{lead:?}");
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "a failed test shows what was asked of the vendor"
)]
impl<V> Drop for Stage<V> {
    /// What was asked, beside a failure.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for request in self.log.lock().iter().take(25) {
                println!(
                    "{} {} {}?{} {}",
                    request.now,
                    request.method,
                    request.path,
                    request.raw_query,
                    String::from_utf8_lossy(&request.body[..request.body.len().min(200)])
                );
            }
        }
    }
}

async fn serve<V: Vendor>(
    vendor: Arc<Mutex<V>>,
    log: Arc<Mutex<Vec<Request>>>,
    trouble: Arc<Mutex<VecDeque<Answer>>>,
    clock: Arc<OnceLock<Arc<ManualClock>>>,
) -> String {
    let app = axum::Router::new().fallback(async move |request: axum::extract::Request| {
        let (parts, body) = request.into_parts();
        let request = Request {
            method: parts.method,
            path: percent_encoding::percent_decode_str(parts.uri.path())
                .decode_utf8()
                .unwrap()
                .into_owned(),
            raw_query: parts.uri.query().unwrap_or("").to_owned(),
            headers: parts.headers,
            body: axum::body::to_bytes(body, 1 << 20).await.unwrap(),
            now: clock.get().map_or(START, |clock| clock.now().0 / 1000),
        };
        log.lock().push(request.clone());
        let planned = if request.path == "/token" {
            None
        } else {
            trouble.lock().pop_front()
        };
        let answer = planned.unwrap_or_else(|| vendor.lock().answer(&request));
        let mut response = http::Response::builder()
            .status(answer.status)
            .header("content-type", "application/json");
        for (name, value) in &answer.headers {
            response = response.header(*name, value);
        }
        response.body(Body::from(answer.body)).unwrap()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// One of many people, no two of whom share anything.
pub struct Person {
    pub first: &'static str,
    pub last: String,
    pub email: String,
    pub phone: String,
    pub company: String,
}

impl Person {
    pub fn nth(i: usize) -> Self {
        let first = ["Zoë", "Søren", "Łukasz", "Anna", "Émile"][i % 5];
        Self {
            first,
            last: format!("Nguyễn{}", letters(i)),
            email: format!("p{i}@firm{i}.example"),
            phone: format!("+491511{:07}", 2_000_000 + i),
            company: format!("Größer & 速い {i}"),
        }
    }

    pub fn full(&self) -> String {
        format!("{} {}", self.first, self.last)
    }
}

/// A number in letters: digits in names look like spam.
fn letters(mut i: usize) -> String {
    let mut text = String::new();
    loop {
        text.push((b'a' + (i % 26) as u8) as char);
        i /= 26;
        if i == 0 {
            return text;
        }
    }
}

/// An authorization server: the refresh grant, or assertions of a service account.
pub struct Tokens {
    pub client: (&'static str, &'static str),
    /// The only one that is good.
    pub refresh: String,
    /// Each answer brings a new refresh token, and spends the old.
    pub rotates: bool,
    pub lifetime: i64,
    /// Of an assertion; empty: none is taken.
    pub scope: &'static str,
    pub given: HashMap<String, i64>,
}

impl Tokens {
    pub fn new(refresh: &str, lifetime: i64) -> Self {
        Self {
            client: ("the-client", "the-client-secret"),
            refresh: refresh.to_owned(),
            rotates: false,
            lifetime,
            scope: "",
            given: HashMap::new(),
        }
    }

    pub fn good(&self, request: &Request) -> bool {
        self.given
            .get(request.bearer())
            .is_some_and(|end| *end > request.now)
    }

    /// As when a person revokes what was given; the grant stays.
    pub fn revoke(&mut self) {
        self.given.values_mut().for_each(|end| *end = 0);
    }

    pub fn answer(&mut self, request: &Request) -> Answer {
        let form = request.form();
        let get = |name: &str| form.get(name).map_or("", String::as_str);
        if request.method != Method::POST
            || !request
                .header("content-type")
                .starts_with("application/x-www-form-urlencoded")
        {
            return answer(400, json!({ "error": "invalid_request" }));
        }
        match get("grant_type") {
            "refresh_token" => {
                if (get("client_id"), get("client_secret")) != self.client {
                    return answer(401, json!({ "error": "invalid_client" }));
                }
                if get("refresh_token") != self.refresh {
                    return answer(400, json!({ "error": "invalid_grant" }));
                }
            }
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                if !self.assertion_is_good(get("assertion"), request.now) {
                    return answer(400, json!({ "error": "invalid_grant" }));
                }
            }
            _ => return answer(400, json!({ "error": "unsupported_grant_type" })),
        }
        let token = format!("at-{}", self.given.len());
        self.given
            .insert(token.clone(), request.now + self.lifetime);
        let mut body = json!({
            "access_token": token, "expires_in": self.lifetime, "token_type": "Bearer",
        });
        if self.rotates {
            self.refresh = format!("rt-{}", self.given.len());
            body["refresh_token"] = self.refresh.clone().into();
        }
        answer(200, body)
    }

    fn assertion_is_good(&self, assertion: &str, now: i64) -> bool {
        let parts: Vec<_> = assertion.split('.').collect();
        let [header, claims, signed] = parts[..] else {
            return false;
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)).unwrap();
        let key = signature::RsaKeyPair::from_pkcs8(&STANDARD.decode(pem_body()).unwrap()).unwrap();
        let public = signature::UnparsedPublicKey::new(
            &signature::RSA_PKCS1_2048_8192_SHA256,
            signature::KeyPair::public_key(&key).as_ref().to_vec(),
        );
        let message = format!("{header}.{claims}");
        let (header, claims) = (json(header), json(claims));
        let (issued, ends) = (
            claims["iat"].as_i64().unwrap(),
            claims["exp"].as_i64().unwrap(),
        );
        public.verify(message.as_bytes(), &decode(signed)).is_ok()
            && header["alg"] == "RS256"
            && header["kid"] == "key-1"
            && claims["iss"] == "leads@acme.iam.example"
            && claims["aud"] == "https://oauth2.googleapis.com/token"
            && claims["scope"] == self.scope
            && (issued - now).abs() < 300
            && ends > now
            && ends <= issued + 3600
    }
}

const PEM: &str = include_str!("../../fixtures/salesforce/jwt-test-only.pkcs8.pem");

fn pem_body() -> String {
    PEM.lines()
        .filter(|line| !line.starts_with("---"))
        .collect()
}

/// A service account's key file.
pub fn service_account_key() -> String {
    json!({
        "type": "service_account", "client_email": "leads@acme.iam.example",
        "private_key_id": "key-1", "private_key": PEM,
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

pub fn hmac_sha256(key: &str, message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::sign(&key, message).as_ref().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A time in seconds, as `format` of strftime.
pub fn time(seconds: i64, format: &str) -> String {
    jiff::Timestamp::from_second(seconds)
        .unwrap()
        .strftime(format)
        .to_string()
}
