//! How a call can end other than well.

use std::fmt;

use serde::Deserialize;

use super::error::{Class, Verdict, judge};
use super::id::to_18;
use super::query::check_name;
use super::sign_in_error::SignInError;
use crate::edge::http::HttpError;

/// Why a call brought no result. What matters first is whether it may have been carried out.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Salesforce has not seen the request.
    #[error(transparent)]
    NotSent(#[from] Unsendable),
    /// The request may have been carried out, its answer was lost: look before writing again.
    #[error(transparent)]
    MaybeSent(#[from] Lost),
    /// Salesforce refused the request as a whole. Nothing was written, unless it broke down while
    /// it wrote: see [`CallError::maybe_carried_out`].
    #[error("Salesforce answered {status}: {}", codes(errors))]
    Refused {
        /// The status of the answer.
        status: u16,
        /// All that it said. Blank if it said nothing that can be read.
        errors: Vec<ApiError>,
    },
    /// There is no token, so nothing was written.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

/// Why a request was not sent.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// No connection.
    #[error(transparent)]
    Http(HttpError),
    /// The host, object or field is not one that may be called. The text is from the
    /// configuration.
    #[error("`{0}` is not the API name of an object or field")]
    InvalidName(String),
    /// More than Salesforce takes in one call.
    #[error("{count} records are too many for one call, {most} are the most")]
    TooMany {
        /// How many there were.
        count: usize,
        /// How many Salesforce takes.
        most: usize,
    },
    /// The request cannot be put together.
    #[error("the request cannot be made: {0}")]
    Malformed(String),
}

/// How an answer was lost.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// On the way.
    #[error(transparent)]
    Http(HttpError),
    /// Something before Salesforce's own servers answered in its place, often by a page of HTML.
    #[error("an answer of status {0} does not come from the API")]
    NotFromApi(u16),
    /// The answer is not of the form that Salesforce documents.
    #[error("the answer of {purpose} cannot be read: {reason}")]
    Unreadable {
        /// What the call was for.
        purpose: &'static str,
        /// What does not fit; without values.
        reason: String,
    },
}

impl From<HttpError> for CallError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::HostNotAllowed(_) | HttpError::Connect { .. } => {
                Self::NotSent(Unsendable::Http(error))
            }
            HttpError::Timeout(_) | HttpError::Broken { .. } | HttpError::TooLarge { .. } => {
                Self::MaybeSent(Lost::Http(error))
            }
        }
    }
}

impl CallError {
    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Self::NotSent(Unsendable::Http(HttpError::HostNotAllowed(_))) => Class::FixConfig,
            Self::NotSent(Unsendable::Http(_)) | Self::MaybeSent(_) => Class::RetrySoon,
            Self::NotSent(_) => Class::FixConfig,
            Self::Refused { status, errors } => worst(*status, errors).1.class,
            Self::SignIn(error) => error.class,
        }
    }

    /// Whether the request may have been carried out all the same. An error of the server's own
    /// (5xx) says that something broke, not when: before the write or after it.
    pub fn maybe_carried_out(&self) -> bool {
        match self {
            Self::MaybeSent(_) => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::NotSent(_) | Self::SignIn(_) => false,
        }
    }

    /// Whether it says something of the records that were to be written: a delivery is not to be
    /// given up for a network, a token or an org that nobody could have written with.
    pub fn counts_as_try(&self) -> bool {
        match self {
            Self::NotSent(Unsendable::Http(_)) | Self::SignIn(_) => false,
            Self::NotSent(_) | Self::MaybeSent(_) | Self::Refused { .. } => {
                self.class() != Class::HoldAll
            }
        }
    }

    /// Whether the org's calls of 24 hours are used up: other than too many at once, which is over in
    /// seconds and has the same code.
    pub fn is_out_of_calls(&self) -> bool {
        let Self::Refused { status, errors } = self else {
            return false;
        };
        errors.iter().any(|error| {
            error.code == "REQUEST_LIMIT_EXCEEDED" && error.class(*status) == Class::HoldAll
        })
    }

    /// The same for people: a dead letter, or `doctor`.
    pub fn explain(&self) -> Explanation {
        match self {
            Self::NotSent(error) => Explanation {
                class: self.class(),
                code: "salesforce.not_sent".to_owned(),
                message: error.to_string(),
                hint: match error {
                    Unsendable::Http(HttpError::HostNotAllowed(_)) => {
                        "login_url in [salesforce] must be the org's own address"
                    }
                    Unsendable::Http(_) => {
                        "check login_url in [salesforce], the network, and \
                         https://status.salesforce.com"
                    }
                    Unsendable::InvalidName(_) => "mend the name in [salesforce]",
                    Unsendable::TooMany { .. } | Unsendable::Malformed(_) => {
                        "this is a fault of leadstream: please report it"
                    }
                }
                .to_owned(),
                about: Vec::new(),
            },
            Self::MaybeSent(error) => Explanation {
                class: self.class(),
                code: "salesforce.answer_lost".to_owned(),
                message: error.to_string(),
                hint: "it is looked up and tried again by itself; if it stays, check \
                       https://status.salesforce.com"
                    .to_owned(),
                about: Vec::new(),
            },
            Self::Refused { status, errors } => Explanation::of(*status, errors),
            Self::SignIn(error) => Explanation {
                class: error.class,
                code: error.code.clone(),
                message: error.message.clone(),
                hint: error.hint.clone(),
                about: Vec::new(),
            },
        }
    }
}

