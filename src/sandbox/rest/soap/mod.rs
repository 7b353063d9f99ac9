//! The partner SOAP door, `/services/Soap/u/62.0`: what REST has no call for.
//!
//! `answer` opens the envelope, checks the session and calls the operation, which gives the XML
//! of its answer or a fault. A further operation is a module here and a line in `operate`.

mod convert;
mod login;
mod xml;

use http::{HeaderMap, StatusCode};

use self::xml::{Element, tag};
use super::resource;
use crate::model::Millis;
use crate::sandbox::handle::{Sandbox, State};

/// A request to the door.
#[derive(Debug)]
pub(super) struct SoapCall<'a> {
    pub(super) version: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// Where this org was called.
    pub(super) own_address: &'a str,
    pub(super) now: Millis,
}

/// Why an operation is refused as a whole.
#[derive(Debug)]
pub(super) struct Fault {
    /// With its namespace.
    code: String,
    message: String,
}

impl Fault {
    /// One of Salesforce's exception codes.
    fn new(code: &str, message: &str) -> Self {
        Self {
            code: format!("sf:{code}"),
            message: format!("{code}: {message}"),
        }
    }

    /// What is no request of this door.
    fn client(message: impl Into<String>) -> Self {
        Self {
            code: "soapenv:Client".to_owned(),
            message: message.into(),
        }
    }

    fn to_xml(&self) -> String {
        let code = tag("faultcode", Some(&self.code));
        let text = tag("faultstring", Some(&self.message));
        let detail = self.code.strip_prefix("sf:").map(|code| {
            let message = self.message.split_once(": ").map_or("", |(_, text)| text);
            let kind = match code {
                "INVALID_LOGIN" => "LoginFault",
                _ => "UnexpectedErrorFault",
            };
            format!(
                "<detail><sf:{kind} xsi:type=\"sf:{kind}\">{}{}</sf:{kind}></detail>",
                tag("sf:exceptionCode", Some(code)),
                tag("sf:exceptionMessage", Some(message)),
            )
        });
        let detail = detail.unwrap_or_default();
        format!("<soapenv:Fault>{code}{text}{detail}</soapenv:Fault>")
    }
}

/// The version of a path below `/services/Soap/`: `u/62.0`, with the org's id behind it or not.
pub(super) fn version(path: &[String]) -> Option<u16> {
    match path {
        [services, soap, kind, version, ..]
            if services == "services" && soap == "Soap" && kind == "u" && path.len() <= 5 =>
        {
            version.strip_suffix(".0").unwrap_or(version).parse().ok()
        }
        _ => None,
    }
}

/// Carries a request out: the status, and the envelope.
pub(super) fn answer(
    sandbox: &Sandbox,
    state: &mut State,
    call: &SoapCall<'_>,
) -> (StatusCode, String) {
    let (status, body) = match open(sandbox, state, call) {
        Ok(body) => (StatusCode::OK, body),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, fault.to_xml()),
    };
    let header = if status == StatusCode::OK {
        let (used, max) = state.meter.usage();
        format!(
            "<soapenv:Header><LimitInfoHeader><limitInfo>{}{}{}</limitInfo></LimitInfoHeader>\
             </soapenv:Header>",
            tag("current", Some(&used.to_string())),
            tag("limit", Some(&max.to_string())),
            tag("type", Some("API REQUESTS")),
        )
    } else {
        String::new()
    };
    let envelope = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns=\"urn:partner.soap.sforce.com\" xmlns:sf=\"urn:fault.partner.soap.sforce.com\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">{header}\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    );
    (status, envelope)
}

fn open(sandbox: &Sandbox, state: &mut State, call: &SoapCall<'_>) -> Result<String, Fault> {
    if !call.headers.contains_key("SOAPAction") {
        state.meter.count("unknown");
        return Err(Fault::client("SOAPAction HTTP header missing"));
    }
    let envelope = xml::parse(call.body).map_err(|error| {
        state.meter.count("unknown");
        Fault::client(format!("The request is no SOAP envelope: {error}"))
    })?;
    let operation = envelope
        .child("Body")
        .and_then(|body| body.children.first());
    let Some(operation) = operation else {
        state.meter.count("unknown");
        return Err(Fault::client("The SOAP envelope has no operation"));
    };
    if resource::check_version(call.version).is_err() {
        let message = format!("Invalid Api version specified on URL: {}.0", call.version);
        return Err(Fault::new("UNSUPPORTED_API_VERSION", &message));
    }
    if operation.name == "login" {
        return login::run(sandbox, state, call, operation);
    }
    let session = envelope
        .child("Header")
        .and_then(|header| header.child("SessionHeader")?.text_of("sessionId"));
    operate(state, call, session, operation)
}

/// Carries out an operation that needs a session.
fn operate(
    state: &mut State,
    call: &SoapCall<'_>,
    session: Option<&str>,
    operation: &Element,
) -> Result<String, Fault> {
    state.meter.count(match operation.name.as_str() {
        "convertLead" => "convert_lead",
        _ => "unknown",
    });
    let most = state.faults.faults().requests_per_token;
    if !session.is_some_and(|token| state.sessions.spend(token, call.now, most)) {
        return Err(Fault::new(
            "INVALID_SESSION_ID",
            "Invalid Session ID found in SessionHeader: Illegal Session",
        ));
    }
    if !state.meter.charge(call.now) {
        return Err(Fault::new(
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        ));
    }
    match operation.name.as_str() {
        "convertLead" => convert::run(state, call, operation),
        name => Err(Fault::client(format!(
            "No operation available for request {{urn:partner.soap.sforce.com}}{name}"
        ))),
    }
}
