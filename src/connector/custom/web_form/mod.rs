//! Plain web forms: a landing page that posts straight to us. The daemon is the vendor here.
//!
//! ```text
//! body (bytes to named values) ─ extract ─ reading (which value is which lead field), web_to_lead
//! ```
//!
//! What browsers and existing forms send, with sources: `connectors/web-form/README.md`.

pub(in crate::connector) mod body;
mod control;
mod extract;
mod options;
mod web_to_lead;

pub use control::REDIRECTS;
pub use options::{Captcha, CaptchaProvider, OnCaptchaUnavailable, WebFormOptions};
pub use web_to_lead::OrgId;

use std::collections::BTreeMap;

use super::super::{Connector, ExtractError, Payload, Refusal};
use crate::config::{FieldMapping, SourceConfig};
use crate::model::{Event, Extracted};

/// The connector of plain web forms.
#[derive(Debug, Clone)]
pub struct WebForm {
    fields: BTreeMap<String, FieldMapping>,
    options: WebFormOptions,
}

impl WebForm {
    /// The connector of one source.
    pub fn new(source: &SourceConfig, options: &WebFormOptions) -> Self {
        Self {
            fields: source.fields.clone(),
            options: options.clone(),
        }
    }
}

impl Connector for WebForm {
    fn receive(&self, payload: Payload<'_>) -> Result<(), Refusal> {
        body::check(payload)
    }

    fn extract(&self, event: &Event) -> Result<Vec<Extracted>, ExtractError> {
        let form = body::decode(Payload::from(&event.received))?;
        Ok(vec![extract::extract(
            form,
            event,
            &self.fields,
            &self.options,
        )])
    }
}

/// The first value in a payload that is not blank, of the fields so named, tried in that order.
///
/// For what must be known before the event is stored: a captcha's token, the form's own redirect,
/// the org id of Web-to-Lead. `None` as well if the payload cannot be read.
pub fn peek(payload: Payload<'_>, names: &[&str]) -> Option<String> {
    let form = body::decode(payload).ok()?;
    names
        .iter()
        .find_map(|name| form.first(name).map(str::to_owned))
}
