use serde::{Deserialize, Serialize};

use super::{LeadId, Millis};

/// The source of such events. No configured source can have this name: it has a full stop.
pub const ORG_CHANGES: &str = "salesforce.changes";

/// How a record in Salesforce is after somebody changed it there: the body of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrgChange {
    /// The lead whose record it is.
    pub lead: LeadId,
    /// The record's 18-character id.
    pub record: String,
    /// The org's stamp of the change.
    pub at: Millis,
    /// The status of a Lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The status that it had before, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_before: Option<String>,
    /// The id of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The owner that it had before, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_before: Option<String>,
    /// The Contact that a Lead was converted into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The record that it was merged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Whether it is in the recycle bin.
    pub is_deleted: bool,
    /// What the person does not want: 1 e-mail, 2 fax, 4 calls, added up.
    pub opted_out: i64,
}
