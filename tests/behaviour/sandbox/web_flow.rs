use std::time::Duration;

use leadstream::config::Secret;
use leadstream::sandbox::{Faults, SandboxOptions};
use serde_json::{Value as Json, json};

use super::org::{Reply, TestOrg, reply};

/// Appendix B of RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://localhost:1717/callback";

/// A client to which an answer that leads elsewhere is the answer.
#[expect(
    clippy::disallowed_methods,
    reason = "tests stand outside of the program and its door for outgoing requests"
)]
fn http_client_that_stays() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// What the browser is sent to, as its parameters.
async fn authorize(org: &TestOrg, further: &str) -> Vec<(String, String)> {
    let reply = ask(org, further).await;
    assert_eq!(reply.status, 302, "{}", reply.text);
    let location = reply.header("location").unwrap();
    let query = location.strip_prefix(CALLBACK).unwrap();
    form_urlencoded::parse(query.trim_start_matches('?').as_bytes())
        .into_owned()
        .collect()
}

async fn ask(org: &TestOrg, further: &str) -> Reply {
    let callback: String = form_urlencoded::byte_serialize(CALLBACK.as_bytes()).collect();
    let url = format!(
        "{}/services/oauth2/authorize?response_type=code&client_id=key&state=s%26t&redirect_uri={callback}{further}",
        org.url
    );
    reply(http_client_that_stays().get(url).send().await.unwrap()).await
}

async fn code(org: &TestOrg) -> String {
    let further = format!("&code_challenge={CHALLENGE}&code_challenge_method=S256");
    let sent = authorize(org, &further).await;
    assert_eq!(sent[1], ("state".to_owned(), "s&t".to_owned()));
    assert_eq!(sent[0].0, "code");
    sent[0].1.clone()
}

fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

async fn redeem(org: &TestOrg, code: &str, verifier: &str, callback: &str) -> Reply {
    let form = encode(&[
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", callback),
        ("client_id", "key"),
        ("code_verifier", verifier),
    ]);
    org.oauth("token", &form).await
}

async fn refresh(org: &TestOrg, token: &str) -> Reply {
    let form = encode(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "key"),
    ]);
    org.oauth("token", &form).await
}

fn text(body: &Json, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn assert_refused(reply: &Reply, error: &str, description: &str) {
    assert_eq!(reply.status, 400, "{}", reply.text);
    let expected = json!({ "error": error, "error_description": description });
    assert_eq!(reply.json(), expected);
}

async fn is_live(org: &TestOrg, token: &str) -> bool {
    let url = format!("{}/services/data/v62.0/limits", org.url);
    let request = org.http.get(url).bearer_auth(token);
    request.send().await.unwrap().status() == 200
}

#[tokio::test]
async fn an_approved_app_gets_a_token_and_knows_who_it_is() {
    let org = TestOrg::signed_out(SandboxOptions::default()).await;
    let token = redeem(&org, &code(&org).await, VERIFIER, CALLBACK).await;
    let token = token.json();
    assert_eq!(token["scope"], "refresh_token api");
    assert!(text(&token, "refresh_token").starts_with("5Aep"));
    assert!(is_live(&org, &text(&token, "access_token")).await);

    let request = org.http.get(text(&token, "id"));
    let who = reply(
        request
            .bearer_auth(text(&token, "access_token"))
            .send()
            .await
            .unwrap(),
    )
    .await
    .json();
    assert_eq!(who["username"], "leadstream@example.com");
    assert_eq!(who["id"], token["id"]);
    let nobody = reply(org.http.get(text(&token, "id")).send().await.unwrap()).await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.json()),
        (403, json!("Bad_OAuth_Token"))
    );
}

#[tokio::test]
async fn a_code_counts_once_for_its_verifier_and_callback() {
    let org = TestOrg::signed_out(SandboxOptions::default()).await;
    let expired = ("invalid_grant", "expired authorization code");
    let once = code(&org).await;
    assert_eq!(redeem(&org, &once, VERIFIER, CALLBACK).await.status, 200);
    let again = redeem(&org, &once, VERIFIER, CALLBACK).await;
    assert_refused(&again, expired.0, expired.1);

    let other = "x".repeat(43);
    let wrong = redeem(&org, &code(&org).await, &other, CALLBACK).await;
    assert_refused(&wrong, "invalid_grant", "invalid code verifier");

    let elsewhere = redeem(&org, &code(&org).await, VERIFIER, "http://localhost:1/").await;
    let mismatch = "redirect_uri must match configuration";
    assert_refused(&elsewhere, "redirect_uri_mismatch", mismatch);

    let late = code(&org).await;
    org.clock.advance(Duration::from_secs(15 * 60));
    let late = redeem(&org, &late, VERIFIER, CALLBACK).await;
    assert_refused(&late, expired.0, expired.1);
}

