use serde_json::{Value, json};

use super::super::testing::{Answered, NOW, Sent, World, answer, answer_with, manifest};
use super::*;

const TOKEN: &[(&str, &str)] = &[("token", "t0p-s3cret")];

const PLAIN: &str = r#"
    base_url = "https://api.acme.example/3.0"
    hosts = ["api.acme.example", "*.files.acme.example"]
    headers = { "X-Version" = "7", "login-customer-id" = "{login_customer_id}" }
    [auth.key]
    type = "bearer"
    value = "{token}"
"#;

/// A client of a manifest, options and overrides, and the accounts that it shares.
fn client_with(
    world: &World,
    lines: &str,
    options: &[(&str, &str)],
    overrides: Overrides,
    accounts: &Arc<Accounts>,
) -> Result<VendorClient, CallError> {
    let manifest = manifest(lines);
    let options = world.options(&manifest, options);
    VendorClient::new(
        &SourceName::new("demo"),
        Arc::new(manifest),
        options,
        overrides,
        accounts.clone(),
        world.edge.clone(),
    )
}

fn client(world: &World, lines: &str) -> VendorClient {
    let accounts = Arc::default();
    client_with(world, lines, TOKEN, Overrides::default(), &accounts).unwrap()
}

fn at(base_url: &str) -> Overrides {
    Overrides {
        base_url: Some(base_url.parse().unwrap()),
        ..Overrides::default()
    }
}

fn get(path: &str) -> Request {
    Request {
        method: Method::Get,
        target: Target::Path(path.to_owned()),
        headers: Vec::new(),
        body: None,
    }
}

fn next(url: &str) -> Request {
    Request {
        target: Target::Url(url.to_owned()),
        ..get("")
    }
}

fn ok() -> impl FnMut(&Sent) -> Answered + Send {
    |_| answer(200, json!({ "ok": true }))
}

#[tokio::test]
async fn a_request_is_signed_and_carries_the_manifests_headers() {
    let world = World::new(ok());
    let client = client(&world, PLAIN);
    let request = Request {
        method: Method::Post,
        headers: vec![("x-extra".to_owned(), "1".to_owned())],
        body: Some("{}".to_owned()),
        ..get("/lists/a%2Fb/members?since=2026-01-01T00%3A00%3A00%2B00%3A00&count=2")
    };
    let body = client.call(request).await.unwrap().body;
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({ "ok": true })
    );
    let sent = world.http.last();
    assert_eq!(sent.method, "POST");
    assert_eq!(sent.url, "https://api.acme.example/3.0/lists/a%2Fb/members");
    assert_eq!(
        sent.query,
        "since=2026-01-01T00%3A00%3A00%2B00%3A00&count=2"
    );
    assert_eq!(sent.body, "{}");
    for (name, value) in [
        ("authorization", "Bearer t0p-s3cret"),
        ("x-version", "7"),
        ("x-extra", "1"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("login-customer-id", ""),
    ] {
        assert_eq!(sent.header(name), value, "{name}");
    }
    let facts = client.facts().await.unwrap();
    assert_eq!(facts.last_success_at, Some(NOW));
    assert_eq!(facts.obtained_at, Some(NOW), "when it was first seen");
}

#[tokio::test]
async fn a_stand_in_needs_no_option_that_only_names_the_vendors_host() {
    let world = World::new(ok());
    let lines = PLAIN.replace("https://api.acme", "https://{dc}.api.acme");
    let accounts = Arc::default();
    let own = at("http://127.0.0.1:9101");
    let client = client_with(&world, &lines, TOKEN, own, &accounts).unwrap();
    client.call(get("/lists")).await.unwrap();
    assert_eq!(world.http.last().url, "http://127.0.0.1:9101/3.0/lists");
}

#[tokio::test]
async fn a_stand_in_gets_the_paths_that_the_vendor_would() {
    let vendors_next = "https://api.acme.example/3.0/lists?page=2";
    for (base_url, path, moved) in [
        ("http://127.0.0.1:9101", "/3.0/lists", "/3.0/lists"),
        ("http://127.0.0.1:9101/", "/3.0/lists", "/3.0/lists"),
        (
            "http://127.0.0.1:9101/own/v1/",
            "/own/v1/lists",
            "/own/v1/lists",
        ),
    ] {
        let world = World::new(ok());
        let accounts = Arc::default();
        let client = client_with(&world, PLAIN, TOKEN, at(base_url), &accounts).unwrap();
        client.call(get("/lists")).await.unwrap();
        assert_eq!(
            world.http.last().url,
            format!("http://127.0.0.1:9101{path}")
        );
        // Also where a recorded page names the vendor itself.
        client.call(next(vendors_next)).await.unwrap();
        let sent = world.http.last();
        assert_eq!(sent.url, format!("http://127.0.0.1:9101{moved}"));
        assert_eq!(sent.query, "page=2");
    }
}

