//! Every error code that Salesforce answers with, what kind of trouble it is, and what to do, in
//! words for marketing ops.
//!
//! Sources: the Status Codes of the SOAP API's core data types and of the REST API's error
//! responses; where a code alone does not tell, the texts that real orgs were seen to send.

mod table;

use table::TABLE;

/// What kind of trouble an error is, which decides what becomes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It passes by itself in seconds.
    RetrySoon,
    /// The token is not, or no longer, accepted.
    SignIn,
    /// It passes in minutes to hours.
    RetryLater,
    /// The whole org takes nothing for now: its calls of 24 hours are used up, its storage is
    /// full, it is in maintenance. Hold everything; no try counts.
    HoldAll,
    /// Another record is meant: find it, and act on that one.
    Resolve,
    /// The org's own code or flow refused this data.
    Automation,
    /// A value has to be mended.
    FixData,
    /// Our configuration, or a field of the org, has to be mended.
    FixConfig,
    /// The integration user has to be allowed something.
    FixPermissions,
}

/// What is known of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What kind of trouble it is.
    pub class: Class,
    /// What to do, in plain words.
    pub hint: &'static str,
}

const fn verdict(class: Class, hint: &'static str) -> Verdict {
    Verdict { class, hint }
}

/// What kind of trouble `code` is. `status` is that of the answer: 200 for a row of a collection.
pub fn classify(status: u16, code: &str, message: &str) -> Class {
    judge(status, code, message).class
}

/// What `code` with `message` means, in an answer of `status` (200 for a row of a collection).
pub fn judge(status: u16, code: &str, message: &str) -> Verdict {
    let code = code.to_ascii_uppercase();
    // A lock can hide inside the error of a trigger or a flow that ran into it.
    if quotes_a_lock(message) {
        return LOCKED;
    }
    if let Some(verdict) = by_message(status, &code, message) {
        return verdict;
    }
    TABLE
        .binary_search_by(|(known, ..)| (*known).cmp(code.as_str()))
        .map(|row| verdict(TABLE[row].1, TABLE[row].2))
        .ok()
        .or_else(|| by_prefix(&code))
        .unwrap_or_else(|| by_status(status))
}

fn quotes_a_lock(message: &str) -> bool {
    message.contains("UNABLE_TO_LOCK_ROW")
        || message.contains("unable to obtain exclusive access to this record")
}

const LOCKED: Verdict = verdict(
    Class::RetrySoon,
    "someone else was writing the same record or its parent; it is tried again by itself",
);

/// Codes that mean different things, told apart by their text.
fn by_message(status: u16, code: &str, message: &str) -> Option<Verdict> {
    let text = message.to_lowercase();
    let says = |part: &str| text.contains(part);
    let quotes_apex = says("apex") || says("trigger") || says("flow");
    let quotes_a_limit = says("limitexception")
        || says("time limit exceeded")
        || says("too many soql")
        || says("too many dml")
        || says("request_limit_exceeded");
    Some(match code {
        "REQUEST_LIMIT_EXCEEDED" if says("concurrent") => verdict(
            Class::RetrySoon,
            "the org has too many long calls at this moment; it is tried again by itself",
        ),
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" if says("access") => verdict(
            Class::FixPermissions,
            "give the integration user the right on this object that the text names",
        ),
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
        | "CANNOT_EXECUTE_FLOW_TRIGGER"
        | "FLOW_EXCEPTION"
        | "APEX_ERROR"
            if quotes_a_limit =>
        {
            verdict(
                Class::RetryLater,
                "a trigger or flow of the org ran out of its limits; smaller batches help \
                 (batch_size in [salesforce]), else show the text to the org's administrator",
            )
        }
        "UNKNOWN_EXCEPTION" if quotes_apex => verdict(
            Class::Automation,
            "a trigger or flow of the org failed; show the text to the org's administrator",
        ),
        "LIMIT_EXCEEDED" | "LICENSE_LIMIT_EXCEEDED" if says("daily") || says("24 hour") => verdict(
            Class::RetryLater,
            "a daily limit of the org is used up; it is tried again by itself",
        ),
        "NOT_FOUND" if status == 404 || says("external id") => verdict(
            Class::FixConfig,
            "Salesforce does not know this object, external id field or API version, or hides it \
             from the integration user; run `leadstream doctor`",
        ),
        "INVALID_CROSS_REFERENCE_KEY" if says("record type") || says("valid for the user") => {
            verdict(
                Class::FixConfig,
                "assign the record type to the integration user's profile, or map another one",
            )
        }
        "INVALID_SESSION_ID" if says("rest api") => verdict(
            Class::SignIn,
            "add the scope \"Manage user data via APIs (api)\" to the external client app",
        ),
        _ => return None,
    })
}

/// Families of codes.
fn by_prefix(code: &str) -> Option<Verdict> {
    Some(match code {
        _ if code.starts_with("MATCH_SERVICE_") => verdict(
            Class::RetrySoon,
            "Salesforce's duplicate matching is not available; it is tried again by itself",
        ),
        _ if code.starts_with("TXN_SECURITY_") => verdict(
            Class::Automation,
            "a transaction security policy of the org stopped it: exempt the integration user",
        ),
        _ if code.starts_with("EMAIL_") => verdict(
            Class::Automation,
            "an e-mail that the org's automation sends on this write failed; show the text to the \
             org's administrator",
        ),
        _ => return None,
    })
}

/// What an answer's status says where its code, if any, is unknown.
fn by_status(status: u16) -> Verdict {
    match status {
        300 => verdict(
            Class::Resolve,
            "several records hold this key: make the external id field unique, and merge them",
        ),
        401 => verdict(
            Class::SignIn,
            "Salesforce does not accept the token; it is renewed by itself",
        ),
        403 => verdict(
            Class::FixPermissions,
            "the integration user may not do this: check its permission set",
        ),
        404 | 405 | 410 | 414 | 415 | 431 => verdict(
            Class::FixConfig,
            "Salesforce does not know this address: check api_version and login_url in \
             [salesforce], and run `leadstream doctor`",
        ),
        408 | 409 | 412 | 420 | 429 | 500.. => verdict(
            Class::RetrySoon,
            "Salesforce has trouble of its own; it is tried again by itself",
        ),
        _ => verdict(
            Class::FixData,
            "Salesforce refused this lead for the reason that the text gives: mend the value or \
             the rule, then replay",
        ),
    }
}

#[cfg(test)]
mod tests;
