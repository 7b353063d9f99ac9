//! Refusals in Salesforce's words and shapes.

use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::ids::RecordId;

/// Why one row, or one request, is refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Salesforce's code, e.g. `REQUIRED_FIELD_MISSING`.
    pub code: &'static str,
    /// Salesforce's message.
    pub message: String,
    /// The fields at fault. Parser errors, 401 and 403 have no such list; others have one, often
    /// empty.
    pub fields: Option<Vec<String>>,
    /// What the duplicate rule found, shown by single-row calls only.
    pub duplicates: Option<Box<Json>>,
}

impl Refusal {
    /// A refusal without a list of fields.
    pub fn plain(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fields: None,
            duplicates: None,
        }
    }

    /// A refusal of a row that names no field.
    pub fn row(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            fields: Some(Vec::new()),
            ..Self::plain(code, message)
        }
    }

    /// A refusal of one field.
    pub fn field(code: &'static str, message: impl Into<String>, field: &str) -> Self {
        Self {
            fields: Some(vec![field.to_owned()]),
            ..Self::plain(code, message)
        }
    }

    /// An unknown resource or record.
    pub fn not_found() -> Self {
        Self::plain("NOT_FOUND", "The requested resource does not exist")
    }

    /// A field that the object does not have, or that the user may not see.
    pub fn no_such_column(field: &str, object: &str) -> Self {
        Self::plain(
            "INVALID_FIELD",
            format!("No such column '{field}' on sobject of type {object}"),
        )
    }

    /// The token has expired, or never was one.
    pub fn invalid_session() -> Self {
        Self::plain("INVALID_SESSION_ID", "Session expired or invalid")
    }

    /// Another transaction holds the record.
    pub fn locked(id: Option<RecordId>) -> Self {
        let record = id.map_or_else(|| "<unknown>".to_owned(), |id| id.to_string());
        Self::row(
            "UNABLE_TO_LOCK_ROW",
            format!("unable to obtain exclusive access to this record or 1 records: {record}"),
        )
    }

    /// The HTTP status when this refuses a whole request.
    pub fn status(&self) -> StatusCode {
        match self.code {
            "INVALID_SESSION_ID" | "INVALID_AUTH_HEADER" => StatusCode::UNAUTHORIZED,
            "REQUEST_LIMIT_EXCEEDED"
            | "INSUFFICIENT_ACCESS_OR_READONLY"
            | "STORAGE_LIMIT_EXCEEDED"
            | "API_CURRENTLY_DISABLED"
            | "API_DISABLED_FOR_ORG" => StatusCode::FORBIDDEN,
            "NOT_FOUND" | "ENTITY_IS_DELETED" => StatusCode::NOT_FOUND,
            "METHOD_NOT_ALLOWED" => StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED_API_VERSION" => StatusCode::GONE,
            "PRECONDITION_FAILED" => StatusCode::PRECONDITION_FAILED,
            "REQUEST_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
            "URI_TOO_LONG" => StatusCode::URI_TOO_LONG,
            "HEADERS_TOO_LARGE" => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "UNSUPPORTED_MEDIA_TYPE" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            // A single row that is locked is answered 500, unlike in a collection (seen in orgs).
            "UNKNOWN_EXCEPTION" | "UNABLE_TO_LOCK_ROW" => StatusCode::INTERNAL_SERVER_ERROR,
            "SERVER_UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// One entry of the list that REST answers with.
    pub fn to_rest(&self) -> Json {
        let mut entry = Map::new();
        if let Some(found) = &self.duplicates {
            // Misspelt so by Salesforce (seen in v54 and v56).
            entry.insert("duplicateResut".to_owned(), Json::clone(found));
        }
        entry.insert("message".to_owned(), json!(self.message));
        entry.insert("errorCode".to_owned(), json!(self.code));
        if let (Some(fields), None) = (&self.fields, &self.duplicates) {
            entry.insert("fields".to_owned(), json!(fields));
        }
        Json::Object(entry)
    }

    /// One entry of a collection row's `errors`: `statusCode` in place of `errorCode`, and
    /// nothing of what the duplicate rule found.
    pub fn to_collection(&self) -> Json {
        let message = if self.duplicates.is_some() {
            "Use one of these records?"
        } else {
            &self.message
        };
        json!({
            "statusCode": self.code,
            "message": message,
            "fields": self.fields.as_deref().unwrap_or_default(),
        })
    }
}

/// Why something is refused: at least one reason.
pub type Refusals = Vec<Refusal>;

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        vec![refusal]
    }
}
