use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EventId, LeadId, Millis};

/// The golden record of one person, merged from submissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Its id, from which its external id in Salesforce is made before it is first sent.
    pub id: LeadId,
    /// When its first submission was processed.
    pub created_at: Millis,
    /// The best known value of each lead field.
    pub record: BTreeMap<String, Held>,
    /// The campaigns that it is to be in, by name or id: what was asked for last.
    pub campaigns: BTreeMap<String, Membership>,
    /// The 18-character id of its record in Salesforce, once known.
    pub salesforce_id: Option<String>,
    /// How its record was in Salesforce when we last looked.
    pub followed: Followed,
}

/// A campaign that a lead is to be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The member status, if the submission said one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<String>,
    /// When the person did what it stands for.
    pub at: Millis,
}

/// How a record was in Salesforce: what people change there, and we tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Followed {
    /// Its status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The id of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The Contact that a Lead was converted into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Whether it is in the recycle bin.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_deleted: bool,
    /// The org's stamp of the newest change that was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Millis>,
}

/// A value and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The value.
    pub value: String,
    /// When the person gave it: an older submission never overwrites a newer one.
    pub at: Millis,
    /// The event that brought it.
    pub event: EventId,
}
