//! How a vendor greets a new address, and what it is answered.
//!
//! A greeting that is answered with a signature lets its sender choose what we sign. So only what can
//! never be a webhook's signed text is signed: a UUID, or, after its own signature was found good, a
//! short token.

use form_urlencoded::parse;
use ring::hmac;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::signature::{Denied, Key, Keys, STANDS, Shape, to_hex};
use crate::connector::manifest::{Handshake, HandshakeStyle};
use crate::connector::select::{Scope, Test};
use crate::connector::{Options, Path, PathError};
use crate::model::Millis;

/// The longest challenge that is sent back.
const MOST_CHALLENGE_BYTES: usize = 256;

/// The longest token that is signed.
const MOST_TOKEN_BYTES: usize = 128;

/// The greetings that a source answers.
#[derive(Debug)]
pub struct Handshakes {
    greetings: Vec<Greeting>,
}

#[derive(Debug)]
struct Greeting {
    style: HandshakeStyle,
    challenge: String,
    verify: Option<String>,
    /// The option with the key, for the message that says that it is not set.
    option: String,
    keys: Option<Keys>,
    when: Option<Test>,
    from: Option<Path>,
    answer_challenge: Option<String>,
    answer_signature: String,
}

/// What a greeting is answered, with 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `text/plain` or `application/json`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Why a greeting is not answered as its sender wants. Holds nothing that was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The token or key for it cannot be had, or the token is another.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no challenge, or one that is not sent back or signed.
    #[error("the challenge is missing, too long, or of characters that no challenge has")]
    Challenge,
}

impl Handshakes {
    /// Of a manifest's webhook and a source's options.
    pub fn new(handshakes: &[Handshake], options: &Options) -> Result<Self, PathError> {
        let greetings = handshakes.iter().map(|it| Greeting::new(it, options));
        Ok(Self {
            greetings: greetings.collect::<Result<_, _>>()?,
        })
    }

    /// Whether GET and HEAD are answered at all.
    pub fn take_get(&self) -> bool {
        self.greetings.iter().any(|greeting| {
            matches!(
                greeting.style,
                HandshakeStyle::Accept | HandshakeStyle::EchoQuery | HandshakeStyle::SignedQuery
            )
        })
    }

    /// The answer to a GET or HEAD; none if the vendor does not greet so.
    pub fn by_query(&self, query: &str, now: Millis) -> Option<Result<Reply, Refused>> {
        let parameter = |wanted: &str| {
            let mut pairs = parse(query.as_bytes());
            pairs.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
        };
        let mut asked = self
            .greetings
            .iter()
            .filter(|greeting| greeting.is_by_query());
        if let Some((greeting, challenge)) =
            asked.find_map(|greeting| Some((greeting, parameter(&greeting.challenge)?)))
        {
            // A token that is not there is a blank one: no secret is blank.
            let token = greeting.verify.as_deref();
            let token = token.map(|verify| parameter(verify).unwrap_or_default());
            return Some(match greeting.style {
                HandshakeStyle::SignedQuery => greeting.sign_uuid(&challenge, now),
                _ => greeting.echo_query(challenge, token, now),
            });
        }
        if self.accepts() {
            return Some(Ok(Reply::empty()));
        }
        self.take_get().then_some(Err(Refused::Challenge))
    }

    /// Whether a POST without a body is a greeting.
    pub fn accepts(&self) -> bool {
        let mut greetings = self.greetings.iter();
        greetings.any(|greeting| greeting.style == HandshakeStyle::Accept)
    }

    /// The answer to a POST whose signature was found good; none if it is no greeting.
    pub fn by_body(&self, scope: &Scope<'_>, now: Millis) -> Option<Result<Reply, Refused>> {
        let greeting = self.greetings.iter().find(|greeting| {
            matches!(
                greeting.style,
                HandshakeStyle::SignedBody | HandshakeStyle::EchoBody
            ) && greeting.when.as_ref().is_some_and(|when| when.holds(scope))
        })?;
        let text = greeting
            .from
            .as_ref()
            .and_then(|from| from.first(scope.record))
            .and_then(Value::as_str);
        let Some(text) = text else {
            return Some(Err(Refused::Challenge));
        };
        Some(match greeting.style {
            HandshakeStyle::SignedBody => greeting.sign_token(text, now),
            _ => greeting.echo_body(text),
        })
    }
}

