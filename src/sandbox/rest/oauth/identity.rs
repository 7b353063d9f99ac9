//! Who a token acts for.

use http::{HeaderMap, StatusCode};
use serde_json::{Value as Json, json};

use super::{OauthCall, Outcome, identity};
use crate::model::Millis;
use crate::sandbox::handle::{Sandbox, State};
use crate::sandbox::rest::call::Answer;
use crate::sandbox::rest::front;

/// `GET /services/oauth2/userinfo`
pub(super) fn userinfo(sandbox: &Sandbox, state: &mut State, call: &OauthCall<'_>) -> Outcome {
    check(
        state,
        call.headers,
        call.parameter_anywhere("access_token"),
        call.now,
    )?;
    let org = &state.org;
    let url = identity(state, call.own_address);
    Ok(Answer::ok(json!({
        "sub": url,
        "user_id": org.integration_user.to_string(),
        "organization_id": org.id.to_string(),
        "preferred_username": sandbox.shared.options.username,
        "nickname": "integration",
        "name": "Integration User",
        "given_name": "Integration",
        "family_name": "User",
        "email": "integration@example.com",
        "email_verified": true,
        "zoneinfo": "GMT",
        "active": true,
        "user_type": "STANDARD",
        "language": "en_US",
        "locale": "en_US",
        "utcOffset": 0,
        "profile": format!("{}/{}", call.own_address, org.integration_user),
        "urls": urls(state, call.own_address),
        "is_app_installed": true,
    })))
}

/// `GET /id/00D…/005…`
pub(in crate::sandbox::rest) fn who(
    sandbox: &Sandbox,
    state: &mut State,
    headers: &HeaderMap,
    path: &[String],
    query: &[(String, String)],
    own_address: &str,
    now: Millis,
) -> Answer {
    state.meter.count("identity");
    let by_query = query
        .iter()
        .find(|(name, _)| name == "oauth_token" || name == "access_token")
        .map(|(_, token)| token.as_str());
    if let Err(refusal) = check(state, headers, by_query, now) {
        return refusal;
    }
    let org = &state.org;
    let (org_id, user_id) = (org.id.to_string(), org.integration_user.to_string());
    if path.get(1) != Some(&org_id) || path.get(2) != Some(&user_id) {
        return Answer::json(StatusCode::FORBIDDEN, Json::from("Wrong_Org"));
    }
    Answer::ok(json!({
        "id": identity(state, own_address),
        "asserted_user": true,
        "user_id": user_id,
        "organization_id": org_id,
        "username": sandbox.shared.options.username,
        "nick_name": "integration",
        "display_name": "Integration User",
        "email": "integration@example.com",
        "email_verified": true,
        "first_name": "Integration",
        "last_name": "User",
        "timezone": "GMT",
        "photos": {},
        "addr_street": null,
        "addr_city": null,
        "addr_state": null,
        "addr_country": null,
        "addr_zip": null,
        "mobile_phone": null,
        "mobile_phone_verified": false,
        "is_lightning_login_user": false,
        "status": { "created_date": null, "body": null },
        "urls": urls(state, own_address),
        "active": true,
        "user_type": "STANDARD",
        "language": "en_US",
        "locale": "en_US",
        "utcOffset": 0,
        "is_app_installed": true,
    }))
}

fn check(
    state: &mut State,
    headers: &HeaderMap,
    by_parameter: Option<&str>,
    now: Millis,
) -> Result<(), Answer> {
    let most = state.faults.faults().requests_per_token;
    let is_known = front::bearer(headers)
        .or(by_parameter)
        .is_some_and(|token| state.sessions.spend(token, now, most));
    if is_known {
        return Ok(());
    }
    let body = Json::from("Bad_OAuth_Token");
    Err(Answer::json(StatusCode::FORBIDDEN, body))
}

fn urls(state: &State, own_address: &str) -> Json {
    let rest = format!("{own_address}/services/data/v{{version}}");
    let soap = format!("{own_address}/services/Soap");
    let org = state.org.id.short();
    json!({
        "enterprise": format!("{soap}/c/{{version}}/{org}"),
        "partner": format!("{soap}/u/{{version}}/{org}"),
        "rest": format!("{rest}/"),
        "sobjects": format!("{rest}/sobjects/"),
        "search": format!("{rest}/search/"),
        "query": format!("{rest}/query/"),
        "tooling_rest": format!("{rest}/tooling/"),
        "profile": format!("{own_address}/{}", state.org.integration_user),
        "custom_domain": own_address,
    })
}
