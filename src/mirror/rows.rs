//! A row of the org as the index keeps it.

use serde_json::Value;

use super::facts_of;
use crate::model::Millis;
use crate::process::resolve::KeyHasher;
use crate::salesforce::{Map, same_record, to_18};
use crate::store::OrgPerson;

/// A row as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What is kept of it.
    pub person: OrgPerson,
    /// Whether we were the last to change it.
    pub is_ours: bool,
}

/// Reads a row; none without an id or a stamp, which no row of Salesforce is. `us` is the user that we
/// are signed in as.
pub(super) fn read(
    row: &Map,
    external_id_field: &str,
    keys: &KeyHasher,
    us: Option<&str>,
) -> Option<Read> {
    let value = |name: &str| {
        let named = |(key, _): &(&String, &Value)| key.eq_ignore_ascii_case(name);
        row.iter().find(named).map(|(_, value)| value)
    };
    let text = |name: &str| value(name).and_then(Value::as_str).map(str::to_owned);
    // A query job answers in CSV, where everything is text.
    let flag = |name: &str| match value(name) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    let id = |name: &str| text(name).as_deref().and_then(to_18);
    let opted_out = [
        ("HasOptedOutOfEmail", 1),
        ("HasOptedOutOfFax", 2),
        ("DoNotCall", 4),
    ];
    let opted_out = opted_out.iter().filter(|(name, _)| flag(name));
    let by = text("LastModifiedById");
    let is_deleted = flag("IsDeleted");
    let hashes = facts_of(row)
        .keys()
        .iter()
        .map(|key| keys.hash(key))
        .collect();
    Some(Read {
        person: OrgPerson {
            id: id("Id")?,
            external_id: text(external_id_field).filter(|key| !key.is_empty()),
            contact_id: id("ConvertedContactId"),
            master_id: id("MasterRecordId"),
            is_converted: flag("IsConverted"),
            is_deleted,
            status: text("Status").filter(|status| !status.is_empty()),
            owner_id: id("OwnerId"),
            opted_out: opted_out.map(|(_, bit)| bit).sum(),
            changed_at: stamp(&text("SystemModstamp")?)?,
            keys: if is_deleted { Vec::new() } else { hashes },
        },
        is_ours: by.zip(us).is_some_and(|(by, us)| same_record(&by, us)),
    })
}

/// A moment as Salesforce writes it: `2026-03-01T10:00:00.000+0000`, or with `Z`.
pub(super) fn stamp(text: &str) -> Option<Millis> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Millis(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_of_either_answer_is_read_alike() {
        let keys = KeyHasher::new([7; 16]);
        let json = json!({
            "Id": "00Q5g000001AbCdEAK", "Email": "Jane@Acme.example", "LastName": "Lee", "OwnerId": "0055g000001AbCd",
            "IsDeleted": false, "MasterRecordId": null, "SystemModstamp": "2026-03-01T10:00:00.000+0000",
            "LastModifiedById": "005xx000001SwiUAAS", "Status": "Working - Contacted", "IsConverted": true,
            "ConvertedContactId": "0038M0000016Wv8QAE", "HasOptedOutOfEmail": true, "DoNotCall": true,
            "leadstream_id__c": "KEY",
        });
        let csv = json!({
            "Id": "00Q5g000001AbCdEAK", "Email": "Jane@Acme.example", "LastName": "Lee", "OwnerId": "0055g000001AbCd",
            "IsDeleted": "false", "MasterRecordId": "", "SystemModstamp": "2026-03-01T10:00:00.000Z",
            "LastModifiedById": "005xx000001SwiUAAS", "Status": "Working - Contacted", "IsConverted": "true",
            "ConvertedContactId": "0038M0000016Wv8QAE", "HasOptedOutOfEmail": "true", "DoNotCall": "true",
            "Leadstream_Id__c": "KEY",
        });
        let row = |value: &Value| {
            let row = value.as_object().unwrap();
            read(row, "Leadstream_Id__c", &keys, Some("005xx000001SwiU")).unwrap()
        };
        let read = row(&json);
        assert_eq!(read, row(&csv));
        assert!(read.is_ours && read.person.is_converted && !read.person.is_deleted);
        assert_eq!(read.person.opted_out, 5);
        assert_eq!(read.person.external_id.as_deref(), Some("KEY"));
        assert_eq!(read.person.keys.len(), 1);
    }

    #[test]
    fn a_row_without_id_or_stamp_is_none() {
        let keys = KeyHasher::new([7; 16]);
        for row in [
            json!({ "Id": "00Q5g000001AbCdEAK" }),
            json!({ "SystemModstamp": "2026-03-01T10:00:00.000Z" }),
            json!({ "Id": "00Q5g000001AbCdEAK", "SystemModstamp": "yesterday" }),
        ] {
            assert_eq!(read(row.as_object().unwrap(), "K__c", &keys, None), None);
        }
    }
}
