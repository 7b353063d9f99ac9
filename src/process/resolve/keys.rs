use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::model::{KeyHash, MatchKey};

/// Hashes match keys with a secret that only this store has, so that the table of keys holds no
/// personal data and cannot be searched for a known address.
#[derive(Clone)]
pub struct KeyHasher {
    secret: [u8; 16],
}

impl KeyHasher {
    /// A hasher with the store's secret. Another secret makes all stored keys worthless.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// The hash of a key: 64 bits of `SipHash-2-4`, signed as databases have them. The same value as
    /// another kind of key has another hash.
    pub fn hash(&self, key: &MatchKey) -> KeyHash {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write_u8(key.kind as u8);
        hasher.write(key.value.as_bytes());
        KeyHash(hasher.finish().cast_signed())
    }

    /// The hash of a row of texts.
    pub fn hash_texts<'t>(&self, texts: impl Iterator<Item = &'t str>) -> i64 {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        for text in texts {
            hasher.write(text.as_bytes());
            // A byte that no text holds, so that no two rows are one.
            hasher.write_u8(0xFF);
        }
        hasher.finish().cast_signed()
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyKind;

    fn hash(secret: u8, kind: KeyKind, value: &str) -> KeyHash {
        let value = value.to_owned();
        KeyHasher::new([secret; 16]).hash(&MatchKey { kind, value })
    }

    #[test]
    fn a_hash_depends_on_secret_kind_and_value() {
        let base = hash(1, KeyKind::Email, "anna@acme.example");
        assert_eq!(base, hash(1, KeyKind::Email, "anna@acme.example"));
        assert_ne!(base, hash(2, KeyKind::Email, "anna@acme.example"));
        assert_ne!(
            base,
            hash(1, KeyKind::PhoneAndLastName, "anna@acme.example")
        );
        assert_ne!(base, hash(1, KeyKind::Email, "anna@acme.example."));
    }

    #[test]
    fn hashes_stay_the_same_from_version_to_version() {
        // Stored in people's databases: a change here needs a migration.
        assert_eq!(
            hash(7, KeyKind::Email, "anna@acme.example"),
            KeyHash(1_781_045_496_584_274_461)
        );
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", KeyHasher::new([7; 16])), "KeyHasher");
    }
}
