use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde_json::{Value, json};

use super::super::call::Next;
use super::super::testing::{Answered, NOW, Sent, World, answer, answer_with, manifest};
use super::*;
use crate::edge::http::HttpError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const BASE: &str = "base_url = \"https://api.acme.example\"\nhosts = [\"api.acme.example\"]\n";

const OAUTH: &str = r#"
    [auth.oauth]
    type = "oauth2"
    token_url = "https://api.acme.example/oauth/token"
    authorize_url = "https://login.acme.example/authorize?x=1"
    scopes = ["leads:read", "offline"]
    authorize_parameters = { access_type = "offline" }
"#;

const OAUTH_OPTIONS: &[(&str, &str)] = &[
    ("client_id", "client-1"),
    ("client_secret", "s3cr3t-client"),
    ("refresh_token", "refresh-0"),
];

fn sign_in_of(world: &World, manifest: &Manifest, options: &[(&str, &str)]) -> Arc<SignIn> {
    let options = world.options(manifest, options);
    SignIn::new(
        &SourceName::new("demo"),
        manifest,
        &options,
        &Overrides::default(),
    )
    .unwrap()
}

fn with_auth(lines: &str) -> Manifest {
    manifest(&format!("{BASE}{lines}"))
}

fn silent() -> World {
    World::new(|sent| panic!("nothing is asked for: {sent:?}"))
}

fn header(signed: &Signed, name: &str) -> String {
    let found = signed
        .headers
        .iter()
        .find(|(known, _)| known.as_str() == name);
    found.map_or_else(String::new, |(_, value)| value.to_str().unwrap().to_owned())
}

/// A vendor that gives each refresh token once, and each at its first use only.
fn rotating() -> impl FnMut(&Sent) -> Answered + Send {
    let mut given = 0;
    let mut good = "refresh-0".to_owned();
    move |sent| {
        let form = sent.form();
        assert_eq!(form["grant_type"], "refresh_token");
        if form["refresh_token"] != good {
            return answer(400, json!({ "error": "invalid_grant" }));
        }
        given += 1;
        good = format!("refresh-{given}");
        answer(
            200,
            json!({ "access_token": format!("access-{given}"), "refresh_token": good, "expires_in": 3600 }),
        )
    }
}

#[tokio::test]
async fn each_way_without_tokens_signs_as_its_vendor_asks() {
    for (auth, options, name, value, query) in [
        (
            "[auth.key]\ntype = \"header\"\nname = \"Api-Token\"\nvalue = \"{token}\"",
            &[("token", "k-1")][..],
            "api-token",
            "k-1",
            &[][..],
        ),
        (
            "[auth.key]\ntype = \"query\"\nname = \"api_key\"\nvalue = \"{token}\"",
            &[("token", "k 1")],
            "",
            "",
            &[("api_key", "k 1")],
        ),
        (
            "[auth.key]\ntype = \"basic\"\nuser = \"any\"\npassword = \"{token}\"",
            &[("token", "k-us21")],
            "authorization",
            "Basic YW55OmstdXMyMQ==",
            &[],
        ),
        (
            "[auth.key]\ntype = \"bearer\"\nvalue = \"{token}\"",
            &[("token", "t-1")],
            "authorization",
            "Bearer t-1",
            &[],
        ),
        ("[auth.key]\ntype = \"none\"", &[], "", "", &[]),
        // Facts of the vendor's page: Meta, appsecret_proof.
        (
            "[auth.key]\ntype = \"bearer\"\nvalue = \"{token}\"\nproof_parameter = \"appsecret_proof\"\nproof_key = \"app_secret\"",
            &[("token", "a-token-text"), ("app_secret", "an-app-secret")],
            "authorization",
            "Bearer a-token-text",
            &[(
                "appsecret_proof",
                "0960256df421589535cf4bb5b4fc696b4e60dab64e01eeebccde5acd00116ece",
            )],
        ),
    ] {
        let world = silent();
        let signed = sign_in_of(&world, &with_auth(auth), options)
            .sign(&world.edge)
            .await
            .unwrap();
        assert_eq!(header(&signed, name), value, "{auth}");
        let expect: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(signed.query, expect, "{auth}");
    }
}

