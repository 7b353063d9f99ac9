use serde_json::json;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::super::error::Class;
use super::super::testing::{Org, answer, config, expired, fixture, json_answer, token};
use super::obtain::HOLD_OFF;
use super::request::OVERLAP_WAIT;
use super::*;
use crate::config::{SalesforceAuth, SecretRef};
use crate::model::Millis;

fn form(body: &str) -> std::collections::BTreeMap<String, String> {
    form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect()
}

#[tokio::test]
async fn client_credentials_go_in_the_body_never_in_the_address() {
    let org = Org::signed_in().await;
    let sent = org.last();
    assert_eq!(sent.path, "/services/oauth2/token");
    assert_eq!(sent.query, "");
    let form = form(&sent.body);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], "3MVG9");
    assert_eq!(form["client_secret"], "s3cr3t+/=");
    assert_eq!(org.client.sign_in_state(), SignInState::SignedIn);
}

#[tokio::test]
async fn the_token_tells_whose_it_is() {
    for (id, expect) in [
        (
            json!("https://login.salesforce.com/id/00Dxx0000001gPLEAY/005xx000001SwiUAAS"),
            Some("005xx000001SwiUAAS"),
        ),
        (
            json!("https://acme.my.salesforce.com/id/00Dxx0000001gPL/005xx000001SwiU"),
            Some("005xx000001SwiUAAS"),
        ),
        (json!("https://acme.my.salesforce.com/id/"), None),
        (json!(null), None),
    ] {
        let org = Org::new();
        org.http.then(json_answer(
            200,
            json!({ "access_token": "one", "instance_url": "https://acme.my.salesforce.com", "id": id }),
        ));
        org.client.sign_in().await.unwrap();
        assert_eq!(org.client.user_id().as_deref(), expect, "{id}");
    }
}

#[tokio::test]
async fn a_jwt_is_for_the_login_host_unless_told_otherwise() {
    let mut config = config();
    config.auth = SalesforceAuth::JwtBearer;
    config.username = Some("leadstream@acme.com".to_owned());
    config.private_key = Some(fixture("jwt-test-only.pkcs8.pem"));
    config.login_url = "https://login.salesforce.com/".parse().unwrap();
    let org = Org::with(config);
    org.http.then(token("one"));
    org.client.sign_in().await.unwrap();

    let form = form(&org.last().body);
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let claims = form["assertion"].split('.').nth(1).unwrap().to_owned();
    let claims =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], "https://login.salesforce.com");
    assert_eq!(claims["sub"], "leadstream@acme.com");
}

#[tokio::test]
async fn many_who_find_the_token_ended_ask_for_one_new_token() {
    let org = Org::signed_in().await;
    for _ in 0..3 {
        org.http.then(expired());
    }
    org.http.then(token("two"));
    for _ in 0..3 {
        org.http.then(json_answer(200, json!({})));
    }
    let limits = || org.client.limits();
    let (one, two, three) = tokio::join!(limits(), limits(), limits());
    one.and(two).and(three).unwrap();
    let tokens = |line: &&String| line.ends_with("/token");
    assert_eq!(org.http.lines().iter().filter(tokens).count(), 2);
    assert_eq!(org.last().header("authorization"), Some("Bearer two"));
}

#[tokio::test]
async fn refused_credentials_are_not_sent_again_until_they_changed_or_time_has_passed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old").unwrap();
    let mut config = config();
    config.client_secret = Some(SecretRef {
        env: None,
        file: Some(file.path().to_owned()),
    });
    let org = Org::with(config);
    let refused = || json_answer(401, json!({ "error": "invalid_client" }));

    org.http.then(refused());
    let error = org.client.sign_in().await.unwrap_err();
    assert_eq!(error.code, "salesforce.sign_in.invalid_client");
    assert_eq!(org.client.sign_in().await.unwrap_err(), error);
    assert_eq!(org.http.sent().len(), 1, "the second was not sent");
    assert_eq!(org.client.sign_in_state(), SignInState::Failed(error));

    org.clock.advance(HOLD_OFF);
    org.http.then(refused());
    assert!(org.client.sign_in().await.is_err());
    assert_eq!(org.http.sent().len(), 2, "after a minute it is");
    org.clock.advance(HOLD_OFF);
    assert!(org.client.sign_in().await.is_err());
    assert_eq!(org.http.sent().len(), 2, "then it waits for longer");

    std::fs::write(file.path(), "new").unwrap();
    org.http.then(token("one"));
    org.client.sign_in().await.unwrap();
    assert_eq!(form(&org.last().body)["client_secret"], "new");
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_no_sign_in_off() {
    let org = Org::new();
    org.http
        .then(json_answer(401, json!({ "error": "invalid_client" })));
    assert!(org.client.sign_in().await.is_err());
    org.clock.set_back(Duration::from_secs(3600));
    org.http.then(token("one"));
    org.client.sign_in().await.unwrap();
}

