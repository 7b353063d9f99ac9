use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, StatusCode, header};
use ring::hmac;
use serde_json::{Value as Json, json};

use super::call::Answer;
use super::jwt;
use crate::model::Millis;
use crate::sandbox::handle::{Sandbox, State};

/// A request to an endpoint below `/services/oauth2/`.
#[derive(Debug)]
pub(super) struct OauthCall<'a> {
    pub(super) endpoint: &'a str,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) query: &'a [(String, String)],
    pub(super) form: Vec<(String, String)>,
    /// Where this org was called.
    pub(super) own_address: &'a str,
    pub(super) now: Millis,
}

impl OauthCall<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.form.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The client's id and secret, from the body or by HTTP Basic.
    fn client(&self) -> (Option<String>, Option<String>) {
        let basic = self.headers.get(header::AUTHORIZATION).and_then(|value| {
            let encoded = value.to_str().ok()?.strip_prefix("Basic ")?;
            let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
            let (id, secret) = decoded.split_once(':')?;
            Some((Some(id.to_owned()), Some(secret.to_owned())))
        });
        basic.unwrap_or_else(|| {
            let part = |name| self.parameter(name).map(str::to_owned);
            (part("client_id"), part("client_secret"))
        })
    }

    fn kind(&self) -> &'static str {
        match self.endpoint {
            "token" => "token",
            "userinfo" => "userinfo",
            "revoke" => "revoke",
            "introspect" => "introspect",
            _ => "unknown",
        }
    }
}

/// OAuth refuses with an object, unlike REST.
fn refuse(error: &str, description: &str) -> Answer {
    Answer::json(
        StatusCode::BAD_REQUEST,
        json!({ "error": error, "error_description": description }),
    )
}

type Outcome = Result<Answer, Answer>;

/// Carries a call out.
pub(super) fn answer(sandbox: &Sandbox, state: &mut State, call: &OauthCall<'_>) -> Answer {
    state.meter.count(call.kind());
    let outcome = match (call.endpoint, call.method.as_str()) {
        ("token", "POST") => token(sandbox, state, call),
        ("userinfo", "GET" | "POST") => userinfo(sandbox, state, call),
        ("revoke", "GET" | "POST") => revoke(state, call),
        ("introspect", "POST") => introspect(sandbox, state, call),
        ("token" | "introspect", _) => Err(refuse("invalid_request", "must use HTTP POST")),
        _ => Err(Answer::empty(StatusCode::NOT_FOUND)),
    };
    let answer = outcome.unwrap_or_else(|refusal| refusal);
    answer.header("Cache-Control", "no-cache, no-store")
}

fn token(sandbox: &Sandbox, state: &mut State, call: &OauthCall<'_>) -> Outcome {
    let options = &sandbox.shared.options;
    let (client_id, secret) = match call.parameter("grant_type") {
        Some("client_credentials") => {
            let (client_id, secret) = check_client(sandbox, call)?;
            if !options.has_run_as_user {
                return Err(refuse(
                    "invalid_grant",
                    "no client credentials user enabled",
                ));
            }
            (client_id, secret)
        }
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
            let assertion = call.parameter("assertion").unwrap_or_default();
            let key = options.jwt_public_key.as_ref();
            let claims = jwt::check(assertion, key, call.own_address, call.now)
                .map_err(|description| refuse("invalid_grant", description))?;
            check_client_id(sandbox, &claims.issuer)?;
            if key.is_some() && claims.subject != options.username {
                return Err(refuse(
                    "invalid_grant",
                    "user hasn't approved this consumer",
                ));
            }
            (claims.issuer, String::new())
        }
        _ => return Err(refuse("unsupported_grant_type", "grant type not supported")),
    };
    let token = state.sessions.issue(state.org.id, &client_id, call.now);
    let instance_url = options.instance_url.as_deref().unwrap_or(call.own_address);
    let id = identity(state, call.own_address);
    let issued_at = call.now.0.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("{id}{issued_at}").as_bytes());
    Ok(Answer::ok(json!({
        "access_token": token,
        "signature": STANDARD.encode(signature),
        "scope": "api",
        "instance_url": instance_url,
        "id": id,
        "token_type": "Bearer",
        "issued_at": issued_at,
    })))
}

fn identity(state: &State, own_address: &str) -> String {
    let org = &state.org;
    format!("{own_address}/id/{}/{}", org.id, org.integration_user)
}

fn check_client_id(sandbox: &Sandbox, client_id: &str) -> Result<(), Answer> {
    let expected = sandbox.shared.options.client_id.as_deref();
    if client_id.is_empty() || expected.is_some_and(|expected| expected != client_id) {
        return Err(refuse("invalid_client_id", "client identifier invalid"));
    }
    Ok(())
}

fn check_client(sandbox: &Sandbox, call: &OauthCall<'_>) -> Result<(String, String), Answer> {
    let (client_id, secret) = call.client();
    let (client_id, secret) = (client_id.unwrap_or_default(), secret.unwrap_or_default());
    check_client_id(sandbox, &client_id)?;
    let expected = sandbox.shared.options.client_secret.as_ref();
    if secret.is_empty() || expected.is_some_and(|expected| expected.expose() != secret) {
        return Err(refuse("invalid_client", "invalid client credentials"));
    }
    Ok((client_id, secret))
}

fn userinfo(sandbox: &Sandbox, state: &mut State, call: &OauthCall<'_>) -> Outcome {
    let most = state.faults.faults().requests_per_token;
    let is_known = super::front::bearer(call.headers)
        .is_some_and(|token| state.sessions.spend(token, call.now, most));
    if !is_known {
        return Err(Answer::json(
            StatusCode::FORBIDDEN,
            Json::from("Bad_OAuth_Token"),
        ));
    }
    let org = &state.org;
    let username = &sandbox.shared.options.username;
    Ok(Answer::ok(json!({
        "sub": identity(state, call.own_address),
        "user_id": org.integration_user.to_string(),
        "organization_id": org.id.to_string(),
        "preferred_username": username,
        "name": "Integration User",
        "email": "integration@example.com",
        "email_verified": true,
        "active": true,
        "user_type": "STANDARD",
        "locale": "en_US",
        "urls": {
            "rest": format!("{}/services/data/v{{version}}/", call.own_address),
            "sobjects": format!("{}/services/data/v{{version}}/sobjects/", call.own_address),
            "query": format!("{}/services/data/v{{version}}/query/", call.own_address),
        },
    })))
}

fn revoke(state: &mut State, call: &OauthCall<'_>) -> Outcome {
    let in_query = call.query.iter().find(|(name, _)| name == "token");
    let token = call
        .parameter("token")
        .or(in_query.map(|(_, token)| token.as_str()));
    if token.is_some_and(|token| state.sessions.revoke(token)) {
        Ok(Answer::empty(StatusCode::OK))
    } else {
        Err(refuse("invalid_token", "invalid token"))
    }
}

fn introspect(sandbox: &Sandbox, state: &mut State, call: &OauthCall<'_>) -> Outcome {
    check_client(sandbox, call)?;
    let token = call.parameter("token").unwrap_or_default();
    let Some((session, ends)) = state.sessions.look(token, call.now) else {
        return Ok(Answer::ok(json!({ "active": false })));
    };
    let issued = session.issued.0.div_euclid(1000);
    Ok(Answer::ok(json!({
        "active": true,
        "scope": "api",
        "client_id": session.client_id,
        "username": sandbox.shared.options.username,
        "sub": identity(state, call.own_address),
        "token_type": "access_token",
        "exp": ends.0.div_euclid(1000),
        "iat": issued,
        "nbf": issued,
    })))
}