#[tokio::test]
async fn a_secret_that_is_replaced_on_disk_is_used_at_once() {
    let world = silent();
    let manifest = with_auth("[auth.key]\ntype = \"bearer\"\nvalue = \"{token}\"");
    let sign_in = sign_in_of(&world, &manifest, &[("token", "old")]);
    let signed = sign_in.sign(&world.edge).await.unwrap();
    assert_eq!(sign_in.renew(&signed, &world.edge).await.unwrap(), None);
    std::fs::write(world.folder.path().join("token"), "new").unwrap();
    let renewed = sign_in.renew(&signed, &world.edge).await.unwrap().unwrap();
    assert_eq!(header(&renewed, "authorization"), "Bearer new");
}

#[test]
fn the_way_is_the_first_whose_options_are_set_or_the_one_that_is_named() {
    let manifest = with_auth(&format!(
        "[auth.token]\ntype = \"bearer\"\nvalue = \"{{token}}\"\n[auth.server]\ntype = \"account_credentials\"\ntoken_url = \"https://api.acme.example/t\"\n{OAUTH}"
    ));
    let world = silent();
    let way = |written: &[(&str, &str)], named: Option<&str>| {
        let overrides = Overrides {
            auth: named.map(str::to_owned),
            ..Overrides::default()
        };
        let options = world.options(&manifest, written);
        SignIn::new(&SourceName::new("demo"), &manifest, &options, &overrides)
            .map(|sign_in| sign_in.way().to_owned())
            .map_err(|error| format!("{error}; {}", error.hint))
    };
    let client = [("client_id", "c"), ("client_secret", "s")];
    let server = [client[0], client[1], ("account_id", "a")];
    let both = [client[0], client[1], ("token", "t")];
    assert_eq!(way(&[("token", "t")], None).unwrap(), "token");
    assert_eq!(way(&client, None).unwrap(), "oauth");
    assert_eq!(way(&server, None).unwrap(), "server");
    assert_eq!(way(&server, Some("oauth")).unwrap(), "oauth");
    assert_eq!(way(&both, Some("token")).unwrap(), "token");
    let none = way(&[], None).unwrap_err();
    assert!(none.contains("token: `token`"), "{none}");
    assert!(
        none.contains("server: `client_id`, `client_secret`, `account_id`"),
        "{none}"
    );
    let missing = way(&[("token", "t")], Some("server")).unwrap_err();
    assert!(missing.contains("`account_id`"), "{missing}");
    assert!(way(&both, Some("other")).unwrap_err().contains("`oauth`"));
}

#[tokio::test]
async fn a_client_signs_in_with_its_own_rights_once_for_all_calls() {
    let world = World::new(|sent| {
        assert_eq!(sent.url, "https://zoom.example/oauth/token");
        assert_eq!(sent.header("authorization"), "Basic Yzpz");
        let form = sent.form();
        assert_eq!(form["grant_type"], "account_credentials");
        assert_eq!(form["account_id"], "acc");
        assert!(!form.contains_key("client_secret"));
        answer(
            200,
            json!({ "access_token": "a-1", "expires_in": 3599, "api_url": "https://api-eu.acme.example" }),
        )
    });
    let manifest = with_auth(
        "[auth.server]\ntype = \"account_credentials\"\ntoken_url = \"https://zoom.example/oauth/token\"\nclient_auth = \"basic\"\nbase_url_from = \"api_url\"",
    );
    let options = [
        ("client_id", "c"),
        ("client_secret", "s"),
        ("account_id", "acc"),
    ];
    let sign_in = sign_in_of(&world, &manifest, &options);
    for _ in 0..3 {
        let signed = sign_in.sign(&world.edge).await.unwrap();
        assert_eq!(header(&signed, "authorization"), "Bearer a-1");
        assert_eq!(
            signed.base_url.as_deref(),
            Some("https://api-eu.acme.example")
        );
    }
    assert_eq!(world.http.sent().len(), 1);
    world.clock.advance(Duration::from_secs(3540));
    sign_in.sign(&world.edge).await.unwrap();
    assert_eq!(world.http.sent().len(), 2, "before its end it is renewed");
}