/// A refusal in words for people.
///
/// `message` is Salesforce's own and may quote a lead's values: it goes into dead letters and
/// answers for those who may see leads, never into logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What kind of trouble it is.
    pub class: Class,
    /// Stable reason code: `salesforce.` and Salesforce's own code in small letters.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// What it is about: fields by API name, with their object where that is known
    /// (`Lead.Industry`). Names of the org and of the configuration, never a lead's values.
    pub about: Vec<String>,
}

impl Explanation {
    /// The same of an object: fields that `about` names alone are that object's.
    pub fn on(mut self, object: &str) -> Self {
        for field in &mut self.about {
            if !field.contains('.') {
                *field = format!("{object}.{field}");
            }
        }
        self
    }

    /// What many refusals have in common that one fix cures: the code, and what it is about. It
    /// holds no lead's values.
    pub fn cause(&self) -> String {
        let mut cause = self.code.clone();
        for (position, field) in self.about.iter().enumerate() {
            cause.push_str(if position == 0 { " " } else { ", " });
            cause.push_str(field);
        }
        cause
    }

    /// Whether it is for want of a sign-in, so that it is over as soon as that has gone well.
    pub fn is_of_signing_in(&self) -> bool {
        self.class == Class::SignIn || self.code.starts_with("salesforce.sign_in.")
    }

    /// Explains `errors` of an answer of `status` (200 for a row of a collection). Names all of
    /// them; code and hint are those of the worst.
    pub fn of(status: u16, errors: &[ApiError]) -> Self {
        let (error, verdict) = worst(status, errors);
        let message = errors
            .iter()
            .map(|error| match error.fields.as_slice() {
                [] => format!("{} ({})", error.message, error.code),
                fields => format!("{} ({}: {})", error.message, error.code, fields.join(", ")),
            })
            .collect::<Vec<_>>()
            .join("; ");
        Self {
            class: verdict.class,
            code: match error {
                Some(error) => format!("salesforce.{}", error.code.to_ascii_lowercase()),
                None => format!("salesforce.status_{status}"),
            },
            message: if message.is_empty() {
                format!("Salesforce answered {status} and did not say why")
            } else {
                message
            },
            hint: verdict.hint.to_owned(),
            about: error.map(ApiError::about).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Explanation({:?} {})", self.class, self.code)
    }
}

/// The error that decides what becomes of the request: one that a retry cannot cure outweighs
/// those that it can.
fn worst(status: u16, errors: &[ApiError]) -> (Option<&ApiError>, Verdict) {
    errors
        .iter()
        .map(|error| (Some(error), judge(status, &error.code, &error.message)))
        .reduce(|worst, next| {
            if next.1.class > worst.1.class {
                next
            } else {
                worst
            }
        })
        .unwrap_or_else(|| (None, judge(status, "", "")))
}

/// One of the errors in an answer.
///
/// It prints without its message, which may quote a lead's values.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// `errorCode`; `statusCode` in collections.
    #[serde(alias = "errorCode", alias = "statusCode", default)]
    pub code: String,
    /// Salesforce's own words; may quote values.
    #[serde(default)]
    pub message: String,
    /// The fields that it means; often blank.
    #[serde(default, deserialize_with = "null_as_none")]
    pub fields: Vec<String>,
    /// The records that a duplicate rule has found, by their 18-character ids. Salesforce itself
    /// misspells the name.
    #[serde(
        rename = "duplicateResut",
        alias = "duplicateResult",
        default,
        deserialize_with = "found_by_rule"
    )]
    pub found: Vec<String>,
}

