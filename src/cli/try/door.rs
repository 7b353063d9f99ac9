//! What a vendor's door would say to a webhook, before anything of it is kept.

use url::Url;

use crate::connector::mechanism::signature::Verifier;
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
    let headers = file.map_or(&event.meta.headers, |file| &file.headers);
    if source.ignores(&event.content_type, headers, &event.body)? {
        return Ok(Some("answered, and not kept: `ignore_when` says so"));
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
    let denied = file.prove(&verifier, now).err()?;
    Some(denied.to_string())
}
