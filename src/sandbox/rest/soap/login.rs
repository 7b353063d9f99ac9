use super::xml::{Element, tag};
use super::{Fault, SoapCall};
use crate::sandbox::handle::{Sandbox, State};

/// The last version whose `login()` is served.
/// Source: Summer '25 release notes, "SOAP API login() Call is Being Retired".
const LAST: u16 = 64;

/// `login`: a token for a username and a password with its security token. Any password that is
/// not blank is right.
pub(super) fn run(
    sandbox: &Sandbox,
    state: &mut State,
    call: &SoapCall<'_>,
    operation: &Element,
) -> Result<String, Fault> {
    state.meter.count("soap_login");
    if call.version > LAST {
        return Err(Fault::new(
            "INVALID_OPERATION",
            "SOAP API login() is not available in this version of the API",
        ));
    }
    let options = &sandbox.shared.options;
    let username = operation.text_of("username");
    if username != Some(&options.username) || operation.text_of("password").is_none() {
        return Err(Fault::new(
            "INVALID_LOGIN",
            "Invalid username, password, security token; or user locked out.",
        ));
    }
    let token = state.sessions.issue(state.org.id, "soap", None, call.now);
    let org = &state.org;
    let base = options.instance_url.as_deref().unwrap_or(call.own_address);
    let url = |kind: &str| {
        let version = call.version;
        format!("{base}/services/Soap/{kind}/{version}.0/{}", org.id.short())
    };
    let user: String = [
        ("organizationId", org.id.to_string()),
        ("organizationName", "leadstream sandbox".to_owned()),
        ("userEmail", "integration@example.com".to_owned()),
        ("userFullName", "Integration User".to_owned()),
        ("userId", org.integration_user.to_string()),
        ("userLanguage", "en_US".to_owned()),
        ("userLocale", "en_US".to_owned()),
        ("userName", options.username.clone()),
        ("userTimeZone", "GMT".to_owned()),
        ("userType", "Standard".to_owned()),
    ]
    .iter()
    .map(|(name, text)| tag(name, Some(text)))
    .collect();
    let timeout = options.session_timeout.as_secs();
    Ok([
        "<loginResponse><result>".to_owned(),
        tag("metadataServerUrl", Some(&url("m"))),
        tag("passwordExpired", Some("false")),
        tag("sandbox", Some("true")),
        tag("serverUrl", Some(&url("u"))),
        tag("sessionId", Some(&token)),
        tag("userId", Some(&org.integration_user.to_string())),
        format!(
            "<userInfo>{user}{}</userInfo>",
            tag("sessionSecondsValid", Some(&timeout.to_string()))
        ),
        "</result></loginResponse>".to_owned(),
    ]
    .concat())
}