#[tokio::test]
async fn a_next_address_is_called_on_the_vendors_hosts_only() {
    let world = World::new(ok());
    let client = client(&world, PLAIN);
    for (url, called) in [
        (
            "https://api.acme.example/3.0/x?a=b%2Bc",
            "https://api.acme.example/3.0/x",
        ),
        (
            "https://eu.files.acme.example/x",
            "https://eu.files.acme.example/x",
        ),
        ("/3.0/relative?x=1", "https://api.acme.example/3.0/relative"),
    ] {
        client.call(next(url)).await.unwrap();
        assert_eq!(world.http.last().url, called);
    }
    let calls = world.http.sent().len();
    for url in [
        "https://evil.example/3.0/x",
        "https://api.acme.example.evil.example/",
        "https://api.acme.example:8443/",
        "http://api.acme.example/",
        "//evil.example/x",
        "\\\\evil.example\\x",
        "https://api.acme.example@evil.example/",
        "https://user:pw@api.acme.example/",
        "https://evilfiles.acme.example/",
        "http://127.0.0.1:9101/",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://[::1",
    ] {
        let error = client.call(next(url)).await.unwrap_err();
        assert_eq!(error.code, "vendor.foreign_address", "{url}");
        assert_eq!(error.next, Next::Pause);
    }
    assert_eq!(world.http.sent().len(), calls, "nothing was sent");
}

#[tokio::test]
async fn a_path_never_leaves_its_place() {
    let world = World::new(ok());
    let client = client(&world, PLAIN);
    for path in [
        "/a/../../admin",
        "/a/%2e%2E/b",
        "/./x",
        "/a/..",
        "/a#b",
        "/x\\..\\y",
    ] {
        let error = client.call(get(path)).await.unwrap_err();
        assert_eq!(error.code, "vendor.address", "{path}");
    }
    assert!(world.http.sent().is_empty());
    client.call(get("//evil.example/x")).await.unwrap();
    assert_eq!(
        world.http.last().url,
        "https://api.acme.example/3.0//evil.example/x"
    );
    client
        .call(get("/past/%252FnAbC%252F%252Fx1%3D%3D"))
        .await
        .unwrap();
    assert!(
        world
            .http
            .last()
            .url
            .ends_with("/past/%252FnAbC%252F%252Fx1%3D%3D")
    );
}

#[tokio::test]
async fn an_option_leads_to_no_host_that_is_not_the_vendors() {
    let lines =
        "base_url = \"https://{dc}.api.acme.example/3.0\"\nhosts = [\"*.api.acme.example\"]\n";
    for (dc, good) in [
        ("us21", true),
        ("evil.example/", false),
        ("x@evil.example/", false),
    ] {
        let world = World::new(ok());
        let accounts = Arc::default();
        let client = client_with(
            &world,
            lines,
            &[("dc", dc)],
            Overrides::default(),
            &accounts,
        )
        .unwrap();
        let result = client.call(get("/x")).await;
        assert_eq!(result.is_ok(), good, "{dc}");
        assert_eq!(world.http.sent().len(), usize::from(good));
    }
}

#[test]
fn the_allowed_hosts_are_the_vendors_or_in_their_place_the_stand_in() {
    let lines = format!(
        "{PLAIN}\n[auth.own]\ntype = \"client_credentials\"\ntoken_url = \"https://login.acme.example/t\""
    );
    let manifest = manifest(&lines);
    let permits = |overrides: &Overrides, url: &str| {
        hosts(&manifest, &Options::default(), overrides).permits(&url.parse().unwrap())
    };
    let vendors = Overrides::default();
    for (url, permitted) in [
        ("https://api.acme.example/x", true),
        ("https://a.files.acme.example/x", true),
        ("https://login.acme.example/t", true),
        ("https://evil.example/", false),
        ("http://127.0.0.1:9101/", false),
    ] {
        assert_eq!(permits(&vendors, url), permitted, "{url}");
    }
    let stand_in = Overrides {
        token_url: Some("http://127.0.0.1:9102/t".parse().unwrap()),
        ..at("http://127.0.0.1:9101")
    };
    assert!(permits(&stand_in, "http://127.0.0.1:9101/x"));
    assert!(permits(&stand_in, "http://127.0.0.1:9102/t"));
    assert!(!permits(&stand_in, "https://api.acme.example/x"));
    assert!(!permits(&stand_in, "https://login.acme.example/t"));
}