#[tokio::test]
async fn an_overlapping_token_request_waits_a_second() {
    let org = Org::new();
    org.http.then(json_answer(
        400,
        json!({
            "error": "invalid_grant",
            "error_description": "token request is already being processed",
        }),
    ));
    org.http.then(token("one"));
    let mut sign_in = Box::pin(org.client.sign_in());
    while org.http.sent().is_empty() {
        assert!(futures_util::poll!(&mut sign_in).is_pending());
    }
    assert!(futures_util::poll!(&mut sign_in).is_pending());
    org.clock.advance(OVERLAP_WAIT);
    sign_in.await.unwrap();
}

#[tokio::test]
async fn trouble_of_the_login_host_passes() {
    let org = Org::new();
    org.http.then(answer(503, "<html>maintenance</html>"));
    let error = org.client.sign_in().await.unwrap_err();
    assert_eq!(error.class, Class::RetrySoon);
    org.http.then(answer(200, "<html>portal</html>"));
    let error = org.client.sign_in().await.unwrap_err();
    assert_eq!(error.code, "salesforce.sign_in.answer");
    org.http.then(token("one"));
    org.client.sign_in().await.unwrap();
}

#[tokio::test]
async fn a_token_for_a_foreign_instance_is_not_used() {
    let org = Org::new();
    org.http.then(json_answer(
        200,
        json!({ "access_token": "one", "instance_url": "https://evil.example" }),
    ));
    let error = org.client.limits().await.unwrap_err();
    assert_eq!(error.explain().code, "salesforce.sign_in.instance");
    assert_eq!(org.http.sent().len(), 1);
}

#[tokio::test]
async fn a_missing_secret_says_which() {
    let mut config = config();
    config.client_secret = None;
    let org = Org::with(config);
    let error = org.client.sign_in().await.unwrap_err();
    assert_eq!(error.code, "salesforce.sign_in.secret");
    assert!(error.hint.contains("client_secret"));
}

/// Keeps in memory what a store would.
#[derive(Debug, Default)]
struct Shelf {
    rows: Mutex<std::collections::BTreeMap<String, (Vec<u8>, i64)>>,
    no_key: bool,
    broken: Mutex<bool>,
}

#[async_trait]
impl TokenKeep for Shelf {
    fn check(&self) -> Result<(), KeepError> {
        if self.no_key {
            return Err(KeepError("there is no key".to_owned()));
        }
        Ok(())
    }

    async fn load(&self, name: &str) -> Result<Option<KeptBytes>, KeepError> {
        let found = self.rows.lock().get(name).cloned();
        Ok(found.map(|(plain, version)| KeptBytes {
            plain: Some(plain),
            version,
        }))
    }

    async fn save(
        &self,
        name: &str,
        plain: &[u8],
        expected: i64,
        _: Millis,
    ) -> Result<bool, KeepError> {
        if *self.broken.lock() {
            return Err(KeepError("the disk is full".to_owned()));
        }
        let mut rows = self.rows.lock();
        let version = rows.get(name).map_or(0, |(_, version)| *version);
        if version != expected {
            return Ok(false);
        }
        rows.insert(name.to_owned(), (plain.to_vec(), version + 1));
        Ok(true)
    }
}

impl Shelf {
    fn text(&self) -> String {
        let rows = self.rows.lock();
        rows.values()
            .map(|(plain, _)| String::from_utf8_lossy(plain).into_owned())
            .collect()
    }
}

fn node(config: SalesforceConfig, shelf: &Arc<Shelf>) -> Org {
    let mut org = Org::with(config);
    org.keep(shelf.clone());
    org
}

fn tokens(org: &Org) -> usize {
    let lines = org.http.lines();
    lines.iter().filter(|line| line.ends_with("/token")).count()
}

