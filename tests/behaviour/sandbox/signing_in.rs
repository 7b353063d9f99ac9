use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leadstream::config::Secret;
use leadstream::sandbox::{Faults, RsaPublicKey, SandboxOptions};
use serde_json::{Value as Json, json};

use super::org::{NOW, TestOrg, reply};

const CLIENT: &str = "grant_type=client_credentials&client_id=key&client_secret=secret";
const JWT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";

/// Signed by the key of `PUBLIC_KEY`, whose other half was thrown away: issuer `the-key`, subject
/// `leadstream@example.com`, audience `https://login.salesforce.com`, ends 170 s after `NOW`.
const SIGNED: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ0aGUta2V5Iiwic3ViIjoibGVhZHN0cmVhbUBleGFtcGxlLmNvbSIsImF1ZCI6Imh0dHBzOi8vbG9naW4uc2FsZXNmb3JjZS5jb20iLCJleHAiOjE3NzIzNTkzNzB9.zdu8AXQ3oKmXGMXGuM8NFGPjIfXYUX12vUV56Y7-zaZ3hr3K0nXpKP_L2ejlAVrC_gph9VA-jEiV0nLm9dpg-Md58oQIs1fu0ZBzlSkBFfTidpvblaSzwMAf7M9OwDXo_dsfMMWTWfIugI_jWRE1K7ukvbMYed0F0AmQZClbdB2gIs-dKnPVGDrFeoAEXFBMU59qtU4d4dU1O2Gvwvg1GVMe4aN3Zd8nMjdv1oH7jxS1Cq1CG7pHrW_c-wuiB5J6-tMB-SjWJFDg4G3PdpUgJF6z4PV3S_7ltkyPu5VGwUsY9u0Qhp1J0OHqvSNhsRr8H-a1fBeaMCfEBuYqodqMUQ";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4h9zko3TNr5ichItmUfq
Xcz8BLNOR9VM6VGnl7XFK2JeuxdlhnqU8GNwD5eXf8dbkCvVNEhzDqQgc6VcavZE
3hwxWfRgh+CAaHBEKWRpshrwh64Agqp4p6QTFLQRBpSXPziWyqpMjHovnVj53uXo
+/akLSShOUBaa/fXq9cea8H7gY3tvwKxXS6wRKAIlILkifFKTngfDP/G85gkTnhO
rZJQw8WKMnEpSF2u6kIObqMOwvJAjqp5cFlIwg4SY1vU6g4Q69gKwNvZSar9IEjv
ile38z6GOiyK9Db6er5i7TA7GoZJC7CBtJLPrgbThIgw0EsHGNVnio8Qp4PDmfeR
owIDAQAB
-----END PUBLIC KEY-----
";

/// A JWT whose signature is none.
fn unsigned(change: impl FnOnce(&mut Json)) -> String {
    let mut claims = json!({
        "iss": "key", "sub": "leadstream@example.com", "aud": "https://login.salesforce.com",
        "exp": NOW.0 / 1000 + 170,
    });
    change(&mut claims);
    let encode = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    format!(
        "{}.{}.AAAA",
        encode(&json!({ "alg": "RS256" })),
        encode(&claims)
    )
}

async fn assert_oauth_refused(org: &TestOrg, form: &str, error: &str, description: &str) {
    let reply = org.oauth("token", form).await;
    assert_eq!(reply.status, 400, "{form}");
    let expected = json!({ "error": error, "error_description": description });
    assert_eq!(reply.json(), expected, "{form}");
}

#[tokio::test]
async fn client_credentials_give_a_token_by_body_and_by_basic() {
    let org = TestOrg::signed_out(SandboxOptions::default()).await;
    let token = org.oauth("token", CLIENT).await.json();
    assert!(token["access_token"].as_str().unwrap().starts_with("00D"));
    assert!(token["access_token"].as_str().unwrap().contains("!AQ"));
    assert_eq!(token["instance_url"], org.url);
    assert_eq!(token["token_type"], "Bearer");
    assert_eq!(token["issued_at"], NOW.0.to_string());
    assert!(token.get("expires_in").is_none() && token.get("refresh_token").is_none());

    let url = format!("{}/services/oauth2/token", org.url);
    let basic = org.http.post(url).basic_auth("key", Some("secret"));
    let basic = basic
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials");
    assert_eq!(reply(basic.send().await.unwrap()).await.status, 200);
}

