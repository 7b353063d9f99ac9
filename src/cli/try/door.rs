//! What a vendor's door would say to a webhook, before anything of it is kept.

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::connector::mechanism::body;
use crate::connector::mechanism::signature::{Request, Verifier};
use crate::connector::select::{Scope, Test};
use crate::connector::{HttpFile, ManifestSource};
use crate::model::{Millis, NewEvent};

/// Why a webhook is answered and nothing of it is kept; none if it is kept.
///
/// # Errors
///
/// That the connector takes no webhooks, or why its conditions cannot be asked.
pub fn passed_over(
    source: &ManifestSource,
    event: &NewEvent,
    file: Option<&HttpFile>,
) -> Result<Option<&'static str>, String> {
    let Some(webhook) = &source.manifest.webhook else {
        return Err(
            "its connector takes no webhooks; with `--door poll` a record that was polled is tried"
                .to_owned(),
        );
    };
    if let Ok(value) = body::decode(webhook.body, &event.content_type, &event.body) {
        let scope = Scope {
            body: Some(&value),
            headers: Some(file.map_or(&event.meta.headers, |file| &file.headers)),
            ..Scope::record(&value)
        };
        for condition in &webhook.ignore_when {
            let test = Test::new(condition).map_err(|error| error.message)?;
            if test.holds(&scope) {
                return Ok(Some("answered, and not kept: `ignore_when` says so"));
            }
        }
    }
    // What is malformed is told by those who read it for good.
    Ok(webhook
        .poll_now
        .then_some("says only that there is something new: the source would be polled at once"))
}

/// Why a whole request would be refused; none if it proves itself.
pub fn refusal(
    source: &ManifestSource,
    file: &HttpFile,
    public_url: Option<&Url>,
    now: Millis,
) -> Option<String> {
    let webhook = source.manifest.webhook.as_ref()?;
    let verifier = match Verifier::new(webhook, &source.options, public_url) {
        Ok(verifier) => verifier,
        Err(error) => return Some(error.to_string()),
    };
    let headers: HeaderMap = file
        .headers
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .collect();
    let request = Request {
        method: &file.method,
        path: &file.path,
        query: file.query.as_deref(),
        headers: &headers,
        body: &file.body,
    };
    let denied = verifier.verify(&request, now).err()?;
    Some(denied.to_string())
}
