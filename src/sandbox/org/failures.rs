use std::cell::Cell;

use serde::Deserialize;

use super::row::Row;
use super::state::Org;
use super::validation::Condition;
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::schema::ObjectIx;

/// Writes that fail for a reason of the org's own: a trigger, a flow, an approval, a full disk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The object.
    pub object: String,
    /// Salesforce's code, one of `CODES`.
    pub code: String,
    /// What the refusal says.
    pub message: String,
    /// Which rows: those that all of this holds for; without any, all.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// How many rows fail before it is over; none means without end.
    #[serde(default)]
    pub at_most: Option<u64>,
}

/// A failure that is on.
#[derive(Debug)]
pub(in crate::sandbox) struct ActiveFailure {
    failure: Failure,
    code: &'static str,
    left: Cell<u64>,
}

/// What a row can be refused with.
/// Source: SOAP API Developer Guide, "StatusCode", as far as an integration meets it.
const CODES: [&str; 54] = [
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "APEX_DATA_ACCESS_RESTRICTION",
    "APEX_ERROR",
    "API_CURRENTLY_DISABLED",
    "API_DISABLED_FOR_ORG",
    "CANNOT_EXECUTE_FLOW_TRIGGER",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
    "CANNOT_UPDATE_CONVERTED_LEAD",
    "CIRCULAR_DEPENDENCY",
    "DELETE_FAILED",
    "DEPENDENCY_EXISTS",
    "DUPLICATES_DETECTED",
    "DUPLICATE_EXTERNAL_ID",
    "DUPLICATE_VALUE",
    "ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE",
    "ENTITY_IS_ARCHIVED",
    "ENTITY_IS_DELETED",
    "ENTITY_IS_LOCKED",
    "EXCEEDED_ID_LIMIT",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION",
    "FIELD_FILTER_VALIDATION_EXCEPTION",
    "FIELD_INTEGRITY_EXCEPTION",
    "FLOW_EXCEPTION",
    "FUNCTIONALITY_NOT_ENABLED",
    "INACTIVE_OWNER_OR_USER",
    "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE",
    "INSUFFICIENT_ACCESS",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
    "INSUFFICIENT_ACCESS_OR_READONLY",
    "INVALID_CROSS_REFERENCE_KEY",
    "INVALID_EMAIL_ADDRESS",
    "INVALID_FIELD",
    "INVALID_FIELD_FOR_INSERT_UPDATE",
    "INVALID_ID_FIELD",
    "INVALID_OPERATION",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
    "INVALID_STATUS",
    "INVALID_TYPE_ON_FIELD_IN_RECORD",
    "LICENSE_LIMIT_EXCEEDED",
    "LIMIT_EXCEEDED",
    "MATCH_SERVICE_ABORTED",
    "NUMBER_OUTSIDE_VALID_RANGE",
    "OP_WITH_INVALID_USER_TYPE_EXCEPTION",
    "REQUEST_RUNNING_TOO_LONG",
    "REQUIRED_FIELD_MISSING",
    "STORAGE_LIMIT_EXCEEDED",
    "STRING_TOO_LONG",
    "TERRITORY_REALIGN_IN_PROGRESS",
    "TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET",
    "TOO_MANY_APEX_REQUESTS",
    "TXN_SECURITY_METERING_ERROR",
    "TXN_SECURITY_NO_ACCESS",
    "UNABLE_TO_LOCK_ROW",
    "UNKNOWN_EXCEPTION",
];

impl ActiveFailure {
    /// Switches a failure on; none if its code is not known.
    pub(in crate::sandbox) fn new(failure: Failure) -> Option<Self> {
        let code = CODES.into_iter().find(|code| *code == failure.code)?;
        let left = Cell::new(failure.at_most.unwrap_or(u64::MAX));
        Some(Self {
            failure,
            code,
            left,
        })
    }
}

impl Org {
    /// Refuses a row for whose kind a failure is on.
    pub(super) fn fail(&self, object: ObjectIx, row: &Row) -> Result<(), Refusals> {
        let name = self.object(object).name;
        let met = self.rules.failures.iter().find(|active| {
            active.failure.object.eq_ignore_ascii_case(name)
                && active.left.get() > 0
                && self.meets_all(object, row, &active.failure.when)
        });
        match met {
            None => Ok(()),
            Some(active) => {
                active.left.set(active.left.get() - 1);
                Err(Refusal::row(active.code, &active.failure.message).into())
            }
        }
    }
}