const SERVER: &str = r#"
    base_url = "https://api.acme.example/v2"
    hosts = ["api.acme.example", "api-eu.acme.example"]
    [auth.server]
    type = "client_credentials"
    token_url = "https://login.acme.example/t"
    base_url_from = "api_url"
"#;

const CLIENT: &[(&str, &str)] = &[("client_id", "c"), ("client_secret", "s")];

#[tokio::test]
async fn a_token_says_where_the_api_is_on_the_vendors_hosts_only() {
    for (own, api_url, called) in [
        (
            None,
            "https://api-eu.acme.example",
            Some("https://api-eu.acme.example/v2/x"),
        ),
        (None, "https://evil.example", None),
        (None, "http://127.0.0.1:9", None),
        (None, "no address", None),
        (
            Some("http://127.0.0.1:9101"),
            "https://api.acme.example",
            Some("http://127.0.0.1:9101/v2/x"),
        ),
        (
            Some("http://127.0.0.1:9101"),
            "http://127.0.0.1:9102",
            Some("http://127.0.0.1:9102/v2/x"),
        ),
        (
            Some("http://127.0.0.1:9101"),
            "https://evil.example",
            Some("http://127.0.0.1:9101/v2/x"),
        ),
    ] {
        let world = World::new(move |sent| {
            if sent.url.ends_with("/t") {
                return answer(200, json!({ "access_token": "a", "api_url": api_url }));
            }
            answer(200, json!({}))
        });
        let overrides = own.map(at).unwrap_or_default();
        let accounts = Arc::default();
        let client = client_with(&world, SERVER, CLIENT, overrides, &accounts).unwrap();
        let result = client.call(get("/x")).await;
        if let Some(url) = called {
            result.unwrap();
            assert_eq!(world.http.last().url, url, "{own:?} {api_url}");
        } else {
            assert_eq!(result.unwrap_err().code, "vendor.base_url", "{api_url}");
            assert_eq!(world.http.sent().len(), 1, "the token was shown to nobody");
        }
    }
}

/// A vendor whose tokens each serve so many calls.
fn expiring(calls: u32) -> impl FnMut(&Sent) -> Answered + Send {
    let (mut given, mut left) = (0, 0);
    move |sent| {
        if sent.url.ends_with("/t") {
            given += 1;
            left = calls;
            return answer(200, json!({ "access_token": format!("a-{given}") }));
        }
        let good = sent.header("authorization") == format!("Bearer a-{given}") && left > 0;
        if !good {
            return answer(
                401,
                json!({ "code": 124, "message": "Invalid access token." }),
            );
        }
        left -= 1;
        answer(200, json!({}))
    }
}

#[tokio::test]
async fn a_token_that_ends_midway_is_renewed_and_the_call_goes_on() {
    let world = World::new(expiring(2));
    let accounts = Arc::default();
    let client = client_with(&world, SERVER, CLIENT, Overrides::default(), &accounts).unwrap();
    for _ in 0..5 {
        client.call(get("/x")).await.unwrap();
    }
    let tokens = world
        .http
        .sent()
        .iter()
        .filter(|sent| sent.url.ends_with("/t"))
        .count();
    assert_eq!(tokens, 3);
}

#[tokio::test]
async fn a_new_token_that_is_refused_as_well_stops_the_source() {
    let world = World::new(expiring(0));
    let accounts = Arc::default();
    let client = client_with(&world, SERVER, CLIENT, Overrides::default(), &accounts).unwrap();
    let error = client.call(get("/x")).await.unwrap_err();
    assert_eq!(
        (error.code, &error.next),
        ("vendor.signed_out", &Next::Pause)
    );
    assert!(!error.hint.is_empty());
    assert_eq!(error.message, "api.acme.example/v2/x answered 401 (124)");
    assert_eq!(world.http.sent().len(), 4, "one token, one call, once more");
}