#[tokio::test]
async fn a_refresh_gives_a_new_token_and_an_old_one_ends_the_family() {
    let org = TestOrg::signed_out(SandboxOptions::default()).await;
    let first = redeem(&org, &code(&org).await, VERIFIER, CALLBACK)
        .await
        .json();
    let second = refresh(&org, &text(&first, "refresh_token")).await.json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert!(is_live(&org, &text(&second, "access_token")).await);

    let expired = "expired access/refresh token";
    let reused = refresh(&org, &text(&first, "refresh_token")).await;
    assert_refused(&reused, "invalid_grant", expired);
    let newest = refresh(&org, &text(&second, "refresh_token")).await;
    assert_refused(&newest, "invalid_grant", expired);
    for token in [&first, &second] {
        assert!(!is_live(&org, &text(token, "access_token")).await);
    }
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_what_came_of_it() {
    let options = SandboxOptions {
        rotates_refresh_tokens: false,
        ..SandboxOptions::default()
    };
    let org = TestOrg::signed_out(options).await;
    let token = redeem(&org, &code(&org).await, VERIFIER, CALLBACK)
        .await
        .json();
    let again = refresh(&org, &text(&token, "refresh_token")).await.json();
    assert!(again.get("refresh_token").is_none(), "no rotation: {again}");
    let about = encode(&[
        ("client_id", "key"),
        ("client_secret", "secret"),
        ("token", &text(&token, "refresh_token")),
    ]);
    let told = org.oauth("introspect", &about).await.json();
    assert_eq!(told["token_type"], "refresh_token");
    let form = encode(&[("token", &text(&token, "refresh_token"))]);
    assert_eq!(org.oauth("revoke", &form).await.status, 200);
    assert!(!is_live(&org, &text(&again, "access_token")).await);
    assert_eq!(
        org.oauth("introspect", &about).await.json()["active"],
        false
    );
}

#[tokio::test]
async fn what_the_app_may_not_is_told_at_its_callback_or_not_at_all() {
    let options = SandboxOptions {
        client_id: Some("key".to_owned()),
        client_secret: Some(Secret::new("secret")),
        requires_pkce: true,
        web_flow_needs_secret: true,
        ..SandboxOptions::default()
    };
    let org = TestOrg::signed_out(options).await;
    let sent = authorize(&org, "").await;
    let error = ("error".to_owned(), "invalid_request".to_owned());
    assert_eq!(sent[0], error);
    assert_eq!(sent[1].1, "missing required code challenge");

    let without_secret = redeem(&org, &code(&org).await, VERIFIER, CALLBACK).await;
    assert_refused(
        &without_secret,
        "invalid_client",
        "invalid client credentials",
    );

    org.sandbox.set_faults(Faults {
        deny_approval: true,
        ..Faults::default()
    });
    let denied = authorize(&org, &format!("&code_challenge={CHALLENGE}")).await;
    assert_eq!(denied[0].1, "access_denied");

    let options = SandboxOptions {
        callback_url: Some("https://leads.example.com/".to_owned()),
        ..SandboxOptions::default()
    };
    let org = TestOrg::signed_out(options).await;
    let mismatch = "redirect_uri must match configuration";
    assert_refused(&ask(&org, "").await, "redirect_uri_mismatch", mismatch);
}

#[tokio::test]
async fn a_refresh_beside_another_is_told_to_wait_and_loses_nothing() {
    let org = TestOrg::signed_out(SandboxOptions::default()).await;
    let token = redeem(&org, &code(&org).await, VERIFIER, CALLBACK)
        .await
        .json();
    org.sandbox.set_faults(Faults {
        busy_refresh_rate: 1.0,
        at_most: Some(1),
        ..Faults::default()
    });
    let busy = refresh(&org, &text(&token, "refresh_token")).await;
    assert_refused(
        &busy,
        "invalid_grant",
        "token request is already being processed",
    );
    assert_eq!(
        refresh(&org, &text(&token, "refresh_token")).await.status,
        200
    );
    assert_eq!(org.sandbox.fault_counts().busy_refreshes, 1);
}