/// The ids of the records in a duplicate rule's answer; blank for one of another form.
fn found_by_rule<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let answer = serde_json::Value::deserialize(d)?;
    let lists =
        |value: &serde_json::Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for result in lists(&answer, "matchResults") {
        for record in lists(&result, "matchRecords") {
            let id = record["record"]["Id"].as_str().and_then(to_18);
            found.extend(id.filter(|id| !found.contains(id)));
        }
    }
    Ok(found)
}

fn null_as_none<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

impl ApiError {
    /// The fields that it means: those it lists, else the column or the external id field that its
    /// text names, else the object that does not exist. Names only: what else the text quotes may
    /// be a lead's.
    pub fn about(&self) -> Vec<String> {
        if !self.fields.is_empty() {
            let mut fields = self.fields.clone();
            fields.sort_unstable();
            fields.dedup();
            return fields;
        }
        let quoted = |before: &str, end: &[char]| {
            let (_, rest) = self.message.split_once(before)?;
            let name = rest.split(end).next()?.trim();
            check_name(name).is_ok().then(|| name.to_owned())
        };
        let object = quoted("on sobject of type ", &[' ', '.', '\n'])
            .or_else(|| quoted("on entity '", &['\'']));
        let of_object = |field: String| match &object {
            Some(object) => format!("{object}.{field}"),
            None => field,
        };
        quoted("No such column '", &['\''])
            .map(of_object)
            .or_else(|| quoted("sObject type '", &['\'']))
            .or_else(|| quoted("duplicate value found: ", &[' ']))
            .into_iter()
            .collect()
    }

    /// What kind of trouble it is, in an answer of `status` (200 for a row of a collection).
    pub fn class(&self, status: u16) -> Class {
        judge(status, &self.code, &self.message).class
    }

