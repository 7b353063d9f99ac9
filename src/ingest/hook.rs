use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use prometheus_client::metrics::counter::Counter;
use url::Url;

use super::captcha::CaptchaCheck;
use super::cors::Cors;
use super::rate_limit::{AddressLimit, SourceLimit};
use super::redirect::Redirect;
use super::refused::Refused;
use super::vendor::VendorHook;
use crate::config::SourceConfig;
use crate::connector::custom::web_form::{OrgId, WebFormOptions};
use crate::connector::{Connector, ConnectorOptions, connector_of};
use crate::model::{Millis, SourceName};
use crate::telemetry::{Metrics, SourceLabel};

/// One source as its door sees it: everything that a request asks for, made ready once.
#[derive(Debug)]
pub struct Hook {
    pub name: SourceName,
    pub accepted: Counter,
    pub kind: Kind,
}

/// Who sends.
#[derive(Debug)]
pub enum Kind {
    /// A page, in a person's browser.
    Form(Box<FormHook>),
    /// A vendor's server, as its manifest says.
    Vendor(Box<VendorHook>),
}

/// The door of a web form.
#[derive(Debug)]
pub struct FormHook {
    pub connector: Arc<dyn Connector>,
    pub cors: Cors,
    pub redirect: Redirect,
    pub captcha: Option<CaptchaCheck>,
    pub org_id: Option<OrgId>,
    source_limit: Option<SourceLimit>,
    address_limit: Option<AddressLimit>,
}

impl Hook {
    /// The hook of `source`. `public_url` is where the outside world reaches the server.
    pub fn new(
        name: &SourceName,
        source: &SourceConfig,
        public_url: Option<&Url>,
        metrics: &Metrics,
        now: Millis,
    ) -> Self {
        let kind = match &source.options {
            ConnectorOptions::WebForm(options) => {
                Kind::Form(Box::new(FormHook::new(name, source, options, now)))
            }
            // Its connector refuses whatever is sent, and says that it reads files.
            ConnectorOptions::FileDrop(_) => {
                let options = WebFormOptions::default();
                Kind::Form(Box::new(FormHook::new(name, source, &options, now)))
            }
            ConnectorOptions::Manifest(of) => {
                let (manifest, options) = (&of.manifest, &of.options);
                let vendor = VendorHook::new(name, manifest, options, public_url, metrics);
                Kind::Vendor(Box::new(vendor))
            }
        };
        let label = SourceLabel {
            source: name.to_string(),
        };
        Self {
            name: name.clone(),
            accepted: metrics.events_accepted.get_or_create_owned(&label),
            kind,
        }
    }

    /// If it is a web form's.
    pub fn form(&self) -> Option<&FormHook> {
        match &self.kind {
            Kind::Form(form) => Some(form),
            Kind::Vendor(_) => None,
        }
    }
}

impl FormHook {
    fn new(
        name: &SourceName,
        source: &SourceConfig,
        options: &WebFormOptions,
        now: Millis,
    ) -> Self {
        Self {
            connector: connector_of(source),
            cors: Cors::new(&options.allowed_origins),
            redirect: Redirect::new(options),
            captcha: options
                .captcha
                .as_ref()
                .map(|captcha| CaptchaCheck::new(captcha, name, source)),
            org_id: options.org_id.as_deref().and_then(OrgId::parse),
            source_limit: options
                .rate_limit_per_second
                .map(|requests| SourceLimit::per_second(requests, now)),
            address_limit: options
                .rate_limit_per_address_per_minute
                .map(|requests| AddressLimit::per_minute(requests, now)),
        }
    }

    /// Whether a request may come in at all, before its body is read. What one address sends too
    /// much takes nothing from the others.
    pub fn admit(
        &self,
        request: &HeaderMap,
        address: impl FnOnce() -> IpAddr,
        now: Millis,
    ) -> Result<(), Refused> {
        if !self.cors.permits(request) {
            return Err(Refused::origin());
        }
        if let Some(limit) = &self.address_limit {
            limit
                .take(address(), now)
                .map_err(Refused::rate_of_address)?;
        }
        if let Some(limit) = &self.source_limit {
            limit.take(now).map_err(Refused::rate_of_source)?;
        }
        Ok(())
    }
}
