//! Which records of vendors have come in, by keyed hashes of their ids: who lists what a vendor holds
//! asks here what is missing. No personal data; 16 bytes a record.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use super::dialect::{Connection, Value, insert, query};
use super::{Store, StoreError};
use crate::model::SourceName;

/// No version was ever said.
const NO_VERSION: i64 = 0;

/// Hashes the vendors' ids and versions of records with the store's secret.
#[derive(Clone)]
pub struct RecordHasher {
    secret: [u8; 16],
}

/// Without the secret.
impl std::fmt::Debug for RecordHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordHasher")
    }
}

impl RecordHasher {
    /// A hasher with a store's secret.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// What a vendor's record is known by.
    pub fn id(&self, source: &SourceName, vendor_id: &str) -> i64 {
        self.hash(&["record", source, vendor_id])
    }

    /// What a vendor's version of a record is known by; 0 if the vendor says none.
    pub fn version(&self, version: Option<&str>) -> i64 {
        version.map_or(NO_VERSION, |version| {
            match self.hash(&["version", version]) {
                NO_VERSION => 1,
                hash => hash,
            }
        })
    }

    fn hash(&self, texts: &[&str]) -> i64 {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        for text in texts {
            hasher.write(text.as_bytes());
            // A byte that no text holds, so that no two rows are one.
            hasher.write_u8(0xFF);
        }
        hasher.finish().cast_signed()
    }
}

/// The records that a batch has seen: what they are known by, and their versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenRecords(BTreeMap<i64, i64>);

impl SeenRecords {
    /// Adds a record; of several versions the last counts, and none at all takes none back.
    pub fn add(&mut self, id: i64, version: i64) {
        let seen = self.0.entry(id).or_insert(version);
        if version != NO_VERSION {
            *seen = version;
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(super) const KNOWN: &str = "SELECT id, version FROM vendor_record WHERE id {in $1}";

impl Store {
    /// What a vendor's record is known by in [`Store::known_records`].
    pub fn record_hash(&self, source: &SourceName, vendor_id: &str) -> i64 {
        RecordHasher::new(self.key_secret).id(source, vendor_id)
    }

    /// What a vendor's version of a record is known by there; 0 if the vendor says none.
    pub fn version_hash(&self, version: Option<&str>) -> i64 {
        RecordHasher::new(self.key_secret).version(version)
    }

    /// Which of the records `ids` of a source have been processed, as hashes
    /// ([`Store::record_hash`]), with the hashes of their last versions.
    pub async fn known_records(
        &self,
        _source: &SourceName,
        ids: &[i64],
    ) -> Result<HashMap<i64, i64>, StoreError> {
        // The source is in the hash.
        let mut reader = self.database.read().await?;
        let rows: Vec<(i64, i64)> = query(KNOWN)
            .bind(Value::ids(ids.iter().copied()))
            .all(&mut reader.connection())
            .await?;
        Ok(rows.into_iter().collect())
    }
}

/// In the order of the tree, so that nodes that wait for each other's rows wait in one direction.
pub(super) async fn upsert(
    connection: &mut Connection<'_>,
    records: &SeenRecords,
) -> Result<(), StoreError> {
    const RECORD: &str = "INSERT INTO vendor_record (id, version) VALUES";
    const NEWER: &str = "ON CONFLICT (id) DO UPDATE SET version = excluded.version \
         WHERE excluded.version <> 0 AND excluded.version <> vendor_record.version";
    let rows: Vec<(i64, i64)> = records
        .0
        .iter()
        .map(|(id, version)| (*id, *version))
        .collect();
    insert(connection, RECORD, NEWER, &rows, |values, (id, version)| {
        values.push(*id)?;
        values.push(*version)
    })
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::store::Access;
    use crate::store::plans::postgres;

    #[test]
    fn a_record_is_its_sources_and_hashes_stay_the_same() {
        let hasher = RecordHasher::new([7; 16]);
        let demo = SourceName::new("demo");
        // Stored in people's databases: a change here would make all records unknown.
        assert_eq!(hasher.id(&demo, "17"), RECORD_17);
        assert_ne!(hasher.id(&SourceName::new("other"), "17"), RECORD_17);
        assert_ne!(hasher.id(&SourceName::new("demo1"), "7"), RECORD_17);
        assert_ne!(RecordHasher::new([8; 16]).id(&demo, "17"), RECORD_17);
        assert_eq!(hasher.version(None), 0);
        assert_ne!(hasher.version(Some("")), 0);
        assert_eq!(format!("{hasher:?}"), "RecordHasher");
    }

    const RECORD_17: i64 = 5_486_369_596_284_760_979;

    async fn check(url: &str) {
        let store = Store::open(&StoreConfig::at(url), Access::Daemon)
            .await
            .unwrap();
        let demo = SourceName::new("demo");
        let id = |vendor_id: &str| store.record_hash(&demo, vendor_id);
        let version = |text: &str| store.version_hash(Some(text));
        let see = async |seen: &[(&str, i64)]| {
            let mut records = SeenRecords::default();
            for (vendor_id, version) in seen {
                records.add(id(vendor_id), *version);
            }
            let mut write = store.write().await.unwrap();
            upsert(&mut write.connection(), &records).await.unwrap();
            write.commit().await.unwrap();
            store
                .known_records(&demo, &[id("a"), id("b"), id("c")])
                .await
                .unwrap()
        };
        let expected = |rows: &[(&str, i64)]| -> HashMap<i64, i64> {
            rows.iter()
                .map(|(name, version)| (id(name), *version))
                .collect()
        };
        let found = see(&[("a", 0), ("b", version("1")), ("b", version("2"))]).await;
        assert_eq!(found, expected(&[("a", 0), ("b", version("2"))]));
        // A notice that says no version takes back none.
        let found = see(&[("a", version("9")), ("a", 0), ("b", 0), ("d", 0)]).await;
        assert_eq!(found, expected(&[("a", version("9")), ("b", version("2"))]));
        assert_eq!(see(&[]).await, found);
        store.close().await;
    }

    #[tokio::test]
    async fn what_was_seen_is_known_with_its_last_version() {
        let folder = tempfile::tempdir().unwrap();
        check(&format!("sqlite:{}/test.db", folder.path().display())).await;
    }

    #[tokio::test]
    async fn what_was_seen_is_known_with_its_last_version_on_postgresql() {
        if let Some(url) = postgres::database() {
            check(&url).await;
        }
    }
}
