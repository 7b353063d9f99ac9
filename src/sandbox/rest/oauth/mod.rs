//! Sign-in: the endpoints below `/services/oauth2/`, and the identity of a token.

mod identity;
mod web;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, StatusCode, header};
use ring::hmac;
use serde_json::json;

use super::call::Answer;
use super::jwt;
use crate::model::Millis;
use crate::sandbox::approvals::FamilyId;
use crate::sandbox::handle::{Sandbox, State};
pub(super) use identity::who;

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

    /// A parameter of the body, else of the query string.
    fn parameter_anywhere(&self, name: &str) -> Option<&str> {
        self.parameter(name).or_else(|| {
            let found = self.query.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        })
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
            "authorize" => "authorize",
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

/// What a token request comes to.
#[derive(Debug)]
struct Grant {
    client_id: String,
    secret: String,
    scope: String,
    family: Option<FamilyId>,
    refresh_token: Option<String>,
}

impl Grant {
    /// A token for the API and no more.
    fn plain(client_id: String, secret: String) -> Self {
        Self {
            client_id,
            secret,
            scope: "api".to_owned(),
            family: None,
            refresh_token: None,
        }
    }
}

/// Carries a call out.
pub(super) fn answer(sandbox: &Sandbox, state: &mut State, call: &OauthCall<'_>) -> Answer {
    state.meter.count(call.kind());
    let outcome = match (call.endpoint, call.method.as_str()) {
        ("authorize", "GET" | "POST") => web::authorize(sandbox, state, call),
        ("token", "POST") => token(sandbox, state, call),
        ("userinfo", "GET" | "POST") => identity::userinfo(sandbox, state, call),
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
    let is_client_credentials = call.parameter("grant_type") == Some("client_credentials");
    let grant = match call.parameter("grant_type") {
        Some("client_credentials") => {
            let (client_id, secret) = check_client(sandbox, call)?;
            if !options.has_run_as_user {
                return Err(refuse(
                    "invalid_grant",
                    "no client credentials user enabled",
                ));
            }
            Grant::plain(client_id, secret)
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
            Grant::plain(claims.issuer, String::new())
        }
        Some("authorization_code") => web::redeem(sandbox, state, call)?,
        Some("refresh_token") => web::refresh(sandbox, state, call)?,
        _ => return Err(refuse("unsupported_grant_type", "grant type not supported")),
    };
    let token = state
        .sessions
        .issue(state.org.id, &grant.client_id, grant.family, call.now);
    let instance_url = options.instance_url.as_deref().unwrap_or(call.own_address);
    let id = identity(state, call.own_address);
    let issued_at = call.now.0.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, grant.secret.as_bytes());
    let signature = hmac::sign(&key, format!("{id}{issued_at}").as_bytes());
    let mut body = json!({
        "access_token": token,
        "signature": STANDARD.encode(signature),
        "scope": grant.scope,
        "instance_url": instance_url,
        "id": id,
        "token_type": "Bearer",
        "issued_at": issued_at,
    });
    if let Some(refresh_token) = grant.refresh_token {
        body["refresh_token"] = refresh_token.into();
    }
    if is_client_credentials {
        body["api_instance_url"] = instance_url.into();
    }
    Ok(Answer::ok(body))
}

/// The address of the user that tokens act for.
pub(super) fn identity(state: &State, own_address: &str) -> String {
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

fn revoke(state: &mut State, call: &OauthCall<'_>) -> Outcome {
    let token = call.parameter_anywhere("token").unwrap_or_default();
    if let Some(family) = state.approvals.revoke(token) {
        state.sessions.revoke_family(family);
        return Ok(Answer::empty(StatusCode::OK));
    }
    if state.sessions.revoke(token) {
        Ok(Answer::empty(StatusCode::OK))
    } else {
        Err(refuse("invalid_token", "invalid token"))
    }
}

fn introspect(sandbox: &Sandbox, state: &mut State, call: &OauthCall<'_>) -> Outcome {
    check_client(sandbox, call)?;
    let token = call.parameter("token").unwrap_or_default();
    let who = |client_id: &str, token_type: &str, issued: i64| {
        json!({
            "active": true,
            "scope": "api",
            "client_id": client_id,
            "username": sandbox.shared.options.username,
            "sub": identity(state, call.own_address),
            "token_type": token_type,
            "iat": issued,
            "nbf": issued,
        })
    };
    if let Some((session, ends)) = state.sessions.look(token, call.now) {
        let issued = session.issued.0.div_euclid(1000);
        let mut body = who(&session.client_id, "access_token", issued);
        body["exp"] = ends.0.div_euclid(1000).into();
        return Ok(Answer::ok(body));
    }
    if let Some((client_id, scope, issued)) = state.approvals.look(token) {
        let mut body = who(client_id, "refresh_token", issued.0.div_euclid(1000));
        body["scope"] = scope.into();
        return Ok(Answer::ok(body));
    }
    Ok(Answer::ok(json!({ "active": false })))
}
