//! The web-server flow: approval, its code, PKCE, and refresh tokens that rotate.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use ring::digest;

use super::{Grant, OauthCall, Outcome, check_client_id, refuse};
use crate::sandbox::approvals::{Approval, NotRefreshed};
use crate::sandbox::handle::{Sandbox, State};
use crate::sandbox::rest::call::Answer;

/// The scopes of an app that asks for none: all that it was given.
const ALL_SCOPES: &str = "refresh_token api";

/// RFC 7636 ends at 128 characters, Salesforce's own text asks for 171.
const VERIFIER_LENGTH: std::ops::RangeInclusive<usize> = 43..=171;

/// `GET /services/oauth2/authorize`: the user is signed in and clicks *Allow* at once.
pub(super) fn authorize(sandbox: &Sandbox, state: &mut State, call: &OauthCall<'_>) -> Outcome {
    let options = &sandbox.shared.options;
    let parameter = |name: &str| call.parameter_anywhere(name).unwrap_or_default();
    let client_id = parameter("client_id");
    check_client_id(sandbox, client_id)?;
    let redirect_uri = parameter("redirect_uri");
    let is_known = match &options.callback_url {
        Some(callback) => callback == redirect_uri,
        None => is_callback(redirect_uri),
    };
    if !is_known {
        // Nothing is sent to an address that is not the app's.
        return Err(refuse(
            "redirect_uri_mismatch",
            "redirect_uri must match configuration",
        ));
    }
    let back = |pairs: &[(&str, &str)]| {
        let state = call
            .parameter_anywhere("state")
            .map(|state| ("state", state));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs.iter().copied().chain(state))
            .finish();
        let joint = if redirect_uri.contains('?') { '&' } else { '?' };
        Answer::empty(StatusCode::FOUND).header("Location", format!("{redirect_uri}{joint}{query}"))
    };
    let refuse_there = |error: &str, description: &str| {
        back(&[("error", error), ("error_description", description)])
    };
    if parameter("response_type") != "code" {
        return Ok(refuse_there(
            "unsupported_response_type",
            "response type not supported",
        ));
    }
    let challenge = call.parameter_anywhere("code_challenge");
    if challenge.is_none() && options.requires_pkce {
        return Ok(refuse_there(
            "invalid_request",
            "missing required code challenge",
        ));
    }
    let method = call.parameter_anywhere("code_challenge_method");
    if challenge.is_some() && method.is_some_and(|method| method != "S256") {
        return Ok(refuse_there(
            "invalid_request",
            "code challenge method must be S256",
        ));
    }
    if state.faults.faults().deny_approval {
        return Ok(refuse_there(
            "access_denied",
            "end-user denied authorization",
        ));
    }
    let scope = match parameter("scope").trim() {
        "" => ALL_SCOPES,
        scope => scope,
    };
    let approval = Approval {
        client_id: client_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        scope: scope.to_owned(),
        challenge: challenge.map(str::to_owned),
    };
    let code = state.approvals.issue_code(approval, call.now);
    Ok(back(&[("code", &code)]))
}

/// An app's callback: https, this machine, or a scheme of the app's own.
fn is_callback(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match scheme {
        "http" => ["localhost", "127.0.0.1", "[::1]"].contains(&name),
        "javascript" | "data" | "file" => false,
        _ => !host.is_empty(),
    }
}

/// `grant_type=authorization_code`
pub(super) fn redeem(
    sandbox: &Sandbox,
    state: &mut State,
    call: &OauthCall<'_>,
) -> Result<Grant, Answer> {
    let (client_id, secret) = web_client(sandbox, call)?;
    let expired = || refuse("invalid_grant", "expired authorization code");
    let code = call.parameter("code").unwrap_or_default();
    let approval = state
        .approvals
        .take_code(code, call.now)
        .ok_or_else(expired)?;
    if approval.client_id != client_id {
        return Err(refuse("invalid_grant", "invalid authorization code"));
    }
    if call.parameter("redirect_uri") != Some(approval.redirect_uri.as_str()) {
        return Err(refuse(
            "redirect_uri_mismatch",
            "redirect_uri must match configuration",
        ));
    }
    if let Some(challenge) = &approval.challenge
        && !call
            .parameter("code_verifier")
            .is_some_and(|verifier| fits(verifier, challenge))
    {
        return Err(refuse("invalid_grant", "invalid code verifier"));
    }
    let wants_refresh = approval
        .scope
        .split_whitespace()
        .any(|scope| ["refresh_token", "offline_access"].contains(&scope));
    let (family, refresh_token) = if wants_refresh {
        let (family, token, revoked) =
            state
                .approvals
                .start_family(&client_id, &approval.scope, call.now);
        if let Some(revoked) = revoked {
            state.sessions.revoke_family(revoked);
        }
        (Some(family), Some(token))
    } else {
        (None, None)
    };
    Ok(Grant {
        client_id,
        secret,
        scope: approval.scope,
        family,
        refresh_token,
    })
}

/// `grant_type=refresh_token`
pub(super) fn refresh(
    sandbox: &Sandbox,
    state: &mut State,
    call: &OauthCall<'_>,
) -> Result<Grant, Answer> {
    let (client_id, secret) = web_client(sandbox, call)?;
    if state.faults.busy_refresh() {
        return Err(refuse(
            "invalid_grant",
            "token request is already being processed",
        ));
    }
    let token = call.parameter("refresh_token").unwrap_or_default();
    match state.approvals.refresh(token, &client_id) {
        Ok(refreshed) => Ok(Grant {
            client_id,
            secret,
            scope: refreshed.scope,
            family: Some(refreshed.family),
            refresh_token: refreshed.next,
        }),
        Err(reason) => {
            if let NotRefreshed::Reused(family) = reason {
                state.sessions.revoke_family(family);
            }
            Err(refuse("invalid_grant", "expired access/refresh token"))
        }
    }
}

/// The client of the web flow: its secret must be right, but may be missing unless the app
/// demands it.
fn web_client(sandbox: &Sandbox, call: &OauthCall<'_>) -> Result<(String, String), Answer> {
    let options = &sandbox.shared.options;
    let (client_id, secret) = call.client();
    let client_id = client_id.unwrap_or_default();
    check_client_id(sandbox, &client_id)?;
    let expected = options.client_secret.as_ref();
    let fits = match &secret {
        Some(secret) => expected.is_none_or(|expected| expected.expose() == secret),
        None => !options.web_flow_needs_secret,
    };
    if !fits {
        return Err(refuse("invalid_client", "invalid client credentials"));
    }
    Ok((client_id, secret.unwrap_or_default()))
}

fn fits(verifier: &str, challenge: &str) -> bool {
    let is_verifier = VERIFIER_LENGTH.contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
    is_verifier && URL_SAFE_NO_PAD.encode(hash) == challenge.trim_end_matches('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_of_rfc_7636_fits_its_challenge() {
        // Appendix B of the RFC.
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(fits(
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            challenge
        ));
        assert!(!fits(
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK",
            challenge
        ));
        assert!(!fits("short", challenge));
    }

    #[test]
    fn callbacks_are_https_or_this_machine() {
        for good in [
            "https://leads.example.com/callback",
            "http://localhost:1717/OauthRedirect",
            "http://127.0.0.1:8080/",
            "myapp://done",
        ] {
            assert!(is_callback(good), "{good}");
        }
        for bad in [
            "",
            "http://evil.example/",
            "http://localhost.evil.example/",
            "nothing",
        ] {
            assert!(!is_callback(bad), "{bad}");
        }
    }
}
