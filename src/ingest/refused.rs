use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode};

use super::{AppendError, cors};
use crate::connector::mechanism::handshake;
use crate::connector::mechanism::signature::Denied;
use crate::connector::{Refusal, RefusalReason};

/// Why a request was refused, for its sender. Holds nothing of the request but names of fields.
#[derive(Debug)]
pub struct Refused {
    /// The status of the answer.
    pub status: StatusCode,
    /// Stable, e.g. `hook.unknown_source`; also the label of the metric.
    pub code: &'static str,
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// What to do.
    pub hint: Cow<'static, str>,
    /// The form's fields that are meant, if any.
    pub fields: Vec<String>,
    /// The methods that are taken, where it is the method that is wrong.
    pub allow: Option<Methods>,
    /// Seconds after which it makes sense to try again.
    pub retry_after: Option<u64>,
}

/// The methods that a hook takes.
#[derive(Debug, Clone, Copy)]
pub enum Methods {
    /// A web form's.
    Form,
    /// A vendor's.
    Vendor,
    /// That of a vendor that greets by GET.
    GreetingVendor,
}

impl Methods {
    /// As the header `Allow` has them.
    pub fn allow(self) -> HeaderValue {
        match self {
            Self::Form => cors::METHODS,
            Self::Vendor => HeaderValue::from_static("POST"),
            Self::GreetingVendor => HeaderValue::from_static("GET, HEAD, POST"),
        }
    }
}