#[tokio::test]
async fn a_wrong_client_is_refused_in_the_words_of_oauth() {
    let options = SandboxOptions {
        client_id: Some("key".to_owned()),
        client_secret: Some(Secret::new("secret")),
        ..SandboxOptions::default()
    };
    let org = TestOrg::signed_out(options).await;
    assert_eq!(org.oauth("token", CLIENT).await.status, 200);
    let wrong_id = CLIENT.replace("=key", "=other");
    assert_oauth_refused(
        &org,
        &wrong_id,
        "invalid_client_id",
        "client identifier invalid",
    )
    .await;
    let wrong_secret = CLIENT.replace("=secret", "=other");
    assert_oauth_refused(
        &org,
        &wrong_secret,
        "invalid_client",
        "invalid client credentials",
    )
    .await;
    for grant in [
        "grant_type=password&username=u&password=p",
        "grant_type=device",
        "",
    ] {
        assert_oauth_refused(
            &org,
            grant,
            "unsupported_grant_type",
            "grant type not supported",
        )
        .await;
    }
    let in_url = org.get(&format!("/services/oauth2/token?{CLIENT}")).await;
    assert_eq!(in_url.json()["error"], "invalid_request");
}

#[tokio::test]
async fn client_credentials_need_a_run_as_user() {
    let options = SandboxOptions {
        has_run_as_user: false,
        ..SandboxOptions::default()
    };
    let org = TestOrg::signed_out(options).await;
    assert_oauth_refused(
        &org,
        CLIENT,
        "invalid_grant",
        "no client credentials user enabled",
    )
    .await;
}

#[tokio::test]
async fn the_claims_of_a_jwt_are_checked() {
    let org = TestOrg::signed_out(SandboxOptions::default()).await;
    let now = NOW.0 / 1000;
    let own = org.url.clone();
    let accepted: [(&str, &str, Json); 5] = [
        ("test", "aud", json!("https://test.salesforce.com")),
        ("own address", "aud", json!(own)),
        ("seconds as text", "exp", json!((now + 180).to_string())),
        ("ended within the skew", "exp", json!(now - 179)),
        ("ahead within the skew", "exp", json!(now + 359)),
    ];
    for (what, claim, value) in accepted {
        let assertion = unsigned(|claims| claims[claim] = value);
        let reply = org.oauth("token", &format!("{JWT}{assertion}")).await;
        assert_eq!(reply.status, 200, "{what}: {}", reply.text);
    }
    let refused: [(&str, Json, &str); 6] = [
        (
            "aud",
            json!("https://login.salesforce.com/"),
            "audience is invalid",
        ),
        ("aud", json!("https://evil.example"), "audience is invalid"),
        ("exp", json!(now - 181), "expired authorization code"),
        ("exp", json!(now + 361), "invalid assertion"),
        ("exp", json!((now + 100) * 1000), "invalid assertion"),
        ("sub", Json::Null, "invalid assertion"),
    ];
    for (claim, value, description) in refused {
        let assertion = unsigned(|claims| claims[claim] = value);
        assert_oauth_refused(
            &org,
            &format!("{JWT}{assertion}"),
            "invalid_grant",
            description,
        )
        .await;
    }
    for broken in ["", "a.b", "a.b.c", "e30.e30.e30"] {
        assert_oauth_refused(
            &org,
            &format!("{JWT}{broken}"),
            "invalid_grant",
            "invalid assertion",
        )
        .await;
    }
}