#[tokio::test]
async fn a_service_account_signs_for_the_vendor_whatever_stand_in_it_is_sent_to() {
    let world = World::new(|_| answer(200, json!({ "access_token": "g-1", "expires_in": 3599 })));
    let manifest = with_auth(
        "[auth.robot]\ntype = \"service_account\"\ntoken_url = \"https://oauth2.googleapis.com/token\"\naudience = \"https://oauth2.googleapis.com/token\"\nkey = \"key\"\nsubject = \"subject\"\nscopes = [\"a\", \"b\"]",
    );
    let pem = include_str!("../../../../tests/fixtures/salesforce/jwt-test-only.pkcs8.pem");
    let key = json!({
        "client_email": "robot@acme.example", "private_key": pem, "private_key_id": "kid-1",
        "token_uri": "https://evil.example/token",
    });
    let overrides = Overrides {
        token_url: Some("http://127.0.0.1:9101/token".parse().unwrap()),
        ..Overrides::default()
    };
    let written = [("key", &*key.to_string()), ("subject", "boss@acme.example")];
    let options = world.options(&manifest, &written);
    let sign_in = SignIn::new(&SourceName::new("demo"), &manifest, &options, &overrides).unwrap();
    let signed = sign_in.sign(&world.edge).await.unwrap();
    assert_eq!(header(&signed, "authorization"), "Bearer g-1");
    let sent = world.http.last();
    assert_eq!(sent.url, "http://127.0.0.1:9101/token");
    let form = sent.form();
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let parts: Vec<&str> = form["assertion"].split('.').collect();
    let part = |at: usize| -> Value {
        use base64::Engine as _;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap()
    };
    assert_eq!(
        part(0),
        json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" })
    );
    let now = NOW.0 / 1000;
    assert_eq!(
        part(1),
        json!({
            "iss": "robot@acme.example", "scope": "a b", "sub": "boss@acme.example",
            "aud": "https://oauth2.googleapis.com/token", "iat": now, "exp": now + 3600,
        })
    );
}

#[tokio::test]
async fn refused_credentials_are_not_sent_again_and_others_at_once() {
    let world = World::new(|_| answer(401, json!({ "error": "invalid_client" })));
    let manifest = with_auth(
        "[auth.own]\ntype = \"client_credentials\"\ntoken_url = \"https://api.acme.example/t\"",
    );
    let sign_in = sign_in_of(
        &world,
        &manifest,
        &[("client_id", "c"), ("client_secret", "wrong")],
    );
    for _ in 0..5 {
        let error = sign_in.sign(&world.edge).await.unwrap_err();
        assert_eq!(error.next, Next::Pause);
        assert_eq!(error.code, "vendor.signed_out");
        assert!(error.hint.contains("client_secret"), "{error:?}");
    }
    assert_eq!(world.http.sent().len(), 1);
    world
        .http
        .now_answers(|_| answer(200, json!({ "access_token": "a" })));
    std::fs::write(world.folder.path().join("client_secret"), "right").unwrap();
    sign_in.sign(&world.edge).await.unwrap();
}

#[tokio::test]
async fn a_new_refresh_token_is_kept_before_the_access_token_is_used() {
    let world = World::new(rotating());
    let manifest = with_auth(OAUTH);
    let sign_in = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    // The mark goes well, the new token cannot be kept.
    *world.store.writes_left.lock() = Some(1);
    for _ in 0..3 {
        let error = sign_in.sign(&world.edge).await.unwrap_err();
        assert_eq!(error.next, Next::Retry(None), "{error:?}");
        assert!(error.message.contains("the disk is full"), "{error:?}");
    }
    assert_eq!(
        world.http.sent().len(),
        1,
        "the token that was had is not asked for again"
    );
    *world.store.writes_left.lock() = None;
    let signed = sign_in.sign(&world.edge).await.unwrap();
    assert_eq!(header(&signed, "authorization"), "Bearer access-1");
    assert_eq!(world.http.sent().len(), 1);
}

#[tokio::test]
async fn after_a_crash_between_keeping_and_using_the_kept_token_is_used() {
    let world = World::new(rotating());
    let manifest = with_auth(OAUTH);
    drop(
        sign_in_of(&world, &manifest, OAUTH_OPTIONS)
            .sign(&world.edge)
            .await
            .unwrap(),
    );
    // Another process, with the refresh token that was spent in its configuration still.
    let after = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    let edge = world.other_process();
    let signed = after.sign(&edge).await.unwrap();
    assert_eq!(header(&signed, "authorization"), "Bearer access-1");
    assert_eq!(world.http.sent().len(), 1);
    world.clock.advance(Duration::from_secs(3600));
    let signed = after.sign(&edge).await.unwrap();
    assert_eq!(header(&signed, "authorization"), "Bearer access-2");
}