#[tokio::test]
async fn a_restart_goes_on_with_the_token_that_is_kept() {
    let shelf = Arc::new(Shelf::default());
    let first = node(config(), &shelf);
    first.http.then(token("one"));
    first.client.sign_in().await.unwrap();

    let second = node(config(), &shelf);
    second.http.then(json_answer(200, json!({})));
    second.client.limits().await.unwrap();
    assert_eq!(second.last().header("authorization"), Some("Bearer one"));
    assert_eq!(tokens(&second), 0);
    assert_eq!(second.client.user_id(), first.client.user_id());

    // Another secret is another sign-in.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "another").unwrap();
    let mut other = config();
    other.client_secret = Some(SecretRef {
        env: None,
        file: Some(file.path().to_owned()),
    });
    let third = node(other, &shelf);
    third.http.then(token("three"));
    third.client.sign_in().await.unwrap();
    assert_eq!(tokens(&third), 1);
}

#[tokio::test]
async fn a_token_that_ended_is_renewed_by_one_node_for_all() {
    let shelf = Arc::new(Shelf::default());
    let (one, two) = (node(config(), &shelf), node(config(), &shelf));
    one.http.then(token("t-1"));
    one.client.sign_in().await.unwrap();
    two.http.then(json_answer(200, json!({})));
    two.client.limits().await.unwrap();

    one.http.then(expired());
    one.http.then(token("t-2"));
    one.http.then(json_answer(200, json!({})));
    one.client.limits().await.unwrap();

    two.http.then(expired());
    two.http.then(json_answer(200, json!({})));
    two.client.limits().await.unwrap();
    assert_eq!(two.last().header("authorization"), Some("Bearer t-2"));
    assert_eq!(tokens(&two), 0, "one renewal does for all");
}

#[tokio::test]
async fn a_kept_token_that_has_ended_as_well_is_followed_by_a_fresh_one() {
    let shelf = Arc::new(Shelf::default());
    let (one, two) = (node(config(), &shelf), node(config(), &shelf));
    one.http.then(token("t-1"));
    one.client.sign_in().await.unwrap();
    two.http.then(json_answer(200, json!({})));
    two.client.limits().await.unwrap();
    one.http.then(expired());
    one.http.then(token("t-2"));
    one.http.then(json_answer(200, json!({})));
    one.client.limits().await.unwrap();

    // Two learns of t-2 by its first 401, and that it has ended by its second.
    two.http.then(expired());
    two.http.then(expired());
    two.http.then(token("t-3"));
    two.http.then(json_answer(200, json!({})));
    two.client.limits().await.unwrap();
    assert_eq!(two.last().header("authorization"), Some("Bearer t-3"));

    // A fresh one that is refused is no reason for more.
    two.http.then(expired());
    two.http.then(token("t-4"));
    two.http.then(expired());
    let error = two.client.limits().await.unwrap_err();
    assert_eq!(error.explain().code, "salesforce.sign_in.token_refused");
    assert_eq!(tokens(&two), 2);
}

#[tokio::test]
async fn while_one_node_asks_the_other_waits_for_its_token() {
    let shelf = Arc::new(Shelf::default());
    let (one, two) = (node(config(), &shelf), node(config(), &shelf));
    // One has said that it asks, and its answer is on the way.
    one.http.then(json_answer(
        400,
        json!({
            "error": "invalid_grant",
            "error_description": "token request is already being processed",
        }),
    ));
    one.http.then(token("t-1"));
    let mut first = Box::pin(one.client.sign_in());
    while one.http.sent().is_empty() {
        assert!(futures_util::poll!(&mut first).is_pending());
    }
    assert!(futures_util::poll!(&mut first).is_pending());
    let mut second = Box::pin(two.client.sign_in());
    assert!(futures_util::poll!(&mut second).is_pending());
    one.clock.advance(OVERLAP_WAIT);
    first.await.unwrap();
    assert!(futures_util::poll!(&mut second).is_pending());
    two.clock.advance(Duration::from_secs(1));
    second.await.unwrap();
    assert_eq!(tokens(&two), 0);
}

