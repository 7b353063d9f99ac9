//! Fields that steer the form and say nothing about the person.

use super::WebFormOptions;

/// Where the form wants the browser to go next; the first that is there counts.
pub const REDIRECTS: &[&str] = &["retURL", "redirect", "_next"];

/// Fields that people do not see, in every source.
const HONEYPOTS: &[&str] = &["_gotcha", "bot-field", "website2"];

/// When the page was rendered, by its own clock.
pub const RENDERED_AT: &str = "_t";

/// The sender's own id of the submission.
pub const SUBMISSION_ID: &str = "submission_id";

/// Names, lower case, of fields for the form's server, its frameworks and captchas.
const CONTROL: &[&str] = &[
    "_charset_",
    "_csrf",
    "_gotcha",
    "_method",
    "_next",
    "_t",
    "_token",
    "_wpnonce",
    "__requestverificationtoken",
    "authenticity_token",
    "bot-field",
    "cf-turnstile-response",
    "csrf_token",
    "csrfmiddlewaretoken",
    "g-recaptcha-response",
    "h-captcha-response",
    "redirect",
    "returl",
    "submission_id",
    "submit",
    "utf8",
    "website2",
];

/// Whether a field is there for the form, not for us.
pub fn is_control(name: &str) -> bool {
    CONTROL.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a field is one that people do not see.
pub fn is_honeypot(name: &str, options: &WebFormOptions) -> bool {
    HONEYPOTS
        .iter()
        .copied()
        .chain(options.honeypot.as_deref())
        .any(|honeypot| honeypot.eq_ignore_ascii_case(name))
}
