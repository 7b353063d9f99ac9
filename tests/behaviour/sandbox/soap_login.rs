use leadstream::sandbox::SandboxOptions;

use super::org::{Reply, TestOrg, reply};

fn envelope(username: &str, password: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
        <env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/">
          <env:Body><n1:login xmlns:n1="urn:partner.soap.sforce.com">
            <n1:username>{username}</n1:username><n1:password>{password}</n1:password>
          </n1:login></env:Body>
        </env:Envelope>"#
    )
}

async fn post(org: &TestOrg, version: &str, body: String) -> Reply {
    let url = format!("{}/services/Soap/u/{version}", org.url);
    let request = org
        .http
        .post(url)
        .header("content-type", "text/xml; charset=UTF-8")
        .header("SOAPAction", "login")
        .body(body);
    reply(request.send().await.unwrap()).await
}

fn between<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("<{name}>")).unwrap_or_default();
    rest.split_once(&format!("</{name}>")).unwrap_or_default().0
}

#[tokio::test]
async fn a_username_and_a_password_give_a_session() {
    let mut org = TestOrg::signed_out(SandboxOptions::default()).await;
    let answer = post(&org, "62.0", envelope("leadstream@example.com", "p&amp;ss")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        Some("text/xml; charset=utf-8")
    );
    let server = between(&answer.text, "serverUrl");
    assert!(
        server.starts_with(&format!("{}/services/Soap/u/62.0/00D", org.url)),
        "{server}"
    );
    org.token = between(&answer.text, "sessionId").to_owned();
    assert_eq!(org.get("limits").await.status, 200);
    assert_eq!(org.sandbox.calls().count("soap_login"), 1);
}

#[tokio::test]
async fn what_the_door_does_not_take_is_a_fault() {
    let org = TestOrg::signed_out(SandboxOptions::default()).await;
    let good = envelope("leadstream@example.com", "x");
    let other = good.replace("n1:login", "n1:logout");
    for (version, body, code) in [
        (
            "62.0",
            envelope("nobody@example.com", "x"),
            "sf:INVALID_LOGIN",
        ),
        (
            "62.0",
            envelope("leadstream@example.com", ""),
            "sf:INVALID_LOGIN",
        ),
        ("65.0", good.clone(), "sf:INVALID_OPERATION"),
        ("20.0", good.clone(), "sf:UNSUPPORTED_API_VERSION"),
        ("62.0", other, "sf:INVALID_SESSION_ID"),
        ("62.0", "<env:Envelope/>".to_owned(), "soapenv:Client"),
        ("62.0", "no xml".to_owned(), "soapenv:Client"),
    ] {
        let fault = post(&org, version, body).await;
        assert_eq!(fault.status, 500, "{}", fault.text);
        assert_eq!(between(&fault.text, "faultcode"), code, "{}", fault.text);
        if let Some(code) = code.strip_prefix("sf:") {
            assert_eq!(between(&fault.text, "sf:exceptionCode"), code);
        }
    }
    let url = format!("{}/services/Soap/u/62.0", org.url);
    let silent = reply(org.http.post(url).body(good).send().await.unwrap()).await;
    assert!(
        silent.text.contains("SOAPAction HTTP header missing"),
        "{}",
        silent.text
    );
}