#[tokio::test]
async fn a_store_that_cannot_keep_a_token_stops_no_sign_in() {
    let shelf = Arc::new(Shelf {
        no_key: true,
        ..Shelf::default()
    });
    let org = node(config(), &shelf);
    org.http.then(token("one"));
    org.client.sign_in().await.unwrap();

    let shelf = Arc::new(Shelf::default());
    *shelf.broken.lock() = true;
    let org = node(config(), &shelf);
    org.http.then(token("one"));
    org.client.sign_in().await.unwrap();
}

fn by_consent() -> SalesforceConfig {
    let mut config = config();
    config.auth = SalesforceAuth::AuthorizationCode;
    config
}

fn rotated(access: &str, refresh: Option<&str>) -> super::super::testing::Answer {
    json_answer(
        200,
        json!({
            "access_token": access,
            "refresh_token": refresh,
            "instance_url": "https://acme.my.salesforce.com",
            "id": "https://login.salesforce.com/id/00Dxx0000001gPLEAY/005xx000001SwiUAAS",
            "scope": "refresh_token api",
        }),
    )
}

/// A node whose org was connected: access a-1, refresh r-1.
async fn connected(shelf: &Arc<Shelf>) -> Org {
    let org = node(by_consent(), shelf);
    let consent = org
        .client
        .consent("http://localhost:1717/callback")
        .unwrap();
    org.http.then(rotated("a-1", Some("r-1")));
    org.client.connect(&consent, "the code").await.unwrap();
    org
}

#[tokio::test]
async fn a_consent_is_asked_for_with_pkce_and_a_state_and_changed_into_tokens() {
    let shelf = Arc::new(Shelf::default());
    let org = node(by_consent(), &shelf);
    let redirect = "http://localhost:1717/callback";
    let consent = org.client.consent(redirect).unwrap();
    let asked: std::collections::BTreeMap<_, _> = consent.url.query_pairs().into_owned().collect();
    assert_eq!(consent.url.path(), "/services/oauth2/authorize");
    assert_eq!(asked["scope"], "api refresh_token");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["redirect_uri"], redirect);
    assert!(consent.is_of(&asked["state"]) && !consent.is_of("guessed"));

    org.http.then(rotated("a-1", Some("r-1")));
    let connected = org.client.connect(&consent, "the code").await.unwrap();
    assert_eq!(connected.user_id.as_deref(), Some("005xx000001SwiUAAS"));
    let sent = form(&org.last().body);
    assert_eq!(sent["grant_type"], "authorization_code");
    assert_eq!(
        (&*sent["code"], &*sent["redirect_uri"]),
        ("the code", redirect)
    );
    assert_eq!(sent["client_secret"], "s3cr3t+/=");
    use base64::Engine as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, sent["code_verifier"].as_bytes());
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    assert_eq!(challenge, asked["code_challenge"]);
    assert!((43..=128).contains(&sent["code_verifier"].len()));

    org.http.then(json_answer(200, json!({})));
    org.client.limits().await.unwrap();
    assert_eq!(org.last().header("authorization"), Some("Bearer a-1"));
}

#[tokio::test]
async fn a_consent_that_cannot_be_kept_is_not_asked_for() {
    let code = |org: &Org| org.client.consent("http://localhost/").unwrap_err().code;
    let org = Org::with(by_consent());
    assert_eq!(code(&org), "salesforce.sign_in.no_store");
    let shelf = Arc::new(Shelf {
        no_key: true,
        ..Shelf::default()
    });
    assert_eq!(
        code(&node(by_consent(), &shelf)),
        "salesforce.sign_in.no_store"
    );
    let org = node(config(), &Arc::new(Shelf::default()));
    assert_eq!(code(&org), "salesforce.sign_in.nothing_to_connect");
}

