use std::collections::BTreeMap;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::loopback::{PATIENCE, reason};
use super::*;
use crate::connector::mechanism::auth::Overrides;
use crate::connector::mechanism::testing::{Answered, Sent, World, answer, manifest};
use crate::model::SourceName;

fn world(rule: impl FnMut(&Sent) -> Answered + Send + 'static) -> (World, Arc<SignIn>) {
    let world = World::new(rule);
    let manifest = manifest(
        "[auth.oauth]\ntype = \"oauth2\"\ntoken_url = \"https://login.acme.example/t\"\nauthorize_url = \"https://login.acme.example/a\"",
    );
    let written = [("client_id", "c"), ("client_secret", "s")];
    let options = world.options(&manifest, &written);
    let overrides = Overrides {
        token_url: Some("http://127.0.0.1:9101/t".parse().unwrap()),
        authorize_url: Some("http://127.0.0.1:9101/a".parse().unwrap()),
        ..Overrides::default()
    };
    let source = SourceName::new("demo");
    let sign_in = SignIn::new(&source, &manifest, &options, &overrides).unwrap();
    (world, sign_in)
}

fn args() -> Args {
    Args {
        source: "demo".to_owned(),
        ..Args::default()
    }
}

async fn browse(url: &str) -> String {
    let url: Url = url.parse().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap()))
        .await
        .unwrap();
    let query = url.query().unwrap_or_default();
    let request = format!("GET {}?{query} HTTP/1.1\r\nhost: x\r\n\r\n", url.path());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

/// Asks, and hands the consent page's address and what it asks for to `person`.
async fn asked<Done>(
    world: &World,
    sign_in: &Arc<SignIn>,
    person: impl FnOnce(BTreeMap<String, String>) -> Done,
) -> Result<Connected, ConnectError>
where
    Done: Future<Output = ()> + Send + 'static,
{
    let mut person = Some(person);
    let mut acting = None;
    let result = ask_vendor(&args(), sign_in, &world.edge, |url| {
        assert!(
            url.as_str().starts_with("http://127.0.0.1:9101/a?"),
            "{url}"
        );
        let query = url.query_pairs().into_owned().collect();
        acting = Some(tokio::spawn(person.take().unwrap()(query)));
    })
    .await;
    acting.unwrap().await.unwrap();
    result
}

#[tokio::test]
async fn the_answer_to_the_right_question_connects_and_no_other() {
    let (world, sign_in) = world(|sent| {
        assert_eq!(sent.url, "http://127.0.0.1:9101/t");
        assert_eq!(sent.form()["code"], "the code");
        answer(
            200,
            json!({ "access_token": "a-1", "refresh_token": "r-1", "expires_in": 60, "scope": "leads" }),
        )
    });
    let connected = asked(&world, &sign_in, |query| async move {
        let back = query["redirect_uri"].clone();
        let state = &query["state"];
        let port = Url::parse(&back).unwrap().port().unwrap();
        // A connection that is never used, as browsers open them.
        let idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let page = browse(&format!("http://127.0.0.1:{port}/favicon.ico")).await;
        assert!(page.starts_with("HTTP/1.1 404"), "{page}");
        for wrong in ["", "?code=x", "?code=x&state=guessed"] {
            let page = browse(&format!("{back}{wrong}")).await;
            assert!(page.starts_with("HTTP/1.1 400"), "{page}");
        }
        let page = browse(&format!("{back}?state={state}&code=the%20code")).await;
        assert!(page.contains("leadstream is connected"), "{page}");
        drop(idle);
    })
    .await
    .unwrap();
    assert_eq!(
        told("demo", &connected),
        "demo is connected.\nIt may: leads\nIt is renewed by itself."
    );
    assert_eq!(world.http.sent().len(), 1);
    sign_in.sign(&world.edge).await.unwrap();
}

#[tokio::test]
async fn a_person_who_refuses_is_taken_at_their_word() {
    let (world, sign_in) = world(|sent| panic!("{sent:?}"));
    let error = asked(&world, &sign_in, |query| async move {
        let (back, state) = (&query["redirect_uri"], &query["state"]);
        let page = browse(&format!("{back}?error=access_denied&state={state}")).await;
        assert!(page.contains("was not connected"), "{page}");
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the vendor gave no consent: access_denied"
    );
}

#[tokio::test]
async fn a_code_that_the_vendor_refuses_connects_nothing_and_says_why() {
    let (world, sign_in) = world(|_| answer(400, json!({ "error": "invalid_client" })));
    let error = asked(&world, &sign_in, |query| async move {
        let (back, state) = (&query["redirect_uri"], &query["state"]);
        let page = browse(&format!("{back}?code=c&state={state}")).await;
        assert!(page.contains("was not connected"), "{page}");
    })
    .await
    .unwrap_err();
    assert!(error.to_string().contains("invalid_client"), "{error}");
    assert!(error.hint().contains("client_secret"));
    assert!(world.store.names().is_empty());
}

#[tokio::test]
async fn nobody_is_waited_for_for_ever() {
    let (world, sign_in) = world(|sent| panic!("{sent:?}"));
    let clock = world.clock.clone();
    let error = asked(&world, &sign_in, |_| async move {
        tokio::task::yield_now().await;
        clock.advance(PATIENCE);
    })
    .await
    .unwrap_err();
    assert!(matches!(error, ConnectError::NoAnswer), "{error}");
}

#[tokio::test]
async fn a_registered_redirect_address_is_sent_as_it_is() {
    let (world, sign_in) = world(|sent| panic!("{sent:?}"));
    let args = Args {
        redirect_uri: Some("https://tunnel.acme.example/back".parse().unwrap()),
        ..args()
    };
    let clock = world.clock.clone();
    let mut sent = String::new();
    let asking = ask_vendor(&args, &sign_in, &world.edge, |url| {
        sent = url.to_string();
        tokio::spawn(async move { clock.advance(PATIENCE) });
    });
    asking.await.unwrap_err();
    assert!(
        sent.contains("redirect_uri=https%3A%2F%2Ftunnel.acme.example%2Fback"),
        "{sent}"
    );
}

#[test]
fn what_a_vendor_says_is_repeated_only_if_it_is_a_code() {
    assert_eq!(reason("access_denied"), ": access_denied");
    for other in ["", "Jane Doe said no", "<script>"] {
        assert_eq!(reason(other), "");
    }
}
