//! What each code means.

use super::Class;

/// Code, class, hint; in alphabetical order.
pub(super) const TABLE: &[(&str, Class, &str)] = {
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