#[tokio::test]
async fn a_key_that_is_refused_stops_the_source_at_once() {
    let world = World::new(|_| answer(401, json!({ "title": "API Key Invalid" })));
    let error = client(&world, PLAIN).call(get("/x")).await.unwrap_err();
    assert_eq!(
        (error.code, &error.next),
        ("vendor.signed_out", &Next::Pause)
    );
    assert!(error.hint.contains("[sources.demo]"), "{error:?}");
    assert_eq!(world.http.sent().len(), 1);
}

async fn reaction(lines: &str, status: u16, headers: &[(&str, &str)], body: Value) -> CallError {
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let world = World::new(move |_| {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        answer_with(status, &headers, body.clone())
    });
    client(&world, lines).call(get("/x")).await.unwrap_err()
}

#[tokio::test]
async fn without_a_rule_the_status_says_what_to_do() {
    for (status, next, code) in [
        (301, Next::Pause, "vendor.refused"),
        (400, Next::Pause, "vendor.refused"),
        (403, Next::Pause, "vendor.refused"),
        (404, Next::Gone, "vendor.gone"),
        (408, Next::Retry(None), "vendor.failed"),
        (410, Next::Gone, "vendor.gone"),
        (425, Next::Retry(None), "vendor.failed"),
        (426, Next::Pause, "vendor.refused"),
        (
            429,
            Next::Throttle(Some(Duration::from_secs(30))),
            "vendor.throttled",
        ),
        (500, Next::Retry(None), "vendor.failed"),
        (503, Next::Retry(None), "vendor.failed"),
        (599, Next::Retry(None), "vendor.failed"),
    ] {
        let error = reaction(PLAIN, status, &[], json!({})).await;
        assert_eq!((error.code, &error.next), (code, &next), "{status}");
        assert_eq!(!error.hint.is_empty(), next == Next::Pause, "{status}");
    }
}

#[tokio::test]
async fn too_often_is_waited_for_in_each_form_that_vendors_tell_the_time() {
    for (told, seconds) in [
        ("120", 120),
        ("0", 1),
        ("Sun, 01 Mar 2026 10:02:00 GMT", 120),
        ("2026-03-01T10:02:00Z", 120),
        ("2026-03-02T00:00:00Z", 14 * 3600),
        ("nonsense", 30),
    ] {
        let error = reaction(PLAIN, 429, &[("retry-after", told)], json!({})).await;
        let wait = Duration::from_secs(seconds);
        assert_eq!(error.next, Next::Throttle(Some(wait)), "{told}");
    }
    let error = reaction(PLAIN, 503, &[("retry-after", "9")], json!({})).await;
    assert_eq!(error.next, Next::Retry(Some(Duration::from_secs(9))));
}

const RULED: &str = r#"
    [[errors]]
    status = [400, 403]
    when = { from = "error.code", of = "page", one_of = [4, 17] }
    then = "throttle"
    wait_seconds = 60
    wait_from = { from = "error.details[*].retryDelay", of = "page" }
    [[errors]]
    status = [400]
    when = { from = "error.code", of = "page", equals = 190 }
    then = "reauthorize"
    hint = "make a new page token"
    [[errors]]
    status = [400]
    when = { from = "error.status", of = "page", equals = "BAD_TOKEN" }
    then = "restart"
    [[errors]]
    status = [403]
    when = { from = "content-type", of = "header", not = "application/json" }
    then = "throttle"
    [[errors]]
    status = [413]
    then = "shrink"
    [[errors]]
    status = [200]
    when = { from = "status", of = "page", equals = "error" }
    then = "retry"
    [[errors]]
    status = [404]
    then = "end"
"#;