impl Greeting {
    fn new(handshake: &Handshake, options: &Options) -> Result<Self, PathError> {
        let Handshake {
            style,
            challenge,
            verify,
            key,
            when,
            from,
            answer_challenge,
            answer_signature,
        } = handshake;
        let or =
            |text: &Option<String>, usual: &str| text.clone().unwrap_or_else(|| usual.to_owned());
        Ok(Self {
            style: *style,
            challenge: or(challenge, "challenge"),
            verify: verify.clone(),
            option: or(key, ""),
            keys: key
                .as_deref()
                .and_then(|key| Keys::new(options, key, Shape::TEXT)),
            when: when.as_ref().map(Test::new).transpose()?,
            from: from.as_deref().map(Path::parse).transpose()?,
            answer_challenge: answer_challenge.clone(),
            answer_signature: or(answer_signature, "signature"),
        })
    }

    fn is_by_query(&self) -> bool {
        matches!(
            self.style,
            HandshakeStyle::EchoQuery | HandshakeStyle::SignedQuery
        )
    }

    /// The challenge as it is, if the token is ours or none is agreed on.
    fn echo_query(
        &self,
        challenge: String,
        token: Option<String>,
        now: Millis,
    ) -> Result<Reply, Refused> {
        if let Some(token) = token {
            let keys = self.keys(now)?;
            let mut fits = subtle::Choice::from(0);
            for key in keys.iter() {
                let (Key::Shared(key) | Key::Public(key)) = key;
                fits |= sha256(key).ct_eq(&sha256(token.as_bytes()));
            }
            if !bool::from(fits) {
                return Err(Denied::Wrong.into());
            }
        }
        if !is_challenge(&challenge) {
            return Err(Refused::Challenge);
        }
        Ok(Reply::plain(challenge))
    }

    fn sign_uuid(&self, challenge: &str, now: Millis) -> Result<Reply, Refused> {
        if !is_uuid(challenge) {
            return Err(Refused::Challenge);
        }
        self.signed(challenge, now)
    }

    fn sign_token(&self, token: &str, now: Millis) -> Result<Reply, Refused> {
        let is_token = (1..=MOST_TOKEN_BYTES).contains(&token.len())
            && token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !is_token {
            return Err(Refused::Challenge);
        }
        self.signed(token, now)
    }

    fn signed(&self, text: &str, now: Millis) -> Result<Reply, Refused> {
        let keys = self.keys(now)?;
        let Some(Key::Shared(key)) = keys.first() else {
            return Err(self.no_secret().into());
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let signature = to_hex(hmac::sign(&key, text.as_bytes()).as_ref());
        let mut answer = Map::new();
        let challenge = self.answer_challenge.as_deref().unwrap_or("challenge");
        answer.insert(challenge.to_owned(), text.into());
        answer.insert(self.answer_signature.clone(), signature.into());
        Ok(Reply::json(answer))
    }

    fn echo_body(&self, challenge: &str) -> Result<Reply, Refused> {
        if !is_challenge(challenge) {
            return Err(Refused::Challenge);
        }
        Ok(match &self.answer_challenge {
            None => Reply::plain(challenge.to_owned()),
            Some(member) => {
                let mut answer = Map::new();
                answer.insert(member.clone(), challenge.into());
                Reply::json(answer)
            }
        })
    }

    fn keys(&self, now: Millis) -> Result<std::sync::Arc<[Key]>, Denied> {
        match &self.keys {
            Some(keys) => keys.read(now, STANDS),
            None => Err(self.no_secret()),
        }
    }

    fn no_secret(&self) -> Denied {
        Denied::NoSecret {
            options: vec![self.option.clone()],
        }
    }
}

impl Reply {
    /// Nothing but 200.
    pub fn empty() -> Self {
        Self::plain(String::new())
    }

