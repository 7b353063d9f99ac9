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

/// The codes of section "Error codes" of our notes on Salesforce's StatusCode list, in its order, each
/// with its kinds: P permanent for this data, C configuration, A access, R retry, L later, X resolve, S
/// sign in.
const STATUS_CODES: &[(&str, &str)] = &[
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "R"),
    ("API_CURRENTLY_DISABLED", "A"),
    ("API_DISABLED_FOR_ORG", "A"),
    ("APEX_ERROR", "P"),
    ("APEX_DATA_ACCESS_RESTRICTION", "P"),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", "P"),
    ("FLOW_EXCEPTION", "P"),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "PA"),
    ("CANNOT_UPDATE_CONVERTED_LEAD", "X"),
    ("CIRCULAR_DEPENDENCY", "P"),
    ("DEPENDENCY_EXISTS", "P"),
    ("DELETE_FAILED", "P"),
    ("DUPLICATES_DETECTED", "X"),
    ("DUPLICATE_EXTERNAL_ID", "X"),
    ("DUPLICATE_VALUE", "X"),
    ("EMAIL_NOT_PROCESSED_DUE_TO_PRIOR_ERROR", "P"),
    ("ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE", "R"),
    ("ENTITY_IS_DELETED", "X"),
    ("ENTITY_IS_LOCKED", "L"),
    ("ENTITY_IS_ARCHIVED", "P"),
    ("EXCEEDED_ID_LIMIT", "C"),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "P"),
    ("FIELD_FILTER_VALIDATION_EXCEPTION", "P"),
    ("FIELD_INTEGRITY_EXCEPTION", "P"),
    ("FUNCTIONALITY_NOT_ENABLED", "AC"),
    ("INACTIVE_OWNER_OR_USER", "C"),
    ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "L"),
    ("INSUFFICIENT_ACCESS", "A"),
    ("INSUFFICIENT_ACCESS_OR_READONLY", "A"),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "A"),
    ("INVALID_ASSIGNMENT_RULE", "C"),
    ("INVALID_AUTH_HEADER", "S"),
    ("INVALID_CROSS_REFERENCE_KEY", "XC"),
    ("INVALID_EMAIL_ADDRESS", "P"),
    ("INVALID_FIELD", "C"),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", "CA"),
    ("INVALID_ID_FIELD", "C"),
    ("MALFORMED_ID", "C"),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "PC"),
    ("INVALID_OPERATION", "P"),
    ("INVALID_STATUS", "P"),
    ("INVALID_QUERY_FILTER_OPERATOR", "C"),
    ("MALFORMED_QUERY", "C"),
    ("MALFORMED_SEARCH", "C"),
    ("QUERY_TOO_COMPLICATED", "C"),
    ("INVALID_QUERY_LOCATOR", "R"),
    ("INVALID_REPLICATION_DATE", "C"),
    ("INVALID_SESSION_ID", "S"),
    ("INVALID_TYPE", "C"),
    ("INVALID_TYPE_FOR_OPERATION", "C"),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", "P"),
    ("JSON_PARSER_ERROR", "CP"),
    ("LICENSE_LIMIT_EXCEEDED", "LC"),
    ("LIMIT_EXCEEDED", "LC"),
    ("MATCH_SERVICE_UNAVAILABLE_EXCEPTION", "R"),
    ("MISSING_ARGUMENT", "C"),
    ("NOT_FOUND", "XC"),
    ("NUMBER_OUTSIDE_VALID_RANGE", "P"),
    ("OP_WITH_INVALID_USER_TYPE_EXCEPTION", "C"),
    ("PROCESSING_HALTED", "R"),
    ("QUERY_TIMEOUT", "R"),
    ("REQUEST_RUNNING_TOO_LONG", "R"),
    ("REQUEST_LIMIT_EXCEEDED", "LR"),
    ("REQUIRED_FIELD_MISSING", "P"),
    ("SERVER_UNAVAILABLE", "R"),
    ("STORAGE_LIMIT_EXCEEDED", "L"),
    ("STRING_TOO_LONG", "P"),
    ("TERRITORY_REALIGN_IN_PROGRESS", "L"),
    ("TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", "P"),
    ("TOO_MANY_APEX_REQUESTS", "R"),
    ("TXN_SECURITY_METERING_ERROR", "PA"),
    ("TXN_SECURITY_NO_ACCESS", "PA"),
    ("UNABLE_TO_LOCK_ROW", "R"),
    ("UNAVAILABLE_RECORDTYPE_EXCEPTION", "C"),
    ("UNKNOWN_EXCEPTION", "R"),
    ("UNSUPPORTED_API_VERSION", "C"),
];

#[test]
fn every_code_is_of_the_kind_that_salesforce_says() {
    for (code, kinds) in STATUS_CODES {
        let kind = match classify(200, code, "") {
            Class::RetrySoon => 'R',
            Class::RetryLater | Class::HoldAll => 'L',
            Class::SignIn => 'S',
            Class::Resolve => 'X',
            Class::FixData | Class::Automation => 'P',
            Class::FixConfig => 'C',
            Class::FixPermissions => 'A',
        };
        assert!(kinds.contains(kind), "{code} is {kind}, not one of {kinds}");
    }
    for (code, ..) in TABLE {
        let is_listed = STATUS_CODES.iter().any(|(known, _)| known == code);
        assert!(is_listed, "{code} is in no list of Salesforce");
    }
}

#[test]
fn hints_are_for_people() {
    for (code, _) in STATUS_CODES {
        let hint = judge(200, code, "").hint;
        let shouts = hint
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word.contains('_') && word == word.to_uppercase());
        assert!(!shouts, "{code}: {hint}");
        assert!(!hint.ends_with('.'), "{code}: {hint}");
    }
}

#[test]
fn a_lock_or_limit_inside_another_error_passes_by_itself() {
    use Class::*;
    for code in [
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "CANNOT_EXECUTE_FLOW_TRIGGER",
        "FLOW_EXCEPTION",
        "APEX_ERROR",
    ] {
        let lock = "LeadTrigger: first error: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access to this record or 1 records: 0035c00000AbCdE: []";
        check(200, code, lock, RetrySoon);
        check(
            200,
            code,
            "System.LimitException: Apex CPU time limit exceeded",
            RetryLater,
        );
        check(
            200,
            code,
            "System.NullPointerException: Attempt to de-reference a null object",
            Automation,
        );
    }
}
