//! Every error code that Salesforce answers with, what kind of trouble it is, and what to do, in
//! words for marketing ops.
//!
//! Sources: the Status Codes of the SOAP API's core data types and of the REST API's error
//! responses; where a code alone does not tell, the texts that real orgs were seen to send.

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

/// Code, class, hint; in alphabetical order.
const TABLE: &[(&str, Class, &str)] = {
    use Class::{Automation, FixConfig, FixData, FixPermissions, HoldAll};
    use Class::{Resolve, RetryLater, RetrySoon, SignIn};
    &[
        (
            "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            RetrySoon,
            "another record of the same call failed; it is tried again by itself",
        ),
        (
            "APEX_DATA_ACCESS_RESTRICTION",
            Automation,
            "code of the org may not see this data; show the text to the org's administrator",
        ),
        (
            "APEX_ERROR",
            Automation,
            "code of the org failed; show the text to the org's administrator",
        ),
        (
            "API_CURRENTLY_DISABLED",
            FixPermissions,
            "turn on \"API Enabled\" for the integration user; the org's edition must include the API",
        ),
        (
            "API_DISABLED_FOR_ORG",
            FixPermissions,
            "turn on \"API Enabled\" for the integration user; the org's edition must include the API",
        ),
        (
            "CANNOT_EXECUTE_FLOW_TRIGGER",
            Automation,
            "a flow of the org failed; the text names it: show it to the org's administrator",
        ),
        (
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            Automation,
            "a trigger of the org failed; show the text to the org's administrator",
        ),
        (
            "CANNOT_UPDATE_CONVERTED_LEAD",
            Resolve,
            "the lead was converted: its contact is the record to write to",
        ),
        (
            "CIRCULAR_DEPENDENCY",
            FixData,
            "the record would refer to itself: check the mapped look-up",
        ),
        (
            "DELETE_FAILED",
            FixData,
            "Salesforce could not delete the record; the text says why",
        ),
        (
            "DEPENDENCY_EXISTS",
            FixData,
            "other records depend on this one; the text says which",
        ),
        (
            "DUPLICATES_DETECTED",
            Resolve,
            "a duplicate rule of the org found a like record: merge them there, or set allow_duplicates = true in [salesforce] if the rule only alerts",
        ),
        (
            "DUPLICATE_EXTERNAL_ID",
            Resolve,
            "several records hold this key: make the external id field unique, and merge them",
        ),
        (
            "DUPLICATE_VALUE",
            Resolve,
            "another record holds a value that must be unique; the text names it",
        ),
        (
            "ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE",
            RetrySoon,
            "someone changed the record meanwhile; it is read and decided again by itself",
        ),
        (
            "ENTITY_IS_ARCHIVED",
            FixData,
            "the record is archived and cannot be changed",
        ),
        (
            "ENTITY_IS_DELETED",
            Resolve,
            "the record is in Salesforce's recycle bin: restore it, or let the lead be made anew",
        ),
        (
            "ENTITY_IS_LOCKED",
            RetryLater,
            "an approval process holds the record: someone in Salesforce has to decide it",
        ),
        (
            "EXCEEDED_ID_LIMIT",
            FixConfig,
            "too many records in one call: lower batch_size in [salesforce]",
        ),
        (
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            FixData,
            "a validation rule of the org refused it; the text is the rule's own: mend the value, or let the rule pass the integration user",
        ),
        (
            "FIELD_FILTER_VALIDATION_EXCEPTION",
            FixData,
            "a look-up filter of the org refuses this target: mend the value or the filter",
        ),
        (
            "FIELD_INTEGRITY_EXCEPTION",
            FixData,
            "a value does not fit the org, often a state or country that is not in its list: map the value, or set on_invalid = \"drop_field\"",
        ),
        (
            "FLOW_EXCEPTION",
            Automation,
            "a flow of the org failed; the text names it: show it to the org's administrator",
        ),
        (
            "FUNCTIONALITY_NOT_ENABLED",
            FixPermissions,
            "this feature is off in the org, or not in the integration user's licence",
        ),
        (
            "INACTIVE_OWNER_OR_USER",
            FixConfig,
            "the owner has left: set an active owner in the org's assignment rule or default",
        ),
        (
            "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE",
            HoldAll,
            "Salesforce is in maintenance and takes no writes; it goes on by itself",
        ),
        (
            "INSUFFICIENT_ACCESS",
            FixPermissions,
            "give the integration user Create, Read and Edit on the object (View All if records are private)",
        ),
        (
            "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
            FixPermissions,
            "the integration user may not touch the record that this one points to (owner, campaign, account): widen its permission set or the sharing",
        ),
        (
            "INSUFFICIENT_ACCESS_OR_READONLY",
            FixPermissions,
            "give the integration user Create, Read and Edit on the object (View All if records are private)",
        ),
        (
            "INVALID_ASSIGNMENT_RULE",
            FixConfig,
            "the assignment rule is missing or inactive: activate one, or set assignment_rule = \"off\"",
        ),
        (
            "INVALID_AUTH_HEADER",
            SignIn,
            "Salesforce does not accept the token; it is renewed by itself",
        ),
        (
            "INVALID_CROSS_REFERENCE_KEY",
            Resolve,
            "the record that is meant no longer exists, or belongs to another org",
        ),
        (
            "INVALID_EMAIL_ADDRESS",
            FixData,
            "Salesforce does not take this e-mail address: mend it, or set on_invalid = \"drop_field\" for Email",
        ),
        (
            "INVALID_FIELD",
            FixConfig,
            "the field does not exist, or field-level security hides it from the integration user: run `leadstream doctor`",
        ),
        (
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            FixConfig,
            "the field cannot be written: give the integration user Edit on it, or set write = \"never\"",
        ),
        (
            "INVALID_ID_FIELD",
            FixConfig,
            "an id of the wrong kind is mapped into this field",
        ),
        (
            "INVALID_OPERATION",
            FixData,
            "Salesforce does not allow this on the record as it is; the text says why",
        ),
        (
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            FixData,
            "the value is not in the field's list: add it in Salesforce, map it with `values`, or set on_invalid = \"drop_field\"",
        ),
        (
            "INVALID_QUERY_FILTER_OPERATOR",
            FixConfig,
            "a query that we sent is wrong: please report it",
        ),
        (
            "INVALID_QUERY_LOCATOR",
            RetrySoon,
            "the pages of a query were no longer there; it is asked again by itself",
        ),
        (
            "INVALID_REPLICATION_DATE",
            FixConfig,
            "the asked span of time is too old or too short: please report it",
        ),
        (
            "INVALID_SESSION_ID",
            SignIn,
            "Salesforce does not accept the token; it is renewed by itself",
        ),
        (
            "INVALID_STATUS",
            FixData,
            "the org does not have this status: map the value",
        ),
        (
            "INVALID_TYPE",
            FixConfig,
            "the object does not exist, or is hidden from the integration user: run `leadstream doctor`",
        ),
        (
            "INVALID_TYPE_FOR_OPERATION",
            FixConfig,
            "the object does not allow this: run `leadstream doctor`",
        ),
        (
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            FixData,
            "the value is not of the field's type (number, date, checkbox): map another, or set on_invalid = \"drop_field\"",
        ),
        (
            "JSON_PARSER_ERROR",
            FixData,
            "a value is not of the field's type (number, date, checkbox): map another, or set on_invalid = \"drop_field\"",
        ),
        (
            "LICENSE_LIMIT_EXCEEDED",
            FixConfig,
            "the org has no licence left for this; the text says which",
        ),
        (
            "LIMIT_EXCEEDED",
            FixConfig,
            "a limit of the org is reached; the text says which",
        ),
        (
            "MALFORMED_ID",
            FixConfig,
            "an id of the wrong kind is mapped into this field",
        ),
        (
            "MALFORMED_QUERY",
            FixConfig,
            "a query that we sent is wrong: check external_id_field in [salesforce], else report it",
        ),
        (
            "MALFORMED_SEARCH",
            FixConfig,
            "a search that we sent is wrong: please report it",
        ),
        (
            "MISSING_ARGUMENT",
            FixConfig,
            "something compulsory was not sent: check external_id_field in [salesforce]",
        ),
        ("NOT_FOUND", Resolve, "the record does not exist any more"),
        (
            "NUMBER_OUTSIDE_VALID_RANGE",
            FixData,
            "the number is too large or too small for the field: mend it, or set on_invalid = \"drop_field\"",
        ),
        (
            "OP_WITH_INVALID_USER_TYPE_EXCEPTION",
            FixConfig,
            "this owner cannot own such a record, e.g. a queue for a contact",
        ),
        (
            "PROCESSING_HALTED",
            RetrySoon,
            "another part of the same call failed; it is tried again by itself",
        ),
        (
            "QUERY_TIMEOUT",
            RetrySoon,
            "Salesforce took too long to search; it is tried again by itself",
        ),
        (
            "QUERY_TOO_COMPLICATED",
            FixConfig,
            "a mapped formula field makes the query too large: map fewer formula fields",
        ),
        (
            "REQUEST_LIMIT_EXCEEDED",
            HoldAll,
            "the org's API calls of 24 hours are used up, by all its integrations together; it goes on by itself when some are free again, or buy more",
        ),
        (
            "REQUEST_RUNNING_TOO_LONG",
            RetrySoon,
            "Salesforce took too long; it is tried again by itself",
        ),
        (
            "REQUIRED_FIELD_MISSING",
            FixData,
            "the org demands a field that this lead does not fill: give it a `default` in [salesforce.lead]",
        ),
        (
            "SERVER_UNAVAILABLE",
            RetrySoon,
            "Salesforce is overloaded or in maintenance; it is tried again by itself",
        ),
        (
            "STORAGE_LIMIT_EXCEEDED",
            HoldAll,
            "the org's data storage is full: delete records or buy storage; everything waits until then",
        ),
        (
            "STRING_TOO_LONG",
            FixData,
            "the text is longer than the field; the message has the limit: lengthen the field in Salesforce, or set on_invalid = \"drop_field\"",
        ),
        (
            "TERRITORY_REALIGN_IN_PROGRESS",
            RetryLater,
            "territories are being realigned; it is tried again by itself",
        ),
        (
            "TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET",
            FixData,
            "the text has characters that the org cannot store: mend it, or set on_invalid = \"drop_field\"",
        ),
        (
            "TOO_MANY_APEX_REQUESTS",
            RetrySoon,
            "code of the org is too busy; it is tried again by itself",
        ),
        (
            "UNABLE_TO_LOCK_ROW",
            RetrySoon,
            "someone else was writing the same record or its parent; it is tried again by itself",
        ),
        (
            "UNAVAILABLE_RECORDTYPE_EXCEPTION",
            FixConfig,
            "assign a record type of the object to the integration user's profile",
        ),
        (
            "UNKNOWN_EXCEPTION",
            RetrySoon,
            "Salesforce had an error of its own; it is tried again by itself; quote the ErrorId to Salesforce support if it stays",
        ),
        (
            "UNSUPPORTED_API_VERSION",
            FixConfig,
            "the org does not have this API version: set api_version in [salesforce]",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, code: &str, message: &str, expect: Class) {
        let verdict = judge(status, code, message);
        assert_eq!(verdict.class, expect, "{status} {code} {message}");
        assert!(verdict.hint.len() > 20, "{code} has no hint");
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(TABLE.is_sorted_by(|one, other| one.0 < other.0));
    }

    #[test]
    fn every_code_has_its_class() {
        use Class::*;
        let expect: &[(Class, &str)] = &[
            (
                RetrySoon,
                "ALL_OR_NONE_OPERATION_ROLLED_BACK ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE \
                 INVALID_QUERY_LOCATOR PROCESSING_HALTED QUERY_TIMEOUT REQUEST_RUNNING_TOO_LONG \
                 SERVER_UNAVAILABLE TOO_MANY_APEX_REQUESTS UNABLE_TO_LOCK_ROW UNKNOWN_EXCEPTION \
                 MATCH_SERVICE_UNAVAILABLE_EXCEPTION",
            ),
            (RetryLater, "ENTITY_IS_LOCKED TERRITORY_REALIGN_IN_PROGRESS"),
            (
                HoldAll,
                "REQUEST_LIMIT_EXCEEDED STORAGE_LIMIT_EXCEEDED \
                 INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE",
            ),
            (SignIn, "INVALID_SESSION_ID INVALID_AUTH_HEADER"),
            (
                Resolve,
                "CANNOT_UPDATE_CONVERTED_LEAD DUPLICATES_DETECTED DUPLICATE_EXTERNAL_ID \
                 DUPLICATE_VALUE ENTITY_IS_DELETED INVALID_CROSS_REFERENCE_KEY NOT_FOUND",
            ),
            (
                FixData,
                "CIRCULAR_DEPENDENCY DEPENDENCY_EXISTS DELETE_FAILED ENTITY_IS_ARCHIVED \
                 FIELD_CUSTOM_VALIDATION_EXCEPTION FIELD_FILTER_VALIDATION_EXCEPTION \
                 FIELD_INTEGRITY_EXCEPTION INVALID_EMAIL_ADDRESS \
                 INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST INVALID_OPERATION INVALID_STATUS \
                 INVALID_TYPE_ON_FIELD_IN_RECORD JSON_PARSER_ERROR NUMBER_OUTSIDE_VALID_RANGE \
                 REQUIRED_FIELD_MISSING STRING_TOO_LONG TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET",
            ),
            (
                FixConfig,
                "EXCEEDED_ID_LIMIT INACTIVE_OWNER_OR_USER INVALID_ASSIGNMENT_RULE INVALID_FIELD \
                 INVALID_FIELD_FOR_INSERT_UPDATE INVALID_ID_FIELD MALFORMED_ID \
                 INVALID_QUERY_FILTER_OPERATOR MALFORMED_QUERY MALFORMED_SEARCH \
                 QUERY_TOO_COMPLICATED INVALID_REPLICATION_DATE INVALID_TYPE \
                 INVALID_TYPE_FOR_OPERATION LICENSE_LIMIT_EXCEEDED LIMIT_EXCEEDED \
                 MISSING_ARGUMENT OP_WITH_INVALID_USER_TYPE_EXCEPTION \
                 UNAVAILABLE_RECORDTYPE_EXCEPTION UNSUPPORTED_API_VERSION",
            ),
            (
                FixPermissions,
                "API_CURRENTLY_DISABLED API_DISABLED_FOR_ORG FUNCTIONALITY_NOT_ENABLED \
                 INSUFFICIENT_ACCESS INSUFFICIENT_ACCESS_OR_READONLY \
                 INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
            ),
            (
                Automation,
                "APEX_ERROR APEX_DATA_ACCESS_RESTRICTION CANNOT_EXECUTE_FLOW_TRIGGER \
                 FLOW_EXCEPTION CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY TXN_SECURITY_METERING_ERROR \
                 TXN_SECURITY_NO_ACCESS EMAIL_NOT_PROCESSED_DUE_TO_PRIOR_ERROR",
            ),
        ];
        let mut named = Vec::new();
        for (class, codes) in expect {
            for code in codes.split_whitespace() {
                check(200, code, "", *class);
                named.push(code);
            }
        }
        for (code, ..) in TABLE {
            assert!(named.contains(code), "{code} is not in this test");
        }
    }

    #[test]
    fn a_message_tells_apart_what_the_code_does_not() {
        use Class::*;
        let cannot = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY";
        check(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
            HoldAll,
        );
        check(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentPerOrgLongTxn Limit exceeded.",
            RetrySoon,
        );
        check(
            200,
            cannot,
            "LeadTrigger: execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW, unable",
            RetrySoon,
        );
        check(
            200,
            cannot,
            "LeadTrigger: System.LimitException: Too many SOQL queries: 101",
            RetryLater,
        );
        check(
            200,
            cannot,
            "entity type cannot be inserted: insufficient access rights",
            FixPermissions,
        );
        check(
            200,
            cannot,
            "LeadTrigger: System.NullPointerException",
            Automation,
        );
        check(
            200,
            "FLOW_EXCEPTION",
            "unable to obtain exclusive access to this record",
            RetrySoon,
        );
        check(
            500,
            "UNKNOWN_EXCEPTION",
            "An unexpected error occurred. ErrorId: 12-34 (56)",
            RetrySoon,
        );
        check(
            500,
            "UNKNOWN_EXCEPTION",
            "Apex trigger LeadTrigger failed",
            Automation,
        );
        check(200, "LIMIT_EXCEEDED", "daily limit reached", RetryLater);
        check(
            404,
            "NOT_FOUND",
            "The requested resource does not exist",
            FixConfig,
        );
        check(
            404,
            "NOT_FOUND",
            "Provided external ID field does not exist or is not accessible: X__c",
            FixConfig,
        );
        check(
            200,
            "INVALID_CROSS_REFERENCE_KEY",
            "Record Type ID: this ID value isn't valid for the user: 012",
            FixConfig,
        );
        check(
            200,
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
            Resolve,
        );
        check(
            401,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the REST API",
            SignIn,
        );
    }

    #[test]
    fn an_unknown_code_is_judged_by_the_status() {
        use Class::*;
        for (status, class) in [
            (200, FixData),
            (400, FixData),
            (300, Resolve),
            (401, SignIn),
            (403, FixPermissions),
            (404, FixConfig),
            (412, RetrySoon),
            (420, RetrySoon),
            (500, RetrySoon),
            (502, RetrySoon),
            (503, RetrySoon),
        ] {
            check(status, "NEW_CODE_OF_2031", "", class);
            check(status, "", "", class);
        }
    }

    #[test]
    fn codes_are_read_in_any_case() {
        check(200, "unable_to_lock_row", "", Class::RetrySoon);
    }
}