    fn plain(body: String) -> Self {
        Self {
            content_type: "text/plain; charset=utf-8",
            body,
        }
    }

    fn json(answer: Map<String, Value>) -> Self {
        Self {
            content_type: "application/json",
            body: Value::Object(answer).to_string(),
        }
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    hash
}

/// Nothing that a browser could take for a page or a script, should a person be sent to us.
fn is_challenge(text: &str) -> bool {
    (1..=MOST_CHALLENGE_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;
    use serde_json::json;
    use tempfile::NamedTempFile;

    use super::*;
    use crate::connector::manifest::Manifest;

    const NOW: Millis = Millis(1_772_442_847_000);

    /// Greetings with `secret` as their key; none is set if it is blank.
    fn handshakes(toml: &str, secret: &str) -> (Handshakes, NamedTempFile) {
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
        let mut kept = NamedTempFile::new().unwrap();
        kept.write_all(secret.as_bytes()).unwrap();
        let written = match secret {
            "" => json!({}),
            _ => json!({ "secret": { "file": kept.path() } }),
        };
        let options = Options::of(&manifest, written.as_object().unwrap());
        let webhook = manifest.webhook.unwrap();
        (Handshakes::new(&webhook.handshake, &options).unwrap(), kept)
    }

    const ACCEPT: &str = r#"webhook.handshake = { style = "accept" }"#;
    const META: &str = r#"webhook.handshake = { style = "echo_query", challenge = "hub.challenge", verify = "hub.verify_token", key = "secret" }"#;
    const LINKEDIN: &str = r#"webhook.handshake = { style = "signed_query", challenge = "challengeCode", key = "secret", answer_challenge = "challengeCode", answer_signature = "challengeResponse" }"#;
    const ZOOM: &str = r#"webhook.handshake = { style = "signed_body", key = "secret", when = { from = "event", equals = "endpoint.url_validation" }, from = "payload.plainToken", answer_challenge = "plainToken", answer_signature = "encryptedToken" }"#;
    const SLACK: &str = r#"webhook.handshake = { style = "echo_body", when = { from = "type", equals = "url_verification" }, from = "challenge" }"#;

    fn by_query(toml: &str, secret: &str, query: &str) -> Option<Result<Reply, Refused>> {
        handshakes(toml, secret).0.by_query(query, NOW)
    }

    fn by_body(toml: &str, secret: &str, body: &Value) -> Option<Result<Reply, Refused>> {
        handshakes(toml, secret)
            .0
            .by_body(&Scope::record(body), NOW)
    }

    #[test]
    fn a_get_is_accepted_where_the_vendor_only_looks_whether_we_are_there() {
        assert_eq!(by_query(ACCEPT, "", ""), Some(Ok(Reply::empty())));
        assert_eq!(by_query(ACCEPT, "", "a=b"), Some(Ok(Reply::empty())));
        assert!(handshakes(ACCEPT, "").0.accepts());
        assert_eq!(by_query(ZOOM, "s", ""), None);
        assert!(!handshakes(META, "s").0.accepts());
    }

    #[test]
    fn a_challenge_is_sent_back_bare_to_who_knows_our_token() {
        let ask = |token: &str, challenge: &str| {
            let query =
                format!("hub.mode=subscribe&hub.challenge={challenge}&hub.verify_token={token}");
            by_query(META, "t0ken &", &query).unwrap()
        };
        let reply = ask("t0ken+%26", "1158201444").unwrap();
        assert_eq!(reply.body, "1158201444");
        assert!(reply.content_type.starts_with("text/plain"));
        for token in ["", "t0ken", "t0ken+%26x"] {
            assert_eq!(ask(token, "1"), Err(Denied::Wrong.into()), "{token}");
        }
        for challenge in ["", "<script>", "a b", "%C3%A9", &"1".repeat(257)] {
            assert_eq!(ask("t0ken+%26", challenge), Err(Refused::Challenge));
        }
        let bare = by_query(META, "t0ken", "");
        assert_eq!(bare, Some(Err(Refused::Challenge)));
        let without = by_query(META, "t0ken", "hub.challenge=1");
        assert_eq!(without, Some(Err(Denied::Wrong.into())));
        let unset = by_query(META, "", "hub.challenge=1&hub.verify_token=").unwrap();
        assert!(matches!(
            unset,
            Err(Refused::Denied(Denied::NoSecret { .. }))
        ));
    }

    #[test]
    fn linkedins_challenge_is_signed_and_nothing_but_a_uuid_is() {
        let challenge = "890e4665-4dfe-4ab1-b689-ed553bceeed0";
        let ask = |challenge: &str| {
            let query = format!("challengeCode={challenge}&applicationId=urn%3A1");
            by_query(LINKEDIN, "a-client-secret", &query).unwrap()
        };
        let reply = ask(challenge).unwrap();
        assert_eq!(reply.content_type, "application/json");
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            answer,
            json!({
                "challengeCode": challenge,
                "challengeResponse":
                    "eeadaf9dc139006eb20ddb9b7b024f70700aa142b91770e471c47a4610c15b6d"
            })
        );
        for challenge in [
            "",
            "hmacsha256={\"type\":\"LEAD_ACTION\"}",
            "890e4665-4dfe-4ab1-b689-ed553bceeed",
            "890e4665x4dfe-4ab1-b689-ed553bceeed0",
            "890e4665-4dfe-4ab1-b689-ed553bceeedg",
        ] {
            let query = form_urlencoded::byte_serialize(challenge.as_bytes()).collect::<String>();
            assert_eq!(ask(&query), Err(Refused::Challenge), "{challenge}");
        }
    }

    #[test]
    fn zooms_token_is_signed_and_nothing_that_could_be_a_webhook_is() {
        let ask = |token: Value| {
            let body = json!({
                "event": "endpoint.url_validation", "payload": { "plainToken": token }
            });
            by_body(ZOOM, "zoom-secret-token", &body).unwrap()
        };
        let reply = ask(json!("qgg8vlvZRS6UYooatFL8Aw")).unwrap();
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            answer,
            json!({
                "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
                "encryptedToken":
                    "d9e0d764a78494688ba3f2d5c0ed4ca311394b4834d959759213424d2df961e3"
            })
        );
        for token in [
            json!("v0:1772442847:{}"),
            json!(""),
            json!("a".repeat(129)),
            json!(7),
            json!(null),
        ] {
            assert_eq!(ask(token), Err(Refused::Challenge));
        }
        let event = json!({ "event": "webinar.started" });
        assert_eq!(by_body(ZOOM, "s", &event), None);
    }

    #[test]
    fn a_challenge_in_the_body_is_sent_back() {
        const JSON: &str = r#"webhook.handshake = { style = "echo_body", when = { from = "type", equals = "url_verification" }, from = "challenge", answer_challenge = "challenge" }"#;
        let body = json!({ "type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV" });
        let plain = by_body(SLACK, "", &body).unwrap().unwrap();
        assert_eq!(plain.body, "3eZbrw1aBm2rZgRNFdxV");
        let json = by_body(JSON, "", &body).unwrap().unwrap();
        assert_eq!(json.body, r#"{"challenge":"3eZbrw1aBm2rZgRNFdxV"}"#);
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_panic(query in "\\PC{0,80}", token in "\\PC{0,40}") {
            for toml in [ACCEPT, META, LINKEDIN] {
                let _ = by_query(toml, "secret", &query);
                let _ = by_query(toml, "secret", &format!("hub.challenge={token}&challengeCode={token}"));
            }
            let body = json!({
                "event": "endpoint.url_validation", "payload": { "plainToken": token },
                "type": "url_verification", "challenge": token
            });
            for toml in [ZOOM, SLACK] {
                let _ = by_body(toml, "secret", &body);
            }
        }
    }
}