#[tokio::test]
async fn whoever_asked_may_go_away_and_the_new_token_is_kept_all_the_same() {
    let world = World::new(rotating());
    let manifest = with_auth(OAUTH);
    for polls in 0..12 {
        let sign_in = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
        {
            let mut asking = Box::pin(sign_in.sign(&world.edge));
            for _ in 0..polls {
                if futures_util::poll!(&mut asking).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let signed = sign_in.sign(&world.edge).await.unwrap();
        assert!(header(&signed, "authorization").starts_with("Bearer access-"));
        world.clock.advance(Duration::from_secs(3600));
    }
}

#[tokio::test]
async fn of_many_that_need_a_token_at_once_one_asks_in_all_processes() {
    let world = World::new(rotating());
    let manifest = with_auth(OAUTH);
    let nodes: Vec<_> = (0..4)
        .map(|_| {
            (
                sign_in_of(&world, &manifest, OAUTH_OPTIONS),
                world.other_process(),
            )
        })
        .collect();
    for round in 1..=3 {
        let calls: Vec<_> = nodes
            .iter()
            .flat_map(|node| [node, node])
            .map(|(sign_in, edge)| {
                let (sign_in, edge) = (sign_in.clone(), edge.clone());
                tokio::spawn(async move { sign_in.sign(&edge).await.unwrap() })
            })
            .collect();
        while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
            world.clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
        for call in calls {
            let signed = call.await.unwrap();
            assert_eq!(
                header(&signed, "authorization"),
                format!("Bearer access-{round}")
            );
        }
        assert_eq!(world.http.sent().len(), round);
        world.clock.advance(Duration::from_secs(3600));
    }
}

#[tokio::test]
async fn a_refresher_that_died_is_replaced_after_a_minute() {
    let world = World::new(rotating());
    let manifest = with_auth(OAUTH);
    let dead = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    // It marks the credential, and the vendor never hears of it.
    *world.store.writes_left.lock() = Some(1);
    world.http.now_answers(|_| {
        Err(HttpError::Connect {
            host: "api.acme.example".to_owned(),
            reason: "refused".to_owned(),
        })
    });
    let error = dead.sign(&world.edge).await.unwrap_err();
    assert_eq!(error.next, Next::Retry(None));
    *world.store.writes_left.lock() = None;
    world.http.now_answers(rotating());
    let other = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    let edge = world.other_process();
    let asking = tokio::spawn(async move { other.sign(&edge).await });
    let mut seconds = 0;
    while !asking.is_finished() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(1));
        seconds += 1;
        assert!(seconds < 100, "it waits for ever");
    }
    let signed = asking.await.unwrap().unwrap();
    assert_eq!(header(&signed, "authorization"), "Bearer access-1");
    assert!(seconds >= 60, "{seconds}");
}