#[tokio::test]
async fn with_a_key_the_signature_and_the_user_of_a_jwt_are_checked() {
    let key = RsaPublicKey::from_pem(PUBLIC_KEY).expect("a key");
    let mut options = SandboxOptions {
        client_id: Some("the-key".to_owned()),
        jwt_public_key: Some(key),
        ..SandboxOptions::default()
    };
    let org = TestOrg::signed_out(options.clone()).await;
    let reply = org.oauth("token", &format!("{JWT}{SIGNED}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);

    let forged = unsigned(|claims| claims["iss"] = json!("the-key"));
    assert_oauth_refused(
        &org,
        &format!("{JWT}{forged}"),
        "invalid_grant",
        "invalid assertion",
    )
    .await;

    options.client_id = Some("another".to_owned());
    let org = TestOrg::signed_out(options.clone()).await;
    let form = format!("{JWT}{SIGNED}");
    assert_oauth_refused(
        &org,
        &form,
        "invalid_client_id",
        "client identifier invalid",
    )
    .await;

    options.client_id = None;
    options.username = "another@example.com".to_owned();
    let org = TestOrg::signed_out(options).await;
    assert_oauth_refused(
        &org,
        &form,
        "invalid_grant",
        "user hasn't approved this consumer",
    )
    .await;
}

#[tokio::test]
async fn without_a_token_that_lives_there_is_401() {
    let mut org = TestOrg::start().await;
    let expired = "Session expired or invalid";
    org.sandbox.expire_tokens();
    let reply = org.get("limits").await;
    reply.assert_refused(401, "INVALID_SESSION_ID", expired);
    assert!(reply.json()[0].get("fields").is_none());
    assert_eq!(reply.header("sforce-limit-info"), None);

    // Two hours without use end it; each use starts them anew.
    org.sign_in().await;
    org.clock.advance(Duration::from_secs(7_199));
    assert_eq!(org.get("limits").await.status, 200);
    org.clock.advance(Duration::from_secs(7_199));
    assert_eq!(org.get("limits").await.status, 200);
    org.clock.advance(Duration::from_secs(7_200));
    org.get("limits")
        .await
        .assert_refused(401, "INVALID_SESSION_ID", expired);

    org.sandbox.set_faults(Faults {
        requests_per_token: Some(2),
        ..Faults::default()
    });
    org.sign_in().await;
    assert_eq!(org.get("limits").await.status, 200);
    assert_eq!(org.get("limits").await.status, 200);
    org.get("limits")
        .await
        .assert_refused(401, "INVALID_SESSION_ID", expired);

    let url = format!("{}/services/data/v62.0/limits", org.url);
    let none = reply_to(org.http.get(&url)).await;
    none.assert_refused(401, "INVALID_SESSION_ID", expired);
    let basic = reply_to(org.http.get(&url).basic_auth("key", Some("secret"))).await;
    basic.assert_refused(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE");
}

async fn reply_to(request: reqwest::RequestBuilder) -> super::org::Reply {
    reply(request.send().await.expect("an answer")).await
}

#[tokio::test]
async fn tokens_are_told_of_and_revoked() {
    let org = TestOrg::start().await;
    let user = org.get("/services/oauth2/userinfo").await.json();
    assert_eq!(user["preferred_username"], "leadstream@example.com");

    let about = format!("client_id=key&client_secret=secret&token={}", org.token);
    let active = org.oauth("introspect", &about).await.json();
    assert_eq!(active["active"], true);
    assert_eq!(active["exp"], NOW.0 / 1000 + 7_200);

    let revoked = org.oauth("revoke", &format!("token={}", org.token)).await;
    assert_eq!((revoked.status.as_u16(), revoked.text.as_str()), (200, ""));
    assert_eq!(
        org.oauth("introspect", &about).await.json(),
        json!({ "active": false })
    );
    let again = org.oauth("revoke", &format!("token={}", org.token)).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["error"]),
        (400, &json!("invalid_token"))
    );
    org.get("limits")
        .await
        .assert_refused(401, "INVALID_SESSION_ID", "");
    assert_eq!(org.get("/services/oauth2/userinfo").await.status, 403);
}