#[tokio::test]
async fn without_a_refresh_token_nothing_is_connected() {
    let shelf = Arc::new(Shelf::default());
    let org = node(by_consent(), &shelf);
    let consent = org
        .client
        .consent("http://localhost:1717/callback")
        .unwrap();
    org.http.then(rotated("a-1", None));
    let error = org.client.connect(&consent, "the code").await.unwrap_err();
    assert_eq!(error.code, "salesforce.sign_in.no_refresh_token");
    let error = org.client.sign_in().await.unwrap_err();
    assert_eq!(error.code, "salesforce.sign_in.not_connected");
    assert!(error.hint.contains("leadstream connect salesforce"));
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_before_its_access_token_is_used() {
    let shelf = Arc::new(Shelf::default());
    let org = connected(&shelf).await;
    org.http.then(json_answer(200, json!({})));
    org.client.limits().await.unwrap();

    org.http.then(expired());
    org.http.then(rotated("a-2", Some("r-2")));
    // The mark of who asks is kept before; then the disk is full.
    let disk = shelf.clone();
    org.http.before(2, move || *disk.broken.lock() = true);
    let error = org.client.limits().await.unwrap_err();
    assert_eq!(error.explain().code, "salesforce.sign_in.store");
    assert!(
        org.http.lines().last().unwrap().ends_with("/token"),
        "a-2 was used unkept"
    );
    assert!(!shelf.text().contains("r-2"));

    *shelf.broken.lock() = false;
    org.http.then(json_answer(200, json!({})));
    org.client.limits().await.unwrap();
    assert_eq!(org.last().header("authorization"), Some("Bearer a-2"));
    assert!(shelf.text().contains("r-2") && !shelf.text().contains("r-1"));

    // The next renewal sends the new one.
    org.http.then(expired());
    org.http.then(rotated("a-3", None));
    org.http.then(json_answer(200, json!({})));
    org.client.limits().await.unwrap();
    let sent = org.http.sent();
    let refreshes: Vec<_> = sent
        .iter()
        .filter(|sent| sent.body.contains("grant_type=refresh_token"))
        .map(|sent| form(&sent.body)["refresh_token"].clone())
        .collect();
    assert_eq!(refreshes, ["r-1", "r-2"]);
    assert!(
        shelf.text().contains("r-2"),
        "without a new one the old one stays"
    );
}

#[tokio::test]
async fn of_two_nodes_one_refreshes_and_both_use_it() {
    let shelf = Arc::new(Shelf::default());
    let one = connected(&shelf).await;
    let two = node(by_consent(), &shelf);
    for org in [&one, &two] {
        org.http.then(json_answer(200, json!({})));
        org.client.limits().await.unwrap();
        org.http.then(expired());
    }
    // Whoever comes second waits: only one of the two has an answer for a refresh.
    one.http.then(rotated("a-2", Some("r-2")));
    one.http.then(json_answer(200, json!({})));
    two.http.then(json_answer(200, json!({})));
    let mut first = Box::pin(one.client.limits());
    while tokens(&one) < 2 {
        assert!(futures_util::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    let clock = two.clock.clone();
    let first = async {
        first.await.unwrap();
        clock.advance(Duration::from_secs(2));
    };
    let second = async {
        two.client.limits().await.unwrap();
    };
    tokio::join!(first, second);
    assert_eq!(two.last().header("authorization"), Some("Bearer a-2"));
    assert_eq!((tokens(&one), tokens(&two)), (2, 0));
}

#[tokio::test]
async fn a_refused_refresh_token_is_sent_by_no_node_until_somebody_connects_anew() {
    let shelf = Arc::new(Shelf::default());
    let one = connected(&shelf).await;
    let refused = || {
        json_answer(
            400,
            json!({ "error": "invalid_grant", "error_description": "expired access/refresh token" }),
        )
    };
    one.http.then(expired());
    one.http.then(refused());
    let error = one.client.limits().await.unwrap_err();
    assert!(
        error
            .explain()
            .hint
            .contains("leadstream connect salesforce")
    );

    let two = node(by_consent(), &shelf);
    two.http.then(expired());
    let error = two.client.limits().await.unwrap_err();
    assert_eq!(error.explain().code, "salesforce.sign_in.invalid_grant");
    assert_eq!(tokens(&two), 0, "two was told by one");

    let consent = two
        .client
        .consent("http://localhost:1717/callback")
        .unwrap();
    two.http.then(rotated("a-9", Some("r-9")));
    two.client.connect(&consent, "another code").await.unwrap();
    one.http.then(json_answer(200, json!({})));
    one.client.limits().await.unwrap();
    assert_eq!(one.last().header("authorization"), Some("Bearer a-9"));
}

#[tokio::test]
async fn nothing_of_a_sign_in_prints() {
    let shelf = Arc::new(Shelf::default());
    let org = connected(&shelf).await;
    let consent = org
        .client
        .consent("http://localhost:1717/callback")
        .unwrap();
    let printed = format!("{:?} {consent:?}", org.client.sessions());
    for secret in ["a-1", "r-1", "s3cr3t"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