impl Refused {
    fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: hint.into(),
            fields: Vec::new(),
            allow: None,
            retry_after: None,
        }
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn unknown_source() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "hook.unknown_source",
            "there is no source of this name",
            "the address is /hooks/<name>, with a name from [sources.<name>] of the configuration",
        )
    }

    pub fn unknown_org() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "hook.unknown_org",
            "no source takes Web-to-Lead forms of this org",
            "set org_id of a web-form source to the form's oid",
        )
    }

    pub fn fenced() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "hook.source_fenced",
            "this source is switched off because of an error in its configuration",
            "run `leadstream check`, correct the configuration, and send this again",
        )
        .retry_after(60)
    }

    pub fn method() -> Self {
        let refused = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "hook.method",
            "this address takes forms by POST only",
            "write <form method=\"post\" action=\"…\">",
        );
        Self {
            allow: Some(Methods::Form),
            ..refused
        }
    }

    /// Of a vendor, which may greet by GET.
    pub fn webhook_method(takes_get: bool) -> Self {
        let refused = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "hook.method",
            "this address takes webhooks by POST",
            "enter this address at the vendor, as the address of a webhook",
        );
        let methods = if takes_get {
            Methods::GreetingVendor
        } else {
            Methods::Vendor
        };
        Self {
            allow: Some(methods),
            ..refused
        }
    }

    pub fn no_webhook() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "hook.no_webhook",
            "this source takes no webhooks: it asks the vendor by itself",
            "remove this address at the vendor",
        )
    }

    pub fn misconfigured() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "hook.misconfigured",
            "this source takes no webhooks because of an error in its configuration",
            "see the log of the start, correct the configuration, and send this again",
        )
        .retry_after(60)
    }

    pub fn origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "hook.origin",
            "pages of this origin may not post here",
            "add the page's origin to allowed_origins of the source",
        )
    }

    pub fn rate_of_source(seconds: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "hook.rate_source",
            "this source gets more requests than it takes",
            "send this again later, or raise rate_limit_per_second of the source",
        )
        .retry_after(seconds)
    }

    pub fn rate_of_address(seconds: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "hook.rate_address",
            "this address sends more requests than are taken from one",
            "send this again later, or raise rate_limit_per_address_per_minute of the source",
        )
        .retry_after(seconds)
    }

    pub fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "hook.busy",
            "too much is being received at once",
            "send this again later",
        )
        .retry_after(1)
    }

    pub fn idempotency_key() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "hook.idempotency_key",
            "the Idempotency-Key is no text of 1 to 255 visible ASCII characters",
            "send a UUID",
        )
    }

    pub fn body_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body.too_large",
            format!("the body is larger than {limit} bytes"),
            "leave files out, or raise server.max_body_bytes",
        )
    }

    pub fn body_too_slow(seconds: u64) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body.slow",
            format!("the body did not arrive within {seconds} seconds"),
            "send this again",
        )
    }

    pub fn body_broken() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "body.broken",
            "the body ends early or is wrongly chunked",
            "send this again",
        )
    }

    pub fn body_compressed() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "body.encoding",
            "the body is compressed",
            "send it without Content-Encoding",
        )
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.reason {
            RefusalReason::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            RefusalReason::Malformed => StatusCode::BAD_REQUEST,
        };
        Self {
            fields: refusal.fields,
            ..Self::new(status, refusal.code, refusal.message, refusal.hint)
        }
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoSecret { options } if options.is_empty() => Self::new(
                StatusCode::FORBIDDEN,
                "hook.no_secret",
                "the connector names nothing by which a webhook could be proved",
                "add [[webhook.signature]] to its manifest",
            ),
            Denied::NoSecret { options } => Self::new(
                StatusCode::FORBIDDEN,
                "hook.no_secret",
                "this source has no secret, so nobody can prove to be the vendor",
                format!(
                    "set {} of the source to the secret that the vendor has",
                    options
                        .iter()
                        .map(|option| format!("`{option}`"))
                        .collect::<Vec<_>>()
                        .join(" or ")
                ),
            ),
            // Our own trouble: a vendor that hears 4xx does not try again.
            Denied::Unreadable { option } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "hook.secret_unreadable",
                format!("the secret in `{option}` cannot be read"),
                "see the log, run `leadstream check`, and send this again",
            )
            .retry_after(60),
            Denied::Missing { header } => Self::new(
                StatusCode::UNAUTHORIZED,
                "hook.signature",
                format!("the header {header}, which proves the sender, is missing"),
                "set the secret at the vendor too, and have proxies pass this header on",
            ),
            Denied::Wrong => Self::new(
                StatusCode::UNAUTHORIZED,
                "hook.signature",
                "the signature or secret is not this source's",
                "compare the secret at the vendor with the source's, and have proxies pass the body \
                 and the address on unchanged",
            ),
            Denied::Stale { seconds } => Self::new(
                StatusCode::UNAUTHORIZED,
                "hook.stale",
                format!("by this server's clock, {denied}"),
                if seconds < 0 {
                    "if this is no old request sent again, set this server's clock right: it is fast"
                } else {
                    "set this server's clock right: it is slow"
                },
            ),
        }
    }
}

impl From<handshake::Refused> for Refused {
    fn from(refused: handshake::Refused) -> Self {
        match refused {
            handshake::Refused::Denied(Denied::Wrong) => Self::new(
                StatusCode::FORBIDDEN,
                "hook.handshake",
                "the token is not this source's",
                "enter the same token at the vendor and in the configuration",
            ),
            handshake::Refused::Denied(denied) => denied.into(),
            handshake::Refused::Challenge => Self::new(
                StatusCode::FORBIDDEN,
                "hook.handshake",
                refused.to_string(),
                "have the vendor verify this address again",
            ),
        }
    }
}

impl From<AppendError> for Refused {
    fn from(error: AppendError) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let hint = "nothing of it is stored; send this again";
        match error {
            AppendError::Full => {
                Self::new(status, "inbox.full", "too many requests are waiting", hint)
                    .retry_after(1)
            }
            // The others refuse pages, which no request brings.
            AppendError::Unavailable
            | AppendError::Fenced
            | AppendError::Conflict
            | AppendError::TooLarge => Self::new(
                status,
                "inbox.unavailable",
                "nothing can be stored right now",
                hint,
            )
            .retry_after(5),
        }
    }
}