    /// An error as Salesforce would tell it, without what a duplicate rule found.
    pub fn new(code: &str, message: &str, fields: Vec<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
            fields,
            found: Vec::new(),
        }
    }

    /// The records that a duplicate rule has found, by their 18-character ids; blank unless a single
    /// row was written.
    pub fn matches(&self) -> &[String] {
        &self.found
    }

    /// The record that already holds a unique value, as `DUPLICATE_VALUE` names it.
    pub fn duplicate_of(&self) -> Option<String> {
        let (_, id) = self.message.rsplit_once("record with id: ")?;
        to_18(id.trim().trim_end_matches('.'))
    }

    /// The most characters that the field takes, as `STRING_TOO_LONG` says.
    pub fn max_length(&self) -> Option<usize> {
        let (_, rest) = self.message.rsplit_once("max length=")?;
        rest.split_once(')')?.0.parse().ok()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if !self.fields.is_empty() {
            write!(f, " ({})", self.fields.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiError({self})")
    }
}

fn codes(errors: &[ApiError]) -> String {
    if errors.is_empty() {
        return "no reason given".to_owned();
    }
    let codes: Vec<_> = errors.iter().map(ToString::to_string).collect();
    codes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> ApiError {
        ApiError::new(code, message, Vec::new())
    }

    #[test]
    fn what_a_duplicate_rule_found_is_read_in_both_spellings() {
        for name in ["duplicateResut", "duplicateResult"] {
            let json = serde_json::json!({
                "errorCode": "DUPLICATES_DETECTED", "message": "Use one of these records?",
                name: { "allowSave": true, "matchResults": [
                    { "matchRecords": [{ "record": { "Id": "0038M0000016Wv8QAE" } }] },
                    { "matchRecords": [{ "record": { "Id": "0038M0000016Wv8QAE" } },
                        { "record": { "Id": "00Q5g000001AbCd" } }, { "record": {} }] },
                ] },
            });
            let error: ApiError = serde_json::from_value(json).unwrap();
            let lead = to_18("00Q5g000001AbCd").unwrap();
            assert_eq!(error.matches(), ["0038M0000016Wv8QAE", &*lead]);
        }
        let other = r#"{"errorCode":"DUPLICATES_DETECTED","message":"m","duplicateResut":"?"}"#;
        let error: ApiError = serde_json::from_str(other).unwrap();
        assert!(error.matches().is_empty());
    }

    #[test]
    fn an_error_of_either_form_is_read() {
        for json in [
            r#"{"message":"m","errorCode":"STRING_TOO_LONG","fields":["FirstName"]}"#,
            r#"{"message":"m","statusCode":"STRING_TOO_LONG","fields":["FirstName"]}"#,
        ] {
            let error: ApiError = serde_json::from_str(json).unwrap();
            assert_eq!(error.to_string(), "STRING_TOO_LONG (FirstName)");
            assert_eq!(error.message, "m");
        }
        for json in [
            r#"{"message":"m","errorCode":"INVALID_SESSION_ID"}"#,
            r#"{"message":"m","errorCode":"INVALID_SESSION_ID","fields":null}"#,
        ] {
            let error: ApiError = serde_json::from_str(json).unwrap();
            assert_eq!(error.fields, Vec::<String>::new());
        }
    }

    #[test]
    fn no_print_of_an_error_shows_its_message() {
        let refused = CallError::Refused {
            status: 400,
            errors: vec![error("INVALID_EMAIL_ADDRESS", "invalid: jane@@x")],
        };
        assert_eq!(
            refused.to_string(),
            "Salesforce answered 400: INVALID_EMAIL_ADDRESS"
        );
        let debug = format!("{refused:?} {:?}", refused.explain());
        assert!(!debug.contains("jane"), "{debug}");
    }

    #[test]
    fn the_record_that_holds_the_value_is_read_from_the_message() {
        let message = "duplicate value found: Leadstream_Id__c duplicates value on record with id: \
                       00Q5g000001AbCd";
        let found = error("DUPLICATE_VALUE", message).duplicate_of();
        assert_eq!(found, to_18("00Q5g000001AbCd"));
        let unknown =
            "duplicate value found: <unknown> duplicates value on record with id: <unknown>";
        assert_eq!(error("DUPLICATE_VALUE", unknown).duplicate_of(), None);
    }

    #[test]
    fn the_length_that_a_field_takes_is_read_from_the_message() {
        let message = "First Name: data value too large: Jane (max length=40)";
        assert_eq!(error("STRING_TOO_LONG", message).max_length(), Some(40));
        assert_eq!(error("STRING_TOO_LONG", "too large").max_length(), None);
    }

    #[test]
    fn an_error_that_no_retry_cures_decides() {
        let errors = [
            error("UNABLE_TO_LOCK_ROW", "locked"),
            error("REQUIRED_FIELD_MISSING", "missing: [Company]"),
        ];
        let explained = Explanation::of(200, &errors);
        assert_eq!(explained.class, Class::FixData);
        assert_eq!(explained.code, "salesforce.required_field_missing");
        assert_eq!(
            explained.message,
            "locked (UNABLE_TO_LOCK_ROW); missing: [Company] (REQUIRED_FIELD_MISSING)"
        );
    }

    #[test]
    fn a_used_up_limit_counts_against_no_record() {
        let refused = |code| CallError::Refused {
            status: 403,
            errors: vec![error(code, "")],
        };
        assert!(!refused("REQUEST_LIMIT_EXCEEDED").counts_as_try());
        assert!(refused("INSUFFICIENT_ACCESS").counts_as_try());
    }

    #[test]
    fn a_server_that_breaks_down_may_have_carried_it_out() {
        let refused = |status| CallError::Refused {
            status,
            errors: vec![error("UNKNOWN_EXCEPTION", "")],
        };
        assert!(refused(500).maybe_carried_out());
        assert!(refused(503).maybe_carried_out());
        assert!(!refused(400).maybe_carried_out());
        assert!(!refused(403).maybe_carried_out());
    }

    #[test]
    fn what_was_not_sent_was_not_carried_out_and_a_lost_answer_may_have_been() {
        let host = || "acme.my.salesforce.com".to_owned();
        let reason = || "reset".to_owned();
        let (connect, broken) = (
            HttpError::Connect {
                host: host(),
                reason: reason(),
            },
            HttpError::Broken {
                host: host(),
                reason: reason(),
            },
        );
        let (connect, broken) = (CallError::from(connect), CallError::from(broken));
        assert!(!connect.maybe_carried_out() && !connect.counts_as_try());
        assert!(broken.maybe_carried_out() && broken.counts_as_try());
        assert!(CallError::from(HttpError::Timeout(host())).maybe_carried_out());
        let refused = CallError::from(HttpError::HostNotAllowed(host()));
        assert!(!refused.maybe_carried_out());
        assert_eq!(refused.class(), Class::FixConfig);
    }
}
