use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::SecretRef;

/// Options of `connector = "web-form"`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebFormOptions {
    /// Origins whose pages may post and read the answer. Requests that name another origin are
    /// refused with 403. Blank: any page may post, and scripts of other origins cannot read the answer.
    #[schemars(example = &["https://www.example.com"])]
    pub allowed_origins: Vec<String>,
    /// Where a browser is sent after it has posted (303).
    #[schemars(example = &"https://www.example.com/thanks")]
    pub redirect_url: Option<Url>,
    /// Hosts, beside that of `redirect_url`, to which a form's own `retURL`, `redirect` or `_next`
    /// may send the browser.
    #[schemars(example = &["www.example.com"])]
    pub allowed_redirect_hosts: Vec<String>,
    /// A field that people do not see: filled in means spam. Beside `_gotcha`, `bot-field` and
    /// `website2`, which always do.
    #[schemars(length(min = 1), example = &"fax_2")]
    pub honeypot: Option<String>,
    /// The Salesforce org id, 15 or 18 characters, that Web-to-Lead forms send as `oid`: with it
    /// POST /servlet/servlet.WebToLead finds this source.
    #[schemars(example = &"00D5g00000EXAMP")]
    pub org_id: Option<String>,
    /// API names of the custom fields that Web-to-Lead forms send by id (`00N…`).
    #[schemars(example = &serde_json::json!({ "00N5g000004XyZa": "plan" }))]
    pub custom_fields: std::collections::BTreeMap<String, String>,
    /// Requests taken in a second, all senders together; further ones get 429. None: no limit.
    #[schemars(range(min = 1, max = 1_000_000), example = 200)]
    pub rate_limit_per_second: Option<u32>,
    /// Requests taken in a minute from one address; further ones get 429. None: no limit.
    #[schemars(range(min = 1, max = 1_000_000), example = 60)]
    pub rate_limit_per_address_per_minute: Option<u32>,
    /// Submissions that equal an earlier one within this time count as the same one.
    #[schemars(range(min = 0, max = 86_400), example = 600)]
    pub duplicate_window_seconds: u64,
    /// Ask a captcha's vendor about each post.
    pub captcha: Option<Captcha>,
}

impl Default for WebFormOptions {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            redirect_url: None,
            allowed_redirect_hosts: Vec::new(),
            honeypot: None,
            org_id: None,
            custom_fields: std::collections::BTreeMap::new(),
            rate_limit_per_second: None,
            rate_limit_per_address_per_minute: None,
            duplicate_window_seconds: 600,
            captcha: None,
        }
    }
}

/// A captcha on the form.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Captcha {
    /// Whose captcha it is.
    #[schemars(example = &"turnstile")]
    pub provider: CaptchaProvider,
    /// The secret key that the vendor gave.
    #[schemars(example = &serde_json::json!({ "env": "TURNSTILE_SECRET" }))]
    pub secret: SecretRef,
    /// The lowest score that passes, 0 to 1; for reCAPTCHA v3.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub min_score: Option<f64>,
    /// The host name that the token must have been made on.
    #[schemars(example = &"www.example.com")]
    pub hostname: Option<String>,
    /// The action that the token must have been made for.
    #[schemars(example = &"demo_request")]
    pub action: Option<String>,
    /// What becomes of a post when the vendor cannot be asked.
    #[serde(default)]
    #[schemars(example = &"review")]
    pub on_unavailable: OnCaptchaUnavailable,
}

/// Whose captcha it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptchaProvider {
    /// Cloudflare Turnstile.
    Turnstile,
    /// Google reCAPTCHA v2 or v3.
    Recaptcha,
    /// hCaptcha.
    Hcaptcha,
}

/// What becomes of a post when the captcha's vendor cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnCaptchaUnavailable {
    /// It is stored and waits for a person.
    #[default]
    Review,
    /// It is taken as a lead.
    Accept,
}