#[tokio::test]
async fn the_manifests_rules_come_before_the_status() {
    let lines = PLAIN.replacen("[auth.key]", &format!("{RULED}\n[auth.key]"), 1);
    let json_type = [("content-type", "application/json")];
    let minute = Duration::from_secs(60);
    for (status, headers, body, next) in [
        (
            400,
            &json_type[..],
            json!({ "error": { "code": 17 } }),
            Next::Throttle(Some(minute)),
        ),
        (
            403,
            &json_type,
            json!({ "error": { "code": "4", "details": [{ "retryDelay": "90s" }] } }),
            Next::Throttle(Some(Duration::from_secs(90))),
        ),
        (403, &json_type, json!({}), Next::Pause),
        (
            403,
            &[],
            json!({}),
            Next::Throttle(Some(Duration::from_secs(30))),
        ),
        (
            400,
            &json_type,
            json!({ "error": { "status": "BAD_TOKEN" } }),
            Next::Restart,
        ),
        (413, &json_type, json!({}), Next::Shrink),
        (404, &json_type, json!({}), Next::End),
        (
            200,
            &json_type,
            json!({ "status": "error" }),
            Next::Retry(None),
        ),
    ] {
        let error = reaction(&lines, status, headers, body.clone()).await;
        assert_eq!(error.next, next, "{status} {body}");
    }
    let error = reaction(&lines, 400, &[], json!({ "error": { "code": 190 } })).await;
    assert_eq!(
        (error.code, &error.next),
        ("vendor.signed_out", &Next::Pause)
    );
    assert_eq!(error.hint, "make a new page token");
    let world = World::new(ok());
    client(&world, &lines).call(get("/x")).await.unwrap();
}

#[tokio::test]
async fn one_source_that_calls_too_often_stops_the_others_of_its_account() {
    let world = World::new(|_| answer_with(429, &[("retry-after", "90")], json!({})));
    let accounts = Arc::default();
    let source = |token| {
        client_with(
            &world,
            PLAIN,
            &[("token", token)],
            Overrides::default(),
            &accounts,
        )
        .unwrap()
    };
    let (one, same) = (source("t-1"), source("t-1"));
    one.call(get("/x")).await.unwrap_err();
    let error = same.call(get("/y")).await.unwrap_err();
    assert_eq!(error.next, Next::Throttle(Some(Duration::from_secs(90))));
    assert_eq!(world.http.sent().len(), 1, "it was not sent");
    source("t-2").call(get("/z")).await.unwrap_err();
    assert_eq!(world.http.sent().len(), 2, "another account is not held");
    world.clock.advance(Duration::from_secs(90));
    world.http.now_answers(ok());
    same.call(get("/y")).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_large_asks_for_smaller_pages() {
    let world = World::new(|_| answer(200, json!({ "x": "y".repeat(2000) })));
    let lines = format!("limits = {{ max_answer_bytes = 1000 }}\n{PLAIN}");
    let error = client(&world, &lines).call(get("/x")).await.unwrap_err();
    assert_eq!(
        (error.code, &error.next),
        ("vendor.too_large", &Next::Shrink)
    );
}

#[tokio::test]
async fn a_vendor_that_cannot_be_reached_is_tried_again() {
    for (error, code) in [
        (
            HttpError::Timeout("api.acme.example/3.0/contacts/jane@acme.com".to_owned()),
            "vendor.timeout",
        ),
        (
            HttpError::Broken {
                host: "api.acme.example".to_owned(),
                reason: "reset".to_owned(),
            },
            "vendor.unreachable",
        ),
    ] {
        let mut error = Some(error);
        let world = World::new(move |_| Err(error.take().unwrap()));
        let error = client(&world, PLAIN)
            .call(get("/contacts/jane%40acme.com"))
            .await;
        let error = error.unwrap_err();
        assert_eq!((error.code, &error.next), (code, &Next::Retry(None)));
        assert!(!error.message.contains("jane"), "{error}");
    }
}

#[tokio::test]
async fn no_error_shows_a_secret_a_query_or_a_person() {
    let body = json!({
        "error": "Contact jane@acme.com with t0p-s3cret is bad",
        "message": "jane@acme.com", "title": "Jane Doe is not at 20794 60958",
    });
    for status in [400, 401, 403, 404, 429, 500] {
        let shared = body.clone();
        let world = World::new(move |_| answer(status, shared.clone()));
        let client = client(&world, PLAIN);
        let request = get("/contacts/jane%40acme.com/x?email=jane&key=t0p-s3cret");
        let error = client.call(request).await.unwrap_err();
        let text = format!("{error} {error:?} {client:?} {:?}", client.edge);
        for hidden in ["t0p-s3cret", "jane", "Jane", "email=", "20794"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        assert!(error.message.contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_stops_the_source_and_says_which() {
    let world = World::new(ok());
    let client = client(&world, PLAIN);
    std::fs::remove_file(world.folder.path().join("token")).unwrap();
    let error = client.call(get("/x")).await.unwrap_err();
    assert_eq!((error.code, &error.next), ("vendor.secret", &Next::Pause));
    assert!(world.http.sent().is_empty());
}