#[tokio::test]
async fn a_refused_refresh_token_is_asked_for_once_by_all_and_a_person_is_told() {
    let world = World::new(|_| {
        answer(
            400,
            json!({ "error": "invalid_grant", "error_description": "refresh-0 of jane@acme.com" }),
        )
    });
    let manifest = with_auth(OAUTH);
    let sign_in = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    for edge in [
        world.edge.clone(),
        world.edge.clone(),
        world.other_process(),
    ] {
        let error = sign_in.sign(&edge).await.unwrap_err();
        assert_eq!(error.next, Next::Pause);
        assert!(error.hint.contains("leadstream connect demo"), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(
            !text.contains("refresh-0") && !text.contains("jane"),
            "{text}"
        );
    }
    assert_eq!(world.http.sent().len(), 1);
    // Another in the configuration begins anew.
    std::fs::write(world.folder.path().join("refresh_token"), "refresh-9").unwrap();
    world
        .http
        .now_answers(|_| answer(200, json!({ "access_token": "a" })));
    sign_in.sign(&world.edge).await.unwrap();
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_tried_again() {
    let world = World::new(|_| answer_with(503, &[("retry-after", "7")], json!({})));
    let manifest = with_auth(OAUTH);
    let sign_in = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    let error = sign_in.sign(&world.edge).await.unwrap_err();
    assert_eq!(error.next, Next::Retry(Some(Duration::from_secs(7))));
    world.http.now_answers(rotating());
    sign_in.sign(&world.edge).await.unwrap();
}

#[tokio::test]
async fn a_refresh_token_that_stays_is_kept_and_its_end_is_told() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let world = World::new(move |sent| {
        assert_eq!(sent.form()["refresh_token"], "refresh-0");
        count.fetch_add(1, Ordering::Relaxed);
        answer(
            200,
            json!({ "access_token": "a", "expires_in": "60", "refresh_token_expires_in": 864_000, "scope": "x,y" }),
        )
    });
    let manifest = with_auth(&format!("{OAUTH}\ngrant_days = 365"));
    let sign_in = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    sign_in.sign(&world.edge).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    sign_in.sign(&world.edge).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    sign_in.succeeded(&world.edge).await;
    let facts = sign_in.facts(&world.edge).await.unwrap();
    let now = world.edge.clock.now();
    assert_eq!(facts.obtained_at, Some(NOW));
    assert_eq!(facts.refresh_ends_at, Some(now.after(DAY * 10)));
    assert_eq!(facts.grant_ends_at, Some(NOW.after(DAY * 365)));
    assert_eq!(facts.days_left(now), Some(10));
    assert_eq!(facts.warning(now), Some(14));
    assert_eq!(facts.scope.as_deref(), Some("x,y"));
    assert_eq!(facts.last_success_at, Some(now));
    let after = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    let facts = after.facts(&world.other_process()).await.unwrap();
    assert_eq!(facts.last_success_at, Some(now), "it is written down");
}

#[tokio::test]
async fn what_is_kept_shows_no_token_and_sources_share_it_by_their_secret() {
    let world = World::new(rotating());
    let manifest = with_auth(OAUTH);
    let one = sign_in_of(&world, &manifest, OAUTH_OPTIONS);
    let signed = one.sign(&world.edge).await.unwrap();
    let options = world.options(&manifest, OAUTH_OPTIONS);
    let two = SignIn::new(
        &SourceName::new("other"),
        &manifest,
        &options,
        &Overrides::default(),
    )
    .unwrap();
    two.sign(&world.edge).await.unwrap();
    assert_eq!(one.account_key().unwrap(), two.account_key().unwrap());
    assert_eq!(world.http.sent().len(), 1);
    let names: BTreeSet<String> = world.store.names().into_iter().collect();
    let shown = format!(
        "{names:?} {one:?} {signed:?} {:?} {}",
        world.edge,
        String::from_utf8_lossy(&world.store.bytes())
    );
    for secret in ["refresh-", "access-", "s3cr3t"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

fn connecting(world: &World, manifest: &Manifest) -> Arc<SignIn> {
    sign_in_of(world, manifest, &OAUTH_OPTIONS[..2])
}

#[tokio::test]
async fn a_consent_is_asked_for_with_state_and_pkce_and_kept() {
    let world = World::new(|sent| {
        let form = sent.form();
        assert_eq!(form["grant_type"], "authorization_code");
        assert_eq!(form["code"], "code-1");
        assert_eq!(form["redirect_uri"], "http://127.0.0.1:7000/callback");
        assert_eq!(form["client_secret"], "s3cr3t-client");
        let challenge = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
        use base64::Engine as _;
        answer(
            200,
            json!({
                "access_token": "access-0", "refresh_token": "refresh-0", "expires_in": 100,
                "scope": "leads:read", "account": URL_SAFE_NO_PAD.encode(challenge),
            }),
        )
    });
    let manifest = with_auth(OAUTH);
    let sign_in = connecting(&world, &manifest);
    let error = sign_in.sign(&world.edge).await.unwrap_err();
    assert_eq!(error.code, "vendor.not_connected");
    assert!(error.hint.contains("leadstream connect demo"));

    let consent = sign_in
        .consent("http://127.0.0.1:7000/callback", &world.edge)
        .unwrap();
    let query: std::collections::BTreeMap<String, String> =
        consent.url.query_pairs().into_owned().collect();
    assert_eq!(consent.url.host_str(), Some("login.acme.example"));
    for (name, value) in [
        ("x", "1"),
        ("response_type", "code"),
        ("client_id", "client-1"),
        ("redirect_uri", "http://127.0.0.1:7000/callback"),
        ("scope", "leads:read offline"),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
    ] {
        assert_eq!(query[name], value);
    }
    assert!(consent.is_of(&query["state"]) && !consent.is_of("") && !consent.is_of("other"));
    assert!(!format!("{consent:?}").contains(&query["state"]));

    let connected = sign_in
        .connect(&consent, "code-1", &world.edge)
        .await
        .unwrap();
    assert!(connected.renews);
    assert_eq!(
        connected.facts.account.as_ref(),
        Some(&query["code_challenge"])
    );
    assert_eq!(connected.facts.obtained_at, Some(NOW));
    // A daemon beside it takes it up.
    let edge = world.other_process();
    let daemon = connecting(&world, &manifest);
    let signed = daemon.sign(&edge).await.unwrap();
    assert_eq!(header(&signed, "authorization"), "Bearer access-0");
    world.clock.advance(Duration::from_secs(100));
    world.http.now_answers(rotating());
    let signed = daemon.sign(&edge).await.unwrap();
    assert_eq!(header(&signed, "authorization"), "Bearer access-1");
}

#[tokio::test]
async fn a_token_that_nothing_renews_is_used_to_its_end_and_warned_of() {
    let world =
        World::new(|_| answer(200, json!({ "access_token": "a", "expires_in": 5_184_000 })));
    let manifest = with_auth(&format!("{OAUTH}\npkce = false"));
    let sign_in = connecting(&world, &manifest);
    let consent = sign_in
        .consent("http://127.0.0.1:1/callback", &world.edge)
        .unwrap();
    assert!(!consent.url.as_str().contains("challenge"));
    let connected = sign_in.connect(&consent, "c", &world.edge).await.unwrap();
    assert!(!connected.renews);
    assert_eq!(connected.facts.days_left(NOW), Some(60));
    sign_in.sign(&world.edge).await.unwrap();
    world.clock.advance(DAY * 60);
    let error = sign_in.sign(&world.edge).await.unwrap_err();
    assert_eq!((error.code, error.next), ("vendor.signed_out", Next::Pause));

    // Mailchimp and Eventbrite: it does not end.
    world
        .http
        .now_answers(|_| answer(200, json!({ "access_token": "b", "expires_in": 0 })));
    let consent = sign_in
        .consent("http://127.0.0.1:1/callback", &world.edge)
        .unwrap();
    let connected = sign_in.connect(&consent, "c", &world.edge).await.unwrap();
    assert_eq!(connected.facts.ends_at(), None);
    world.clock.advance(DAY * 1000);
    let signed = sign_in.sign(&world.edge).await.unwrap();
    assert_eq!(header(&signed, "authorization"), "Bearer b");
    // Once it is refused there is nothing to renew it by.
    let error = sign_in.renew(&signed, &world.edge).await.unwrap_err();
    assert_eq!(error.code, "vendor.signed_out");
}

#[tokio::test]
async fn whoever_cannot_be_connected_is_told_so_before_the_browser_opens() {
    let world = silent();
    let bearer = with_auth("[auth.key]\ntype = \"bearer\"\nvalue = \"{token}\"");
    let error = sign_in_of(&world, &bearer, &[("token", "t")])
        .consent("http://127.0.0.1:1/callback", &world.edge)
        .unwrap_err();
    assert!(error.message.contains("asks nobody"), "{error}");
    let error = sign_in_of(&world, &with_auth(OAUTH), OAUTH_OPTIONS)
        .consent("http://127.0.0.1:1/callback", &world.edge)
        .unwrap_err();
    assert!(error.hint.contains("`refresh_token`"), "{error:?}");
    let vault = Vault::new(
        world.store.clone(),
        crate::config::StoreConfig::at("postgres://db/l"),
    );
    let edge = Edge {
        vault: Arc::new(vault),
        ..world.edge.clone()
    };
    let error = connecting(&world, &with_auth(OAUTH))
        .consent("http://127.0.0.1:1/callback", &edge)
        .unwrap_err();
    assert!(error.message.contains("secret_key"), "{error}");
}
