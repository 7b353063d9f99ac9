use std::borrow::Cow;

use axum::http::StatusCode;

use super::AppendError;
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
    /// Seconds after which it makes sense to try again.
    pub retry_after: Option<u64>,
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
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "hook.method",
            "this address takes forms by POST only",
            "write <form method=\"post\" action=\"…\">",
        )
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
